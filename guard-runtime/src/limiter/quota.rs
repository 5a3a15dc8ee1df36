//! At most N tokens in any window: what was taken, and when.
//!
//! ```text
//! groups   (last instant, count), oldest first; a group's tokens come back together, a window after its last one
//! admit    if N - (all counts) is enough
//! else     the turn comes when the oldest groups that hold what is missing have come back
//! ```
//!
//! That a group waits for its last token can only make the window longer than declared, never shorter, so no window of
//! the declared length ever holds more than N. A group holds at most `N / 250` tokens (or what was taken at one instant),
//! so at most 0.4 % of N wait longer than they have to, and none do up to N = 250. Two neighbours hold more than one
//! group may, so there are at most 502 groups of 16 bytes, whatever N is. (Source: the sliding-window log, with its entries
//! in groups.)
//!
//! The window is a ten-thousandth longer than declared, so that it is no shorter by the server's clock than by one here that is some
//! ppm fast.

use std::collections::VecDeque;

/// A group holds at most this part of N.
const PARTS: u32 = 250;
/// More groups than a log without refunds can have.
const MOST: usize = 2 * PARTS as usize + 2;

#[derive(Clone, Copy, Debug)]
struct Group {
    last: u64,
    count: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Log {
    count: u32,
    window: u64,
    /// The most that a group may gather.
    share: u64,
    groups: VecDeque<Group>,
    /// All that the groups hold: above `count` after a charge.
    used: u64,
    /// What was taken before has come back, or was never here.
    from: u64,
}

impl Log {
    /// For `1 <= count` and a window of at least a nanosecond; what was taken before an instant is not in it.
    pub(super) fn new(count: u32, window: u64, from: u64) -> Log {
        Log { count, window, share: u64::from(count.div_ceil(PARTS)), groups: VecDeque::new(), used: 0, from }
    }

    /// The same log for another quota.
    pub(super) fn with(&self, count: u32, window: u64) -> Log {
        Log { groups: self.groups.clone(), used: self.used, ..Log::new(count, window, self.from) }
    }

    pub(super) fn window(&self) -> u64 {
        self.window
    }

    /// Takes out what has come back by now.
    fn expire(&mut self, now: u64) {
        while let Some(first) = self.groups.front() {
            if first.last.saturating_add(self.window) > now {
                break;
            }
            self.used -= first.count;
            self.from = first.last.saturating_add(1);
            self.groups.pop_front();
        }
    }

    /// How many could be taken now.
    pub(super) fn free(&mut self, now: u64) -> u64 {
        self.expire(now);
        u64::from(self.count).saturating_sub(self.used)
    }

    /// Whether nothing was taken in the last window.
    pub(super) fn is_full(&mut self, now: u64) -> bool {
        self.expire(now);
        self.used == 0
    }

    /// When the last of `tokens` can be taken, if they are taken one by one as soon as they can be; now or earlier if all
    /// of them are there. Where several are taken at a time it may be later, never earlier.
    pub(super) fn turn(&mut self, now: u64, tokens: u64) -> u64 {
        if tokens == 0 {
            return now;
        }
        let all = u64::from(self.count);
        // Those beyond N come a window after those before them.
        let rounds = (tokens - 1) / all;
        let tokens = (tokens - 1) % all + 1;
        self.expire(now);
        let mut missing = (tokens + self.used).saturating_sub(all);
        let mut turn = now;
        for group in &self.groups {
            if missing == 0 {
                break;
            }
            missing = missing.saturating_sub(group.count);
            turn = group.last.saturating_add(self.window);
        }
        turn.saturating_add(self.window.saturating_mul(rounds))
    }

    /// Takes tokens that are there, or charges for some that were used.
    pub(super) fn take(&mut self, now: u64, tokens: u32) {
        if tokens == 0 {
            return;
        }
        let tokens = u64::from(tokens);
        self.used += tokens;
        if let Some(last) = self.groups.back_mut() {
            // A clock that was read before somebody else's: the later instant holds.
            let now = now.max(last.last);
            if last.last == now || last.count + tokens <= self.share {
                *last = Group { last: now, count: last.count + tokens };
                return;
            }
            self.groups.push_back(Group { last: now, count: tokens });
        } else {
            self.groups.push_back(Group { last: now, count: tokens });
        }
        if self.groups.len() > MOST {
            // Refunds have left many small ones: the oldest two come back together.
            if let (Some(first), Some(second)) = (self.groups.pop_front(), self.groups.front_mut()) {
                second.count += first.count;
            }
        }
    }

