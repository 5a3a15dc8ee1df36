//! When a history is over: the policy has counted what the world has seen, holds nothing, and becomes as new.

use std::rc::Rc;
use std::time::Duration;

use apiguard::{BreakerState, Budget, Policy, Snapshot};

use super::Way;
use super::world::{Call, World};
use crate::driver::{Seen, size};

pub(super) fn check(snapshot: &Snapshot, world: &World, calls: &[Rc<Call>]) {
    let (outcomes, sums) = (snapshot.outcomes, &world.sums);
    assert_eq!(snapshot.in_flight.unwrap_or(0), 0, "in flight");
    assert_eq!(snapshot.waiting, 0, "waiting");
    assert_eq!(world.begun(), world.ended());
    assert_eq!(snapshot.attempts(), world.begun(), "attempts");
    assert_eq!(outcomes.successes, sums.good.get(), "successes");
    assert_eq!(outcomes.permanent, sums.permanent.get(), "permanent");
    assert_eq!(outcomes.throttled, sums.throttled.get(), "throttled");
    assert_eq!(outcomes.failures, sums.failed.get() + snapshot.timed_out, "failures");
    assert_eq!(outcomes.abandoned + snapshot.timed_out, sums.dropped.get(), "abandoned");
    let began: Vec<_> = calls.iter().filter(|call| call.made.get() > 0).collect();
    assert_eq!(snapshot.retries, world.begun() - began.len() as u64, "retries");
    assert_eq!(snapshot.rejections.total(), sums.rejected.get(), "rejections");
    let rejected_at_once = calls.iter().filter(|call| call.made.get() == 0 && call.returned.get()).count();
    assert_eq!(snapshot.calls, (began.len() + rejected_at_once) as u64, "calls");
    if !snapshot.settings.is_shadow() && world.epochs() == 1 {
        assert_eq!(snapshot.shadow, apiguard::Unenforced::default());
    }
    check_budget(snapshot, world, &began);
}

/// Ten retries at first, one more in 5 min, and a share of what has worked.
fn check_budget(snapshot: &Snapshot, world: &World, began: &[&Rc<Call>]) {
    let Some(Budget::Share(share)) = snapshot.settings.retry().map(|retry| retry.retry_budget()) else { return };
    if world.epochs() > 1 {
        return;
    }
    let of_policy = began.iter().filter(|call| call.plan.way != Way::Own);
    let retries: u64 = of_policy.map(|call| u64::from(call.made.get() - 1)).sum();
    let regained = world.elapsed().as_nanos() * 1_000_000 / Duration::from_secs(300).as_nanos();
    let most = 10_000_000 + regained + u128::from(snapshot.outcomes.successes) * u128::from(share.millionths());
    assert!(
        u128::from(retries) * 1_000_000 <= most,
        "{retries} retries with {share} of {}",
        snapshot.outcomes.successes
    );
}

/// After the longest window, refill and pause.
pub(super) fn check_idle(policy: &Policy) {
    let snapshot = policy.snapshot();
    let settings = &snapshot.settings;
    let tokens = settings.limits_tokens().then(|| settings.most_tokens());
    assert_eq!(snapshot.tokens, tokens, "{settings}");
    policy.evict_idle();
    let keys = policy.snapshot().keys;
    // What a breaker has counted in a row it keeps, and being forced is no rest.
    let is_forced = matches!(snapshot.breaker, Some(BreakerState::ForcedOpen | BreakerState::ForcedClosed));
    let forgets = settings.circuit_breaker().is_none() && !is_forced;
    assert!(!forgets || keys == 0, "{keys} keys stay: {settings}");
}

/// What is new about a history.
pub(super) fn mark(snapshot: &Snapshot, world: &World, seen: &mut Seen) {
    let Snapshot { outcomes, rejections, shadow, .. } = snapshot;
    seen.mark(("shadow", size(shadow.rejected), size(shadow.delayed), size(shadow.retried)));
    seen.mark(("outcomes", size(outcomes.failures), size(outcomes.throttled), size(outcomes.abandoned)));
    seen.mark(("rejected", size(rejections.rate_limited), size(rejections.saturated), size(rejections.circuit_open)));
    seen.mark(("late", size(rejections.timed_out), size(snapshot.timed_out), size(snapshot.waits)));
    seen.mark(("retries", size(snapshot.retries), size(snapshot.over_budget), size(snapshot.calls)));
    seen.mark(("epochs", world.epochs(), snapshot.last_change.map(|change| (change.from as u8, change.to as u8))));
    seen.mark(("stands", snapshot.breaker.map(|state| state as u8), snapshot.failures_in_a_row, snapshot.keys));
    let limits = [snapshot.settings.rates().count(), snapshot.settings.quotas().count()];
    let has = [snapshot.in_flight.is_some(), snapshot.window.is_some(), snapshot.retry_budget.is_some()];
    seen.mark((limits, has, size(snapshot.waits), size(rejections.total())));
}
