//! The retry budget: how many retries a policy makes, so that a service in trouble is not sent a multiple of its load.
//!
//! ```text
//! deposit    a share (20 %) of a retry for each attempt that worked
//! withdraw   a whole one for each retry
//! reserve    10 to begin with, which come back by themselves: one in 5 min
//! above it   what was deposited is forgotten, with a half-life of about 7 s: after an hour of health there are as many as the
//!            last 10 s have deposited, whatever the traffic
//! ```
//!
//! Only what works deposits: while nothing does, hardly more than the first attempts are sent. Nothing is done for an attempt that
//! works: deposits are made when a retry asks, from the number of attempts that have worked since.
//!
//! Source: the budgets of Finagle (deposits that expire) and of the AWS SDKs (deposits by successes); Marc Brooker, "Fixing retries
//! with token buckets and circuit breakers", 2022.

use std::fmt;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;

use guard_spec::{Budget, Problem, Ratio, Retry, Settings};

use crate::clock;
use crate::sync::{AtomicU64, Mutex};

/// A whole retry, in millionths.
const RETRY: u64 = 1_000_000;
const RESERVE: u64 = 10 * RETRY;
const SECOND: u64 = 1_000_000_000;
/// In which one retry of the reserve comes back. Longer than most clients need to make some calls: ten thousand of them with a call in
/// 10 s each would otherwise retry every one through an outage.
const REGAIN: u64 = 300 * SECOND;
/// How much traffic what is above the reserve stands for.
const MEMORY: u64 = 10 * SECOND;

/// A budget's balance.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Balance {
    /// In millionths of a retry.
    retries: u64,
    /// Of the attempts that have worked, those that have deposited.
    worked: u64,
    /// When it was so.
    at: u64,
}

impl Balance {
    const NEW: Balance = Balance { retries: RESERVE, worked: 0, at: 0 };

    /// The balance at an instant by which so many attempts have worked.
    fn at(self, now: u64, worked: u64, share: Ratio) -> Balance {
        let time = now.saturating_sub(self.at);
        let deposits = u128::from(worked.saturating_sub(self.worked)) * u128::from(share.millionths());
        let above = u128::from(self.retries.saturating_sub(RESERVE)) + deposits;
        let above = above * u128::from(MEMORY) / (u128::from(MEMORY) + u128::from(time));
        let regained = u128::from(time) * u128::from(RETRY) / u128::from(REGAIN);
        let reserve = (u128::from(self.retries) + regained).min(u128::from(RESERVE));
        // What the reserve lacks is filled by the deposits, too: there is one balance.
        let retries = u64::try_from(reserve + above).unwrap_or(u64::MAX);
        Balance { retries, worked: worked.max(self.worked), at: now.max(self.at) }
    }

    fn withdraw(&mut self) -> bool {
        let has_one = self.retries >= RETRY;
        if has_one {
            self.retries -= RETRY;
        }
        has_one
    }
}

/// A budget whose share is kept elsewhere: that of a policy.
pub(crate) struct Account {
    /// Taken by retries alone.
    balance: Mutex<Balance>,
}

impl Account {
    pub(crate) const fn new() -> Account {
        Account { balance: Mutex::new(Balance::NEW) }
    }

    /// Whether one more retry may be made, by when so many attempts have worked.
    pub(crate) fn withdraw(&self, budget: Budget, worked: u64, now: u64) -> bool {
        self.change(budget, worked, now, Balance::withdraw).unwrap_or(true)
    }

    /// How many retries may be made now; `None` without a budget.
    pub(crate) fn available(&self, budget: Budget, worked: u64, now: u64) -> Option<u32> {
        let retries = self.change(budget, worked, now, |balance| balance.retries / RETRY)?;
        Some(u32::try_from(retries).unwrap_or(u32::MAX))
    }

    fn change<T>(&self, budget: Budget, worked: u64, now: u64, change: impl FnOnce(&mut Balance) -> T) -> Option<T> {
        let Budget::Share(share) = budget else { return None };
        let mut balance = self.balance.lock().unwrap_or_else(PoisonError::into_inner);
        *balance = balance.at(now, worked, share);
        Some(change(&mut balance))
    }
}

/// How many retries may be made, alone: for a loop of your own.
///
/// Each attempt that works deposits a share of a retry, each retry withdraws a whole one. Ten are there to begin with; they come
/// back by themselves, one in 5 min. What is above these fades, half of it in 10 s: under steady
/// traffic there are at most as many as 10 s deposit.
///
/// ```
/// use apiguard::{Budget, RetryBudget};
///
/// let budget = RetryBudget::new(Budget::percent(20))?;
/// let retries = (0..100).filter(|_| budget.withdraw()).count();
/// assert_eq!(retries, 10, "nothing works: the reserve is all there is");
/// (0..51).for_each(|_| budget.deposit());
/// assert_eq!(budget.available(), Some(10));
/// # Ok::<(), apiguard::Problem>(())
/// ```
pub struct RetryBudget {
    account: Account,
    budget: Budget,
    worked: AtomicU64,
}