    /// Gives back tokens that were taken at an instant, as far as they have not come back by themselves.
    pub(super) fn give_back(&mut self, at: u64, tokens: u32) {
        if at < self.from {
            return;
        }
        // Its group is the first that ends then or later.
        let index = self.groups.partition_point(|group| group.last < at);
        let Some(group) = self.groups.get_mut(index) else { return };
        let returned = u64::from(tokens).min(group.count);
        group.count -= returned;
        self.used -= returned;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all_there(log: &mut Log, now: u64) -> u64 {
        let free = log.free(now);
        for _ in 0..free {
            log.take(now, 1);
        }
        free
    }

    #[test]
    fn all_is_there_at_once_and_again_a_window_later() {
        let mut log = Log::new(10, 1_000, 0);
        assert_eq!(take_all_there(&mut log, 5_000), 10);
        assert_eq!(log.turn(5_400, 1), 6_000);
        assert_eq!(take_all_there(&mut log, 5_999), 0);
        assert_eq!(take_all_there(&mut log, 6_000), 10);
    }

    #[test]
    fn what_was_taken_first_comes_back_first() {
        let mut log = Log::new(3, 100, 0);
        for at in [0, 10, 20] {
            log.take(at, 1);
        }
        assert_eq!((log.turn(50, 1), log.turn(50, 2), log.turn(50, 3)), (100, 110, 120));
        // Beyond N: those who come first have to come back.
        assert_eq!((log.turn(50, 4), log.turn(50, 6), log.turn(50, 7)), (200, 220, 300));
        assert_eq!(log.free(115), 2);
        assert_eq!(log.turn(115, 2), 115);
    }

    #[test]
    fn a_log_is_full_again_when_the_last_of_what_was_taken_has_come_back() {
        let mut log = Log::new(3, 100, 0);
        assert!(log.is_full(0));
        log.take(0, 1);
        log.take(10, 1);
        assert!(!log.is_full(10) && !log.is_full(109));
        assert!(log.is_full(110));
    }

    #[test]
    fn tokens_of_neighbouring_instants_come_back_together_but_no_more_than_a_250th_of_all() {
        let mut log = Log::new(1_000, 1 << 20, 0);
        for at in 0..1_000 {
            log.take(at, 1);
        }
        assert_eq!(log.groups.len(), 250);
        for (tokens, turn) in [(1, 3), (4, 3), (5, 7), (1_000, 999)] {
            assert_eq!(log.turn(1_000, tokens), turn + (1 << 20), "{tokens} tokens");
        }
        // As many groups as there can be: of two neighbours each is too large for the other.
        let mut log = Log::new(1_000, 1 << 20, 0);
        for at in 0..400 {
            log.take(at, 3 - (at % 2) as u32);
        }
        assert_eq!((log.groups.len(), log.turn(400, 1), log.turn(400, 1_000)), (400, 1 << 20, 399 + (1 << 20)));
    }

    #[test]
    fn what_did_not_start_is_given_back() {
        let mut log = Log::new(3, 100, 0);
        log.take(0, 1);
        log.take(10, 2);
        log.give_back(10, 2);
        assert_eq!(log.free(20), 2);
        log.give_back(0, 5);
        assert_eq!(log.free(20), 3, "never more than was taken");
        log.give_back(5_000, 1);
        assert_eq!(log.free(20), 3);
    }

    #[test]
    fn what_has_come_back_by_itself_is_not_given_back_again() {
        let mut log = Log::new(3, 100, 0);
        log.take(0, 2);
        assert_eq!(log.free(100), 3);
        log.take(100, 3);
        log.give_back(0, 1);
        assert_eq!(log.free(150), 0, "those of another attempt");
    }

    #[test]
    fn a_charge_above_the_quota_is_waited_for() {
        let mut log = Log::new(3, 100, 0);
        log.take(0, 7);
        assert_eq!((log.free(50), log.turn(50, 1), log.free(100)), (0, 100, 3));
    }

    #[test]
    fn charges_of_any_size_are_forgotten_a_window_later() {
        let mut log = Log::new(10, 100, 0);
        for _ in 0..3 {
            log.take(7, u32::MAX);
        }
        assert_eq!((log.free(106), log.free(107)), (0, 10));
        assert_eq!(log.turn(107, 0), 107);
    }

    /// Instants and numbers that were let through: never more than N in any window, and 98 % of what could be.
    #[test]
    fn no_window_holds_more_whatever_the_arrivals_and_little_is_lost() {
        for (seed, count) in [1, 2, 7, 249, 250, 251, 999, 5_000].into_iter().cycle().take(64).enumerate() {
            let mut dice = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut below = |n: u64| {
                dice ^= dice >> 12;
                dice ^= dice << 25;
                dice ^= dice >> 27;
                dice.wrapping_mul(0x2545_f491_4f6c_dd1d) % n
            };
            let window = 1_000_000;
            let (mut log, mut exact) = (Log::new(count, window, 0), VecDeque::new());
            let (mut now, mut taken, mut possible) = (0, 0_u64, 0_u64);
            // The same arrivals for a log of every single token.
            let mut free_exactly = VecDeque::new();
            for _ in 0..4_000 {
                now += match below(4) {
                    0 => 0,
                    1 => below(window / 50),
                    2 => below(2 * window / u64::from(count).max(2)),
                    _ => below(20),
                };
                let tokens = 1 + below(u64::from(count).div_ceil(20)) as u32;
                while free_exactly.front().is_some_and(|(at, _)| at + window <= now) {
                    free_exactly.pop_front();
                }
                let held: u64 = free_exactly.iter().map(|(_, tokens)| u64::from(*tokens)).sum();
                if held + u64::from(tokens) <= u64::from(count) {
                    free_exactly.push_back((now, tokens));
                    possible += u64::from(tokens);
                }
                if log.turn(now, u64::from(tokens)) <= now {
                    log.take(now, tokens);
                    taken += u64::from(tokens);
                    exact.push_back((now, tokens));
                }
                while exact.front().is_some_and(|(at, _)| at + window <= now) {
                    exact.pop_front();
                }
                let inside: u64 = exact.iter().map(|(_, tokens): &(u64, u32)| u64::from(*tokens)).sum();
                assert!(inside <= u64::from(count), "seed {seed}: {inside} of {count}");
                assert!(log.groups.len() <= MOST, "{} groups", log.groups.len());
            }
            assert!(taken * 100 >= possible * 98, "seed {seed}: {taken} of {possible} at {count}");
        }
    }

    #[test]
    fn memory_is_bounded_even_by_refunds() {
        let mut log = Log::new(1_000_000, 1 << 40, 0);
        for at in 0..20_000 {
            log.take(at, 4_000);
            log.give_back(at, 3_999);
        }
        assert!(log.groups.len() <= MOST);
        assert!(log.groups.capacity() * size_of::<Group>() <= 8 * 1_024);
        assert_eq!(log.used, log.groups.iter().map(|group| group.count).sum::<u64>());
    }
}
