//! The state of a breaker: one atomic word, changed by compare-exchange, and what few breakers need beside it.
//!
//! The word holds the state, a generation that every change of state moves on, and what the state counts: failures in a
//! row (closed), the millisecond at which probing may begin (open), good probes and running probes (half-open). An
//! attempt carries the generation in which it was admitted; its result counts only while that is the present one, so
//! nothing that was admitted before a change counts after it. Closed and healthy, an attempt costs two loads.
//!
//! A windowed breaker marks its closed word, so that good results come here, too, and counts them under a lock that is held
//! for some arithmetic. Window and generation belong together: who counts looks at the word under the lock, so that whoever
//! finds the window of an older generation empties it, and no older result comes after that. Changes of state that look
//! at the window or at the recovery's growth are made under the same lock; nothing else is done under it.
//!
//! Orderings: the word is the whole truth of the state, so the good path's loads are relaxed. `last_probe` only ever grows
//! and is written before the exchange that publishes its probe; the exchange releases and the bad path's loads acquire, so
//! whoever sees a probe's place taken sees when: it may be taken for younger than it is, never for older.

use std::sync::atomic::{Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed};
use std::sync::{OnceLock, PoisonError};
use std::time::Duration;

use guard_spec::Breaker;

use super::CircuitOpen;
use super::state::{
    BreakerState, CLOSED, COUNT_SHIFT, Change, Ended, GENERATION_MASK, GENERATION_SHIFT, Growth, Parts, Pass, Phase,
    STATE_MASK, Step, change, closed, decide, fits, mended, open_until, record,
};
use super::window::{Call, Counts, Window};
use crate::clock::{self, NANOS_PER_MS};
use crate::random;
use crate::sync::{AtomicU64, Mutex, MutexGuard};

/// The state of a breaker, whose settings are kept elsewhere: those of a policy are the same for all its keys, and change
/// while it runs. One that is never told of a failure stays closed, which is as good as none.
pub(crate) struct Core {
    word: AtomicU64,
    /// Made when it opens or has a window: there may be a million breakers that never need it.
    more: OnceLock<Box<More>>,
}

#[derive(Default)]
struct More {
    /// When the last probe was admitted.
    last_probe: AtomicU64,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// The generation that the window is of.
    generation: u32,
    window: Option<Window>,
    growth: Growth,
}

impl Core {
    /// Closed; for the settings of a breaker, if there is one.
    pub(crate) const fn new(settings: Option<&Breaker>) -> Core {
        let word = Parts { phase: closed(settings), generation: 0 }.pack();
        Core { word: AtomicU64::new(word), more: OnceLock::new() }
    }

    /// Which way it stands. Open becomes half-open when the recovery time has passed.
    pub(crate) fn state(&self) -> BreakerState {
        let parts = self.load();
        match parts.phase {
            Phase::Open { until } if clock::now() / NANOS_PER_MS >= until => BreakerState::HalfOpen,
            _ => parts.state(),
        }
    }

    /// Failures in a row; 0 unless closed, and with a window.
    pub(crate) fn failures_in_a_row(&self) -> u32 {
        match self.load().phase {
            Phase::Closed { failures } => failures,
            _ => 0,
        }
    }

    /// The calls in the window; none unless closed, and without a window.
    pub(crate) fn counts(&self) -> Counts {
        let Some(more) = self.more.get() else { return Counts::default() };
        let now = clock::now();
        let mut memory = more.lock();
        let parts = self.load();
        let is_its = parts.phase == Phase::Watched && parts.generation == memory.generation;
        memory.window.as_mut().filter(|_| is_its).map_or(Counts::default(), |window| window.counts(now))
    }

    /// Whether it is as if it had just been made, and stays so until it is used.
    pub(crate) fn is_idle(&self) -> bool {
        let is_quiet = matches!(self.load().phase, Phase::Closed { failures: 0 } | Phase::Watched);
        is_quiet
            && self.more.get().is_none_or(|more| {
                let has_grown = !more.lock().growth.is_over(clock::now());
                !has_grown && self.counts() == Counts::default()
            })
    }

    /// Whether it refuses attempts until a later instant.
    pub(crate) fn is_open(&self, now: u64) -> bool {
        matches!(self.load().phase, Phase::Open { until } if now / NANOS_PER_MS < until)
    }

    /// Whether it stands as a breaker with these settings does.
    pub(crate) fn fits(&self, settings: Option<&Breaker>) -> bool {
        fits(self.load(), settings)
    }

