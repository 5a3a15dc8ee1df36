//! A bucket's own unit of time.
//!
//! One token takes `period / count` nanoseconds, which is seldom a whole number; rounding it would let the rate drift.
//! So a bucket counts in units of its own, of which one token is exactly `2^shift`, `shift` being such that a nanosecond
//! is 1 to 2 units. A reading of the clock is converted by one multiplication with a 64-bit factor, rounded down (never
//! too many tokens, and less than one in 10^18 too few).

use guard_spec::Rate;

/// How late timers may be for it to be made up: 2 ms, in nanoseconds.
pub(super) const LATENESS: u64 = 2_000_000;

/// Instants beyond 18 years saturate: twice that in units, plus a capacity and a debt, leaves room in 61 bits. From then on a bucket
/// regains nothing.
const LATEST: u64 = 1 << 59;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    /// Units per nanosecond, times 2^63: at least 2^63, below 2^64.
    factor: u64,
    /// One token is `2^shift` units.
    shift: u32,
}

impl Scale {
    /// For a rate that has been checked: 1 <= count <= period <= 365 days.
    pub(super) const fn of(rate: &Rate) -> Scale {
        let period = rate.period().as_nanos();
        let count = rate.count() as u128;
        let mut shift = 0;
        while (count << shift) < period {
            shift += 1;
        }
        // 2^shift is at most twice the nanoseconds of a token, so `count << shift` is below 2^56.
        let factor = (count << (shift + 63)) / period;
        // Exactly two units a nanosecond cannot be: the loop stops as soon as it is one or more.
        Scale { factor: factor as u64, shift }
    }

    /// From what [`factor`](Scale::factor) and [`shift`](Scale::shift) gave.
    #[inline]
    pub(super) const fn from_parts(factor: u64, shift: u32) -> Scale {
        Scale { factor, shift }
    }

    pub(super) const fn factor(self) -> u64 {
        self.factor
    }

    pub(super) const fn shift(self) -> u32 {
        self.shift
    }

    /// An instant in units, rounded down.
    #[inline]
    pub(super) const fn units(self, nanos: u64) -> u64 {
        let nanos = if nanos < LATEST { nanos } else { LATEST };
        ((nanos as u128 * self.factor as u128) >> 63) as u64
    }

    /// The first nanosecond whose [`units`](Scale::units) are at least these.
    pub(super) const fn nanos(self, units: u64) -> u64 {
        // No more than the units, of which a nanosecond is at least one.
        ((units as u128) << 63).div_ceil(self.factor as u128) as u64
    }

    /// What this many tokens take, in units. `n` is at most the capacity, whose refill takes at most 365 days.
    #[inline]
    pub(super) const fn cost(self, n: u32) -> u64 {
        (n as u64) << self.shift
    }

    /// What any number of tokens takes; too many saturate.
    pub(super) const fn costs(self, n: u64) -> u64 {
        let most = LATEST >> self.shift;
        if n > most { LATEST } else { n << self.shift }
    }

    /// The tokens of these units of another rate, in units of this one: rounded down.
    pub(super) const fn convert(self, units: u64, from: Scale) -> u64 {
        let converted = ((units as u128) << self.shift) >> from.shift;
        if converted > LATEST as u128 { LATEST } else { converted as u64 }
    }

    /// The whole tokens in these units.
    pub(super) const fn tokens(self, units: u64) -> u64 {
        units >> self.shift
    }

    /// [`LATENESS`] in units.
    pub(super) const fn lateness(self) -> u64 {
        self.units(LATENESS)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Whole tokens regained by an instant, by exact arithmetic.
    fn exact(rate: &Rate, nanos: u64) -> u128 {
        u128::from(nanos) * u128::from(rate.count()) / rate.period().as_nanos()
    }

    #[test]
    fn no_rate_drifts_and_none_is_exceeded() {
        let days = Duration::from_secs(86_400);
        let mut rates: Vec<Rate> = (1..=10_000).map(Rate::per_second).collect();
        rates.extend([7_000_000, 9_999_999, 10_000_000, 600_000_000, 1_000_000_000].map(Rate::per_second));
        rates.extend([Rate::per_day(1), Rate::new(3, 7 * days), Rate::new(1, 365 * days), Rate::new(5, days / 4)]);
        for rate in rates {
            let scale = Scale::of(&rate);
            for nanos in [1, 999_999_937, 86_400_000_000_000, 31_536_000_000_000_000, 1 << 58] {
                let counted = u128::from(scale.tokens(scale.units(nanos)));
                let exact = exact(&rate, nanos);
                assert!(counted <= exact, "{rate}: {counted} of {exact} in {nanos} ns");
                assert!(exact - counted <= 1 + exact / 1_000_000_000, "{rate}: {counted} of {exact} in {nanos} ns");
            }
        }
    }

    #[test]
    fn an_instant_and_its_units_convert_back() {
        for rate in [Rate::per_second(7), Rate::per_second(999_999_999), Rate::per_day(1)] {
            let scale = Scale::of(&rate);
            for nanos in [0, 1, 2, 1_000_003, 123_456_789_012_345, 1 << 58] {
                let units = scale.units(nanos);
                assert!(scale.nanos(units) <= nanos);
                assert!(scale.units(scale.nanos(units)) >= units);
                assert!(scale.units(scale.nanos(units + 1)) > units);
            }
        }
    }

    #[test]
    fn no_instant_overflows() {
        let scale = Scale::of(&Rate::per_second(600_000_000));
        assert!(scale.units(u64::MAX) < 1 << 60);
        assert_eq!(scale.nanos(u64::MAX >> 1), scale.nanos(u64::MAX >> 1));
        assert!(scale.nanos(u64::MAX) >= u64::MAX / 2);
    }

    #[test]
    fn tokens_that_no_instant_can_hold_are_the_latest_one_and_no_few() {
        let (slow, fast) =
            (Scale::of(&Rate::new(1, Duration::from_secs(365 * 86_400))), Scale::of(&Rate::per_second(1)));
        for tokens in [1 << 5, 1 << 17, 1 << 50, u64::MAX] {
            assert_eq!(slow.costs(tokens), LATEST, "{tokens}");
        }
        assert_eq!(slow.convert(fast.costs(1 << 20), fast), LATEST);
        let fastest = Scale::of(&Rate::new(1, Duration::from_nanos(1)));
        assert_eq!(slow.convert(1 << 40, fastest), LATEST);
    }

    #[test]
    fn the_largest_capacity_fits() {
        let rate = Rate::per_second(137).burst(u32::MAX);
        assert!(guard_spec::Settings::new().rate(rate).problems().is_empty());
        assert!(Scale::of(&rate).cost(u32::MAX) < 1 << 57);
    }
}
