//! What header values are made of: text of a sensible length, decimal numbers, counts.

use std::time::Duration;

use super::RetryAfter;

/// The longest value that is read. Dates have up to 33 bytes; a longer number says no more than one of this length.
const LONGEST_VALUE: usize = 64;

pub(super) const NANOS_PER_MS: u64 = 1_000_000;
pub(super) const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The value without the white space that HTTP allows around it, if it is text of a sensible length.
pub(super) fn trimmed(mut value: &[u8]) -> Option<&str> {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    if value.len() > LONGEST_VALUE {
        return None;
    }
    std::str::from_utf8(value).ok()
}

/// `1*DIGIT [ "." 1*DIGIT ]` of a unit that has so many nanoseconds (an hour at most), rounded up to the nanosecond. Not
/// clamped: at most `u64::MAX + 1` units, which is what all numbers beyond that become.
pub(super) fn decimal(text: &str, unit: u64) -> Option<u128> {
    const PRECISION: usize = 18;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    // Digits only, so that the one way to fail is to be too large.
    let whole = u128::from(whole.parse().unwrap_or(u64::MAX));
    let tail = fraction.bytes().chain(std::iter::repeat(b'0'));
    let parts = tail.take(PRECISION).fold(0, |n, digit| n * 10 + u128::from(digit - b'0'));
    let beyond = fraction.bytes().skip(PRECISION).any(|digit| digit != b'0');
    let unit = u128::from(unit);
    // At most 2^64 * 2^42 and 10^18 * 2^42: far from 2^128.
    Some(whole * unit + ((parts + u128::from(beyond)) * unit).div_ceil(10_u128.pow(PRECISION as u32)))
}

/// `1*DIGIT`; a number that no `u64` holds counts nothing.
pub(super) fn count(text: &str) -> Option<u64> {
    // `parse` alone would take a `+`.
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Nanoseconds as a delay: at most [`RetryAfter::LONGEST`].
pub(super) fn delay(nanos: u128) -> Duration {
    let nanos = nanos.min(RetryAfter::LONGEST.as_nanos());
    Duration::new((nanos / u128::from(NANOS_PER_SECOND)) as u64, (nanos % u128::from(NANOS_PER_SECOND)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600 * NANOS_PER_SECOND;

    #[test]
    fn decimals_round_up_to_the_nanosecond_in_every_unit() {
        for (text, unit, nanos) in [
            ("0", NANOS_PER_SECOND, 0),
            ("1.5", NANOS_PER_SECOND, 1_500_000_000),
            ("1.5", NANOS_PER_MS, 1_500_000),
            ("1.5", HOUR, 5_400_000_000_000),
            ("0.000000000000000001", HOUR, 1),
            ("0.0000000000000000001", HOUR, 1),
            ("0.00000000000000000000000000000001", HOUR, 1),
            ("0.9999999999999999999999", NANOS_PER_SECOND, 1_000_000_000),
            ("1.000000000000000000000000000000", NANOS_PER_MS, 1_000_000),
            ("0.1", 1, 1),
            ("18446744073709551616", NANOS_PER_SECOND, 18_446_744_073_709_551_615 * 1_000_000_000),
            ("18446744073709551615.9999999999999999999", HOUR, 18_446_744_073_709_551_616 * 3_600_000_000_000),
        ] {
            assert_eq!(decimal(text, unit), Some(nanos), "{text:?} of {unit}");
        }
    }

    #[test]
    fn a_count_is_digits_that_a_u64_holds() {
        assert_eq!(count("0"), Some(0));
        assert_eq!(count("0042"), Some(42));
        assert_eq!(count("18446744073709551615"), Some(u64::MAX));
        for text in ["", "+1", "-1", "1.0", "1_0", "0x1", "1e3", " 1", "\u{663}", "18446744073709551616", "NaN"] {
            assert_eq!(count(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_delay_is_exact_up_to_the_longest() {
        assert_eq!(delay(0), Duration::ZERO);
        assert_eq!(delay(1_000_000_001), Duration::new(1, 1));
        assert_eq!(delay(RetryAfter::LONGEST.as_nanos() - 1), Duration::new(31_535_999, 999_999_999));
        assert_eq!(delay(u128::MAX), RetryAfter::LONGEST);
    }
}
