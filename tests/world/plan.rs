//! What a world is made of, from its seed: policies and their traffic, what changes while it runs, what goes wrong at the server.

use std::time::Duration;

use apiguard::{Breaker, Budget, Concurrency, Jitter, Quota, Rate, Retry, Settings};

use super::dice::Dice;

#[derive(Clone, Debug)]
pub struct Plan {
    pub policies: Vec<Traffic>,
    pub server: Capacity,
    pub troubles: Vec<Trouble>,
    /// For so long there is traffic and trouble; then the server is restarted, and well.
    pub active: Duration,
}

/// A policy and who calls under it.
#[derive(Clone, Debug)]
pub struct Traffic {
    pub settings: Settings,
    /// When it has which other settings.
    pub changes: Vec<(Duration, Settings)>,
    pub calls: u32,
    pub mean_gap: Duration,
    pub most_at_once: u64,
    /// 0 for calls without a key.
    pub keys: u8,
    pub most_cost: u32,
    /// Whether attempts say what they have used.
    pub settles: bool,
    /// Whether some calls have retries and timeouts of their own.
    pub own: bool,
    /// The share of those who leave, in percent.
    pub leavers: u64,
}

/// The server when nothing is wrong.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    pub per_second: u32,
    pub queue: Duration,
    pub latency: Duration,
    /// Its own limit, in a fixed window: above it answers 429.
    pub limit: Option<(u32, Duration)>,
}

#[derive(Clone, Copy, Debug)]
pub struct Trouble {
    pub from: Duration,
    pub to: Duration,
    pub kind: Kind,
    /// Of the requests, in percent.
    pub share: u64,
    pub retry_after: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 503 at once.
    Unavailable,
    /// The connection is reset.
    Reset,
    /// 500 after a while.
    Fails,
    /// 501, which is not retried.
    Refuses,
    Throttles,
    /// Answers late.
    Slow,
    /// Never answers.
    Hangs,
    /// Does the work, and the answer is lost.
    LosesReplies,
}

impl Plan {
    pub fn new(seed: u64) -> Plan {
        let mut dice = Dice::new(seed);
        let active = Duration::from_secs(dice.scale(8.0, 240.0) as u64);
        let policies: Vec<_> =
            (0..dice.one_of(&[1, 1, 1, 2, 2, 3])).map(|_| traffic(&mut dice.fork(), active)).collect();
        let all: f64 = policies.iter().map(|traffic| f64::from(traffic.calls)).sum::<f64>() / active.as_secs_f64();
        let capacity = (all * dice.scale(0.5, 8.0)).clamp(2.0, 5_000.0);
        let server = Capacity {
            per_second: capacity as u32,
            queue: dice.ms(50, 3_000),
            latency: dice.ms(0, 60),
            limit: dice.percent(30).then(|| {
                let window = dice.one_of(&[1, 2, 10]);
                let count = (all * window as f64 * dice.scale(0.3, 2.0)).max(1.0);
                (count as u32, Duration::from_secs(window))
            }),
        };
        let troubles = (0..dice.between(0, 5)).map(|_| trouble(&mut dice, active)).collect();
        Plan { policies, server, troubles, active }
    }
}

fn trouble(dice: &mut Dice, active: Duration) -> Trouble {
    let from = active.mul_f64(dice.scale(0.02, 0.95));
    // Some last until all is well.
    let to = if dice.percent(35) { active } else { (from + active.mul_f64(dice.scale(0.02, 0.6))).min(active) };
    let kinds = [
        Kind::Unavailable,
        Kind::Unavailable,
        Kind::Reset,
        Kind::Fails,
        Kind::Refuses,
        Kind::Throttles,
        Kind::Throttles,
        Kind::Slow,
        Kind::Hangs,
        Kind::LosesReplies,
    ];
    Trouble {
        from,
        to,
        kind: dice.one_of(&kinds),
        share: dice.one_of(&[10, 30, 50, 80, 100, 100]),
        retry_after: dice.percent(45).then(|| match dice.below(3) {
            0 => Duration::from_secs(dice.between(0, 3)),
            1 => Duration::from_secs(dice.between(4, 40)),
            _ => dice.ms(1, 2_500),
        }),
    }
}

fn traffic(dice: &mut Dice, active: Duration) -> Traffic {
    let calls = dice.scale(20.0, 4_000.0) as u32;
    let most_at_once = dice.one_of(&[1, 1, 3, 10, 60, 500]);
    let keys = if dice.percent(25) { dice.between(1, 6) as u8 } else { 0 };
    let per_second = f64::from(calls) / active.as_secs_f64() / f64::from(keys.max(1));
    let most_cost = if dice.percent(20) { dice.count(2, 5) } else { 1 };
    let settings = settings(dice, per_second, most_cost);
    let number = if dice.percent(40) { dice.between(1, 8) } else { 0 };
    let mut changes: Vec<_> = (0..number)
        .map(|_| (active.mul_f64(dice.scale(0.05, 0.98)), change(dice, &settings, per_second, most_cost)))
        .collect();
    changes.sort_by_key(|(at, _)| *at);
    // The last settings are not in shadow, so that what is said of them in the end can be checked.
    if let Some((_, last)) = changes.last_mut() {
        *last = last.shadow(false);
    }
    let shadow = !changes.is_empty() && dice.percent(25);
    Traffic {
        settings: settings.shadow(shadow),
        changes,
        calls,
        mean_gap: active.div_f64(f64::from(calls)).mul_f64((1 + most_at_once) as f64 / 2.0),
        most_at_once,
        keys,
        most_cost,
        settles: dice.percent(15),
        own: dice.percent(15),
        leavers: dice.one_of(&[0, 0, 10, 40, 90]),
    }
}

