//! A share or a factor as an integer number of millionths, so that no setting can be `NaN`.

use core::fmt;

/// A non-negative number with six decimals: `0.5`, `2`, `20%`.
///
/// Made from a float at the edge, once; a float that is not a number, negative, infinite or above 1 000 000 becomes a
/// value that [`Settings::problems`](crate::Settings::problems) reports.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ratio(u64);

impl Ratio {
    /// 0.
    pub const ZERO: Ratio = Ratio(0);
    /// 1, or 100 %.
    pub const ONE: Ratio = Ratio(1_000_000);
    const INVALID: Ratio = Ratio(u64::MAX);
    const LARGEST: f64 = 1_000_000.0;

    /// From a float, rounded to the nearest millionth.
    pub const fn new(value: f64) -> Ratio {
        if value >= 0.0 && value <= Self::LARGEST { Ratio((value * 1e6 + 0.5) as u64) } else { Self::INVALID }
    }

    /// From a number of percents, at most 100 000 000.
    pub const fn percent(value: u32) -> Ratio {
        if value <= 100_000_000 { Ratio(value as u64 * 10_000) } else { Self::INVALID }
    }

    /// Whether the number it was made from was in range.
    pub const fn is_valid(self) -> bool {
        self.0 != Self::INVALID.0
    }

    /// The number in millionths, at most 10^12; 0 for a value that is not valid.
    pub const fn millionths(self) -> u64 {
        if self.is_valid() { self.0 } else { 0 }
    }

    /// From a number of millionths, at most 10^12.
    pub const fn from_millionths(millionths: u64) -> Ratio {
        if millionths <= 1_000_000_000_000 { Ratio(millionths) } else { Self::INVALID }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_valid() {
            return f.write_str("out of range");
        }
        let (whole, mut part, mut width) = (self.0 / 1_000_000, self.0 % 1_000_000, 6);
        if part == 0 {
            return write!(f, "{whole}");
        }
        while part % 10 == 0 {
            part /= 10;
            width -= 1;
        }
        write!(f, "{whole}.{part:0width$}")
    }
}

impl fmt::Debug for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_that_are_no_ratio_are_not_valid() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -1e-300, 1e300, 1_000_000.1] {
            assert!(!Ratio::new(bad).is_valid(), "{bad}");
            assert_eq!(Ratio::new(bad).millionths(), 0);
        }
        for good in [0.0, -0.0, f64::MIN_POSITIVE, 0.5, 1e6] {
            assert!(Ratio::new(good).is_valid(), "{good}");
        }
    }

    #[test]
    fn shown_without_needless_zeros() {
        let shown = |value: f64| Ratio::new(value).to_string();
        assert_eq!(shown(2.0), "2");
        assert_eq!(shown(0.5), "0.5");
        assert_eq!(shown(1.25), "1.25");
        assert_eq!(shown(0.000_001), "0.000001");
        assert_eq!(Ratio::percent(20).to_string(), "0.2");
        assert_eq!(format!("{:?}", Ratio::percent(20)), "0.2");
    }
}
