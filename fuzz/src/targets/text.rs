//! Durations, rates, quotas, shares: what is read means what a reader of another kind makes of it, is shown as it may be written, and
//! is sound; what is not read is told in one short line.

use std::time::Duration;

use guard_spec::{InWords, Settings, parse};

use crate::driver::{Seen, size};

/// Longer advice is no advice.
const LONGEST_ADVICE: usize = 200;

pub(crate) fn run(input: &[u8], seen: &mut Seen) {
    let text = &*String::from_utf8_lossy(input);
    duration(text, seen);
    rate(text, seen);
    quota(text, seen);
    if let Some(share) = told("share", parse::share(text), seen) {
        assert!(share.millionths() <= 1_000_000, "{share}");
        assert_eq!(parse::share(&share.to_string()), Ok(share), "{share}");
    }
    if let Some(jitter) = told("jitter", parse::jitter(text), seen) {
        assert_eq!(jitter.to_string(), text);
    }
    if let Some(budget) = told("budget", parse::budget(text), seen) {
        assert_eq!(parse::budget(&budget.to_string()), Ok(budget), "{budget}");
    }
}

fn told<T>(what: &str, read: Result<T, parse::Error>, seen: &mut Seen) -> Option<T> {
    match read {
        Ok(value) => {
            seen.mark(what);
            Some(value)
        }
        Err(error) => {
            let advice = error.to_string();
            assert!(!advice.is_empty() && advice.len() <= LONGEST_ADVICE, "{what}: {} bytes of advice", advice.len());
            assert!(!advice.contains(char::is_control), "{what}: {advice:?}");
            seen.mark_message(&format!("{what} {advice}"));
            None
        }
    }
}

fn duration(text: &str, seen: &mut Seen) {
    let read = parse::duration(text);
    let model = in_nanos(text).filter(|nanos| *nanos <= u128::from(u64::MAX));
    assert_eq!(read.as_ref().ok().map(Duration::as_nanos), model, "{text:?}");
    if let Err(error) = &read {
        let advice = error.to_string();
        if advice.starts_with("has no unit") {
            for advised in advice.split('`').skip(1).step_by(2) {
                assert!(parse::duration(advised).is_ok(), "{text:?} {advice}");
            }
        }
    }
    if let Some(duration) = told("duration", read, seen) {
        seen.mark(("duration", size(duration.as_nanos() as u64)));
        let shown = InWords::duration(duration).to_string();
        assert_eq!(parse::duration(&shown), Ok(duration), "{shown}");
        let about = parse::duration(&InWords::about(duration).to_string());
        assert!(about.is_ok_and(|about| about >= duration), "{shown} is not early");
    }
}

/// The sum of what stands there, if it stands in this order.
fn in_nanos(text: &str) -> Option<u128> {
    const UNITS: [(&str, u128); 9] = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("μs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
        ("d", 86_400_000_000_000),
    ];
    let (mut rest, mut total, mut largest) = (text, 0_u128, 0);
    // From its end.
    while !rest.is_empty() {
        let (unit, nanos) = UNITS.iter().filter(|(unit, _)| rest.ends_with(unit)).max_by_key(|(unit, _)| unit.len())?;
        rest = rest.strip_suffix(unit)?;
        let digits = rest.len() - rest.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let (before, count) = rest.split_at(rest.len() - digits);
        // More digits than a number of 128 bits are too many of any unit, unless they are zeros.
        let count = match count.trim_start_matches('0') {
            "" if digits > 0 => 0,
            count if count.len() > 30 => u128::from(u64::MAX) + 1,
            count => count.parse::<u128>().ok()?,
        };
        if *nanos <= largest {
            return None;
        }
        (rest, largest) = (before, *nanos);
        total = total.saturating_add(count.saturating_mul(*nanos));
    }
    (!text.is_empty()).then_some(total)
}

fn rate(text: &str, seen: &mut Seen) {
    let Some(rate) = told("rate", parse::rate(text), seen) else { return };
    seen.mark(("rate", size(u64::from(rate.count())), size(rate.period().as_nanos() as u64)));
    assert!(Settings::new().rate(rate).validate().is_ok(), "{rate}");
    let shown = rate.to_string();
    let plain = shown.split(',').next().unwrap_or_default();
    assert_eq!(parse::rate(plain), Ok(rate), "{shown}");
    let (count, per) = text.split_once('/').expect("a rate has a period");
    let per = if per.starts_with(|c: char| c.is_ascii_digit()) { per.to_owned() } else { format!("1{per}") };
    assert_eq!(count.parse(), Ok(rate.count()), "{text:?}");
    assert_eq!(in_nanos(&per), Some(rate.period().as_nanos()), "{text:?}");
}

fn quota(text: &str, seen: &mut Seen) {
    let Some(quota) = told("quota", parse::quota(text), seen) else { return };
    seen.mark(("quota", size(u64::from(quota.count())), size(quota.window().as_nanos() as u64)));
    assert!(Settings::new().quota(quota).validate().is_ok(), "{quota}");
    let shown = quota.to_string();
    let plain = shown.split(',').next().unwrap_or_default();
    assert_eq!(parse::quota(plain), Ok(quota), "{shown}");
    let (count, _) = text.split_once('/').expect("a quota has a window");
    assert_eq!(count.parse(), Ok(quota.count()), "{text:?}");
}
