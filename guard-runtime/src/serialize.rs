//! serde's `Serialize` for snapshots: the fields by their names, a name and a state as texts, the settings in the words of
//! the attribute.

use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use crate::{BreakerState, InWindow, Outcomes, PolicyName, Rejections, Snapshot, Transition, Unenforced};

/// Each field by its name. The pattern names all of them, so that one that is added is not forgotten here.
macro_rules! fields {
    ($type:ident { $($field:ident),* $(,)? }) => {
        /// The fields by their names.
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let $type { $($field),* } = self;
                let count = [$(stringify!($field)),*].len();
                let mut fields = serializer.serialize_struct(stringify!($type), count)?;
                $(fields.serialize_field(stringify!($field), $field)?;)*
                fields.end()
            }
        }
    };
}

fields!(Snapshot {
    name,
    settings,
    calls,
    retries,
    over_budget,
    retry_budget,
    waits,
    timed_out,
    outcomes,
    rejections,
    tokens,
    in_flight,
    waiting,
    breaker,
    failures_in_a_row,
    window,
    last_change,
    shadow,
    keys,
});
fields!(InWindow { calls, failures, slow });
fields!(Unenforced { rejected, delayed, retried });
fields!(Outcomes { successes, permanent, failures, throttled, abandoned });
fields!(Rejections { rate_limited, saturated, circuit_open, timed_out, other });

/// The fields by their names; `ago` in seconds.
impl Serialize for Transition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Transition { from, to, ago } = self;
        let mut fields = serializer.serialize_struct("Transition", 3)?;
        fields.serialize_field("from", from)?;
        fields.serialize_field("to", to)?;
        fields.serialize_field("ago", &ago.as_secs_f64())?;
        fields.end()
    }
}

/// As a text.
impl Serialize for PolicyName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

/// As it is displayed: `closed`, `open`, `half-open`.
impl Serialize for BreakerState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
