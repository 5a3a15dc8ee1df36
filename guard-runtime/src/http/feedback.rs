//! All that a response's headers say of waiting and of limits, and the one wait that follows.

use std::time::{Duration, SystemTime};

use ::http::{HeaderMap, HeaderValue};

use super::date::server_clock;
use super::rate_limit::{self, RateLimit};
use super::retry_after;
use super::value::{NANOS_PER_MS, decimal, delay, trimmed};
use crate::clock;

/// The most limits that are kept.
const MOST_LIMITS: usize = 8;

/// Headers with milliseconds, the ones that go before `Retry-After`, in their order: Azure, the generated clients of
/// OpenAI and Anthropic; Azure; AWS.
const MILLISECONDS: [&str; 3] = ["retry-after-ms", "x-ms-retry-after-ms", "x-amz-retry-after"];

const RETRY_AFTER: &str = "retry-after";

/// What a response's headers say of waiting and of rate limits.
///
/// | read | from | sent by |
/// |---|---|---|
/// | [`retry_after`](Feedback::retry_after) | `retry-after-ms`, `x-ms-retry-after-ms`, `x-amz-retry-after`: milliseconds | Azure, OpenAI, AWS |
/// | | else `Retry-After`, as [`RetryAfter`](super::RetryAfter) | RFC 9110 |
/// | [`limits`](Feedback::limits) | `RateLimit`, `RateLimit-Policy` | draft-ietf-httpapi-ratelimit-headers-07 to -11 |
/// | | `RateLimit-Limit`, `-Remaining`, `-Reset` | its drafts up to -06 |
/// | | `X-RateLimit-Limit`, `-Remaining`, `-Reset` | GitHub and many others |
/// | | `X-RateLimit-Reset-After`: seconds, preferred to `-Reset` | Discord |
/// | | `X-RateLimit-Limit-Requests`, `-Remaining-Requests`, `-Reset-Requests`, the same for `-Tokens` | OpenAI, Azure |
/// | | `X-Rate-Limit-Limit`, `-Remaining`, `-Reset` | X, once Twitter |
/// | | `Anthropic-RateLimit-Requests-Limit` and so on, for `Tokens`, `Input-Tokens`, `Output-Tokens` too | Anthropic |
///
/// # What a reset means
///
/// Vendors send one name in many units. A number below 10^9 is seconds from the response, one from 10^9 is Unix time in
/// seconds, one from 10^12 is Unix time in milliseconds; a fraction may follow. `1m30s` and `12ms` are durations as Go
/// prints them; `1994-11-06T08:49:37Z` (RFC 3339) and the dates of RFC 9110 are instants. A service that sends
/// milliseconds from the response is misunderstood: its waits are a thousand times too long.
///
/// Instants are compared with the response's `Date`, since both come from one clock; with the system's time where that
/// is missing.
///
/// # What is not believed
///
/// A value that cannot be read is as good as absent: no sign, exponent or other text makes a number, nor does anything
/// longer than 64 bytes (4096 for a structured field). Negative numbers are unknown. Fractions are rounded up and the
/// strictest of several lines counts, so that a wait is never too short; none is longer than
/// [`RetryAfter::LONGEST`](super::RetryAfter::LONGEST). No input panics.
///
/// # Cost
///
/// When none of these headers is there, one pass over the names and no reading of a clock: about 50 ns for 15 headers.
/// Else 1 to 4 µs, most of it for dates.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use apiguard::http::Feedback;
///
/// let response = http::Response::builder()
///     .status(429)
///     .header("x-ratelimit-limit", "5")
///     .header("x-ratelimit-remaining", "0")
///     .header("x-ratelimit-reset-after", "1.25")
///     .body(())
///     .expect("valid headers");
/// let feedback = Feedback::from_headers(response.headers());
/// assert_eq!(feedback.wait(), Some((Duration::from_millis(1_250), "x-ratelimit-reset-after")));
/// assert_eq!(feedback.retry_after(), None);
/// let limit = feedback.limits().next().expect("one limit");
/// assert_eq!((limit.limit, limit.remaining), (Some(5), Some(0)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Feedback {
    retry_after: Option<(Duration, &'static str)>,
    /// The latest reset of the limits that have nothing left, those that are not kept included.
    exhausted: Option<(Duration, &'static str)>,
    limits: Vec<RateLimit>,
}

impl Feedback {
    /// Reads the headers of a response that has just come.
    pub fn from_headers(headers: &HeaderMap) -> Feedback {
        // Most responses have none: they do not read the clock.
        let spoken = headers.keys().any(|name| speaks(name.as_str()));
        if spoken { Feedback::read(headers, clock::wall_clock()) } else { Feedback::default() }
    }

    fn read(headers: &HeaderMap, wall_clock: SystemTime) -> Feedback {
        let now = server_clock(headers).unwrap_or(wall_clock);
        let mut feedback = Feedback { retry_after: asked(headers, now), ..Feedback::default() };
        rate_limit::read(headers, now, &mut |limit| feedback.add(limit));
        feedback
    }

    fn add(&mut self, limit: RateLimit) {
        if let (Some(0), Some(reset)) = (limit.remaining, limit.reset) {
            if self.exhausted.is_none_or(|(latest, _)| latest < reset) {
                self.exhausted = Some((reset, limit.header));
            }
        }
        if self.limits.len() < MOST_LIMITS {
            self.limits.push(limit);
        }
    }

    /// How long the server asks to wait by a header that is there to say so: `retry-after-ms`, `x-ms-retry-after-ms`,
    /// `x-amz-retry-after` or `Retry-After`, the first of these that can be read. At most
    /// [`RetryAfter::LONGEST`](super::RetryAfter::LONGEST).
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after.map(|(delay, _)| delay)
    }

    /// How long until the last of the limits that have nothing left has some again: what a good answer says of waiting. (A
    /// `Retry-After` there is no word on rates: with a 202 it says when to ask for the result.)
    #[must_use]
    pub fn exhausted(&self) -> Option<Duration> {
        self.exhausted.map(|(delay, _)| delay)
    }

    /// [`exhausted`](Feedback::exhausted), and the name of the header that says so.
    pub(super) fn exhausted_by(&self) -> Option<(Duration, &'static str)> {
        self.exhausted
    }

    /// The limits that the headers speak of, 8 at most, in the order of the table above. A server that says one thing in
    /// two families is heard twice.
    pub fn limits(&self) -> impl Iterator<Item = &RateLimit> {
        self.limits.iter()
    }

    /// How long the server wants to be left alone, counted from its response, and the name of the header that says so:
    /// [`retry_after`](Feedback::retry_after) if there is one, else the latest reset among the limits that have nothing
    /// left. At most [`RetryAfter::LONGEST`](super::RetryAfter::LONGEST); zero where the time has come already.
    ///
    /// A limit that has something left asks for no wait, nor does one that does not say when it has more.
    #[must_use]
    pub fn wait(&self) -> Option<(Duration, &'static str)> {
        self.retry_after.or(self.exhausted)
    }
}

