//! The `Retry-After` header field (RFC 9110, section 10.2.3): a number of seconds or a date.
//!
//! Strict in what it reads, since a misread value becomes a wait: what is neither a plain number nor a date of RFC 9110
//! (section 5.6.7) is as good as absent. Lenient in two points that servers in the field need: a fraction of a second
//! (Shopify, Discord), and white space around the value.
//!
//! Never early: fractions are rounded up to the nanosecond, and numbers too large for anything become the longest delay
//! instead of wrapping to a short one.

use std::time::{Duration, SystemTime};

use ::http::HeaderMap;
use ::http::header::RETRY_AFTER;

use super::date::{date, server_clock};
use super::value::{NANOS_PER_SECOND, decimal, delay, trimmed};
use crate::clock;

/// When a server asks to be called again: the value of a `Retry-After` header field.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use apiguard::http::RetryAfter;
///
/// let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
/// let seconds = RetryAfter::parse("120").expect("a number");
/// assert_eq!(seconds.delay_from(now), Duration::from_secs(120));
/// let date = RetryAfter::parse("Sun, 06 Nov 1994 08:50:37 GMT").expect("a date");
/// assert_eq!(date.delay_from(now), Duration::from_secs(60));
/// assert_eq!(RetryAfter::parse("soon"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RetryAfter {
    /// After this time, counted from when the response came.
    Delay(Duration),
    /// At this instant of the server's clock.
    At(SystemTime),
}

impl RetryAfter {
    /// The longest delay: 365 days. Every longer one, and every number too large to be read, becomes this one.
    pub const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    /// Reads the value of one header line: text, bytes or an `http::HeaderValue`.
    ///
    /// Read are a whole number of seconds (`120`), a decimal one (`0.5`; digits on both sides of the point, rounded up to
    /// the next nanosecond), and the three dates of RFC 9110: `Sun, 06 Nov 1994 08:49:37 GMT`,
    /// `Sunday, 06-Nov-94 08:49:37 GMT` and `Sun Nov  6 08:49:37 1994`, with the leap second `23:59:60`. A two-digit year
    /// is one of 1970..=2069. Spaces and tabs around the value are ignored.
    ///
    /// Anything else is `None`: signs, exponents, digits outside ASCII, other time zones, days that do not exist or are
    /// not that day of the week, lists, and values of more than 64 bytes. No input panics.
    pub fn parse(value: impl AsRef<[u8]>) -> Option<RetryAfter> {
        let text = trimmed(value.as_ref())?;
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            decimal(text, NANOS_PER_SECOND).map(|nanos| RetryAfter::Delay(delay(nanos)))
        } else {
            date(text).map(RetryAfter::At)
        }
    }

    /// How long to wait from `now`: zero for a date that has passed, at most [`LONGEST`](RetryAfter::LONGEST).
    ///
    /// Take the server's own `now` from the response's `Date` where there is one, as
    /// [`from_headers`](RetryAfter::from_headers) does: then it does not matter whether the two clocks agree.
    #[must_use]
    pub fn delay_from(self, now: SystemTime) -> Duration {
        let delay = match self {
            RetryAfter::Delay(delay) => delay,
            RetryAfter::At(at) => at.duration_since(now).unwrap_or(Duration::ZERO),
        };
        delay.min(RetryAfter::LONGEST)
    }

    /// How long the response with these headers asks to wait: the longest of its valid `Retry-After` lines, at most
    /// [`LONGEST`](RetryAfter::LONGEST); `None` without one.
    ///
    /// A date is compared with the response's `Date`, since both come from one clock; with the system's time when there
    /// is no `Date`, more than one, or one that is not a date.
    ///
    /// ```
    /// use std::time::Duration;
    /// use apiguard::http::RetryAfter;
    ///
    /// let response = http::Response::builder().header("retry-after", "1.5").body(()).expect("valid headers");
    /// assert_eq!(RetryAfter::from_headers(response.headers()), Some(Duration::from_millis(1_500)));
    /// ```
    pub fn from_headers(headers: &HeaderMap) -> Option<Duration> {
        // Most responses have none: they do not read the clock.
        if !headers.contains_key(RETRY_AFTER) {
            return None;
        }
        longest(headers, clock::wall_clock())
    }
}

