//! The shared policies, and the task that changes their settings. What fails recovers in a part of a second, so that a round of some
//! seconds sees many outages; what a server asks for is cut off at 200 ms.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use apiguard::{Breaker, Concurrency, Policy, Rate};

use super::World;
use crate::random::Random;

apiguard::policy! {
    pub static SERVICE = (
        rate("400/s", burst = 20, max_wait = "500ms"), concurrency(24, max_wait = "500ms"), breaker(10, recovery = "300ms"),
        retries(2, base = "20ms", cap = "500ms"), timeout = "2s", attempt_timeout = "400ms", max_pause = "200ms",
        abandoned = "200ms", name = "service"
    );
    pub static TENANTS = (
        rate("50/s", burst = 5, max_wait = "300ms"), concurrency(4, max_wait = "300ms"), breaker(3, recovery = "200ms"),
        retries(1, base = "20ms"), timeout = "2s", attempt_timeout = "400ms", max_pause = "200ms", name = "tenants"
    );
    pub static HOSTS = (
        rate("200/s", burst = 10, max_wait = "300ms"), retries(2, base = "20ms"),
        breaker(failure_rate = "60%", window = "1s", min_calls = 10, recovery = "200ms"), timeout = "2s",
        attempt_timeout = "400ms", max_pause = "200ms", name = "hosts"
    );
    pub static UPSTREAM = (
        quota("400/s", max_wait = "300ms"), retries(2, base = "20ms"), breaker(8, recovery = "200ms"), timeout = "2s",
        attempt_timeout = "400ms", max_pause = "200ms", name = "upstream"
    );
    pub static DOOR = (
        rate("100/s", burst = 10, max_wait = "0s"), concurrency(2, max_wait = "10ms"), timeout = "1s", name = "door"
    );
    pub static FLEETING = (rate("20/s", burst = 3, max_wait = "100ms"), breaker = 5, name = "fleeting");
    pub static FLEETING_STATES = (
        rate = ["20/s", rate("500/m", burst = 8, max_wait = "100ms")], concurrency(2, max_wait = "20ms"), breaker = 5,
        name = "fleeting states"
    );
    pub static LINE = (rate("400/s", burst = 8, max_wait = "150ms"), name = "line");
    pub static TUNED = (
        rate("500/s", burst = 10, max_wait = "200ms"), concurrency(6, max_wait = "200ms"), breaker(5, recovery = "100ms"),
        retries(2, base = "5ms", cap = "50ms"), name = "tuned"
    );
}

/// Policies of which no key has anything to remember when all is quiet.
pub static NEVER_FAILING: &[&Policy] = &[&DOOR, &FLEETING, &FLEETING_STATES];
/// Policies of which a key whose last attempt failed stays, and how many keys there are.
pub static SOMETIMES_FAILING: &[(&Policy, usize)] = &[(&TENANTS, 48), (&HOSTS, 3)];

/// Other settings, back and forth, while everything runs; those of the beginning at the end.
pub(super) async fn change(world: Arc<World>, mut random: Random) {
    let all = [&TUNED, &FLEETING, &FLEETING_STATES, &TENANTS, &LINE];
    let first: Vec<_> = all.iter().map(|policy| policy.settings()).collect();
    let set = |which: usize, settings| all[which].configure(settings).expect("they are in range");
    while !world.stops.load(Relaxed) {
        let which = random.below(all.len() as u64) as usize;
        let settings = match random.below(4) {
            0 => first[which].rate(Rate::per_second(100 + random.below(400) as u32).burst(5)),
            1 => first[which].concurrency(Concurrency::new(2 + random.below(6) as u32)),
            2 => first[which].breaker(Breaker::consecutive(4).recovery(Duration::from_millis(100))),
            _ => first[which],
        };
        set(which, settings);
        match random.below(40) {
            0 => TUNED.force_open(),
            1 => TUNED.force_closed(),
            2..8 => TUNED.reset(),
            _ => {}
        }
        tokio::time::sleep(random.millis(5, 80)).await;
    }
    for (which, settings) in first.into_iter().enumerate() {
        set(which, settings);
    }
    TUNED.reset();
}
