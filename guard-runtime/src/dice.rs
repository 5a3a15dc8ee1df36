//! Chance for random histories, the same in each run. `APIGUARD_HISTORIES=1000000` makes more of them, `APIGUARD_SEED=7` that one alone.

/// splitmix64: Steele, Lea and Flood, 2014. Any seed does.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % n
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// The seeds of a test, and whether these are all that it has.
pub(crate) fn histories(count: u64) -> (impl Iterator<Item = u64>, bool) {
    let number = |variable: &str| std::env::var(variable).ok()?.parse::<u64>().ok();
    let one = number("APIGUARD_SEED");
    let count = number("APIGUARD_HISTORIES").unwrap_or(count);
    (one.map_or(1..=count, |seed| seed..=seed), one.is_none())
}