/// Other settings: most are the old ones with something else in one place.
fn change(dice: &mut Dice, old: &Settings, per_second: f64, most_cost: u32) -> Settings {
    match dice.below(6) {
        0 | 1 => {
            let mut new = *old;
            if let Some(rate) = old.rate_limit() {
                let count = (f64::from(rate.count()) * dice.scale(0.2, 5.0)).max(1.0) as u32;
                let other =
                    Rate::new(count, rate.period()).burst(dice.count(most_cost, 30)).max_wait(rate.longest_wait());
                new = new.rate(other);
            }
            if let Some(limit) = old.concurrency_limit() {
                new = new.concurrency(Concurrency::new(dice.count(1, 20)).max_wait(limit.longest_wait()));
            }
            new
        }
        2 | 3 => old.shadow(!old.is_shadow()),
        _ => settings(dice, per_second, most_cost),
    }
}

fn max_wait(dice: &mut Dice) -> Duration {
    match dice.below(6) {
        0 => Duration::ZERO,
        1 => dice.ms(1, 100),
        2 => dice.ms(100, 2_000),
        3 => Duration::from_secs(dice.between(2, 10)),
        _ => Duration::from_secs(30),
    }
}

fn settings(dice: &mut Dice, per_second: f64, most_cost: u32) -> Settings {
    if dice.percent(4) {
        // Nothing but retries, as many as are asked for.
        return Settings::new().retries(retries(dice).budget(Budget::Off)).max_pause(Duration::ZERO);
    }
    let mut settings = Settings::new();
    let wanted = per_second * f64::from(1 + most_cost) / 2.0;
    let rates = dice.one_of(&[0, 1, 1, 1, 2]);
    for _ in 0..rates {
        let most = (wanted * dice.scale(0.25, 6.0)).max(0.02);
        let rate = if most < 1.0 { Rate::per_minute((most * 60.0) as u32 + 1) } else { Rate::per_second(most as u32) };
        let burst = dice.one_of(&[1, 1, 2, 5, 20, 50]).max(most_cost);
        settings = settings.and_rate(rate.burst(burst).max_wait(max_wait(dice)));
    }
    for _ in 0..dice.one_of(&[0, 0, 0, 1, 1, 2]) {
        let window = dice.one_of(&[500, 1_000, 2_000, 10_000, 60_000]);
        let count = (wanted * window as f64 / 1_000.0 * dice.scale(0.3, 4.0)).clamp(f64::from(most_cost), 240.0);
        settings = settings.and_quota(Quota::new(count as u32, Duration::from_millis(window)).max_wait(max_wait(dice)));
    }
    if dice.percent(40) {
        settings = settings.concurrency(Concurrency::new(dice.one_of(&[1, 2, 4, 10, 40])).max_wait(max_wait(dice)));
    }
    if dice.percent(70) {
        settings = settings.breaker(breaker(dice));
    }
    if dice.percent(75) {
        settings = settings.retries(retries(dice));
    }
    // Within what the checks allow: the first delay has to fit.
    let first = settings.retry().map_or(Duration::ZERO, Retry::first_delay);
    if dice.percent(45) {
        settings = settings.timeout(dice.ms(200, 20_000).max(first * 3));
    }
    if dice.percent(50) {
        let attempt = dice.ms(50, 4_000);
        settings = settings.attempt_timeout(settings.call_timeout().map_or(attempt, |all| attempt.min(all)));
    }
    settings = settings.max_pause(dice.one_of(&[0, 500, 3_000, 20_000, 60_000].map(Duration::from_millis)));
    if dice.percent(40) {
        settings = settings.abandoned(dice.ms(50, 3_000));
    }
    settings
}

fn breaker(dice: &mut Dice) -> Breaker {
    let breaker = match dice.below(6) {
        0..=2 => Breaker::consecutive(dice.count(1, 8)),
        3 => Breaker::failure_rate(dice.one_of(&[0.2, 0.5, 0.9]))
            .min_calls(dice.count(2, 20))
            .window(dice.ms(1_000, 20_000)),
        4 => {
            let calls = dice.count(4, 60);
            Breaker::failure_rate(dice.one_of(&[0.3, 0.6])).window_calls(calls).min_calls(dice.count(2, calls))
        }
        _ => Breaker::slow_calls(dice.ms(300, 2_000))
            .slow_rate(0.5)
            .min_calls(dice.count(2, 20))
            .window(dice.ms(1_000, 20_000)),
    };
    let recovery = dice.ms(20, 8_000);
    let breaker = breaker
        .recovery(recovery)
        .successes(dice.one_of(&[1, 2, 5]))
        .probes(dice.one_of(&[1, 1, 2, 4]))
        .recovery_jitter(dice.one_of(&[0.0, 0.1, 1.0]));
    if dice.percent(30) { breaker.recovery_cap(recovery * dice.count(1, 5)) } else { breaker }
}

fn retries(dice: &mut Dice) -> Retry {
    let base = dice.ms(5, 1_200);
    let jitter = [Jitter::proportional(0.5), Jitter::Full, Jitter::Equal, Jitter::Decorrelated, Jitter::None];
    let budget = [Budget::DEFAULT, Budget::DEFAULT, Budget::percent(5), Budget::percent(100), Budget::Off];
    Retry::new(dice.count(1, 6))
        .base(base)
        .factor(dice.one_of(&[1.0, 1.5, 2.0, 3.0]))
        .cap(base.max(dice.ms(200, 30_000)))
        .jitter(dice.one_of(&jitter))
        .budget(dice.one_of(&budget))
}
