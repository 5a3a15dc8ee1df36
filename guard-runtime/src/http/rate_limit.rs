//! The limits that a response's headers speak of, and the headers of many names and few meanings that vendors send.
//!
//! | headers | sent by |
//! |---|---|
//! | `RateLimit`, `RateLimit-Policy` | the IETF's drafts from 07 |
//! | `RateLimit-Limit`, `-Remaining`, `-Reset` | the IETF's drafts up to 06 |
//! | `X-RateLimit-Limit`, `-Remaining`, `-Reset` | GitHub and many others |
//! | `X-RateLimit-Reset-After` (seconds) | Discord |
//! | `X-RateLimit-Limit-Requests`, `-Tokens` and so on | OpenAI and services like it |
//! | `X-Rate-Limit-Limit`, `-Remaining`, `-Reset` | X, once Twitter |
//! | `Anthropic-RateLimit-Requests-Limit` and so on | Anthropic |

use std::time::{Duration, SystemTime};

use ::http::{HeaderMap, HeaderValue};

use super::fields;
use super::reset::reset;
use super::value::{NANOS_PER_SECOND, count, decimal, delay, trimmed};

/// What one limit of the server has left, and when it has more, as a response's headers said.
///
/// What they did not say is `None`, and so is what they said in a way that cannot be read: never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RateLimit {
    /// How many requests, tokens or whatever the server counts it grants in one of its windows.
    pub limit: Option<u64>,
    /// How many of them are left.
    pub remaining: Option<u64>,
    /// How long after the response the limit has some again, or has all of them again; vendors differ in that, and in
    /// most windows it is the same. Zero for an instant that has passed, at most
    /// [`RetryAfter::LONGEST`](super::RetryAfter::LONGEST).
    pub reset: Option<Duration>,
    /// The name of the header that said so, in small letters: of the reset where several say one thing each, else of
    /// what is left, else of the limit.
    pub header: &'static str,
}

impl RateLimit {
    /// A limit of which nothing is known yet.
    pub(super) const fn of(header: &'static str) -> RateLimit {
        RateLimit { limit: None, remaining: None, reset: None, header }
    }

    pub(super) fn says_nothing(&self) -> bool {
        matches!(self, RateLimit { limit: None, remaining: None, reset: None, .. })
    }
}

/// The beginnings of the names that are read here.
pub(super) const PREFIXES: [&str; 4] = ["ratelimit", "x-ratelimit-", "x-rate-limit-", "anthropic-ratelimit-"];

/// Headers that say one thing each of one limit.
struct Family {
    limit: &'static str,
    remaining: &'static str,
    reset: &'static str,
    /// Seconds, whatever their number: preferred, since it needs no clock.
    reset_after: Option<&'static str>,
}

impl Family {
    const fn of(limit: &'static str, remaining: &'static str, reset: &'static str) -> Family {
        Family { limit, remaining, reset, reset_after: None }
    }
}

macro_rules! openai {
    ($what:literal) => {
        Family::of(
            concat!("x-ratelimit-limit-", $what),
            concat!("x-ratelimit-remaining-", $what),
            concat!("x-ratelimit-reset-", $what),
        )
    };
}

macro_rules! anthropic {
    ($what:literal) => {
        Family::of(
            concat!("anthropic-ratelimit-", $what, "-limit"),
            concat!("anthropic-ratelimit-", $what, "-remaining"),
            concat!("anthropic-ratelimit-", $what, "-reset"),
        )
    };
}

const IETF: [Family; 1] = [Family::of("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")];

