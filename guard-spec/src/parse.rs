//! The text forms of settings: `1m30s`, `100/s`, `20%`.
//!
//! A mistake is an [`Error`] whose text says what is wrong and what to write; the caller puts the name of the setting
//! and the value in front of it.

use core::fmt;
use core::time::Duration;

use crate::{Budget, Jitter, Quota, Rate, Ratio, nearest};

/// Why a text is no value, and what to write instead, as in ``has no unit; write `10s` or `10ms` ``.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(String);

impl Error {
    fn new(advice: impl Into<String>) -> Error {
        Error(advice.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Error {}

/// The units of a duration, longest first; the order in which `1h30m` has to be written.
const UNITS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Numbers of more digits are not repeated in advice: it would be long, or no better than what was written.
const LONGEST_ADVISED: usize = 10;

/// Reads a duration: whole numbers with the units `d`, `h`, `m`, `s`, `ms`, `us`, `ns`, longest first (`1m30s`).
///
/// # Errors
/// For any other text, and for a duration of over 584 years.
pub fn duration(text: &str) -> Result<Duration, Error> {
    nanos(text).map(Duration::from_nanos)
}

fn nanos(text: &str) -> Result<u64, Error> {
    if text.is_empty() {
        return Err(Error::new("is empty; write a duration such as `10s`"));
    }
    if let Some(digits) = whole_number(text) {
        // What is advised has to be a duration itself.
        return Err(if digits.len() > LONGEST_ADVISED {
            Error::new("has no unit; write one such as `10s` or `250ms`")
        } else {
            Error::new(format!("has no unit; write `{digits}s` or `{digits}ms`"))
        });
    }
    let mut total: u64 = 0;
    let mut smallest = 0; // index of the first unit that may still come
    let mut rest = text;
    while !rest.is_empty() {
        let (digits, after) = split(rest, |c| c.is_ascii_digit());
        let (unit, after) = split(after, |c| c.is_ascii_alphabetic() || c == 'µ' || c == 'μ');
        if digits.is_empty() || unit.is_empty() {
            return Err(not_a_duration(text));
        }
        let unit = if matches!(unit, "µs" | "μs") { "us" } else { unit };
        let Some(index) = UNITS.iter().position(|(name, _)| *name == unit) else {
            return Err(unknown_unit(unit));
        };
        if index < smallest {
            return Err(Error::new("has its units out of order or twice; write the longest first, as in `1m30s`"));
        }
        smallest = index + 1;
        let part = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(UNITS[index].1));
        total = part
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| Error::new("is too long; write at most `365d`"))?;
        rest = after;
    }
    Ok(total)
}

fn not_a_duration(text: &str) -> Error {
    if text.contains(['.', ',']) {
        return Error::new("is not a whole number of units; write `1s500ms` for one and a half seconds");
    }
    if text.starts_with('-') {
        return Error::new("is negative; write a duration such as `10s`");
    }
    Error::new("is not a duration; write one such as `250ms`, `2s` or `1m30s`")
}

fn unknown_unit(unit: &str) -> Error {
    let short = match unit {
        "sec" | "secs" | "second" | "seconds" | "S" => "s",
        "min" | "mins" | "minute" | "minutes" | "M" => "m",
        "hr" | "hrs" | "hour" | "hours" | "H" => "h",
        "day" | "days" | "D" => "d",
        "msec" | "millis" | "milliseconds" => "ms",
        "usec" | "micros" | "microseconds" => "us",
        "nsec" | "nanos" | "nanoseconds" => "ns",
        _ => return Error::new("has an unknown unit; the units are `d`, `h`, `m`, `s`, `ms`, `us` and `ns`"),
    };
    Error::new(format!("has the unit `{unit}`; write `{short}`"))
}

/// Reads a quota: a whole number, `/`, and a unit or a duration (`5000/h`, `100/15m`).
///
/// # Errors
/// For any other text, and for a count of 0 and windows outside 1 ms to 365 days.
pub fn quota(text: &str) -> Result<Quota, Error> {
    // The same words, for another setting.
    let (count, window) = count_per(text).map_err(|error| Error(error.0.replace("a rate", "a quota")))?;
    let quota = Quota::new(count, window);
    match crate::Settings::new().quota(quota).problems().first() {
        Some(problem) => Err(Error::new(problem.advice())),
        None => Ok(quota),
    }
}

/// Reads a rate: a whole number, `/`, and a unit or a duration (`100/s`, `5/250ms`), with burst 1.
///
/// # Errors
/// For any other text and for rates outside 1 per 365 days to 1 000 000 000 per second.
pub fn rate(text: &str) -> Result<Rate, Error> {
    let (count, period) = count_per(text)?;
    let rate = Rate::new(count, period);
    match crate::Settings::new().rate(rate).problems().first() {
        Some(problem) => Err(Error::new(problem.advice())),
        None => Ok(rate),
    }
}

/// A count and the time that it is for.
fn count_per(text: &str) -> Result<(u32, Duration), Error> {
    let Some((count, per)) = text.split_once('/') else {
        return Err(match whole_number(text) {
            Some(digits) => no_period(digits),
            None => not_a_rate(),
        });
    };
    let Some(digits) = whole_number(count) else {
        return Err(if count.is_empty() || !count.is_ascii() { not_a_rate() } else { not_a_count(count) });
    };
    let Ok(number) = digits.parse::<u32>() else {
        return Err(too_many());
    };
    let period = match UNITS.iter().find(|(unit, _)| *unit == per) {
        Some((_, nanos)) => *nanos,
        None if per.is_empty() => return Err(no_period(digits)),
        None if per.bytes().all(|byte| byte.is_ascii_alphabetic()) => return Err(unknown_unit(per)),
        None => nanos(per)?,
    };
    Ok((number, Duration::from_nanos(period)))
}

fn no_period(digits: &str) -> Error {
    if digits.len() > LONGEST_ADVISED {
        return too_many();
    }
    Error::new(format!("has no period; write `{digits}/s`, `{digits}/m`, `{digits}/h` or `{digits}/d`"))
}

fn too_many() -> Error {
    Error::new("is too many; write at most `1000000000/s`")
}

fn not_a_rate() -> Error {
    Error::new("is not a rate; write one such as `100/s`, `5000/h` or `5/250ms`")
}

fn not_a_count(count: &str) -> Error {
    if count.starts_with('-') {
        return Error::new("is negative; write a rate such as `100/s`");
    }
    if count.contains(['.', 'e', 'E']) {
        return Error::new("is not a whole number of attempts; write a longer period instead, as in `1/10s`");
    }
    not_a_rate()
}

/// Reads a share: `20%` or `0.2`.
///
/// # Errors
/// For any other text, and for shares above 100 %.
pub fn share(text: &str) -> Result<Ratio, Error> {
    let wrong = || Error::new("is not a share; write one such as `20%`");
    let ratio = match text.strip_suffix('%') {
        Some(percent) => Ratio::new(plain_number(percent).ok_or_else(wrong)? / 100.0),
        None => Ratio::new(plain_number(text).ok_or_else(wrong)?),
    };
    if !ratio.is_valid() || ratio > Ratio::ONE {
        return Err(Error::new("is more than all; write `0%` to `100%`"));
    }
    Ok(ratio)
}

/// Reads the name of a [`Jitter`]: `full`, `equal`, `decorrelated` or `none`.
///
/// # Errors
/// For any other text.
pub fn jitter(text: &str) -> Result<Jitter, Error> {
    match text {
        "full" => Ok(Jitter::Full),
        "equal" => Ok(Jitter::Equal),
        "decorrelated" => Ok(Jitter::Decorrelated),
        "none" => Ok(Jitter::None),
        _ => Err(match nearest(text, ["full", "equal", "decorrelated", "none"]) {
            Some(name) => Error::new(format!("is no kind of jitter; did you mean `\"{name}\"`?")),
            None => Error::new(
                "is no kind of jitter; write `0.5`, `\"full\"`, `\"equal\"`, `\"decorrelated\"` or `\"none\"`",
            ),
        }),
    }
}

/// Reads a [`Budget`]: a share such as `20%`, or `off`.
///
/// # Errors
/// For any other text, and for shares of nothing or above 100 %.
pub fn budget(text: &str) -> Result<Budget, Error> {
    match text {
        "off" => Ok(Budget::Off),
        "none" | "false" | "no" => Err(Error::new("is no budget; write `\"off\"` for none")),
        _ => match share(text) {
            Ok(Ratio::ZERO) => Err(Error::new("would never retry; write `retries = 0`, or `\"off\"` for no budget")),
            Ok(share) => Ok(Budget::Share(share)),
            Err(_) => Err(Error::new("is no budget; write a share of `1%` to `100%` such as `\"20%\"`, or `\"off\"`")),
        },
    }
}

/// The text without leading zeros when it is nothing but ASCII digits.
fn whole_number(text: &str) -> Option<&str> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let trimmed = text.trim_start_matches('0');
    Some(if trimmed.is_empty() { "0" } else { trimmed })
}

