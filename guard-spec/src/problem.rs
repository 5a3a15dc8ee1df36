//! What is wrong with a setting, as data: the field and the value, so that each reader (macro, configuration, `const` panic) points at
//! what was written.

use core::fmt;

use crate::Ratio;
use crate::text::InWords;

/// Which setting a [`Problem`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)] // each is the setting of that name
pub enum Field {
    Rate,
    RateBurst,
    RateMaxWait,
    Quota,
    QuotaMaxWait,
    Concurrency,
    ConcurrencyMaxWait,
    Breaker,
    BreakerFailureRate,
    BreakerWindow,
    BreakerMinCalls,
    BreakerSlowCall,
    BreakerSlowRate,
    BreakerRecovery,
    BreakerRecoveryJitter,
    BreakerRecoveryCap,
    BreakerSuccesses,
    BreakerProbes,
    Retries,
    RetriesBase,
    RetriesFactor,
    RetriesCap,
    RetriesJitter,
    RetriesBudget,
    RetriesStatuses,
    Timeout,
    AttemptTimeout,
    MaxPause,
    Abandoned,
}

impl Field {
    /// The name of the setting; one that belongs to another is written `rate.burst`.
    pub const fn name(self) -> &'static str {
        match self {
            Field::Rate => "rate",
            Field::RateBurst => "rate.burst",
            Field::RateMaxWait => "rate.max_wait",
            Field::Quota => "quota",
            Field::QuotaMaxWait => "quota.max_wait",
            Field::Concurrency => "concurrency",
            Field::ConcurrencyMaxWait => "concurrency.max_wait",
            Field::Breaker => "breaker",
            Field::BreakerFailureRate => "breaker.failure_rate",
            Field::BreakerWindow => "breaker.window",
            Field::BreakerMinCalls => "breaker.min_calls",
            Field::BreakerSlowCall => "breaker.slow_call",
            Field::BreakerSlowRate => "breaker.slow_rate",
            Field::BreakerRecovery => "breaker.recovery",
            Field::BreakerRecoveryJitter => "breaker.recovery_jitter",
            Field::BreakerRecoveryCap => "breaker.recovery_cap",
            Field::BreakerSuccesses => "breaker.successes",
            Field::BreakerProbes => "breaker.probes",
            Field::Retries => "retries",
            Field::RetriesBase => "retries.base",
            Field::RetriesFactor => "retries.factor",
            Field::RetriesCap => "retries.cap",
            Field::RetriesJitter => "retries.jitter",
            Field::RetriesBudget => "retries.budget",
            Field::RetriesStatuses => "retries.statuses",
            Field::Timeout => "timeout",
            Field::AttemptTimeout => "attempt_timeout",
            Field::MaxPause => "max_pause",
            Field::Abandoned => "abandoned",
        }
    }
}

/// The value that a [`Problem`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Value {
    /// A count.
    Count(u64),
    /// A duration in nanoseconds.
    Nanos(u64),
    /// A factor or a share.
    Ratio(Ratio),
    /// A rate as count and nanoseconds.
    Rate(u32, u64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Value::Count(count) => write!(f, "{count}"),
            Value::Nanos(nanos) => write!(f, "\"{}\"", InWords::nanos(nanos)),
            Value::Ratio(ratio) => write!(f, "{ratio}"),
            Value::Rate(count, per) => write!(f, "\"{}\"", InWords::rate(count, per)),
        }
    }
}

/// One thing that is wrong with settings: where, what was written, why it cannot be, and what to write.
///
/// Displays as `` `rate.burst = 0` admits nothing; write at least `1` ``.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Problem {
    pub(crate) field: Field,
    /// Which one of several rates or quotas.
    pub(crate) index: usize,
    pub(crate) value: Value,
    pub(crate) advice: &'static str,
}

impl Problem {
    /// The setting.
    pub const fn field(&self) -> Field {
        self.field
    }

    /// Which one, from 0, of several rates or quotas.
    pub const fn index(&self) -> usize {
        self.index
    }

    /// What was written.
    pub const fn value(&self) -> Value {
        self.value
    }

    /// Why it cannot be and what to write instead, without the name and the value.
    pub const fn advice(&self) -> &'static str {
        self.advice
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, advice) = (self.field.name(), self.advice);
        match self.value {
            // A float that is no ratio was not kept.
            Value::Ratio(ratio) if !ratio.is_valid() => write!(f, "`{name}` {advice}"),
            value => write!(f, "`{name} = {value}` {advice}"),
        }
    }
}

impl core::error::Error for Problem {}

/// Every [`Problem`] of some settings, in the order of the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problems {
    pub(crate) list: [Option<Problem>; Problems::MOST],
    pub(crate) len: usize,
    /// Of the list that is being looked at.
    pub(crate) index: usize,
}

impl Problems {
    /// Each check reports at most once.
    pub(crate) const MOST: usize = 48;

    pub(crate) const fn none() -> Problems {
        Problems { list: [None; Problems::MOST], len: 0, index: 0 }
    }

    pub(crate) const fn add(&mut self, field: Field, value: Value, advice: &'static str) {
        if self.len < Self::MOST {
            self.list[self.len] = Some(Problem { field, index: self.index, value, advice });
            self.len += 1;
        }
    }

    /// Whether nothing is wrong.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many things are wrong.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// The first thing that is wrong.
    pub const fn first(&self) -> Option<Problem> {
        self.list[0]
    }

    /// Each thing that is wrong.
    pub fn iter(&self) -> impl Iterator<Item = Problem> + '_ {
        self.list.iter().flatten().copied()
    }
}

/// Settings that cannot be used: everything that is wrong with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSettings(pub(crate) Vec<Problem>);

impl InvalidSettings {
    /// Each thing that is wrong, in the order of the settings; at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }
}

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl core::error::Error for InvalidSettings {}
