//! When a limit has tokens again, as the `-Reset` headers of many vendors say it without saying in which unit.
//!
//! | value | read as |
//! |---|---|
//! | number below 10^9 | seconds from the response |
//! | number from 10^9 (2001 in Unix seconds) | seconds of Unix time |
//! | number from 10^12 (2001 in Unix milliseconds) | milliseconds of Unix time |
//! | `1m30s`, `12ms`, `1h2m3.5s` | a duration as Go prints it |
//! | `1994-11-06T08:49:37Z` | RFC 3339 |
//! | `Sun, 06 Nov 1994 08:49:37 GMT` and the other two | a date of RFC 9110 |
//!
//! Numbers may have a fraction, which is rounded up to the nanosecond. One that names an instant after the year 9999
//! says nothing: that is what microseconds and nanoseconds of Unix time look like here, and a wait must not come from a
//! unit that was guessed wrong. Negative numbers say nothing either; some vendors send -1 for "unknown".

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::RetryAfter;
use super::date::date;
use super::timestamp::timestamp;
use super::value::{NANOS_PER_MS, NANOS_PER_SECOND, decimal, delay};

/// A reset without white space around it.
pub(super) fn reset(text: &str) -> Option<RetryAfter> {
    if let Some(nanos) = decimal(text, NANOS_PER_SECOND) {
        return number(nanos);
    }
    go_duration(text).map(RetryAfter::Delay).or_else(|| timestamp(text).or_else(|| date(text)).map(RetryAfter::At))
}

/// A number in billionths.
fn number(billionths: u128) -> Option<RetryAfter> {
    const UNIX_SECONDS: u128 = 1_000_000_000 * NANOS_PER_SECOND as u128;
    const UNIX_MILLISECONDS: u128 = 1_000 * UNIX_SECONDS;
    if billionths < UNIX_SECONDS {
        Some(RetryAfter::Delay(delay(billionths)))
    } else if billionths < UNIX_MILLISECONDS {
        unix(billionths).map(RetryAfter::At)
    } else {
        unix(billionths.div_ceil(1_000)).map(RetryAfter::At)
    }
}

/// The instant so many nanoseconds after 1970 began, to the end of the year 9999.
fn unix(nanos: u128) -> Option<SystemTime> {
    const YEAR_10000: u128 = 253_402_300_800;
    let nanos_per_second = u128::from(NANOS_PER_SECOND);
    let (seconds, nanos) = (nanos / nanos_per_second, nanos % nanos_per_second);
    if seconds >= YEAR_10000 {
        return None;
    }
    UNIX_EPOCH.checked_add(Duration::new(seconds as u64, nanos as u32))
}

