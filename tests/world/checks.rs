//! What has to be true of a policy when nothing happens at the moment, when all calls are over, and when it was left alone.

use std::time::Duration;

use apiguard::{Breaker, BreakerState, Quota, Rate, Retry, Settings};

use super::book::{Book, Tally};
use super::breaker::Watch;
use super::world::World;

/// At a quiet moment: tokens are where the book says, and nobody waits for what is there.
pub fn look(world: &World, book: &Book) {
    book.drain(world);
    if book.has_keys() {
        return;
    }
    let settings = book.settings.get();
    let snapshot = book.policy.snapshot();
    if Watch::counts(settings.circuit_breaker()) {
        book.check_row(world, snapshot.failures_in_a_row);
    }
    if settings.is_shadow() {
        world.check(snapshot.waiting == 0, || format!("policy {}: {} wait in shadow", book.index, snapshot.waiting));
        return;
    }
    if book.traffic.settles {
        return;
    }
    let mut ledger = book.ledgers.borrow_mut().remove(0);
    let now = world.now();
    if snapshot.waiting > 0 {
        let is_overdue = ledger.is_overdue(book.traffic.most_cost, now);
        world
            .check(!is_overdue, || format!("policy {}: {} wait for nothing: {settings}", book.index, snapshot.waiting));
    }
    // What is promised to those who wait is not there for others.
    let promised = snapshot.waiting as u64 * u64::from(book.traffic.most_cost);
    let is_known = promised == 0 || book.traffic.most_cost == 1 && snapshot.tokens.is_some_and(|tokens| tokens > 0);
    if let (Some((least, most)), Some(tokens), true) = (ledger.tokens(now), snapshot.tokens, is_known) {
        let there = f64::from(tokens) + promised as f64;
        let is_right = there + 1.0 > least && there <= most;
        world.check(is_right, || format!("policy {}: {tokens} tokens, not {least} to {most}: {settings}", book.index));
    }
    if let (Some(counted), Some(in_flight), 0) = (snapshot.in_flight, ledger.in_flight(), book.epoch.get()) {
        world.check(counted == in_flight, || format!("{counted} in flight, not {in_flight}"));
    }
    book.ledgers.borrow_mut().insert(0, ledger);
}

/// How long things take at most when all is well.
pub struct Bounds {
    /// A call that had begun before.
    pub call: Duration,
    /// Until every call works.
    pub recovery: Duration,
    /// Between two calls, so that they are within the limits.
    pub beat: Duration,
}

pub fn bounds(world: &World, book: &Book) -> Bounds {
    let traffic = &book.traffic;
    let all = || std::iter::once(&traffic.settings).chain(traffic.changes.iter().map(|(_, settings)| settings));
    let most = |of: &dyn Fn(&Settings) -> Duration| all().map(of).max().unwrap_or_default();
    let second = Duration::from_secs(1);
    let patience = most(&|settings| Duration::from_nanos(settings.patience()));
    let cap = most(&|settings| settings.retry().map_or(Duration::ZERO, Retry::longest_delay)).max(60 * second);
    let attempts = all().filter_map(Settings::retry).map(Retry::attempts).max().unwrap_or(1).max(3);
    let call = (patience + cap + second) * attempts;
    let held = world.plan.troubles.iter().filter_map(|trouble| trouble.retry_after).max().unwrap_or_default();
    let open = most(&|settings| {
        settings.circuit_breaker().map_or(Duration::ZERO, |breaker| {
            let longest = breaker.longest_recovery().unwrap_or_default().max(breaker.recovery_time()).max(held);
            longest.mul_f64(1.0 + breaker.recovery_randomness().millionths() as f64 / 1e6)
        })
    });
    let pause = most(&Settings::longest_pause).min(held.max(10 * second));
    let quotas = most(&|settings| settings.quotas().map(Quota::window).max().unwrap_or_default());
    let charged = traffic.calls * u32::from(traffic.settles) * 2 * attempts;
    let refill = most(&|settings| {
        let refill =
            |rate: &Rate| rate.period().mul_f64(f64::from(rate.capacity() + 2 + charged) / f64::from(rate.count()));
        settings.rates().map(refill).max().unwrap_or_default()
    });
    let last = book.settings.get();
    let by_rates = last.rates().map(|rate| rate.period().div_f64(f64::from(rate.count())));
    let by_quotas = last.quotas().map(|quota| quota.window().div_f64(f64::from(quota.count())));
    let beat = by_rates.chain(by_quotas).max().unwrap_or_default().mul_f64(1.25) + Duration::from_millis(100);
    // What failed before is in the window of a breaker for a while, and may open it when enough calls are there.
    let watched = most(&|settings| settings.circuit_breaker().and_then(Breaker::window_time).unwrap_or_default());
    let counted = all().filter_map(Settings::circuit_breaker).filter_map(Breaker::window_size).max().unwrap_or(0);
    let recovery = open * 2 + watched + pause + quotas + refill + patience + second;
    let beat = beat.max(recovery / 40);
    let successes = all().filter_map(Settings::circuit_breaker).map(Breaker::success_threshold).max();
    Bounds { call, recovery: recovery + beat * (2 * successes.unwrap_or(0) + counted + 4), beat }
}

