//! Of a policy no more than the state of a key.

use guard_spec::{Breaker, Settings};

#[path = "../../../guard-runtime/src/policy/state.rs"]
mod state;

pub(crate) use self::state::State;

pub(crate) fn state(settings: &Settings) -> State {
    let state = State::unchecked(settings);
    // Makes all of loom's objects, before another thread has it.
    crate::models::touch(&state.limiter, settings);
    state.breaker.check(0, &Breaker::consecutive(1)).expect("closed");
    state
}