/// What Go's `time.Duration` prints, and its fractions in any unit: each unit once at most, the larger ones first.
fn go_duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 8] = [
        ("h", 3_600 * NANOS_PER_SECOND),
        ("m", 60 * NANOS_PER_SECOND),
        ("s", NANOS_PER_SECOND),
        ("ms", NANOS_PER_MS),
        ("us", 1_000),
        // The micro sign, which Go prints, and the Greek letter.
        ("\u{b5}s", 1_000),
        ("\u{3bc}s", 1_000),
        ("ns", 1),
    ];
    let of_a_number = |c: char| c.is_ascii_digit() || c == '.';
    let (mut rest, mut sum, mut last) = (text, 0_u128, u64::MAX);
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c| !of_a_number(c))?);
        let (unit, tail) = tail.split_at(tail.find(of_a_number).unwrap_or(tail.len()));
        let (_, nanos) = *UNITS.iter().find(|(name, nanos)| *name == unit && *nanos < last)?;
        // At most one of each unit, and each less than 2^107: no overflow.
        sum += decimal(number, nanos)?;
        (rest, last) = (tail, nanos);
    }
    if last == u64::MAX { None } else { Some(delay(sum)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(millis: u64) -> RetryAfter {
        RetryAfter::Delay(Duration::from_millis(millis))
    }

    fn at(millis: u64) -> RetryAfter {
        RetryAfter::At(UNIX_EPOCH + Duration::from_millis(millis))
    }

    #[test]
    fn a_number_is_a_delay_or_unix_time_by_its_size() {
        for (text, read) in [
            ("0", after(0)),
            ("30", after(30_000)),
            ("1.25", after(1_250)),
            ("86400", after(86_400_000)),
            ("999999999.999", RetryAfter::Delay(RetryAfter::LONGEST)),
            ("1000000000", at(1_000_000_000_000)),
            ("1470173023", at(1_470_173_023_000)),
            ("1470173023.123", at(1_470_173_023_123)),
            ("9223372037", at(9_223_372_037_000)),
            ("253402300799", at(253_402_300_799_000)),
            ("1000000000000", at(1_000_000_000_000)),
            ("1470173023123", at(1_470_173_023_123)),
            ("253402300799999", at(253_402_300_799_999)),
        ] {
            assert_eq!(reset(text), Some(read), "{text:?}");
        }
        let fraction = UNIX_EPOCH + Duration::new(1_470_173_023, 123_000_001);
        assert_eq!(reset("1470173023123.0000001"), Some(RetryAfter::At(fraction)), "rounded up");
    }

    #[test]
    fn instants_after_the_year_9999_are_another_unit_and_ignored() {
        for text in [
            "253402300800",
            "999999999999",
            "253402300800000",
            "1470173023123456",
            "1470173023123456789",
            "9223372036854775807",
            "18446744073709551616",
            "99999999999999999999999",
        ] {
            assert_eq!(reset(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_duration_is_read_as_go_prints_it() {
        for (text, nanos) in [
            ("0s", 0),
            ("1s", 1_000_000_000),
            ("12ms", 12_000_000),
            ("6m0s", 360_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1h2m3.5s", 3_723_500_000_000),
            ("17h12m0s", 61_920_000_000_000),
            ("2m59.56s", 179_560_000_000),
            ("1.5h", 5_400_000_000_000),
            ("1s500ms", 1_500_000_000),
            ("150us", 150_000),
            ("150\u{b5}s", 150_000),
            ("150\u{3bc}s", 150_000),
            ("7ns", 7),
            ("0.1ns", 1),
            ("1.0000000001s", 1_000_000_001),
        ] {
            assert_eq!(reset(text), Some(RetryAfter::Delay(Duration::from_nanos(nanos))), "{text:?}");
        }
        for text in ["99999999999999999999999h", "18446744073709551616h18446744073709551616m9s", "9000h"] {
            assert_eq!(reset(text), Some(RetryAfter::Delay(RetryAfter::LONGEST)), "{text:?}");
        }
    }

    #[test]
    fn dates_are_read_in_both_forms() {
        for text in ["1994-11-06T08:49:37Z", "1994-11-06T09:49:37+01:00", "Sun, 06 Nov 1994 08:49:37 GMT"] {
            assert_eq!(reset(text), Some(at(784_111_777_000)), "{text:?}");
        }
    }

    #[test]
    fn nonsense_is_ignored() {
        for text in [
            "",
            "-1",
            "-5s",
            "+5",
            "+5s",
            "-0",
            "NaN",
            "inf",
            "1e400",
            "1e9",
            "0x10",
            "1_0",
            "1,0",
            "1 0",
            "1.",
            ".5",
            ".5s",
            "1.s",
            "s",
            "ms",
            "5 s",
            "5s ",
            "5S",
            "5d",
            "5min",
            "5sec",
            "5s5s",
            "5s1m",
            "1m2",
            "1m-2s",
            "1..5s",
            "150\u{b5}",
            "\u{663}",
            "\u{663}s",
            "\u{ff11}",
            "18446744073709551616x",
            ";;;",
            "soon",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Tue Feb 16 2021 09:02:42 GMT+0100 (Central European Standard Time)",
            "1994-11-06 08:49:37",
        ] {
            assert_eq!(reset(text), None, "{text:?}");
        }
    }
}