/// When all calls are over: the policy has counted what the callers and the server have.
pub fn books(world: &World, book: &Book) {
    book.drain(world);
    let snapshot = book.policy.snapshot();
    let tally = *book.tally.borrow();
    let Tally { seen, .. } = tally;
    let (outcomes, rejections) = (snapshot.outcomes, snapshot.rejections);
    let equal = |what: &str, counted: u64, expected: u64| {
        world.check(counted == expected, || format!("policy {}: {counted} {what}, not {expected}", book.index));
    };
    equal("in flight", snapshot.in_flight.unwrap_or(0).into(), 0);
    equal("waiting", snapshot.waiting as u64, 0);
    equal("attempts", snapshot.attempts(), tally.attempts);
    equal("successes", outcomes.successes, tally.good);
    equal("permanent", outcomes.permanent, tally.permanent);
    equal("throttled", outcomes.throttled, tally.throttled);
    equal("failures", outcomes.failures, tally.failed + tally.timed_out);
    equal("timed out", snapshot.timed_out, tally.timed_out);
    equal("abandoned", outcomes.abandoned, tally.abandoned);
    equal("retries", snapshot.retries, tally.attempts - tally.began);
    equal("rate limited", rejections.rate_limited, tally.rate_limited);
    equal("circuit open", rejections.circuit_open, tally.circuit_open);
    equal("saturated", rejections.saturated, tally.saturated);
    equal("calls timed out", rejections.timed_out, tally.calls_timed_out);
    equal("rejected otherwise", rejections.other, tally.rejected_otherwise);
    equal("calls", snapshot.calls, tally.began + tally.rejected_at_once);
    let at_most = |what: &str, fewer: u64, more: u64| {
        world.check(fewer <= more, || format!("policy {}: {what}: {fewer}, at most {more}", book.index));
    };
    at_most("events of waits", seen.waited, snapshot.waits);
    at_most("first attempts that began late", tally.waited_first, seen.waited + seen.missed);
    at_most("events of retries not made", seen.over_budget, snapshot.over_budget);
    if seen.missed == 0 {
        equal("events of rejections", seen.rejected, rejections.total());
        equal("events of retries", seen.retries, tally.planned);
        equal("events of pauses", seen.paused, tally.pauses);
        equal("events of retries not made", seen.over_budget, snapshot.over_budget);
        equal("events of waits in shadow", seen.would_wait, snapshot.shadow.delayed);
        equal("events of rejections in shadow", seen.would_reject, snapshot.shadow.rejected);
        equal("events of retries in shadow", seen.would_retry, snapshot.shadow.retried);
    }
    let traffic = &book.traffic;
    if !traffic.settings.is_shadow() && traffic.changes.iter().all(|(_, settings)| !settings.is_shadow()) {
        equal("in shadow", snapshot.shadow.rejected + snapshot.shadow.delayed + snapshot.shadow.retried, 0);
    }
    if !book.has_keys() {
        let stands = snapshot.breaker;
        let expected = snapshot.settings.circuit_breaker().map(|_| BreakerState::Closed);
        world.check(stands == expected, || format!("policy {}: the breaker is {stands:?}", book.index));
    }
}

/// When nobody has called for long.
pub fn idle(world: &World, book: &Book) {
    let snapshot = book.policy.snapshot();
    let settings = snapshot.settings;
    let full = settings.limits_tokens().then(|| settings.most_tokens());
    let stands = (snapshot.tokens, snapshot.waiting, snapshot.in_flight.unwrap_or(0));
    world.check(stands == (full, 0, 0), || format!("policy {} is left with {stands:?}, not {full:?}", book.index));
    book.policy.evict_idle();
    let keys = book.policy.snapshot().keys;
    world.check(keys == 0, || format!("policy {}: {keys} keys stay", book.index));
}
