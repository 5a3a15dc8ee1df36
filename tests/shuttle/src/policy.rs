//! Of a policy no more than the state of a key.

use std::sync::atomic::AtomicU32;

use guard_spec::Settings;

#[path = "../../../guard-runtime/src/policy/state.rs"]
mod state;

pub(crate) use self::state::{State, ToTell};

/// A new one, of settings that are the version of this number.
pub(crate) fn state(settings: &Settings, version: u32) -> State {
    State { version: AtomicU32::new(version), ..State::unchecked(settings) }
}

/// It holds other settings from now on; wakes whoever is to look again.
pub(crate) fn configure(states: &[std::sync::Arc<State>], old: &Settings, new: &Settings, version: u32) {
    let mut to_tell = ToTell::default();
    for state in states {
        state.configure(old, new, version, &mut to_tell);
    }
    to_tell.wakers.into_iter().for_each(std::task::Waker::wake);
}
