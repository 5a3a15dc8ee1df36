//! Loom's atomics and locks, made in a `const` as the standard library's are: the real one is made when it is first used, which each
//! model does before it starts its threads.

use std::sync::OnceLock;
use std::sync::atomic::Ordering;

pub(crate) use loom::sync::{Arc, MutexGuard};

macro_rules! atomic {
    ($name:ident, $int:ty) => {
        pub(crate) struct $name {
            initial: $int,
            made: OnceLock<loom::sync::atomic::$name>,
        }

        #[allow(dead_code)]
        impl $name {
            pub(crate) const fn new(initial: $int) -> $name {
                $name { initial, made: OnceLock::new() }
            }

            fn made(&self) -> &loom::sync::atomic::$name {
                self.made.get_or_init(|| loom::sync::atomic::$name::new(self.initial))
            }

            pub(crate) fn load(&self, order: Ordering) -> $int {
                self.made().load(order)
            }

            pub(crate) fn store(&self, value: $int, order: Ordering) {
                self.made().store(value, order);
            }

            pub(crate) fn swap(&self, value: $int, order: Ordering) -> $int {
                self.made().swap(value, order)
            }

            pub(crate) fn fetch_add(&self, value: $int, order: Ordering) -> $int {
                self.made().fetch_add(value, order)
            }

            pub(crate) fn fetch_sub(&self, value: $int, order: Ordering) -> $int {
                self.made().fetch_sub(value, order)
            }

            pub(crate) fn fetch_or(&self, value: $int, order: Ordering) -> $int {
                self.made().fetch_or(value, order)
            }

            pub(crate) fn fetch_and(&self, value: $int, order: Ordering) -> $int {
                self.made().fetch_and(value, order)
            }

            pub(crate) fn fetch_max(&self, value: $int, order: Ordering) -> $int {
                self.made().fetch_max(value, order)
            }

            pub(crate) fn compare_exchange(
                &self,
                current: $int,
                new: $int,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$int, $int> {
                self.made().compare_exchange(current, new, success, failure)
            }

            pub(crate) fn compare_exchange_weak(
                &self,
                current: $int,
                new: $int,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$int, $int> {
                self.made().compare_exchange_weak(current, new, success, failure)
            }
        }
    };
}

atomic!(AtomicU32, u32);
atomic!(AtomicU64, u64);
atomic!(AtomicUsize, usize);

impl Default for AtomicU64 {
    fn default() -> AtomicU64 {
        AtomicU64::new(0)
    }
}

pub(crate) struct Mutex<T> {
    initial: std::sync::Mutex<Option<T>>,
    made: OnceLock<loom::sync::Mutex<T>>,
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Mutex<T> {
        Mutex { initial: std::sync::Mutex::new(Some(value)), made: OnceLock::new() }
    }

    pub(crate) fn lock(&self) -> std::sync::LockResult<MutexGuard<'_, T>> {
        let make = || {
            let value = self.initial.lock().expect("nobody panics in it").take();
            loom::sync::Mutex::new(value.expect("made once"))
        };
        self.made.get_or_init(make).lock()
    }
}
