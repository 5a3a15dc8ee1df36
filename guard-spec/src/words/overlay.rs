//! What a table says of each key, laid over or under settings: a key is replaced whole, or left as it is.

use super::write;
use crate::settings::List;
use crate::{Breaker, Concurrency, Field, Quota, Rate, Retry, Settings};

use super::node::Node;

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The setting.
    pub field: Field,
    /// Which one of a list.
    pub index: usize,
    /// As it is named there: `rate[1].burst`.
    pub path: String,
    /// Its first byte.
    pub at: Option<usize>,
}

/// The fields of [`Settings`], each with its key.
macro_rules! overlay {
    ($($key:literal $field:ident: $type:ty,)*) => {
        /// What is said of some settings. It may say of one that it is not to be (`"off"`).
        #[derive(Clone, Debug, Default, PartialEq)]
        #[must_use]
        pub struct Overlay {
            $(pub(super) $field: Option<$type>,)*
            pub(super) places: Vec<Place>,
        }

        impl Overlay {
            /// The keys.
            pub const NAMES: [&'static str; [$($key),*].len()] = [$($key),*];

            /// The settings with everything that this says.
            pub fn over(&self, mut base: Settings) -> Settings {
                $(if let Some(value) = self.$field { base.$field = value; })*
                base
            }

            /// The settings with what this says of those that are not set. (What is set to its default counts as not set.)
            pub fn under(&self, mut base: Settings) -> Settings {
                let unset = Settings::new();
                $(match self.$field {
                    Some(value) if base.$field == unset.$field => base.$field = value,
                    _ => {}
                })*
                base
            }

            /// What turns some settings into others.
            pub fn between(before: &Settings, after: &Settings) -> Overlay {
                Overlay {
                    $($field: (before.$field != after.$field).then_some(after.$field),)*
                    places: Vec::new(),
                }
            }

            /// Takes the settings of a key from another overlay that says something of it.
            pub fn and(&mut self, other: Overlay) {
                $(if other.$field.is_some() { self.$field = other.$field; })*
                self.places.extend(other.places);
            }

            /// The keys of which it says something.
            pub fn keys(&self) -> impl Iterator<Item = &'static str> {
                [$(($key, self.$field.is_some())),*].into_iter().filter(|(_, is_set)| *is_set).map(|(key, _)| key)
            }
        }
    };
}

overlay! {
    "rate" rates: List<Rate>,
    "quota" quotas: List<Quota>,
    "concurrency" concurrency: Option<Concurrency>,
    "breaker" breaker: Option<Breaker>,
    "retries" retries: Option<Retry>,
    "timeout" timeout: Option<u64>,
    "attempt_timeout" attempt_timeout: Option<u64>,
    "max_pause" max_pause: u64,
    "abandoned" abandoned: u64,
    "shadow" shadow: bool,
}

impl Overlay {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.keys().next().is_none()
    }

    /// Where its settings were written.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// Where a setting was written, or the key that it belongs to.
    pub fn place(&self, field: Field, index: usize) -> Option<&Place> {
        let head = |field: Field| field.name().split('.').next();
        let exact = self.places.iter().find(|place| place.field == field && place.index == index);
        exact.or_else(|| self.places.iter().find(|place| head(place.field) == head(field)))
    }
}

impl Settings {
    /// The value of a key as it is written, if it is set.
    pub fn written(&self, key: &str) -> Option<Node> {
        write::entries(self).into_iter().find(|entry| entry.key == key).map(|entry| entry.value)
    }
}
