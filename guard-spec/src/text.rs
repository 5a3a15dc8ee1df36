//! How settings are shown: the words in which they are written.

use core::fmt;
use core::time::Duration;

use crate::breaker::Window;
use crate::{Breaker, Budget, Concurrency, Jitter, Quota, Rate, Ratio, Retry, Settings};

/// The nanoseconds of a duration; one too long for them (584 years) becomes the largest number, which no check accepts.
pub(crate) const fn nanos(duration: Duration) -> u64 {
    let nanos = duration.as_nanos();
    if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 }
}

const UNITS: [(u64, &str); 7] = [
    (86_400_000_000_000, "d"),
    (3_600_000_000_000, "h"),
    (60_000_000_000, "m"),
    (1_000_000_000, "s"),
    (1_000_000, "ms"),
    (1_000, "us"),
    (1, "ns"),
];

/// Shows a duration or a rate as it is written in a setting: `1m30s`, `100/s`, `5/250ms`.
#[derive(Clone, Copy, Debug)]
pub struct InWords {
    count: Option<u32>,
    nanos: u64,
}

impl InWords {
    /// A duration: the largest units that say it exactly.
    pub const fn duration(duration: Duration) -> InWords {
        InWords::nanos(nanos(duration))
    }

    /// A duration that was measured: rounded up to milliseconds, and to microseconds below one.
    pub const fn about(duration: Duration) -> InWords {
        let nanos = nanos(duration);
        let unit = if nanos < 1_000_000 { 1_000 } else { 1_000_000 };
        InWords::nanos(nanos.div_ceil(unit).saturating_mul(unit))
    }

    pub(crate) const fn nanos(nanos: u64) -> InWords {
        InWords { count: None, nanos }
    }

    pub(crate) const fn rate(count: u32, per: u64) -> InWords {
        InWords { count: Some(count), nanos: per }
    }
}

impl fmt::Display for InWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(count) = self.count {
            write!(f, "{count}/")?;
            if let Some((_, unit)) = UNITS.iter().find(|(size, _)| *size == self.nanos) {
                return f.write_str(unit);
            }
        }
        if self.nanos == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.nanos;
        for (size, unit) in UNITS {
            if rest >= size {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, burst {}, max_wait {}",
            InWords::rate(self.count, self.per),
            self.burst,
            InWords::nanos(self.max_wait)
        )
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, max_wait {}", InWords::rate(self.count, self.window), InWords::nanos(self.max_wait))
    }
}

impl fmt::Display for Concurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at a time, max_wait {}", self.limit, InWords::nanos(self.max_wait))
    }
}

/// A share as `50%`.
struct Percent(Ratio);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_valid() {
            write!(f, "{}%", Ratio::from_millionths(self.0.millionths().saturating_mul(100)))
        } else {
            self.0.fmt(f)
        }
    }
}

impl fmt::Display for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(failures) = self.failures {
            write!(f, "opens after {failures} failures in a row")?;
        } else {
            f.write_str("opens when ")?;
            let window = |f: &mut fmt::Formatter<'_>| match self.looks_back() {
                Some(Window::Time(nanos)) => write!(f, " of the calls in {}", InWords::nanos(nanos)),
                Some(Window::Calls(calls)) => write!(f, " of the last {calls} calls"),
                None => Ok(()),
            };
            if let Some(rate) = self.failure_rate {
                write!(f, "{}", Percent(rate))?;
                window(f)?;
                f.write_str(" have failed")?;
            }
            if let (Some(rate), Some(slow)) = (self.slow_share(), self.slow_call) {
                if self.failure_rate.is_some() {
                    write!(f, " or {}", Percent(rate))?;
                } else {
                    write!(f, "{}", Percent(rate))?;
                    window(f)?;
                }
                write!(f, " took at least {}", InWords::nanos(slow))?;
            }
            write!(f, ", of at least {} calls", self.least_calls())?;
        }
        write!(f, ", for {}", InWords::nanos(self.recovery))?;
        if let Some(cap) = self.recovery_cap {
            write!(f, " growing to {}", InWords::nanos(cap))?;
        }
        if self.recovery_jitter != Ratio::ZERO {
            write!(f, " and up to {} more", Percent(self.recovery_jitter))?;
        }
        write!(f, "; then {} good probes close it, {} at a time", self.successes, self.probes)
    }
}

