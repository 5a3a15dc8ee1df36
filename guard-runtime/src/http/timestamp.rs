//! The timestamps of RFC 3339, section 5.6, read strictly: `1994-11-06T08:49:37Z`.
//!
//! The offset is `Z` or `+hh:mm`; `T` and `Z` may be small letters; a fraction of a second is rounded up to the
//! nanosecond. As among the dates of RFC 9110, instants before 1970 are none, and a leap second is the first second of
//! the next day, wherever the offset puts it and whatever the month.
//!
//! Written here because it is seventy lines: a crate for it is a calendar.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::value::{NANOS_PER_SECOND, count, decimal};

const MINUTES_PER_DAY: i64 = 24 * 60;

/// The instant that a timestamp without white space around it names.
pub(super) fn timestamp(text: &str) -> Option<SystemTime> {
    const MARKS: [(usize, &str); 5] = [(4, "-"), (7, "-"), (10, "Tt"), (13, ":"), (16, ":")];
    if !MARKS.iter().all(|(at, marks)| text.get(*at..=*at).is_some_and(|mark| marks.contains(mark))) {
        return None;
    }
    let field = |start, end| number(text.get(start..end)?);
    let day = days_since_1970(field(0, 4)?, field(5, 7)?, field(8, 10)?)?;
    let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
    let rest = text.get(19..)?;
    let (fraction, offset) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
    let minutes = day * MINUTES_PER_DAY + hour * 60 + minute - offset_minutes(offset)?;
    let last = if minutes.rem_euclid(MINUTES_PER_DAY) == MINUTES_PER_DAY - 1 { 60 } else { 59 };
    if hour > 23 || minute > 59 || second > last || !(fraction.is_empty() || fraction.starts_with('.')) {
        return None;
    }
    let nanos = decimal(text.get(17..19 + fraction.len())?, NANOS_PER_SECOND)?;
    let start = Duration::from_secs(u64::try_from(minutes * 60).ok()?);
    UNIX_EPOCH.checked_add(start + Duration::from_nanos(u64::try_from(nanos).ok()?))
}

/// `Z` or `+hh:mm`: by how many minutes the clock is ahead of UTC.
fn offset_minutes(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    match text.as_bytes() {
        _ if hours > 23 || minutes > 59 => None,
        [b'+', ..] => Some(hours * 60 + minutes),
        [b'-', ..] => Some(-hours * 60 - minutes),
        _ => None,
    }
}

/// A few digits.
fn number(text: &str) -> Option<i64> {
    i64::try_from(count(text)?).ok()
}

