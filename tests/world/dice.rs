//! Numbers that follow from a seed.

use std::time::Duration;

/// `SplitMix64`: small, and good enough to choose by.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// Dice of their own for a part of the world, so that what the other parts throw changes nothing here.
    pub fn fork(&mut self) -> Dice {
        Dice(self.throw())
    }

    pub fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `n - 1`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.throw() % n
    }

    /// Both ends included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    pub fn count(&mut self, least: u32, most: u32) -> u32 {
        self.between(u64::from(least), u64::from(most)) as u32
    }

    pub fn ms(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.between(least, most))
    }

    /// Of any order of magnitude between both ends.
    pub fn scale(&mut self, least: f64, most: f64) -> f64 {
        let share = (self.throw() >> 11) as f64 / (1_u64 << 53) as f64;
        least * (most / least).powf(share)
    }
}
