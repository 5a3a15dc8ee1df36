//! Other limits while it runs: nothing that was taken is forgotten or counted twice.
//!
//! ```text
//! rates      the tokens that are there stay, as far as the new bucket holds so many: an empty bucket stays empty; one that was full
//!            has regained since then what it would have under the new rate
//! quotas     what the old log holds counts in the new window
//! in flight  who was counted still is; who was let through while nobody counted is not
//! waiting    in the same order, by the new limits; who asks for more than there will ever be is refused; in shadow nobody waits on
//! ```
//!
//! The bound of each limit holds on both sides of the change by itself: before it the old one, after it the new one. An attempt
//! that was let through before it gives nothing back to the rates after it (its tokens may be forgotten already), and to quotas what
//! it took of them.

use std::sync::atomic::Ordering::Relaxed;
use std::task::Waker;

use guard_spec::{Rate, Settings};

use super::{Inner, LONGEST_DEBT, Limiter, Limits, RATES, wake};
use crate::clock;

impl Limiter {
    /// Holds other settings, which have been checked, instead of `old` ones.
    pub(crate) fn configure(&self, old: &Settings, settings: &Settings) {
        wake(self.reconfigure(old, settings));
    }

    /// As [`configure`](Limiter::configure); those who are to be woken then are woken by the caller, who holds a lock.
    #[must_use = "who is not woken may wait for ever"]
    pub(crate) fn reconfigure(&self, old: &Settings, settings: &Settings) -> Vec<Waker> {
        let mut inner = self.lock();
        // Not before: what was let through until then was let through under the old limits.
        let now = clock::now();
        self.renew(&mut inner, old, settings, now);
        // What is granted now has its turn anew; the first of the others sets its timer by it.
        let most = inner.limits.most;
        let mut woken = inner.line.refuse_above(most);
        // Under the rates that hold now: what is granted before they do is not given back to them.
        let from = now.max(inner.since);
        woken.extend(self.grant(&mut inner, from));
        if inner.lets_go {
            woken.extend(inner.line.take_wakers());
        }
        self.unlock(inner, now);
        woken
    }

    fn renew(&self, inner: &mut Inner, old: &Settings, settings: &Settings, now: u64) {
        let since = now.saturating_add(1);
        // Rates that stay are left alone, with the lateness of a turn that has come and what running attempts may give back.
        if !self.has_rates_of(inner, settings) {
            self.renew_rates(inner, old, settings, now);
            inner.since = since;
        }
        if inner.more.is_some() || settings.has_more_limits() {
            inner.more.get_or_insert_default().renew(settings, since);
        }
        inner.limits = Limits::of(settings);
        inner.lets_go = settings.is_shadow();
        self.patience.store(settings.patience(), Relaxed);
        self.keep_pause(inner, now);
    }

    fn has_rates_of(&self, inner: &Inner, settings: &Settings) -> bool {
        let mut rates = settings.rates();
        self.first.holds(rates.next())
            && inner.more.as_deref().map_or(rates.next().is_none(), |more| more.holds(settings))
    }

    fn renew_rates(&self, inner: &mut Inner, old: &Settings, settings: &Settings, now: u64) {
        // A pause has moved the rates to its end: by how much more is seen there.
        let at = now.max(inner.paused_until);
        let origins = origins(old, settings);
        let stands = origins.map(|origin| match origin? {
            0 => self.first.stand(at),
            index => inner.more.as_ref()?.stand(index - 1, at),
        });
        let [first, rest @ ..] = stands;
        self.first.renew(settings.rate_limit(), first, at, LONGEST_DEBT);
        if inner.more.is_some() || settings.has_more_limits() {
            inner.more.get_or_insert_default().renew_rates(settings, &rest, at);
        }
    }
}

/// From which of the old rates each new one comes: one with the same period if there is one, else the one in the same place.
fn origins(old: &Settings, new: &Settings) -> [Option<usize>; RATES + 1] {
    let mut origins = [None; RATES + 1];
    let mut is_taken = [false; RATES + 1];
    for (rate, origin) in new.rates().zip(&mut origins) {
        let fits = |(index, other): &(usize, &Rate)| other.period() == rate.period() && !is_taken[*index];
        *origin = old.rates().enumerate().find(fits).map(|(index, _)| index);
        if let Some(index) = origin {
            is_taken[*index] = true;
        }
    }
    for (index, (_, origin)) in new.rates().zip(&mut origins).enumerate() {
        if origin.is_none() && index < old.rates().count() && !is_taken[index] {
            *origin = Some(index);
            is_taken[index] = true;
        }
    }
    origins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_comes_from_the_one_with_its_period_or_in_its_place() {
        let settings = |rates: &[Rate]| rates.iter().fold(Settings::new(), |settings, rate| settings.and_rate(*rate));
        let (second, minute, hour) = (Rate::per_second(9), Rate::per_minute(9), Rate::per_hour(9));
        let from = |old: &[Rate], new: &[Rate]| origins(&settings(old), &settings(new));
        assert_eq!(from(&[second, minute], &[minute, second]), [Some(1), Some(0), None, None]);
        assert_eq!(from(&[second, minute], &[hour, minute]), [Some(0), Some(1), None, None]);
        assert_eq!(from(&[second], &[hour, second, minute]), [None, Some(0), None, None]);
        assert_eq!(from(&[], &[hour]), [None; 4]);
        assert_eq!(from(&[second, second], &[second]), [Some(0), None, None, None]);
        let four = [second, minute, hour, Rate::per_day(9)];
        assert_eq!(from(&four, &four), [Some(0), Some(1), Some(2), Some(3)]);
    }
}