impl RetryBudget {
    /// With its reserve.
    ///
    /// # Errors
    /// When the share is not above 0 and at most 1.
    pub fn new(budget: Budget) -> Result<RetryBudget, Problem> {
        match Settings::new().retries(Retry::new(1).budget(budget)).problems().first() {
            Some(problem) => Err(problem),
            None => Ok(RetryBudget { account: Account::new(), budget, worked: AtomicU64::new(0) }),
        }
    }

    /// An attempt has worked.
    pub fn deposit(&self) {
        self.worked.fetch_add(1, Relaxed);
    }

    /// Whether one more retry may be made; takes it if so. Always, for [`Budget::Off`].
    #[must_use = "a retry beside the budget defeats it"]
    pub fn withdraw(&self) -> bool {
        self.account.withdraw(self.budget, self.worked.load(Relaxed), clock::now())
    }

    /// How many retries may be made now; `None` for [`Budget::Off`].
    pub fn available(&self) -> Option<u32> {
        self.account.available(self.budget, self.worked.load(Relaxed), clock::now())
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryBudget")
            .field("budget", &self.budget)
            .field("available", &self.available())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: Ratio = Ratio::percent(20);

    /// How many retries are made of so many that are asked for at once.
    fn made(balance: &mut Balance, asked: usize) -> usize {
        (0..asked).filter(|_| balance.withdraw()).count()
    }

    #[test]
    fn without_anything_that_works_the_reserve_is_all_and_it_comes_back_slowly() {
        let mut balance = Balance::NEW;
        assert_eq!(made(&mut balance, 1_000), 10);
        let mut retries = 0;
        // Twelve minutes of 100 calls a second, each of which asks for a retry.
        for call in 0..72_000 {
            balance = balance.at(call * SECOND / 100, 0, SHARE);
            retries += made(&mut balance, 1);
        }
        assert_eq!(retries, 2, "one in 5 min");
        assert_eq!(balance.at(u64::MAX, 0, SHARE).retries, RESERVE);
    }

    #[test]
    fn what_works_deposits_its_share() {
        let mut balance = Balance::NEW;
        let (mut worked, mut retries) = (0, 0);
        // Every third of 10 000 calls fails; a minute in all.
        for call in 0..10_000 {
            let now = call * 6 * SECOND / 1_000;
            if call % 3 == 0 {
                balance = balance.at(now, worked, SHARE);
                retries += made(&mut balance, 1);
            } else {
                worked += 1;
            }
        }
        let share = retries as f64 / 10_000.0;
        assert!((0.10..0.14).contains(&share), "20 % of two thirds, at most: {share}");
    }

    #[test]
    fn long_health_is_worth_ten_seconds_of_traffic_whenever_it_is_looked_at() {
        // An hour of 1 000 calls a second.
        let hour = 3_600 * SECOND;
        let at_its_end = Balance::NEW.at(hour, 3_600_000, SHARE);
        let mut step_by_step = Balance::NEW;
        for second in 1..=3_600 {
            step_by_step = step_by_step.at(second * SECOND, second * 1_000, SHARE);
        }
        for balance in [at_its_end, step_by_step] {
            let retries = balance.retries / RETRY;
            assert!((1_800..=2_300).contains(&retries), "{retries} for 200 a second");
        }
    }

    #[test]
    fn no_clock_and_no_number_overflows() {
        let balance = Balance::NEW.at(u64::MAX, u64::MAX, Ratio::ONE);
        assert!(balance.retries >= RESERVE);
        let back = balance.at(0, 0, Ratio::ONE);
        assert_eq!((back.worked, back.at), (u64::MAX, u64::MAX));
        let full = Balance { retries: u64::MAX, ..Balance::NEW }.at(0, u64::MAX, Ratio::ONE);
        assert_eq!(full.retries, u64::MAX);
    }

    #[test]
    fn a_budget_that_never_retries_is_not_made() {
        assert!(RetryBudget::new(Budget::percent(0)).is_err() && RetryBudget::new(Budget::percent(101)).is_err());
        let off = RetryBudget::new(Budget::Off).unwrap();
        assert!((0..1_000).all(|_| off.withdraw()) && off.available().is_none());
    }
}