/// Digits with at most one point: no sign, no exponent, no `inf` or `nan`, which Rust's own parser accepts.
fn plain_number(text: &str) -> Option<f64> {
    let plain = text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if plain { text.parse().ok() } else { None }
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_exactly() {
        let read = |text| duration(text).map(|duration| duration.as_nanos());
        assert_eq!(read("250ms"), Ok(250_000_000));
        assert_eq!(read("2s"), Ok(2_000_000_000));
        assert_eq!(read("1m30s"), Ok(90_000_000_000));
        assert_eq!(read("1h"), Ok(3_600_000_000_000));
        assert_eq!(read("1d"), Ok(86_400_000_000_000));
        assert_eq!(read("1d2h3m4s5ms6us7ns"), Ok(93_784_005_006_007));
        assert_eq!(read("5µs"), Ok(5_000));
        assert_eq!(read("0s"), Ok(0));
        assert_eq!(read("007s"), Ok(7_000_000_000));
    }

    #[test]
    fn what_is_no_duration_is_told_what_to_write() {
        let advice = |text: &str| duration(text).unwrap_err().to_string();
        assert_eq!(advice("10"), "has no unit; write `10s` or `10ms`");
        assert_eq!(advice("10sec"), "has the unit `sec`; write `s`");
        assert_eq!(advice("9999999999"), "has no unit; write `9999999999s` or `9999999999ms`");
        for (unit, texts) in [
            ("s", &["sec", "secs", "second", "seconds", "S"][..]),
            ("m", &["min", "mins", "minute", "minutes", "M"]),
            ("h", &["hr", "hrs", "hour", "hours", "H"]),
            ("d", &["day", "days", "D"]),
            ("ms", &["msec", "millis", "milliseconds"]),
            ("us", &["usec", "micros", "microseconds"]),
            ("ns", &["nsec", "nanos", "nanoseconds"]),
        ] {
            for text in texts {
                assert_eq!(advice(&format!("10{text}")), format!("has the unit `{text}`; write `{unit}`"));
            }
        }
        assert_eq!(advice("1.5s"), "is not a whole number of units; write `1s500ms` for one and a half seconds");
        assert_eq!(advice("30s1m"), "has its units out of order or twice; write the longest first, as in `1m30s`");
        assert_eq!(advice("1s1s"), "has its units out of order or twice; write the longest first, as in `1m30s`");
        assert_eq!(advice("99999999999999999999s"), "is too long; write at most `365d`");
        assert_eq!(advice("18446744073709551615d"), "is too long; write at most `365d`");
        for bad in ["", "s", "-1s", "1 s", " 1s", "1s ", "1s5", "NaN", "inf", "1e3s", "１s", "1\0s", "+1s"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
        assert!(duration(&"9".repeat(10_000_000)).is_err());
    }

    #[test]
    fn rates_are_read_exactly() {
        assert_eq!(rate("100/s"), Ok(Rate::per_second(100)));
        assert_eq!(rate("60/m"), Ok(Rate::per_minute(60)));
        assert_eq!(rate("5000/h"), Ok(Rate::per_hour(5000)));
        assert_eq!(rate("1/d"), Ok(Rate::per_day(1)));
        assert_eq!(rate("5/250ms"), Ok(Rate::new(5, Duration::from_millis(250))));
        assert_eq!(rate("1/1m30s"), Ok(Rate::new(1, Duration::from_secs(90))));
    }

    #[test]
    fn what_is_no_rate_is_told_what_to_write() {
        let advice = |text: &str| rate(text).unwrap_err().to_string();
        assert_eq!(advice("0/s"), "never admits a call; write at least `1/s`");
        assert_eq!(advice("10"), "has no period; write `10/s`, `10/m`, `10/h` or `10/d`");
        assert_eq!(advice("10/"), "has no period; write `10/s`, `10/m`, `10/h` or `10/d`");
        let longest = "4294967295";
        assert_eq!(
            advice(longest),
            format!("has no period; write `{longest}/s`, `{longest}/m`, `{longest}/h` or `{longest}/d`")
        );
        assert_eq!(advice("٣.٥/s"), "is not a rate; write one such as `100/s`, `5000/h` or `5/250ms`");
        assert_eq!(advice("10/sec"), "has the unit `sec`; write `s`");
        assert_eq!(advice("0.5/s"), "is not a whole number of attempts; write a longer period instead, as in `1/10s`");
        assert_eq!(advice("-1/s"), "is negative; write a rate such as `100/s`");
        assert_eq!(advice("5000000000/s"), "is too many; write at most `1000000000/s`");
        assert_eq!(
            advice("10/fortnight"),
            "has an unknown unit; the units are `d`, `h`, `m`, `s`, `ms`, `us` and `ns`"
        );
        for bad in ["", "/s", "1e9/s", "NaN/s", "10/s/s", " 10 / s ", "10/0s", "１０/s", "1\0/s", "10/366d", "+1/s"] {
            assert!(rate(bad).is_err(), "{bad:?}");
        }
        assert!(rate(&format!("{}/s", "9".repeat(10_000_000))).is_err());
    }

    #[test]
    fn what_is_advised_for_a_number_alone_is_short_and_can_be_read() {
        for digits in ["0", "10", "31536000", "9999999999", "99999999999", &"9".repeat(1_000_000)] {
            let advice = duration(digits).unwrap_err().to_string();
            assert!(advice.starts_with("has no unit; write ") && advice.len() < 100, "{} bytes", advice.len());
            for advised in advice.split('`').skip(1).step_by(2) {
                assert!(duration(advised).is_ok(), "{advice}");
            }
            for text in [digits, &format!("{digits}/")] {
                let advice = rate(text).unwrap_err().to_string();
                assert!(advice.contains("; write ") && advice.len() < 100, "{} bytes", advice.len());
            }
        }
    }

    #[test]
    fn shares_are_read_and_bounded() {
        assert_eq!(share("20%"), Ok(Ratio::percent(20)));
        assert_eq!(share("0.2"), Ok(Ratio::percent(20)));
        assert_eq!(share("12.5%"), Ok(Ratio::new(0.125)));
        assert_eq!((share("100%"), share("1")), (Ok(Ratio::ONE), Ok(Ratio::ONE)));
        for bad in ["", "%", "101%", "2", "-1%", "NaN", "inf%", "1e2%", "20%%", "20 %"] {
            assert!(share(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn budgets_are_shares_or_off() {
        assert_eq!((budget("20%"), budget("0.2")), (Ok(Budget::DEFAULT), Ok(Budget::DEFAULT)));
        assert_eq!(budget("off"), Ok(Budget::Off));
        for bad in ["", "0%", "101%", "20", "Off", "none", "ten"] {
            assert!(budget(bad).is_err(), "{bad:?}");
        }
        for none in ["none", "false", "no"] {
            assert_eq!(budget(none).unwrap_err().to_string(), "is no budget; write `\"off\"` for none");
        }
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for nanos in [1, 999, 1_000, 1_500_000, 90_000_000_000, 86_400_000_000_001, u64::MAX] {
            let shown = crate::InWords::duration(Duration::from_nanos(nanos)).to_string();
            assert_eq!(duration(&shown), Ok(Duration::from_nanos(nanos)), "{shown}");
        }
    }
}
