//! [`PolicyBuilder`]: a policy of settings that are known at run time.

use std::time::Duration;

use guard_spec::{Breaker, Concurrency, InvalidSettings, Quota, Rate, Retry, Settings};

use super::Policy;
use crate::PolicyName;

/// Makes a [`Policy`] from settings that are known at run time only.
#[derive(Clone, Debug)]
#[must_use]
pub struct PolicyBuilder {
    pub(super) name: String,
    pub(super) settings: Settings,
}

impl PolicyBuilder {
    /// All settings at once, in place of those given before.
    pub fn settings(mut self, settings: Settings) -> PolicyBuilder {
        self.settings = settings;
        self
    }

    /// Limits the rate of attempts. As [`Settings::rate`].
    pub fn rate(mut self, rate: Rate) -> PolicyBuilder {
        self.settings = self.settings.rate(rate);
        self
    }

    /// Limits the attempts in any window: by this quota alone. As [`Settings::quota`].
    pub fn quota(mut self, quota: Quota) -> PolicyBuilder {
        self.settings = self.settings.quota(quota);
        self
    }

    /// Limits the attempts in flight. As [`Settings::concurrency`].
    pub fn concurrency(mut self, concurrency: Concurrency) -> PolicyBuilder {
        self.settings = self.settings.concurrency(concurrency);
        self
    }

    /// Stops calling while the service is down. As [`Settings::breaker`].
    pub fn breaker(mut self, breaker: Breaker) -> PolicyBuilder {
        self.settings = self.settings.breaker(breaker);
        self
    }

    /// Repeats attempts that failed in a way that may pass. As [`Settings::retries`].
    pub fn retries(mut self, retries: Retry) -> PolicyBuilder {
        self.settings = self.settings.retries(retries);
        self
    }

    /// Bounds a whole call. As [`Settings::timeout`].
    pub fn timeout(mut self, timeout: Duration) -> PolicyBuilder {
        self.settings = self.settings.timeout(timeout);
        self
    }

    /// Bounds a pause that a server asks for. As [`Settings::max_pause`].
    pub fn max_pause(mut self, max_pause: Duration) -> PolicyBuilder {
        self.settings = self.settings.max_pause(max_pause);
        self
    }

    /// How long an attempt has to have run to count as failed when it is dropped. As [`Settings::abandoned`].
    pub fn abandoned(mut self, after: Duration) -> PolicyBuilder {
        self.settings = self.settings.abandoned(after);
        self
    }

    /// Watches only. As [`Settings::shadow`].
    pub fn shadow(mut self, shadow: bool) -> PolicyBuilder {
        self.settings = self.settings.shadow(shadow);
        self
    }

    /// Bounds one attempt. As [`Settings::attempt_timeout`].
    pub fn attempt_timeout(mut self, timeout: Duration) -> PolicyBuilder {
        self.settings = self.settings.attempt_timeout(timeout);
        self
    }

    /// The policy.
    ///
    /// # Errors
    /// Everything that is wrong with the settings.
    pub fn build(self) -> Result<Policy, InvalidSettings> {
        self.settings.validate()?;
        Ok(Policy::unchecked(PolicyName::from(self.name), &self.settings))
    }
}
