//! The delays between attempts.
//!
//! Delay `n`, from 1: `min(cap, base x factor^(n-1) x (1 + random x jitter))`, `random` uniform in 0..1. The other kinds
//! of jitter are described at [`Jitter`]; all of them stay within the cap. Integers throughout: the power is computed by
//! squaring in fixed point (32 fractional bits, exact for whole factors) and saturates, so no attempt number overflows.

use std::time::Duration;

use guard_spec::{Jitter, Problem, Retry, Settings};

use crate::{clock, random};

/// The delays of a [`Retry`], as an iterator: one for each retry.
///
/// ```
/// use apiguard::{Backoff, Jitter, Retry};
/// use std::time::Duration;
///
/// let delays = Backoff::new(Retry::new(3).jitter(Jitter::None))?;
/// assert_eq!(delays.collect::<Vec<_>>(), [1, 2, 4].map(Duration::from_secs));
/// # Ok::<(), apiguard::Problem>(())
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    retry: Retry,
    made: u32,
    last: u64,
    seed: Option<u64>,
}

impl Backoff {
    /// The delays of these retries, with random jitter.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn new(retry: Retry) -> Result<Backoff, Problem> {
        match Settings::new().retries(retry).problems().first() {
            Some(problem) => Err(problem),
            None => Ok(Backoff { retry, made: 0, last: 0, seed: None }),
        }
    }

    /// The same delays each time for the same seed.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Backoff {
        self.seed = Some(seed);
        self
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self.made >= self.retry.max() {
            return None;
        }
        self.made += 1;
        let (retry, random) = match &mut self.seed {
            Some(seed) => (self.retry, split_mix(seed)),
            None => (random::jittered(self.retry), random::uniform()),
        };
        self.last = delay(&retry, self.made, self.last, random);
        Some(Duration::from_nanos(self.last))
    }
}