const COMMON: [Family; 4] = [
    Family {
        reset_after: Some("x-ratelimit-reset-after"),
        ..Family::of("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
    },
    openai!("requests"),
    openai!("tokens"),
    openai!("tokens_usage_based"),
];

const X: [Family; 1] = [Family::of("x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset")];

const ANTHROPIC: [Family; 4] =
    [anthropic!("requests"), anthropic!("tokens"), anthropic!("input-tokens"), anthropic!("output-tokens")];

/// By [`PREFIXES`].
const FAMILIES: [&[Family]; PREFIXES.len()] = [&IETF, &COMMON, &X, &ANTHROPIC];

/// Every limit that the headers of a response speak of; `now` is the server's clock when it answered.
pub(super) fn read(headers: &HeaderMap, now: SystemTime, found: &mut impl FnMut(RateLimit)) {
    let mut found = |limit: RateLimit| {
        if !limit.says_nothing() {
            found(limit);
        }
    };
    for (at, prefix) in PREFIXES.iter().enumerate() {
        if !headers.keys().any(|name| name.as_str().starts_with(prefix)) {
            continue;
        }
        if at == 0 {
            fields::read(headers, &mut found);
        }
        for family in FAMILIES[at] {
            found(family.read(headers, now));
        }
    }
}

impl Family {
    /// Proxies add lines of their own: of several valid ones the strictest counts, each header for itself.
    fn read(&self, headers: &HeaderMap, now: SystemTime) -> RateLimit {
        let lines = |name: &'static str| headers.get_all(name).iter();
        let limit = lines(self.limit).filter_map(first_count).min();
        let remaining = lines(self.remaining).filter_map(|value| count(trimmed(value.as_bytes())?)).min();
        let after = self.reset_after.and_then(|name| Some((lines(name).filter_map(seconds).max()?, name)));
        let at = || lines(self.reset).filter_map(|value| reset(trimmed(value.as_bytes())?));
        let reset = after.or_else(|| Some((at().map(|reset| reset.delay_from(now)).max()?, self.reset)));
        let header = match (reset, remaining) {
            (Some((_, header)), _) => header,
            (None, Some(_)) => self.remaining,
            (None, None) => self.limit,
        };
        RateLimit { limit, remaining, reset: reset.map(|(delay, _)| delay), header }
    }
}

/// A number that a policy may follow, as in `100, 100;w=60` of early drafts.
fn first_count(value: &HeaderValue) -> Option<u64> {
    let first = value.as_bytes().split(|byte| matches!(byte, b',' | b';')).next()?;
    count(trimmed(first)?)
}

fn seconds(value: &HeaderValue) -> Option<Duration> {
    Some(delay(decimal(trimmed(value.as_bytes())?, NANOS_PER_SECOND)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::UNIX_EPOCH;

    use ::http::HeaderName;

    use super::*;

    /// Tue, 14 Nov 2023 22:13:20 GMT.
    const NOW: u64 = 1_700_000_000;

    fn limits(lines: &[(&str, &str)]) -> Vec<RateLimit> {
        let line = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        let mut limits = Vec::new();
        let now = UNIX_EPOCH + Duration::from_secs(NOW);
        read(&lines.iter().map(line).collect(), now, &mut |limit| limits.push(limit));
        limits
    }

    fn known(header: &'static str, limit: u64, remaining: u64, reset_ms: u64) -> RateLimit {
        let reset = Some(Duration::from_millis(reset_ms));
        RateLimit { limit: Some(limit), remaining: Some(remaining), reset, header }
    }

    #[test]
    fn the_drafts_of_the_ietf() {
        let newest = [("RateLimit", "\"default\";r=50;t=30"), ("RateLimit-Policy", "\"default\";q=100;w=60")];
        assert_eq!(limits(&newest), [known("ratelimit", 100, 50, 30_000)]);
        let draft_07 = [("RateLimit", "limit=100, remaining=50, reset=30"), ("RateLimit-Policy", "100;w=60")];
        assert_eq!(limits(&draft_07), [known("ratelimit", 100, 50, 30_000)]);
        for limit in ["100", "100, 100;w=60", "100;w=60", "100,100;window=60;burst=1000;comment=\"fixed\", 5000;w=3600"]
        {
            let up_to_06 = [("RateLimit-Limit", limit), ("RateLimit-Remaining", "50"), ("RateLimit-Reset", "30")];
            assert_eq!(limits(&up_to_06), [known("ratelimit-reset", 100, 50, 30_000)], "{limit:?}");
        }
    }

    #[test]
    fn github_resets_in_unix_seconds() {
        let lines = [
            ("x-ratelimit-limit", "5000"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-used", "5000"),
            ("x-ratelimit-reset", "1700000090"),
            ("x-ratelimit-resource", "core"),
        ];
        assert_eq!(limits(&lines), [known("x-ratelimit-reset", 5_000, 0, 90_000)]);
    }

    #[test]
    fn x_has_a_hyphen_more() {
        let lines =
            [("x-rate-limit-limit", "900"), ("x-rate-limit-remaining", "0"), ("x-rate-limit-reset", "1700000900")];
        assert_eq!(limits(&lines), [known("x-rate-limit-reset", 900, 0, 900_000)]);
    }

    #[test]
    fn discord_resets_after_seconds_whatever_its_instant_says() {
        let lines = [
            ("X-RateLimit-Limit", "5"),
            ("X-RateLimit-Remaining", "0"),
            ("X-RateLimit-Reset", "1700000099.123"),
            ("X-RateLimit-Reset-After", "1.250"),
            ("X-RateLimit-Bucket", "abcd1234"),
        ];
        assert_eq!(limits(&lines), [known("x-ratelimit-reset-after", 5, 0, 1_250)]);
        let without = [("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "1700000099.123")];
        let expected = RateLimit { limit: None, ..known("x-ratelimit-reset", 0, 0, 99_123) };
        assert_eq!(limits(&without), [expected]);
        let unreadable = [without[0], without[1], ("X-RateLimit-Reset-After", "-1")];
        assert_eq!(limits(&unreadable), [expected]);
    }

    #[test]
    fn openai_has_requests_and_tokens_and_durations() {
        let lines = [
            ("x-ratelimit-limit-requests", "60"),
            ("x-ratelimit-limit-tokens", "150000"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-remaining-tokens", "149984"),
            ("x-ratelimit-reset-requests", "1m30s"),
            ("x-ratelimit-reset-tokens", "12ms"),
            ("x-ratelimit-limit-tokens_usage_based", "200000"),
            ("x-ratelimit-remaining-tokens_usage_based", "199000"),
            ("x-ratelimit-reset-tokens_usage_based", "6m0s"),
        ];
        assert_eq!(
            limits(&lines),
            [
                known("x-ratelimit-reset-requests", 60, 0, 90_000),
                known("x-ratelimit-reset-tokens", 150_000, 149_984, 12),
                known("x-ratelimit-reset-tokens_usage_based", 200_000, 199_000, 360_000),
            ]
        );
    }

    #[test]
    fn azure_openai_has_seconds_and_minus_one_for_unknown() {
        let lines = [
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "10"),
            ("x-ratelimit-limit-tokens", "-1"),
            ("x-ratelimit-remaining-tokens", "-1"),
            ("x-ratelimit-reset-tokens", "-1"),
        ];
        let expected = RateLimit { limit: None, ..known("x-ratelimit-reset-requests", 0, 0, 10_000) };
        assert_eq!(limits(&lines), [expected]);
    }

    #[test]
    fn anthropic_resets_at_timestamps() {
        let lines = [
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "49"),
            ("anthropic-ratelimit-requests-reset", "2023-11-14T22:13:21Z"),
            ("anthropic-ratelimit-tokens-limit", "40000"),
            ("anthropic-ratelimit-tokens-remaining", "0"),
            ("anthropic-ratelimit-tokens-reset", "2023-11-14T22:14:20Z"),
            ("anthropic-ratelimit-input-tokens-limit", "30000"),
            ("anthropic-ratelimit-input-tokens-remaining", "0"),
            ("anthropic-ratelimit-input-tokens-reset", "2023-11-14T23:13:20.5+01:00"),
            ("anthropic-ratelimit-output-tokens-limit", "8000"),
            ("anthropic-ratelimit-output-tokens-remaining", "8000"),
            ("anthropic-ratelimit-output-tokens-reset", "2023-11-14T22:13:19Z"),
        ];
        assert_eq!(
            limits(&lines),
            [
                known("anthropic-ratelimit-requests-reset", 50, 49, 1_000),
                known("anthropic-ratelimit-tokens-reset", 40_000, 0, 60_000),
                known("anthropic-ratelimit-input-tokens-reset", 30_000, 0, 500),
                known("anthropic-ratelimit-output-tokens-reset", 8_000, 8_000, 0),
            ]
        );
    }

    #[test]
    fn headers_of_other_forms_say_nothing() {
        let lines = [
            ("x-shopify-shop-api-call-limit", "32/40"),
            ("x-ratelimit-retry-after", "5"),
            ("x-ratelimit-global", "true"),
            ("x-ratelimit-reset", "Tue Feb 16 2021 09:02:42 GMT+0100 (Central European Standard Time)"),
            ("x-ratelimit-limit", "name=default,100"),
            ("ratelimit-limit", ", 100;w=60"),
            ("anthropic-ratelimit-unified-reset", "1700000900"),
        ];
        assert_eq!(limits(&lines), []);
    }

    #[test]
    fn of_several_lines_the_strictest_counts() {
        let lines = [
            ("x-ratelimit-limit", "100"),
            ("x-ratelimit-limit", "60"),
            ("x-ratelimit-remaining", "3"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-remaining", "-7"),
            ("x-ratelimit-reset", "5"),
            ("x-ratelimit-reset", "1700000030"),
            ("x-ratelimit-reset", "99x"),
        ];
        assert_eq!(limits(&lines), [known("x-ratelimit-reset", 60, 0, 30_000)]);
        // A list in one line is no number.
        assert_eq!(limits(&[("x-ratelimit-remaining", "0, 10"), ("x-ratelimit-reset", "5, 30")]), []);
    }

    #[test]
    fn the_header_that_is_named_is_the_one_that_says_most() {
        let header = |lines: &[(&str, &str)]| limits(lines)[0].header;
        let (limit, remaining) = (("x-ratelimit-limit", "5"), ("x-ratelimit-remaining", "0"));
        assert_eq!(header(&[limit]), "x-ratelimit-limit");
        assert_eq!(header(&[limit, remaining]), "x-ratelimit-remaining");
        assert_eq!(header(&[limit, remaining, ("x-ratelimit-reset", "soon")]), "x-ratelimit-remaining");
        assert_eq!(header(&[limit, remaining, ("x-ratelimit-reset", "0")]), "x-ratelimit-reset");
    }

    #[test]
    fn every_name_that_is_read_has_one_of_the_prefixes() {
        for (prefix, families) in PREFIXES.iter().zip(FAMILIES) {
            for Family { limit, remaining, reset, reset_after } in families {
                for name in [Some(*limit), Some(*remaining), Some(*reset), *reset_after].into_iter().flatten() {
                    assert!(name.starts_with(prefix), "{name}");
                    assert_eq!(HeaderName::from_static(name), name, "in small letters");
                }
            }
        }
    }
}