    /// To the forced state, or closed for any other, with these settings; attempts that are running now do not count any
    /// more.
    pub(crate) fn force(&self, state: BreakerState, settings: Option<&Breaker>) -> Option<Change> {
        let phase = match state {
            BreakerState::ForcedOpen => Phase::ForcedOpen,
            BreakerState::ForcedClosed => Phase::ForcedClosed,
            _ => closed(settings),
        };
        // With nothing beside the word there is nothing to forget. The window is of an older generation then.
        let mut memory = self.more.get().map(|more| more.lock());
        let mut word = self.word.load(Acquire);
        loop {
            let old = Parts::unpack(word);
            let new = old.change_to(phase);
            match self.word.compare_exchange_weak(word, new.pack(), AcqRel, Acquire) {
                Ok(_) => {
                    if let Some(memory) = &mut memory {
                        memory.growth = Growth::default();
                    }
                    return change(old, new);
                }
                Err(changed) => word = changed,
            }
        }
    }

    /// One that nobody has seen begins in the next generation.
    pub(crate) fn begin_anew(&self) {
        let parts = self.load();
        self.word.store(parts.change_to(parts.phase).pack(), Relaxed);
    }

    pub(super) fn load(&self) -> Parts {
        Parts::unpack(self.word.load(Acquire))
    }

    fn more(&self) -> &More {
        self.more.get().unwrap_or_else(|| {
            // Not made by `get_or_init`: nothing is allocated under a lock.
            let _ = self.more.set(Box::default());
            self.more.get_or_init(Box::default)
        })
    }

    #[cfg(test)]
    pub(super) fn has_more(&self) -> bool {
        self.more.get().is_some()
    }

    fn last_probe(&self) -> u64 {
        self.more.get().map_or(0, |more| more.last_probe.load(Relaxed))
    }

    /// The good path of [`admit`](Core::admit): one load.
    #[inline]
    pub(crate) fn pass_if_closed(&self) -> Option<Pass> {
        let word = self.word.load(Relaxed);
        (word & STATE_MASK == CLOSED).then_some(Pass((word >> GENERATION_SHIFT) as u32 & GENERATION_MASK))
    }

    /// A generation that is over: what an attempt of it returns counts for nothing.
    pub(crate) fn over(&self) -> Pass {
        Pass(self.load().generation).before()
    }

    /// Whether it is closed and a good result would change nothing: one load. With a window every result does.
    #[inline]
    pub(crate) fn is_well(&self) -> bool {
        let word = self.word.load(Relaxed);
        word & STATE_MASK == CLOSED && word >> COUNT_SHIFT == 0
    }

    /// Whether attempts are refused at an instant; takes nothing.
    pub(crate) fn check(&self, now: u64, settings: &Breaker) -> Result<(), CircuitOpen> {
        match decide(self.load(), now, self.last_probe(), settings) {
            Ok(_) => Ok(()),
            Err(nanos) => Err(CircuitOpen { retry_after: Duration::from_nanos(nanos) }),
        }
    }

    /// Lets an attempt through or not.
    pub(crate) fn admit(&self, now: u64, settings: &Breaker) -> Result<(Pass, Option<Change>), CircuitOpen> {
        match self.pass_if_closed() {
            Some(pass) => Ok((pass, None)),
            None => self.admit_slowly(now, settings),
        }
    }

    #[cold]
    fn admit_slowly(&self, now: u64, settings: &Breaker) -> Result<(Pass, Option<Change>), CircuitOpen> {
        let mut word = self.word.load(Acquire);
        loop {
            let parts = Parts::unpack(word);
            let last_probe = self.last_probe();
            let next = decide(parts, now, last_probe, settings)
                .map_err(|nanos| CircuitOpen { retry_after: Duration::from_nanos(nanos) })?;
            let Some(next) = next else { return Ok((Pass(parts.generation), None)) };
            let more = self.more();
            if next == parts {
                // A probe is written off: the word stays, and of those who come at once one takes the place.
                if more.last_probe.compare_exchange(last_probe, now, AcqRel, Acquire).is_ok() {
                    return Ok((Pass(parts.generation), None));
                }
                word = self.word.load(Acquire);
                continue;
            }
            // Before the exchange: see "Orderings" above.
            more.last_probe.fetch_max(now, Relaxed);
            match self.word.compare_exchange_weak(word, next.pack(), AcqRel, Acquire) {
                Ok(_) => return Ok((Pass(next.generation), change(parts, next))),
                Err(changed) => word = changed,
            }
        }
    }