/// Whether a header of this name can be one that is read here.
fn speaks(name: &str) -> bool {
    // Looks at one byte of most names.
    name.starts_with(['r', 'x', 'a'])
        && (name == RETRY_AFTER
            || MILLISECONDS.contains(&name)
            || rate_limit::PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
}

fn asked(headers: &HeaderMap, now: SystemTime) -> Option<(Duration, &'static str)> {
    let longest = |name: &'static str| headers.get_all(name).iter().filter_map(milliseconds).max();
    MILLISECONDS
        .into_iter()
        .find_map(|name| Some((longest(name)?, name)))
        .or_else(|| Some((retry_after::longest(headers, now)?, RETRY_AFTER)))
}

fn milliseconds(value: &HeaderValue) -> Option<Duration> {
    Some(delay(decimal(trimmed(value.as_bytes())?, NANOS_PER_MS)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::UNIX_EPOCH;

    use ::http::HeaderName;
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::http::RetryAfter;
    use crate::http::reset::reset;
    use crate::http::timestamp::timestamp;

    /// Tue, 14 Nov 2023 22:13:20 GMT.
    const NOW: u64 = 1_700_000_000;

    /// Names of which each is read in another way, or by other code.
    const NAMES: [&str; 19] = [
        "retry-after",
        "retry-after-ms",
        "x-ms-retry-after-ms",
        "x-amz-retry-after",
        "ratelimit",
        "ratelimit-policy",
        "ratelimit-limit",
        "ratelimit-remaining",
        "ratelimit-reset",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "x-ratelimit-reset-after",
        "x-ratelimit-reset-requests",
        "x-rate-limit-reset",
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
        "date",
    ];

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    fn headers<V: AsRef<[u8]>>(lines: &[(&str, V)]) -> HeaderMap {
        let name = |name: &str| HeaderName::from_bytes(name.as_bytes()).unwrap();
        lines.iter().map(|(key, value)| (name(key), HeaderValue::from_bytes(value.as_ref()).unwrap())).collect()
    }

    fn read<V: AsRef<[u8]>>(lines: &[(&str, V)]) -> Feedback {
        Feedback::read(&headers(lines), at(NOW))
    }

    fn wait(lines: &[(&str, &str)]) -> Option<(u64, &'static str)> {
        read(lines).wait().map(|(delay, header)| (u64::try_from(delay.as_millis()).unwrap(), header))
    }

    #[test]
    fn headers_in_milliseconds_go_before_seconds() {
        let lines = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "99"),
            ("retry-after", "7"),
            ("x-amz-retry-after", "6500"),
            ("x-ms-retry-after-ms", "6600"),
            ("retry-after-ms", "6700.5"),
        ];
        let expected = [
            (99_000, "x-ratelimit-reset"),
            (7_000, "retry-after"),
            (6_500, "x-amz-retry-after"),
            (6_600, "x-ms-retry-after-ms"),
            (6_700, "retry-after-ms"),
        ];
        for (n, expected) in (2..).zip(expected) {
            assert_eq!(wait(&lines[..n]), Some(expected));
        }
        assert_eq!(read(&lines).retry_after(), Some(Duration::from_micros(6_700_500)));
        assert_eq!(read(&lines[..2]).retry_after(), None);
        let invalid = [("retry-after-ms", "-1"), ("x-ms-retry-after-ms", "1e3"), ("retry-after", "7")];
        assert_eq!(wait(&invalid), Some((7_000, "retry-after")));
        assert_eq!(wait(&[("retry-after-ms", "20"), ("retry-after-ms", "300")]), Some((300, "retry-after-ms")));
        assert_eq!(wait(&[("retry-after-ms", "0"), ("retry-after", "7")]), Some((0, "retry-after-ms")));
        assert_eq!(wait(&[("retry-after", "Tue, 14 Nov 2023 22:13:30 GMT")]), Some((10_000, "retry-after")));
    }

    #[test]
    fn the_latest_reset_of_the_limits_that_have_nothing_left_is_the_wait() {
        let requests = [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "1s")];
        let tokens = [("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "6m0s")];
        let some_left = [("x-ratelimit-remaining", "1"), ("x-ratelimit-reset", "1700003600")];
        let unknown = [("x-rate-limit-reset", "9999"), ("x-rate-limit-limit", "100")];
        let never = [("anthropic-ratelimit-tokens-remaining", "0"), ("anthropic-ratelimit-tokens-limit", "100")];
        let all: Vec<_> = [requests, tokens, some_left, unknown, never].concat();
        assert_eq!(wait(&all), Some((360_000, "x-ratelimit-reset-tokens")));
        assert_eq!(read(&all).limits().count(), 5);
        assert_eq!(wait(&[requests, some_left, unknown, never].concat()), Some((1_000, "x-ratelimit-reset-requests")));
        assert_eq!(wait(&[some_left, unknown, never].concat()), None);
        assert_eq!(
            wait(&[("ratelimit", "burst;r=0;t=10, daily;r=0;t=3600, x;r=9;t=7200")]),
            Some((3_600_000, "ratelimit"))
        );
        let same = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "7"), ("ratelimit", "a;r=0;t=7")];
        let named = read(&same).limits().next().map(|limit| limit.header);
        assert_eq!(wait(&same).map(|(_, header)| header), named, "the first of those that end together");
    }

    #[test]
    fn nothing_is_said_by_headers_that_are_not_there() {
        assert_eq!(Feedback::from_headers(&HeaderMap::new()), Feedback::default());
        let others = headers(&[("date", "Tue, 14 Nov 2023 22:13:20 GMT"), ("x-request-id", "7"), ("age", "7")]);
        assert_eq!(Feedback::from_headers(&others), Feedback::default());
        let nothing = Feedback::default();
        assert_eq!((nothing.wait(), nothing.retry_after(), nothing.limits().count()), (None, None, 0));
    }

    #[test]
    fn every_name_is_noticed_in_the_first_pass() {
        let value = |name: &str| if name == "ratelimit" || name == "ratelimit-policy" { "a;r=1;q=1" } else { "1" };
        for name in NAMES.into_iter().filter(|name| *name != "date") {
            assert_ne!(Feedback::from_headers(&headers(&[(name, value(name))])), Feedback::default(), "{name}");
        }
    }

    #[test]
    fn instants_are_compared_with_the_servers_own_clock() {
        // A day behind ours.
        let served = ("date", "Mon, 13 Nov 2023 22:13:20 GMT");
        for reset in
            ["1699913610", "1699913610000", "2023-11-13T22:13:30Z", "Mon, 13 Nov 2023 22:13:30 GMT", "10", "10s"]
        {
            let lines = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset), served];
            assert_eq!(wait(&lines), Some((10_000, "x-ratelimit-reset")), "{reset:?}");
        }
    }

    #[test]
    fn an_instant_that_has_passed_is_no_wait_and_a_far_one_the_longest() {
        let longest = RetryAfter::LONGEST.as_millis() as u64;
        for (reset, expected) in [
            ("0", 0),
            ("1699999999", 0),
            ("1000000000000", 0),
            ("1970-01-01T00:00:00Z", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
            ("31536000", longest),
            ("999999999", longest),
            ("9223372037", longest),
            ("253402300799", longest),
            ("9999-12-31T23:59:59Z", longest),
            ("Fri, 31 Dec 9999 23:59:59 GMT", longest),
            ("876000h0m0s", longest),
        ] {
            let lines = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset)];
            assert_eq!(wait(&lines), Some((expected, "x-ratelimit-reset")), "{reset:?}");
        }
        for name in ["retry-after-ms", "x-ms-retry-after-ms", "x-amz-retry-after", "retry-after"] {
            assert_eq!(wait(&[(name, "99999999999999999999999")]), Some((longest, name)));
        }
    }

    #[test]
    fn no_wait_comes_from_nonsense() {
        let large = [vec![b'9'; 1_000_000], vec![b';'; 1_000_000], vec![0xff; 1_000_000]];
        let texts: [&[u8]; 34] = [
            b"",
            b" ",
            b"-5",
            b"-1",
            b"-0",
            b"+5",
            b"NaN",
            b"nan",
            b"inf",
            b"-inf",
            b"1e400",
            b"1e3",
            b"18446744073709551616x",
            b"1_0",
            b"1 5",
            b"0x10",
            b".5",
            b"5.",
            "\u{663}".as_bytes(),
            "\u{ff11}".as_bytes(),
            "1\u{663}".as_bytes(),
            b";;;",
            b"null",
            b"<script>",
            b"%0d%0a",
            b"\xff",
            b"12\xff",
            b"\xf0\x9f\x98",
            b"Mon, 06 Nov 2094 08:49:37 GMT",
            b"Sat, 06 Nov 2094 08:49:37 CET",
            b"2094-02-29T00:00:00Z",
            b"2094-11-06T08:49:37",
            b"Wed, 31 Dec 1969 23:59:59 GMT",
            b"1969-12-31T23:59:59Z",
        ];
        for value in texts.into_iter().chain(large.iter().map(Vec::as_slice)) {
            let shown = String::from_utf8_lossy(&value[..value.len().min(40)]);
            for name in NAMES {
                let feedback = read(&[(name, value)]);
                assert_eq!((feedback.wait(), feedback.limits().count()), (None, 0), "{name}: {shown:?}");
            }
            for family in ["ratelimit", "x-ratelimit", "x-rate-limit", "anthropic-ratelimit-tokens"] {
                let (remaining, reset) = (format!("{family}-remaining"), format!("{family}-reset"));
                let feedback = read(&[(remaining.as_str(), b"0".as_slice()), (&reset, value)]);
                assert_eq!(feedback.wait(), None, "{reset}: {shown:?}");
                assert_eq!(feedback.limits().next().unwrap().reset, None, "{reset}: {shown:?}");
                let feedback = read(&[(remaining.as_str(), value), (&reset, b"30".as_slice())]);
                assert_eq!(feedback.wait(), None, "{remaining}: {shown:?}");
            }
        }
    }

    #[test]
    fn few_limits_are_kept_and_all_are_waited_for() {
        let mut field: Vec<_> = (1..32).map(|n| format!("limit{n};r={};t={n}", n % 2)).collect();
        field.push("last;r=0;t=99".into());
        let feedback = read(&[("ratelimit", field.join(", "))]);
        assert_eq!(feedback.limits().count(), MOST_LIMITS);
        assert_eq!(feedback.wait(), Some((Duration::from_secs(99), "ratelimit")));
    }

    #[test]
    fn random_values_do_no_harm() {
        let mut random = SmallRng::seed_from_u64(7);
        let below = |random: &mut SmallRng, n: usize| (random.next_u64() % n as u64) as usize;
        let pieces = [
            "0",
            "1",
            "30",
            "59",
            "60",
            "1700000030",
            "9223372037",
            "18446744073709551616",
            ".",
            "-",
            "+",
            ":",
            "T",
            "Z",
            "h",
            "m",
            "s",
            "ms",
            "ns",
            "\u{b5}s",
            ",",
            ";",
            "=",
            "r",
            "t",
            "q",
            "w",
            "\"",
            "\\",
            "(",
            ")",
            "?1",
            "@",
            "limit=",
            "remaining=0",
            "reset=",
            "a;r=0;t=",
            "2023-11-14T22:13:21",
            "+01:00",
            "Tue, 14 Nov 2023 ",
            "22:13:21",
            " GMT",
            " ",
            "\t",
            "\u{663}",
            "%",
            "*",
            "e",
            "x",
        ];
        for _ in 0..20_000 {
            let mut lines = Vec::new();
            for _ in 0..=below(&mut random, 4) {
                let mut value = Vec::new();
                for _ in 0..below(&mut random, 8) {
                    if below(&mut random, 16) == 0 {
                        value.push(random.next_u64() as u8);
                    } else {
                        value.extend_from_slice(pieces[below(&mut random, pieces.len())].as_bytes());
                    }
                }
                // Bytes that no header has do not come this far, but the parsers take them.
                if let Some(text) = trimmed(&value) {
                    for delay in [reset(text), timestamp(text).map(RetryAfter::At)].into_iter().flatten() {
                        assert!(delay.delay_from(at(NOW)) <= RetryAfter::LONGEST);
                    }
                }
                value.retain(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..));
                lines.push((NAMES[below(&mut random, NAMES.len())], value));
            }
            let headers = headers(&lines);
            for feedback in [Feedback::read(&headers, at(NOW)), Feedback::from_headers(&headers)] {
                assert!(feedback.wait().is_none_or(|(delay, _)| delay <= RetryAfter::LONGEST), "{lines:?}");
                assert!(feedback.limits().count() <= MOST_LIMITS, "{lines:?}");
                for limit in feedback.limits() {
                    assert!(limit.reset.is_none_or(|delay| delay <= RetryAfter::LONGEST), "{lines:?}");
                    assert!(!limit.says_nothing(), "{lines:?}");
                }
            }
        }
    }
}
