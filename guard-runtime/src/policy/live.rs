//! The settings of a policy, which may change while it runs. The good path reads the timeouts, each one atomic; everything else is
//! read on the bad path, by a lock that is held for a copy.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use guard_spec::Settings;

use crate::clock;

pub(super) struct Live {
    settings: RwLock<Settings>,
    pub(super) timeouts: Timeouts,
    /// Whether the policy only watches.
    shadow: AtomicBool,
    /// Whether it retries HTTP statuses that say nothing bad.
    retries_good: AtomicBool,
    /// Moves on with every change: by it a key's state knows whether it was made before.
    version: AtomicU32,
    /// One change at a time.
    changes: Mutex<()>,
}

/// The timeouts, in nanoseconds; `u64::MAX` for none.
pub(crate) struct Timeouts {
    call: AtomicU64,
    attempt: AtomicU64,
}

impl Timeouts {
    #[inline]
    pub(crate) fn call(&self) -> u64 {
        self.call.load(Relaxed)
    }

    #[inline]
    pub(crate) fn attempt(&self) -> u64 {
        self.attempt.load(Relaxed)
    }
}

/// In shadow there are none.
const fn call_timeout(settings: &Settings) -> u64 {
    match settings.call_timeout() {
        Some(timeout) if !settings.is_shadow() => clock::nanos(timeout),
        _ => u64::MAX,
    }
}

const fn attempt_timeout(settings: &Settings) -> u64 {
    match settings.single_attempt_timeout() {
        Some(timeout) if !settings.is_shadow() => clock::nanos(timeout),
        _ => u64::MAX,
    }
}

const fn retries_good(settings: &Settings) -> bool {
    match settings.retry() {
        Some(retry) => retry.retried_statuses().has_good(),
        None => false,
    }
}

impl Live {
    pub(super) const fn new(settings: &Settings) -> Live {
        Live {
            timeouts: Timeouts {
                call: AtomicU64::new(call_timeout(settings)),
                attempt: AtomicU64::new(attempt_timeout(settings)),
            },
            shadow: AtomicBool::new(settings.is_shadow()),
            retries_good: AtomicBool::new(retries_good(settings)),
            settings: RwLock::new(*settings),
            version: AtomicU32::new(0),
            changes: Mutex::new(()),
        }
    }

    /// Reads them; nothing that waits or takes another lock.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Settings) -> T) -> T {
        // Settings are replaced whole: a panic cannot leave half of them.
        read(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    #[inline]
    pub(super) fn retries_good(&self) -> bool {
        self.retries_good.load(Relaxed)
    }

    #[inline]
    pub(super) fn is_shadow(&self) -> bool {
        self.shadow.load(Relaxed)
    }

    #[inline]
    pub(super) fn version(&self) -> u32 {
        self.version.load(Acquire)
    }

    /// Keeps others from changing anything.
    pub(super) fn lock(&self) -> MutexGuard<'_, ()> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces them, under [`lock`](Live::lock); returns the old ones and the new version.
    pub(super) fn replace(&self, settings: &Settings) -> (Settings, u32) {
        let mut place = self.settings.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *place, *settings);
        drop(place);
        self.timeouts.call.store(call_timeout(settings), Relaxed);
        self.timeouts.attempt.store(attempt_timeout(settings), Relaxed);
        self.shadow.store(settings.is_shadow(), Relaxed);
        self.retries_good.store(retries_good(settings), Relaxed);
        // After the settings: whoever reads the version finds them.
        let before = self.version.fetch_add(1, Release);
        (old, before.wrapping_add(1))
    }
}
