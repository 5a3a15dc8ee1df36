//! Bytes as choices, for inputs that are no text: an end of the bytes chooses the first of everything, so that a shorter input is a
//! simpler one.

use std::time::Duration;

pub(crate) struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Choices<'a> {
        Choices(bytes)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(crate) fn below(&mut self, n: u8) -> u8 {
        self.byte() % n
    }

    pub(crate) fn one_in(&mut self, n: u8) -> bool {
        self.below(n) == n - 1
    }

    pub(crate) fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::from(self.byte()) % of.len()]
    }

    fn word(&mut self) -> u64 {
        (0..8).fold(0, |word, _| word << 8 | u64::from(self.byte()))
    }

    /// A small number, one at the end of a range, or any.
    pub(crate) fn count(&mut self) -> u32 {
        match self.byte() {
            small @ 0..200 => u32::from(small),
            200..220 => self.one_of(&[0, 250, 251, 1_000, 1_001, 10_000, 10_001, 1 << 16, 1 << 20, 1 << 24]),
            220..235 => self.one_of(&[1_000_000_000, 1_000_000_001, i32::MAX as u32, u32::MAX - 1, u32::MAX]),
            _ => self.word() as u32,
        }
    }

    /// A duration of any length, mostly one that a setting might have.
    pub(crate) fn duration(&mut self) -> Duration {
        let n = u64::from(self.byte());
        match self.byte() {
            0..90 => Duration::from_millis(n),
            90..170 => Duration::from_secs(n),
            170..190 => Duration::from_millis(n * 50),
            190..200 => Duration::from_secs(n * 3_600),
            200..210 => Duration::from_secs(86_400 * (n + 200)),
            210..215 => Duration::from_micros(n),
            215..220 => Duration::from_nanos(n),
            220..240 => self.one_of(&[
                Duration::ZERO,
                Duration::from_nanos(999_999),
                Duration::from_nanos(1_000_001),
                Duration::from_secs(365 * 86_400),
                Duration::from_secs(365 * 86_400 + 1),
                Duration::from_nanos(u64::MAX),
                Duration::from_nanos(u64::MAX - 1),
                Duration::MAX,
            ]),
            _ => Duration::from_nanos(self.word()),
        }
    }

    /// A share or a factor, mostly a sound one.
    pub(crate) fn float(&mut self) -> f64 {
        match self.byte() {
            hundredth @ 0..200 => f64::from(hundredth) / 100.0,
            200..230 => self.one_of(&[0.0, 1.0, 1.000_001, 2.0, 1e-6, 1e-7, 1e6, 1e6 + 1.0, 0.5, 0.333_333_3]),
            230..240 => {
                self.one_of(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -0.0, f64::MAX, f64::MIN_POSITIVE])
            }
            _ => f64::from_bits(self.word()),
        }
    }
}