/// [`RetryAfter::from_headers`] with the time of day given.
pub(super) fn longest(headers: &HeaderMap, wall_clock: SystemTime) -> Option<Duration> {
    let now = server_clock(headers).unwrap_or(wall_clock);
    headers.get_all(RETRY_AFTER).iter().filter_map(RetryAfter::parse).map(|after| after.delay_from(now)).max()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::UNIX_EPOCH;

    use ::http::header::DATE;
    use ::http::{HeaderName, HeaderValue};

    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT, the date that RFC 9110 uses.
    const SECOND: u64 = 784_111_777;

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    fn headers(lines: &[(HeaderName, &[u8])]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_bytes(value).unwrap())).collect()
    }

    #[test]
    fn numbers_are_seconds_and_their_fractions_round_up() {
        let cases: &[(&str, Duration)] = &[
            ("0", Duration::ZERO),
            ("00", Duration::ZERO),
            ("007", Duration::from_secs(7)),
            ("120", Duration::from_secs(120)),
            (" \t 120 \t", Duration::from_secs(120)),
            ("2.0", Duration::from_secs(2)),
            ("0.5", Duration::from_millis(500)),
            ("1.05", Duration::from_millis(1_050)),
            ("0.000000001", Duration::from_nanos(1)),
            ("0.0000000010", Duration::from_nanos(1)),
            ("0.0000000011", Duration::from_nanos(2)),
            ("0.00000000000000000001", Duration::from_nanos(1)),
            ("0.9999999999", Duration::from_secs(1)),
            ("31535999.5", Duration::new(31_535_999, 500_000_000)),
        ];
        for (text, delay) in cases {
            assert_eq!(RetryAfter::parse(text), Some(RetryAfter::Delay(*delay)), "{text:?}");
        }
    }

    #[test]
    fn numbers_too_large_become_the_longest_delay() {
        for text in [
            "31536000",
            "31536001",
            "9223372037",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551615.9999999999",
            "18446744073709551616",
            "99999999999999999999999",
        ] {
            assert_eq!(RetryAfter::parse(text), Some(RetryAfter::Delay(RetryAfter::LONGEST)), "{text:?}");
        }
        assert_eq!(RetryAfter::parse("9".repeat(64)), Some(RetryAfter::Delay(RetryAfter::LONGEST)));
        let huge = RetryAfter::Delay(Duration::MAX);
        assert_eq!(huge.delay_from(UNIX_EPOCH), RetryAfter::LONGEST);
    }

    #[test]
    fn what_is_neither_a_number_nor_a_date_is_ignored() {
        for text in [
            "",
            " ",
            "\t \t",
            "-5",
            "+5",
            "-0",
            "- 5",
            "NaN",
            "nan",
            "inf",
            "Infinity",
            "1e400",
            "1E3",
            "0x10",
            "1_0",
            "1,0",
            "1 0",
            "5, 10",
            "5;10",
            "1.",
            ".5",
            ".",
            "1.2.3",
            "1.-5",
            "1.5s",
            "5s",
            "18446744073709551616x",
            "\u{663}",
            "1\u{663}",
            "\u{ff11}\u{ff12}",
            "12\u{a0}",
            "\u{a0}12",
            "12\0",
            "\n12",
            "12\r\n",
            "\x0b12",
            ";;;",
            "soon",
            "null",
            "<script>",
            "%0d%0a",
        ] {
            assert_eq!(RetryAfter::parse(text), None, "{text:?}");
        }
        for bytes in [&b"\xff"[..], b"12\xff", b"\xff12", b"\xc3", b"\x80\x80\x80", b"\xf0\x9f\x98"] {
            assert_eq!(RetryAfter::parse(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn enormous_values_are_ignored() {
        for filler in ["9", "0", "x", ";", ".", "\u{663}", "Sun, 06 Nov 1994 08:49:37 GMT"] {
            let text = filler.repeat(10_000_000 / filler.len());
            assert_eq!(RetryAfter::parse(&text), None, "{filler:?}");
        }
        assert_eq!(RetryAfter::parse(" ".repeat(1_000_000)), None);
        assert_eq!(RetryAfter::parse(vec![0xff; 1_000_000]), None);
        assert_eq!(RetryAfter::parse("9".repeat(65)), None);
    }

    #[test]
    fn no_prefix_or_changed_byte_of_a_value_panics() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Wednesday, 09-Nov-94 23:59:60 GMT",
            "Sun Nov  6 08:49:37 1994",
            "184467440.7370955161615",
        ] {
            for cut in 0..=text.len() {
                let _ = RetryAfter::parse(&text[..cut]);
                let _ = RetryAfter::parse(&text[cut..]);
            }
            for place in 0..text.len() {
                for byte in 0..=u8::MAX {
                    let mut bytes = text.as_bytes().to_vec();
                    bytes[place] = byte;
                    if let Some(after) = RetryAfter::parse(&bytes) {
                        assert!(after.delay_from(UNIX_EPOCH) <= RetryAfter::LONGEST);
                    }
                }
            }
        }
    }

    #[test]
    fn a_date_is_read_in_all_three_forms_and_in_white_space() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "\tSun, 06 Nov 1994 08:49:37 GMT ",
        ] {
            assert_eq!(RetryAfter::parse(text), Some(RetryAfter::At(at(SECOND))), "{text:?}");
        }
        for text in ["Mon, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET", "\nSun Nov  6 08:49:37 1994"] {
            assert_eq!(RetryAfter::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_date_is_a_delay_from_now_and_a_past_one_is_zero() {
        let date = RetryAfter::parse("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(date.delay_from(at(SECOND - 90)), Duration::from_secs(90));
        assert_eq!(date.delay_from(at(SECOND) - Duration::from_nanos(1)), Duration::from_nanos(1));
        assert_eq!(date.delay_from(at(SECOND)), Duration::ZERO);
        assert_eq!(date.delay_from(at(SECOND + 1_000_000_000)), Duration::ZERO);
        let far = RetryAfter::parse("Fri, 31 Dec 9999 23:59:59 GMT").unwrap();
        assert_eq!(far.delay_from(at(SECOND)), RetryAfter::LONGEST);
    }

    #[test]
    fn the_longest_valid_line_counts() {
        let lines = |values: &[&[u8]]| {
            let lines: Vec<_> = values.iter().map(|value| (RETRY_AFTER, *value)).collect();
            longest(&headers(&lines), at(SECOND))
        };
        assert_eq!(lines(&[]), None);
        assert_eq!(lines(&[b"-1", b"", b"\xff"]), None);
        assert_eq!(lines(&[b"3", b"20"]), Some(Duration::from_secs(20)));
        assert_eq!(lines(&[b"20", b"3"]), Some(Duration::from_secs(20)));
        assert_eq!(lines(&[b"-99", b"3", b"\xff", b"99x"]), Some(Duration::from_secs(3)));
        assert_eq!(lines(&[b"3", b"Sun, 06 Nov 1994 08:49:47 GMT"]), Some(Duration::from_secs(10)));
        assert_eq!(lines(&[b"Sun, 06 Nov 1994 08:49:27 GMT"]), Some(Duration::ZERO));
    }

    #[test]
    fn a_date_is_compared_with_the_servers_own_clock() {
        let ten_later: &[u8] = b"Sun, 06 Nov 1994 08:49:47 GMT";
        let served: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";
        let ten = Some(Duration::from_secs(10));
        // The two clocks are a day apart, then decades.
        for ours in [SECOND - 86_400, SECOND + 86_400, 0, 4_000_000_000] {
            assert_eq!(longest(&headers(&[(RETRY_AFTER, ten_later), (DATE, served)]), at(ours)), ten, "{ours}");
            // Seconds need no clock.
            assert_eq!(longest(&headers(&[(RETRY_AFTER, b"10"), (DATE, served)]), at(ours)), ten, "{ours}");
        }
    }

    #[test]
    fn a_date_header_that_is_missing_wrong_or_doubled_is_not_used() {
        let ten_later: &[u8] = b"Sun, 06 Nov 1994 08:49:47 GMT";
        let other: &[u8] = b"Sun, 06 Nov 1994 08:00:00 GMT";
        let five = Some(Duration::from_secs(5));
        let now = at(SECOND + 5);
        assert_eq!(longest(&headers(&[(RETRY_AFTER, ten_later)]), now), five);
        assert_eq!(longest(&headers(&[(RETRY_AFTER, ten_later), (DATE, other), (DATE, other)]), now), five);
        for wrong in [&b""[..], b"0", b"784111777", b"\xff", b"Mon, 06 Nov 1994 08:00:00 GMT"] {
            assert_eq!(longest(&headers(&[(RETRY_AFTER, ten_later), (DATE, wrong)]), now), five, "{wrong:?}");
        }
    }

    #[test]
    fn without_a_date_header_the_systems_clock_is_used() {
        assert_eq!(RetryAfter::from_headers(&HeaderMap::new()), None);
        let past = headers(&[(RETRY_AFTER, b"Sun, 06 Nov 1994 08:49:37 GMT")]);
        assert_eq!(RetryAfter::from_headers(&past), Some(Duration::ZERO));
        let far = headers(&[(RETRY_AFTER, b"Fri, 31 Dec 9999 23:59:59 GMT")]);
        assert_eq!(RetryAfter::from_headers(&far), Some(RetryAfter::LONGEST));
    }
}