impl fmt::Display for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Jitter::Proportional(ratio) => write!(f, "{ratio}"),
            Jitter::Full => f.write_str("full"),
            Jitter::Equal => f.write_str("equal"),
            Jitter::Decorrelated => f.write_str("decorrelated"),
            Jitter::None => f.write_str("none"),
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // At most six decimals, of which two go.
            Budget::Share(share) => write!(f, "{}%", Ratio::from_millionths(share.millionths() * 100)),
            Budget::Off => f.write_str("off"),
        }
    }
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, base {}, factor {}, cap {}, jitter {}, budget {}",
            self.max,
            InWords::nanos(self.base),
            self.factor,
            InWords::nanos(self.cap),
            self.jitter,
            self.budget
        )
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let mut part = |f: &mut fmt::Formatter<'_>, name: &str, value: &dyn fmt::Display| {
            let written = write!(f, "{separator}{name}: {value}");
            separator = "; ";
            written
        };
        for rate in self.rates() {
            part(f, "rate", rate)?;
        }
        for quota in self.quotas() {
            part(f, "quota", quota)?;
        }
        if let Some(concurrency) = &self.concurrency {
            part(f, "concurrency", concurrency)?;
        }
        if let Some(breaker) = &self.breaker {
            part(f, "breaker", breaker)?;
        }
        if let Some(retry) = &self.retries {
            part(f, "retries", retry)?;
        }
        if let Some(timeout) = self.timeout {
            part(f, "timeout", &InWords::nanos(timeout))?;
        }
        if let Some(timeout) = self.attempt_timeout {
            part(f, "attempt_timeout", &InWords::nanos(timeout))?;
        }
        if self.longest_pause() != Settings::MAX_PAUSE {
            part(f, "max_pause", &InWords::nanos(self.max_pause))?;
        }
        if self.abandoned_after() != Settings::ABANDONED {
            part(f, "abandoned", &InWords::nanos(self.abandoned))?;
        }
        if self.shadow {
            part(f, "shadow", &"true")?;
        }
        if separator.is_empty() { f.write_str("no limits") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_as_they_are_written() {
        let shown = |nanos| InWords::nanos(nanos).to_string();
        assert_eq!(shown(0), "0s");
        assert_eq!(shown(250_000_000), "250ms");
        assert_eq!(shown(90_000_000_000), "1m30s");
        assert_eq!(shown(86_400_000_000_000), "1d");
        assert_eq!(shown(1_001), "1us1ns");
        assert!(!shown(u64::MAX).is_empty());
        let about = |nanos| InWords::about(Duration::from_nanos(nanos)).to_string();
        assert_eq!(about(0), "0s");
        assert_eq!(about(1), "1us");
        assert_eq!(about(999_001), "1ms");
        assert_eq!((about(1_000_000), about(1_000_001)), ("1ms".into(), "2ms".into()));
        assert_eq!(about(10_000_848_668), "10s1ms");
        assert!(!about(u64::MAX).is_empty());
    }

    #[test]
    fn a_duration_that_nanoseconds_cannot_say_is_the_longest_and_no_short_one() {
        let longest = Duration::from_nanos(u64::MAX);
        for duration in [longest, longest + Duration::from_nanos(1), Duration::from_secs(20_000_000_000), Duration::MAX]
        {
            assert_eq!(nanos(duration), u64::MAX, "{duration:?}");
        }
    }

    #[test]
    fn a_breaker_is_shown_in_words() {
        let secs = Duration::from_secs;
        let last = Breaker::failure_rate_ratio(Ratio::from_millionths(333_333)).window_calls(5).recovery_jitter(0.0);
        assert_eq!(
            last.recovery_cap(secs(600)).to_string(),
            "opens when 33.3333% of the last 5 calls have failed, of at least 5 calls, for 1m growing to 10m; \
             then 2 good probes close it, 1 at a time"
        );
        assert_eq!(
            Breaker::slow_calls(secs(2)).probes(3).to_string(),
            "opens when 80% of the calls in 30s took at least 2s, of at least 20 calls, for 1m and up to 10% more; \
             then 2 good probes close it, 3 at a time"
        );
        assert!(Breaker::failure_rate(f64::NAN).to_string().starts_with("opens when out of range of"));
    }

    #[test]
    fn settings_are_shown_in_one_line() {
        let settings = Settings::new().rate(Rate::new(5, Duration::from_millis(250))).retries(Retry::new(3));
        assert_eq!(
            settings.to_string(),
            "rate: 5/250ms, burst 1, max_wait 30s; retries: 3, base 1s, factor 2, cap 1m, jitter 0.5, budget 20%"
        );
        let most = Settings::new().quota(crate::Quota::per_hour(5_000)).concurrency(crate::Concurrency::new(3));
        assert_eq!(most.to_string(), "quota: 5000/h, max_wait 30s; concurrency: 3 at a time, max_wait 30s");
        assert_eq!(Settings::new().to_string(), "no limits");
    }
}
