//! The dates of RFC 9110, section 5.6.7, in their three forms, read strictly.
//!
//! `httpdate` does the work. It trims more than HTTP does, takes any byte between date and time in the form of RFC 850,
//! and knows no leap seconds, which the RFC has; all three are seen to here.

use std::time::{Duration, SystemTime};

use ::http::HeaderMap;
use ::http::header::DATE;
use httpdate::HttpDate;

use super::value::trimmed;

/// The server's time when it answered, if it sent exactly one.
pub(super) fn server_clock(headers: &HeaderMap) -> Option<SystemTime> {
    let mut dates = headers.get_all(DATE).iter();
    match (dates.next(), dates.next()) {
        (Some(value), None) => date(trimmed(value.as_ref())?),
        _ => None,
    }
}

/// The instant that a date without white space around it names; a two-digit year is one of 1970..=2069.
pub(super) fn date(text: &str) -> Option<SystemTime> {
    const LEAP: &str = "23:59:60";
    let mut ends = text.chars();
    if !ends.next()?.is_ascii_alphabetic() || !ends.next_back()?.is_ascii_alphanumeric() {
        return None;
    }
    // The space before `hh:mm:ss GMT`.
    if text.ends_with("GMT") && text.len().checked_sub(13).and_then(|at| text.as_bytes().get(at)) != Some(&b' ') {
        return None;
    }
    if text.contains(LEAP) {
        let before: HttpDate = text.replace(LEAP, "23:59:59").parse().ok()?;
        return SystemTime::from(before).checked_add(Duration::from_secs(1));
    }
    text.parse::<HttpDate>().ok().map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    #[test]
    fn all_three_forms_of_a_date_are_read() {
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(date(text), Some(at(784_111_777)), "{text:?}");
        }
        for (text, second) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Wednesday, 25-Jan-06 08:49:37 GMT", 1_138_178_977),
            ("Thu, 29 Feb 2024 23:59:59 GMT", 1_709_251_199),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
        ] {
            assert_eq!(date(text), Some(at(second)), "{text:?}");
        }
    }

    #[test]
    fn a_leap_second_is_the_first_second_of_the_next_day() {
        let new_year = at(1_483_228_800);
        for text in ["Sat, 31 Dec 2016 23:59:60 GMT", "Saturday, 31-Dec-16 23:59:60 GMT", "Sat Dec 31 23:59:60 2016"] {
            assert_eq!(date(text), Some(new_year), "{text:?}");
        }
        assert_eq!(date("Fri, 31 Dec 9999 23:59:60 GMT"), Some(at(253_402_300_800)));
    }

    #[test]
    fn dates_that_do_not_exist_or_are_written_otherwise_are_ignored() {
        for text in [
            "",
            " Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT\t",
            "Sun Nov  6 08:49:37 1994\x0b",
            "Sunday, 06-Nov-94x08:49:37 GMT\x0b",
            "S",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Monday, 06-Nov-94 08:49:37 GMT",
            "Mon Nov  6 08:49:37 1994",
            "Xxx, 06 Nov 1994 08:49:37 GMT",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:60:37 GMT",
            "Sun, 06 Nov 1994 08:49:60 GMT",
            "Sun, 06 Nov 1994 23:59:61 GMT",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 +0100",
            "Sun, 06 Nov 1994 08:49:37 gmt",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 06 Nov -994 08:49:37 GMT",
            "sun, 06 nov 1994 08:49:37 gmt",
            "Sunday, 06-Nov-94x08:49:37 GMT",
            "Sunday, 06-Nov-94\t08:49:37 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "\nSun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT\r\n",
            "Sun Nov  6 08:49:37 1994 GMT",
            "Sun Nov 6 08:49:37 1994",
            "Sat, 31 Dec 1960 23:59:60 GMT",
            "Wed, 31 Dec 1969 23:59:59 GMT",
            "Sat, 01 Jan 10000 00:00:00 GMT",
            "1994-11-06T08:49:37Z",
            "GMT",
            "23:59:60",
            "Sun",
            "Sun, ",
            "Sunday, ",
        ] {
            assert_eq!(date(text), None, "{text:?}");
        }
    }
}