    /// Records what an attempt that was let through says of the service.
    #[cold]
    #[inline(never)]
    pub(crate) fn settle(&self, pass: Pass, ended: Ended, now: u64, settings: &Breaker) -> Option<Change> {
        let mut word = self.word.load(Acquire);
        loop {
            let parts = Parts::unpack(word);
            if parts.generation != pass.0 {
                return None;
            }
            let whole = mended(parts, settings);
            let next = if whole == parts {
                match record(parts, ended, settings) {
                    Step::Stay => return None,
                    Step::To(next) => next,
                    Step::Count(call) => return self.count(pass, call, ended, now, settings),
                    Step::Open | Step::Close => return self.turn(pass, ended, now, settings),
                }
            } else {
                whole
            };
            match self.word.compare_exchange_weak(word, next.pack(), AcqRel, Acquire) {
                Ok(_) if whole == parts => return None,
                Ok(_) => word = next.pack(),
                Err(changed) => word = changed,
            }
        }
    }

    /// Counts a call in the window, which may open it.
    fn count(&self, pass: Pass, call: Call, ended: Ended, now: u64, settings: &Breaker) -> Option<Change> {
        let more = self.more();
        // Outlives the lock, under which nothing is allocated or freed.
        let mut window = None;
        let mut memory = more.lock();
        let word = loop {
            // Under the lock: see above.
            let word = self.word.load(Acquire);
            if Parts::unpack(word).generation != pass.0 {
                return None;
            }
            if memory.window.as_ref().is_some_and(|window| window.fits(settings)) {
                break word;
            }
            if window.is_some() {
                std::mem::swap(&mut memory.window, &mut window);
                break word;
            }
            drop(memory);
            window = Some(Window::new(settings)?);
            memory = more.lock();
        };
        if !memory.count(pass.0, call, now)?.trips(settings) {
            return None;
        }
        // Of a closed word with a window nothing changes but the generation, and then this says nothing any more.
        self.open(&mut memory, word, ended, now, settings).ok()
    }

    /// Opens it, or closes it after its probes.
    fn turn(&self, pass: Pass, ended: Ended, now: u64, settings: &Breaker) -> Option<Change> {
        let mut memory = self.more().lock();
        let mut word = self.word.load(Acquire);
        loop {
            let parts = Parts::unpack(word);
            if parts.generation != pass.0 {
                return None;
            }
            let turned = match record(parts, ended, settings) {
                Step::Open => self.open(&mut memory, word, ended, now, settings),
                Step::Close => self.close(&mut memory, word, now, settings),
                // Another probe ended meanwhile, or a good call came between the failures.
                Step::To(next) => self.exchange(word, next),
                Step::Stay | Step::Count(_) => return None,
            };
            match turned {
                Ok(change) => return (change.from != change.to).then_some(change),
                Err(changed) => word = changed,
            }
        }
    }

    fn open(&self, memory: &mut Memory, word: u64, ended: Ended, now: u64, settings: &Breaker) -> Result<Change, u64> {
        let old = Parts::unpack(word);
        let (recovery, growth) = memory.growth.opened(old.state(), now, settings);
        let until = open_until(now, recovery, ended.hold, random::uniform(), settings);
        let change = self.exchange(word, old.change_to(Phase::Open { until }))?;
        memory.growth = growth;
        Ok(change)
    }

    fn close(&self, memory: &mut Memory, word: u64, now: u64, settings: &Breaker) -> Result<Change, u64> {
        let change = self.exchange(word, Parts::unpack(word).change_to(closed(Some(settings))))?;
        memory.growth = memory.growth.closed(now);
        Ok(change)
    }

    fn exchange(&self, word: u64, next: Parts) -> Result<Change, u64> {
        self.word.compare_exchange(word, next.pack(), AcqRel, Acquire)?;
        Ok(Change { from: Parts::unpack(word).state(), to: next.state() })
    }
}

impl More {
    fn lock(&self) -> MutexGuard<'_, Memory> {
        // Arithmetic that cannot panic half-way.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// Counts a call of a generation that is the present one; what was counted in an older one is forgotten first.
    fn count(&mut self, generation: u32, call: Call, now: u64) -> Option<Counts> {
        let window = self.window.as_mut()?;
        if self.generation != generation {
            self.generation = generation;
            window.clear();
        }
        Some(window.add(call, now))
    }
}
