//! The breaker of a policy without keys, as its events and the ends of its attempts have it.

use std::time::Duration;

use apiguard::{Breaker, BreakerState, Settings, Verdict};

/// A generation is the time between two changes.
pub struct Watch {
    state: BreakerState,
    generation: u64,
    /// Failures in a row; `None` where they are not known.
    row: Option<u32>,
    /// Attempts of this generation that have ended, and those of them that worked.
    ended: u64,
    good: u32,
    /// The probes of this generation: since when, until when.
    probes: Vec<(u64, Option<u64>)>,
    /// Whether it has to open by what the last attempt returned.
    must_open: bool,
    /// Whether events were missed, so that numbers are not known in this generation.
    unknown: bool,
}

impl Watch {
    pub fn new() -> Watch {
        Watch {
            state: BreakerState::Closed,
            generation: 0,
            row: Some(0),
            ended: 0,
            good: 0,
            probes: Vec::new(),
            must_open: false,
            unknown: false,
        }
    }

    fn next(&mut self, state: BreakerState) {
        *self = Watch {
            state,
            generation: self.generation + 1,
            row: Some(0),
            ended: 0,
            good: 0,
            probes: Vec::new(),
            must_open: false,
            unknown: false,
        };
    }

    pub fn configure(&mut self, old: &Settings, new: &Settings) {
        if old.circuit_breaker() != new.circuit_breaker() {
            self.next(BreakerState::Closed);
        }
        self.must_open = false;
    }

    /// Events were missed.
    pub fn lost(&mut self, state: BreakerState) {
        self.next(state);
        self.unknown = true;
    }

    pub fn changed(&mut self, from: BreakerState, to: BreakerState, settings: &Settings) -> Result<(), String> {
        let was = (self.unknown, self.row, self.ended, self.good);
        let expected = self.state;
        self.next(to);
        let (false, row, ended, good) = was else { return Ok(()) };
        let Some(breaker) = settings.circuit_breaker() else {
            // One that is taken away closes.
            let is_closed = to == BreakerState::Closed && ended == 0;
            return is_closed.then_some(()).ok_or_else(|| format!("{from} -> {to} without a breaker"));
        };
        if from != expected && to != BreakerState::Closed {
            return Err(format!("{from} -> {to}, and it was {expected}"));
        }
        match (from, to) {
            (BreakerState::Closed, BreakerState::Open) => {
                let enough = match breaker.failure_threshold() {
                    Some(threshold) => row.is_none_or(|row| row >= threshold),
                    None => ended >= u64::from(breaker.least_calls()),
                };
                enough.then_some(()).ok_or_else(|| format!("opens after {row:?} failures, {ended} calls: {breaker}"))
            }
            (BreakerState::HalfOpen, BreakerState::Closed) if expected == from => (good >= breaker.success_threshold())
                .then_some(())
                .ok_or_else(|| format!("closes after {good} good probes: {breaker}")),
            _ => Ok(()),
        }
    }

    /// What has ended has been told to the breaker by now.
    pub fn settled(&mut self) -> Result<(), String> {
        if std::mem::take(&mut self.must_open) && self.state == BreakerState::Closed && !self.unknown {
            return Err(format!("stays closed after {:?} failures in a row", self.row));
        }
        Ok(())
    }

    /// A call is refused by it.
    pub fn refuses(&self) -> Result<(), String> {
        let may = self.unknown || self.state != BreakerState::Closed;
        may.then_some(()).ok_or_else(|| "refused by a closed breaker".into())
    }

    /// An attempt begins; in which generation.
    pub fn begin(&mut self, now: u64, settings: &Settings) -> Result<u64, String> {
        let Some(breaker) = settings.circuit_breaker() else { return Ok(self.generation) };
        match self.state {
            BreakerState::Open if !self.unknown => return Err("let through by an open breaker".into()),
            BreakerState::HalfOpen => {
                // One that has not ended for so long is written off, and another one takes its place; when it ends after all,
                // one more does.
                let written_off = breaker.recovery_time().max(Duration::from_secs(60)).as_nanos() as u64;
                let is_late = |(at, until): &(u64, Option<u64>)| until.unwrap_or(now) - at >= written_off;
                let late = self.probes.iter().filter(|probe| is_late(probe)).count();
                let running = self.probes.iter().filter(|probe| probe.1.is_none() && !is_late(probe)).count() + 1;
                self.probes.push((now, None));
                if running > breaker.probe_limit() as usize + late && !self.unknown {
                    return Err(format!("{running} probes, {late} late: {breaker}"));
                }
            }
            _ => {}
        }
        Ok(self.generation)
    }

    pub fn end(
        &mut self,
        generation: u64,
        at: u64,
        now: u64,
        verdict: Option<Verdict>,
        leaves: bool,
        settings: &Settings,
    ) {
        if generation != self.generation {
            return;
        }
        if let Some(probe) = self.probes.iter_mut().find(|probe| **probe == (at, None)) {
            probe.1 = Some(now);
        }
        let Some(breaker) = settings.circuit_breaker() else { return };
        let hung = now - at >= settings.abandoned_after().as_nanos() as u64;
        self.ended += 1;
        match verdict {
            Some(Verdict::Success) => {
                self.good += 1;
                self.row = self.row.map(|_| 0);
            }
            Some(Verdict::Permanent) => self.row = self.row.map(|_| 0),
            Some(Verdict::Throttled { .. }) => {}
            None if leaves && !hung => {}
            _ => self.row = self.row.map(|row| row + 1),
        }
        let opens = |threshold| self.row.is_some_and(|row| row >= threshold);
        self.must_open = self.state == BreakerState::Closed && breaker.failure_threshold().is_some_and(opens);
    }

    /// Failures in a row, where the policy counts them and they are known.
    pub fn row(&self) -> Option<u32> {
        self.row.filter(|_| !self.unknown && self.state == BreakerState::Closed)
    }

    /// Which breakers count failures in a row.
    pub fn counts(breaker: Option<&Breaker>) -> bool {
        breaker.is_some_and(|breaker| !breaker.is_windowed())
    }
}