/// The days from 1 January 1970 to a day that exists in the Gregorian calendar: negative before it.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    /// The days of a year before each month, and in the whole year.
    const BEFORE: [i64; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
    /// From 1 January of the year 1.
    const TO_1970: i64 = 719_162;
    let leap = i64::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
    let next = usize::try_from(month).ok()?;
    let (before, after) = (BEFORE.get(next.checked_sub(1)?)?, BEFORE.get(next)?);
    let (leap_before, leap_within) = (if month > 2 { leap } else { 0 }, if month == 2 { leap } else { 0 });
    if !(1..=after - before + leap_within).contains(&day) {
        return None;
    }
    let years = year - 1;
    let leap_days = years.div_euclid(4) - years.div_euclid(100) + years.div_euclid(400);
    Some(years * 365 + leap_days + before + leap_before + day - 1 - TO_1970)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::date::date;

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    #[test]
    fn an_instant_is_read_at_every_offset() {
        for text in [
            "1994-11-06T08:49:37Z",
            "1994-11-06t08:49:37z",
            "1994-11-06T08:49:37+00:00",
            "1994-11-06T08:49:37-00:00",
            "1994-11-06T09:49:37+01:00",
            "1994-11-06T03:19:37-05:30",
            "1994-11-07T08:48:37+23:59",
            "1994-11-05T08:50:37-23:59",
            "1994-11-06T08:49:37.0Z",
            "1994-11-06T08:49:37.000000000000Z",
        ] {
            assert_eq!(timestamp(text), Some(at(784_111_777)), "{text:?}");
        }
        for (text, second) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:30:00-01:00", 1_800),
            ("2000-02-29T00:00:00Z", 951_782_400),
            ("2024-02-29T23:59:59Z", 1_709_251_199),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
            ("9999-12-31T23:59:59-23:59", 253_402_387_139),
        ] {
            assert_eq!(timestamp(text), Some(at(second)), "{text:?}");
        }
    }

    #[test]
    fn a_fraction_is_rounded_up() {
        for (text, nanos) in [
            ("1970-01-01T00:00:01.5Z", 1_500_000_000),
            ("1970-01-01T00:00:01.000000001Z", 1_000_000_001),
            ("1970-01-01T00:00:01.0000000001Z", 1_000_000_001),
            ("1970-01-01T00:00:59.9999999999Z", 60_000_000_000),
            ("1970-01-01T01:00:00.25+01:00", 250_000_000),
        ] {
            assert_eq!(timestamp(text), Some(UNIX_EPOCH + Duration::from_nanos(nanos)), "{text:?}");
        }
    }

    #[test]
    fn a_leap_second_is_the_first_second_of_the_next_day() {
        for text in ["2016-12-31T23:59:60Z", "2017-01-01T00:59:60+01:00", "2016-12-31T15:59:60-08:00"] {
            assert_eq!(timestamp(text), Some(at(1_483_228_800)), "{text:?}");
        }
        let half_past = at(1_483_228_800) + Duration::from_millis(500);
        assert_eq!(timestamp("2016-12-31T23:59:60.5Z"), Some(half_past));
        for text in
            ["2016-12-31T22:59:60Z", "2016-12-31T23:59:60+01:00", "2016-12-31T23:58:60Z", "2016-12-31T23:59:61Z"]
        {
            assert_eq!(timestamp(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_not_written_so_or_does_not_exist_is_ignored() {
        for text in [
            "",
            "1994-11-06",
            "1994-11-06T08:49Z",
            "1994-11-06T08:49:37",
            "1994-11-06 08:49:37Z",
            "1994-11-06T08:49:37 Z",
            " 1994-11-06T08:49:37Z",
            "1994-11-06T08:49:37Z ",
            "1994-11-06T08:49:37ZZ",
            "1994-11-06T08:49:37.Z",
            "1994-11-06T08:49:37.5.5Z",
            "1994-11-06T08:49:.37Z",
            "1994-11-06T08:49:3.7Z",
            "1994-11-06T08:49:037Z",
            "1994-11-06T08:49:37,5Z",
            "1994-11-06T08:49:37+0100",
            "1994-11-06T08:49:37+01",
            "1994-11-06T08:49:37+1:00",
            "1994-11-06T08:49:37+24:00",
            "1994-11-06T08:49:37+01:60",
            "1994-11-06T08:49:37GMT",
            "1994-11-06T24:00:00Z",
            "1994-11-06T08:60:00Z",
            "1994-11-06T08:49:99Z",
            "1994-11-31T08:49:37Z",
            "1994-13-06T08:49:37Z",
            "1994-00-06T08:49:37Z",
            "1994-11-00T08:49:37Z",
            "2023-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
            "-994-11-06T08:49:37Z",
            "+1994-11-06T08:49:37Z",
            "10000-01-01T00:00:00Z",
            "94-11-06T08:49:37Z",
            "19941106T084937Z",
            "1994-W45-7T08:49:37Z",
            "1994-11-06T08:49:\u{663}Z",
            "\u{ff11}994-11-06T08:49:37Z",
        ] {
            assert_eq!(timestamp(text), None, "{text:?}");
        }
    }

    /// Every day to 2370 against the other calendar in this crate's reach, which knows its way from instants to dates.
    #[test]
    fn every_day_agrees_with_the_dates_of_rfc_9110() {
        let mut years = std::collections::BTreeSet::new();
        for day in 0..146_097 {
            let instant = UNIX_EPOCH + Duration::from_secs(day * 86_400 + 3_661);
            let imf = httpdate::fmt_http_date(instant);
            assert_eq!(date(&imf), Some(instant));
            let month = 1 + "JanFebMarAprMayJunJulAugSepOctNovDec".find(&imf[8..11]).map_or(99, |at| at / 3);
            let text = format!("{}-{month:02}-{}T{}Z", &imf[12..16], &imf[5..7], &imf[17..25]);
            assert_eq!(timestamp(&text), Some(instant), "{text}");
            years.insert(imf[12..16].to_owned());
        }
        assert_eq!(years.len(), 400);
    }

    #[test]
    fn no_prefix_or_changed_byte_panics() {
        for text in ["1994-11-06T08:49:37.123456789+01:00", "2016-12-31T23:59:60Z"] {
            for cut in 0..=text.len() {
                let _ = (timestamp(&text[..cut]), timestamp(&text[cut..]));
            }
            for place in 0..text.len() {
                for other in ["0", "9", ".", ":", "-", "+", "Z", " ", "\0", "\u{663}", "\u{7f}"] {
                    let _ = timestamp(&format!("{}{other}{}", &text[..place], &text[place + 1..]));
                }
            }
        }
    }
}