/// `SplitMix64`: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
pub(crate) fn split_mix(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Delay `n` (from 1) in nanoseconds; `last` is the one before it (0 for none), `random` uniform over `u64`.
pub(crate) fn delay(retry: &Retry, n: u32, last: u64, random: u64) -> u64 {
    let base = clock::nanos(retry.first_delay());
    let cap = clock::nanos(retry.longest_delay());
    let grown = || scaled(base, power(retry.growth().millionths(), n.saturating_sub(1))).min(cap);
    let delay = match retry.randomness() {
        Jitter::Proportional(ratio) => {
            let share = u128::from(grown()) * u128::from(ratio.millionths()) / 1_000_000;
            u128::from(grown()) + portion(share, random)
        }
        Jitter::Full => portion(u128::from(grown()), random),
        Jitter::Equal => {
            let half = u128::from(grown() / 2);
            u128::from(grown()) - half + portion(half, random)
        }
        Jitter::Decorrelated => {
            let most = u128::from(last.max(base)) * 3;
            u128::from(base) + portion(most - u128::from(base), random)
        }
        // `None`, and what a newer grammar may add.
        _ => u128::from(grown()),
    };
    delay.min(u128::from(cap)) as u64
}

/// A server's own delay, lengthened by the jitter but never shortened, and not above `cap` unless it is itself.
pub(crate) fn server_delay(retry: &Retry, asked: u64, random: u64) -> u64 {
    let cap = clock::nanos(retry.longest_delay());
    let share = match retry.randomness() {
        Jitter::Proportional(ratio) => u128::from(asked) * u128::from(ratio.millionths()) / 1_000_000,
        Jitter::None => 0,
        _ => u128::from(asked) / 2,
    };
    (u128::from(asked) + portion(share, random)).min(u128::from(cap.max(asked))) as u64
}

/// `whole x random / 2^64`.
fn portion(whole: u128, random: u64) -> u128 {
    debug_assert!(whole <= u128::from(u64::MAX) * 3);
    // `whole` may exceed 64 bits by two: the lowest bits of the random number do not matter.
    (whole * u128::from(random >> 2)) >> 62
}

const ONE: u128 = 1 << 32;
/// Far above cap / base for any cap (365 days) and base (1 ms): larger powers need not be told apart.
const HUGE: u128 = 1 << 90;

/// `factor^n` with 32 fractional bits, saturating.
fn power(factor_in_millionths: u64, mut n: u32) -> u128 {
    let mut square = (u128::from(factor_in_millionths) << 32) / 1_000_000;
    let mut result = ONE;
    while n > 0 {
        if n & 1 == 1 {
            result = multiply(result, square);
        }
        n >>= 1;
        if n > 0 {
            square = multiply(square, square);
        }
    }
    result
}

fn multiply(a: u128, b: u128) -> u128 {
    a.checked_mul(b).map_or(HUGE, |product| (product >> 32).min(HUGE))
}

fn scaled(base: u64, power: u128) -> u64 {
    let delay = u128::from(base).checked_mul(power).map_or(u128::MAX, |product| product >> 32);
    if delay > u128::from(u64::MAX) { u64::MAX } else { delay as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn secs(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn delays_double_from_the_base_up_to_the_cap() {
        let retry = Retry::new(8).jitter(Jitter::None).cap(secs(20));
        let delays: Vec<u64> = Backoff::new(retry).unwrap().map(|delay| delay.as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 20, 20, 20]);
    }

    #[test]
    fn the_formula_holds_at_both_ends_of_the_randomness() {
        let retry = Retry::new(5).jitter(Jitter::proportional(0.5));
        assert_eq!(delay(&retry, 3, 0, 0), 4 * SECOND);
        let longest = delay(&retry, 3, 0, u64::MAX);
        assert!(longest <= 6 * SECOND && longest > 6 * SECOND - 10, "{longest}");
    }

    #[test]
    fn each_kind_of_jitter_keeps_to_its_range() {
        let mut seed = 7;
        let base = Retry::new(9).cap(secs(30));
        for _ in 0..10_000 {
            let n = (split_mix(&mut seed) % 12) as u32 + 1;
            let plain = delay(&base.jitter(Jitter::None), n, 0, 0);
            let last = split_mix(&mut seed) % (30 * SECOND);
            let of = |jitter, seed: &mut u64| delay(&base.jitter(jitter), n, last, split_mix(seed));
            assert!((0..=plain).contains(&of(Jitter::Full, &mut seed)));
            assert!((plain / 2..=plain).contains(&of(Jitter::Equal, &mut seed)));
            let decorrelated = of(Jitter::Decorrelated, &mut seed);
            assert!((SECOND..=30 * SECOND).contains(&decorrelated) && decorrelated <= 3 * last.max(SECOND));
            let proportional = of(Jitter::proportional(1.0), &mut seed);
            assert!((plain..=30 * SECOND).contains(&proportional));
        }
    }

    #[test]
    fn each_kind_of_jitter_is_as_its_formula_says() {
        let of = |jitter, last: u64, random| {
            let retry = Retry::new(9).base(secs(2)).cap(secs(1_000)).jitter(jitter);
            // The third: 8 s without jitter. A random number just below 1 is a few nanoseconds below.
            (delay(&retry, 3, last * SECOND, random) + 9) / SECOND
        };
        let middle = 1 << 63;
        assert_eq!([0, middle, u64::MAX].map(|random| of(Jitter::None, 0, random)), [8, 8, 8]);
        assert_eq!([0, middle, u64::MAX].map(|random| of(Jitter::Full, 0, random)), [0, 4, 8]);
        assert_eq!([0, middle, u64::MAX].map(|random| of(Jitter::Equal, 0, random)), [4, 6, 8]);
        assert_eq!([0, middle, u64::MAX].map(|random| of(Jitter::proportional(0.5), 0, random)), [8, 10, 12]);
        assert_eq!([0, middle, u64::MAX].map(|random| of(Jitter::Decorrelated, 0, random)), [2, 4, 6]);
        assert_eq!([0, middle, u64::MAX].map(|random| of(Jitter::Decorrelated, 10, random)), [2, 16, 30]);
    }

    #[test]
    fn a_servers_delay_is_lengthened_by_the_share_of_its_own() {
        let of = |jitter, random| {
            let retry = Retry::new(1).cap(secs(1_000)).jitter(jitter);
            (server_delay(&retry, 80 * SECOND, random) + 99) / SECOND
        };
        for (jitter, delays) in [
            (Jitter::None, [80, 80]),
            (Jitter::proportional(0.25), [90, 100]),
            (Jitter::Full, [100, 120]),
            (Jitter::Equal, [100, 120]),
            (Jitter::Decorrelated, [100, 120]),
        ] {
            assert_eq!([1 << 63, u64::MAX].map(|random| of(jitter, random)), delays, "{jitter:?}");
        }
    }

    #[test]
    fn no_number_of_attempts_and_no_factor_overflows_or_passes_the_cap() {
        for factor in [1.0, 1.000_001, 1.5, 2.0, 1_000_000.0] {
            for base in [Duration::from_millis(1), secs(60)] {
                let retry = Retry::new(u32::MAX).base(base).factor(factor).jitter(Jitter::proportional(1.0));
                let mut before = 0;
                for n in (1..200).chain([10_000, 1_000_000, u32::MAX]) {
                    let delay = delay(&retry, n, 0, u64::MAX);
                    assert!(delay <= 60 * SECOND && delay >= before, "{n}: {delay} after {before}, factor {factor}");
                    before = delay;
                }
            }
        }
        let same = Retry::new(u32::MAX).factor(1.0).jitter(Jitter::None);
        assert_eq!(delay(&same, u32::MAX, 0, 0), SECOND);
    }

    #[test]
    fn jitter_lengthens_a_servers_delay_and_never_shortens_it() {
        for jitter in [Jitter::None, Jitter::Full, Jitter::Equal, Jitter::Decorrelated, Jitter::proportional(0.5)] {
            let retry = Retry::new(1).jitter(jitter);
            for random in [0, 1 << 63, u64::MAX] {
                for asked in [0, SECOND, 59 * SECOND, 600 * SECOND, u64::MAX] {
                    let delay = server_delay(&retry, asked, random);
                    assert!(delay >= asked && delay <= asked.max(60 * SECOND), "{jitter:?}: {delay} for {asked}");
                }
            }
        }
    }

    #[test]
    fn a_seed_makes_the_same_delays() {
        let delays = |seed| Backoff::new(Retry::new(5)).unwrap().seeded(seed).collect::<Vec<_>>();
        assert_eq!(delays(1), delays(1));
        assert_ne!(delays(1), delays(2));
        assert_eq!(delays(1).len(), 5);
        // The first ones of the reference implementation for this seed.
        let mut seed = 1_234_567;
        let numbers = [(); 3].map(|()| split_mix(&mut seed));
        assert_eq!(numbers, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn settings_out_of_range_make_no_backoff() {
        assert!(Backoff::new(Retry::new(1).factor(f64::NAN)).is_err());
        assert!(Backoff::new(Retry::new(1).base(secs(61))).is_err());
    }
}
