//! What may not be true of an attempt that begins, or of a call that returns.
//!
//! Settings change while calls run. What is said of a call's times and numbers is checked of those that saw one set of settings only
//! (`epoch`); what the limits allow is checked of every attempt that is not in shadow.

use std::time::Duration;

use apiguard::{Budget, Jitter, Retry, Settings};

use super::book::Book;
use super::clients::{Call, OWN_BASE, OWN_RETRIES, OWN_TIMEOUT, Way};
use super::ledger::{LATE, MS};
use super::world::World;

impl Book {
    pub fn check_times(&self, world: &World, call: &Call, settings: &Settings) {
        let Some(age) = self.age(world, call) else { return };
        let (now, number) = (world.now(), call.made.get());
        let nanos = |duration: Duration| duration.as_nanos() as u64;
        let own = Retry::new(OWN_RETRIES).base(OWN_BASE);
        let retry = if call.way == Way::Own { Some(own) } else { settings.retry().copied() };
        let timeout = if call.way == Way::Own { Some(OWN_TIMEOUT) } else { settings.call_timeout() };
        let most = retry.map_or(1, |retry| retry.attempts());
        world.check(number <= most, || format!("attempt {number} of {most}"));
        world.check(timeout.is_none_or(|timeout| age < nanos(timeout)), || {
            format!("call {} begins attempt {number} after {age} ns of {timeout:?}", call.id)
        });
        let slack = LATE + 2 * MS;
        if number == 1 {
            let patience = timeout.map_or(settings.patience(), |timeout| settings.patience().min(nanos(timeout) / 2));
            world.check(age <= patience + slack, || {
                format!("call {} has a turn after {age} ns, with {patience} to wait", call.id)
            });
        } else if let (Some(retry), Some((at, asked))) = (retry, call.ended.get()) {
            let gap = now - at;
            let grown = nanos(retry.first_delay()) as f64
                * (retry.growth().millionths() as f64 / 1e6).powf(f64::from(number) - 2.0);
            let cap = nanos(retry.longest_delay());
            let grown = grown.min(cap as f64);
            let least = match retry.randomness() {
                Jitter::Proportional(_) | Jitter::None => grown,
                Jitter::Equal => grown / 2.0,
                Jitter::Decorrelated => nanos(retry.first_delay()) as f64,
                _ => 0.0,
            };
            let least = (least * 0.999_999).max(asked.map_or(0.0, |asked| nanos(asked) as f64));
            world.check(gap as f64 >= least, || format!("call {}: a retry after {gap} ns, not {least}", call.id));
            let most = cap + settings.patience() + slack;
            world.check(gap <= most, || format!("call {}: a retry after {gap} ns, at most {most}", call.id));
        }
    }

    /// Ten retries at first, one more in 5 min, and a share of what has worked.
    pub fn check_budget(&self, world: &World, settings: &Settings) {
        let Some(Budget::Share(share)) = settings.retry().map(Retry::retry_budget) else { return };
        if self.epoch.get() > 0 {
            return;
        }
        let tally = self.tally.borrow();
        let regained = u128::from(world.now()) * 1_000_000 / Duration::from_secs(300).as_nanos();
        let most = 10_000_000 + regained + u128::from(tally.good) * u128::from(share.millionths());
        world.check(u128::from(tally.budgeted) * 1_000_000 <= most, || {
            format!("{} retries for {} that have worked, with a budget of {share}", tally.budgeted, tally.good)
        });
    }

    /// Nothing is refused that could be had.
    pub fn check_refusal(&self, world: &World, call: &Call, reason: &str) {
        let settings = self.settings.get();
        let says_limits = matches!(reason, "rate_limited" | "saturated");
        if says_limits && !self.traffic.settles && !settings.is_shadow() {
            let ledger = &mut self.ledgers.borrow_mut()[call.key];
            let is_free = ledger.idle == 1 && ledger.is_overdue(call.cost, world.now());
            world.check(!is_free, || format!("call {} is {reason} alone, and nothing is taken: {settings}", call.id));
        }
        if reason == "circuit_open" && !self.has_keys() {
            let said = self.watch.borrow().refuses();
            world.hold(said);
        }
        // Where nothing but the number of retries is in the way there is one.
        let plain = Settings::new().max_pause(Duration::ZERO);
        if reason == "failed" && self.epoch.get() == 0 && call.way != Way::Own {
            let Some(retry) = settings.retry().filter(|retry| retry.retry_budget() == Budget::Off) else { return };
            let Some((_, asked)) = call.ended.get() else { return };
            let is_plain = settings.abandoned(plain.abandoned_after()) == plain.retries(*retry);
            let wants = call.retried.get() && asked.is_none_or(|asked| asked <= retry.longest_delay());
            world.check(!(is_plain && wants) || call.made.get() == retry.attempts(), || {
                format!("call {} is given up after {} attempts: {settings}", call.id, call.made.get())
            });
        }
    }

    /// That what the policy says of its breaker is what the book says.
    pub fn check_row(&self, world: &World, failures: u32) {
        let said = self.watch.borrow().row();
        world.check(said.is_none_or(|row| row == failures), || format!("{failures} failures in a row, not {said:?}"));
    }
}
