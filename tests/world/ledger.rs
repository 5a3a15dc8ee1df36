//! What a server would have to count to know whether its limits were kept: by policy and key, as each attempt arrives. Slow
//! arithmetic on whole numbers that is easy to believe.
//!
//! ```text
//! rate         debt = what was taken and has not been regained: at most `burst` (that is the bound for every window:
//!              burst + rate x t), and what timers are late, 2 ms
//! quota        what was taken in the last window: at most N
//! in flight    at most the limit, by those that began while there was one
//! pause        nothing begins; it ends with one token of each rate
//! ```

use std::collections::VecDeque;

use apiguard::{Concurrency, Quota, Rate, Settings};

pub const MS: u64 = 1_000_000;
/// What timers are late is made up.
pub const LATE: u64 = 2 * MS;
/// What has been possible for so long should have happened.
pub const OVERDUE: u64 = 5 * MS;

/// Tokens are counted in `period` parts, so that a nanosecond regains `count` of them.
#[derive(Clone)]
struct Debt {
    rate: Rate,
    /// At least, and at most: what is not known of it in between makes no check of either side fail.
    least: u128,
    most: u128,
    at: u64,
}

impl Debt {
    fn new(rate: Rate, at: u64) -> Debt {
        Debt { rate, least: 0, most: 0, at }
    }

    fn tokens(&self, tokens: u64) -> u128 {
        u128::from(tokens) * self.rate.period().as_nanos()
    }

    fn capacity(&self) -> u128 {
        self.tokens(u64::from(self.rate.capacity()))
    }

    fn in_time(&self, nanos: u64) -> u128 {
        u128::from(self.rate.count()) * u128::from(nanos)
    }

    fn go_on(&mut self, now: u64) {
        let regained = self.in_time(now - self.at);
        self.least = self.least.saturating_sub(regained);
        self.most = self.most.saturating_sub(regained);
        self.at = now;
    }

    /// One of which nothing is known: from full to empty, or in debt for an hour at most.
    fn unknown(rate: Rate, now: u64, at: u64, in_debt: bool) -> Debt {
        let new = Debt::new(rate, now);
        let hour = if in_debt { 3_600_000 * MS } else { 0 };
        Debt { most: new.capacity() + new.in_time(at - now + hour), ..new }
    }

    fn is_in_debt(&self) -> bool {
        self.most > self.capacity()
    }

    /// The same for another rate: the tokens that will be there at an instant stay, as far as it holds so many.
    fn renewed(&self, rate: Rate, now: u64, at: u64) -> Debt {
        let mut new = Debt::unknown(rate, now, at, self.is_in_debt());
        if at == now && !self.is_in_debt() {
            // Whole tokens at least, as what is left of one may be rounded.
            let tokens = (self.capacity() - self.most) / self.rate.period().as_nanos();
            new.most = new.capacity().saturating_sub(tokens * rate.period().as_nanos());
        }
        // What a turn was late is made up for, by the old rate.
        let there = self.least.saturating_sub(self.in_time(at - now) + self.in_time(LATE));
        if there > 0 {
            // Rounded up, as what was taken before is not held against it.
            let tokens = self.capacity().saturating_sub(there);
            let tokens = (tokens * rate.period().as_nanos()).div_ceil(self.rate.period().as_nanos());
            new.least = new.capacity().saturating_sub(tokens);
            if new.least > 0 {
                new.least += new.in_time(at - now);
            }
        }
        new
    }
}

#[derive(Clone)]
struct Log {
    quota: Quota,
    taken: VecDeque<(u64, u32)>,
    sum: u64,
    /// Until then more may have been taken than stands here.
    unknown_until: u64,
}

impl Log {
    fn window(&self) -> u64 {
        self.quota.window().as_nanos() as u64
    }

    fn go_on(&mut self, now: u64) {
        // Until it is sure that the window is over, for those who ask whether it is.
        while self.taken.front().is_some_and(|(at, _)| at + self.window() + OVERDUE <= now) {
            self.sum -= self.taken.pop_front().map_or(0, |(_, cost)| u64::from(cost));
        }
    }

    fn in_window(&self, now: u64) -> u64 {
        let over = self.taken.iter().take_while(|(at, _)| at + self.window() <= now);
        self.sum - over.map(|(_, cost)| u64::from(*cost)).sum::<u64>()
    }
}

/// An attempt, as it stands in the ledger.
#[derive(Clone, Copy)]
pub struct Entry {
    at: u64,
    /// What the quotas have of it, and what the rates have.
    cost: u32,
    rated: u32,
    /// In which time of counting what is in flight; 0 for in none.
    flight: u32,
    generation: u32,
}

/// How an attempt came through the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    Free,
    /// In shadow: it would have waited, and takes in advance what it would have waited for.
    Waits,
    /// In shadow: it would have been rejected, and takes nothing.
    Refused,
}

#[derive(Clone)]
pub struct Ledger {
    debts: Vec<Debt>,
    logs: Vec<Log>,
    limit: Option<u32>,
    /// When the settings changed last: what begins at that instant was granted before, perhaps.
    since: Option<u64>,
    /// Moves on with the settings.
    generation: u32,
    flight: u32,
    in_flight: u32,
    /// What begins at this instant was let through while nobody counted, perhaps; whether nothing has.
    counted_from: Option<u64>,
    is_sure: bool,
    released: u64,
    pause: Option<(u64, u64)>,
    /// Calls of which no attempt runs: they wait, or pause, or are about to return.
    pub idle: u32,
}

impl Ledger {
    pub fn new(settings: &Settings) -> Ledger {
        Ledger {
            debts: settings.rates().map(|rate| Debt::new(*rate, 0)).collect(),
            logs: settings
                .quotas()
                .map(|quota| Log { quota: *quota, taken: VecDeque::new(), sum: 0, unknown_until: 0 })
                .collect(),
            limit: settings.concurrency_limit().map(Concurrency::limit),
            since: None,
            generation: 0,
            flight: 1,
            in_flight: 0,
            counted_from: None,
            is_sure: true,
            released: 0,
            pause: None,
            idle: 0,
        }
    }

    pub fn configure(&mut self, settings: &Settings, now: u64) {
        let new = Ledger::new(settings);
        self.debts.iter_mut().for_each(|debt| debt.go_on(now));
        let same = self.debts.len() == new.debts.len()
            && self.debts.iter().zip(settings.rates()).all(|(debt, rate)| debt.rate == *rate);
        let at = self.pause.map_or(now, |(_, until)| until.max(now));
        if !same {
            let old = std::mem::take(&mut self.debts);
            self.debts = if let ([old], [new]) = (&old[..], &new.debts[..]) {
                vec![old.renewed(new.rate, now, at)]
            } else {
                // Which of them goes on as which is not for us to know.
                let in_debt = old.iter().any(Debt::is_in_debt);
                settings.rates().map(|rate| Debt::unknown(*rate, now, at, in_debt)).collect()
            };
        }
        let logs = std::mem::take(&mut self.logs);
        self.logs = new.logs;
        for log in &mut self.logs {
            log.unknown_until = now + log.window() + OVERDUE;
            let whole = logs.iter().find(|old| old.quota.window() >= log.quota.window());
            if let Some(old) = whole {
                *log = Log { quota: log.quota, unknown_until: log.unknown_until, ..old.clone() };
            }
        }
        if self.limit.is_none() {
            self.flight += 1;
            self.in_flight = 0;
            self.counted_from = Some(now);
            self.is_sure = true;
        }
        self.limit = new.limit;
        self.since = Some(now);
        self.generation += 1;
    }

    /// An attempt begins.
    pub fn begin(&mut self, cost: u32, passage: Passage, now: u64) -> Result<Entry, String> {
        let mut entry = Entry { at: now, cost: 0, rated: 0, flight: 0, generation: self.generation };
        let granted_before = self.since == Some(now);
        if passage == Passage::Refused {
            return Ok(entry);
        }
        let is_free = passage == Passage::Free;
        if let Some((from, until)) = self.pause.filter(|_| is_free) {
            if now > from && now < until {
                return Err(format!("begins in a pause from {from} to {until}"));
            }
        }
        // What was granted at the instant of a pause, or of other settings, runs: rates have counted it before that.
        let counted_before = granted_before || self.pause.is_some_and(|(from, _)| now == from);
        entry.cost = if granted_before { 0 } else { cost };
        entry.rated = if counted_before { 0 } else { cost };
        for debt in &mut self.debts {
            debt.go_on(now);
            debt.most += debt.tokens(u64::from(cost));
            debt.least += debt.tokens(u64::from(entry.rated));
            let most = debt.capacity() + debt.in_time(LATE);
            if debt.least > most && !counted_before && is_free {
                let over = (debt.least - most) as f64 / debt.rate.period().as_nanos() as f64;
                return Err(format!("{over:.3} tokens more than {} allows", debt.rate));
            }
        }
        for log in self.logs.iter_mut().filter(|_| !granted_before) {
            log.go_on(now);
            log.taken.push_back((now, cost));
            log.sum += u64::from(cost);
            let inside = log.in_window(now);
            if inside > u64::from(log.quota.count()) && is_free {
                return Err(format!("{inside} in a window of {}", log.quota));
            }
        }
        if let Some(limit) = self.limit.filter(|_| is_free) {
            if self.counted_from == Some(now) {
                self.is_sure = false;
                return Ok(entry);
            }
            entry.flight = self.flight;
            self.in_flight += 1;
            if self.in_flight > limit && !granted_before {
                return Err(format!("{} in flight of {limit}", self.in_flight));
            }
        }
        Ok(entry)
    }

    /// It has ended, and has used so many tokens if that is known.
    pub fn end(&mut self, entry: &Entry, used: Option<u32>, now: u64) {
        if entry.flight == self.flight {
            self.in_flight -= 1;
            self.released = now;
        }
        let unused = entry.cost.saturating_sub(used.unwrap_or(entry.cost));
        if unused == 0 {
            return;
        }
        for log in &mut self.logs {
            if let Some((_, cost)) = log.taken.iter_mut().find(|(at, cost)| *at == entry.at && *cost >= unused) {
                *cost -= unused;
                log.sum -= u64::from(unused);
            }
        }
        let unused = entry.rated.saturating_sub(used.unwrap_or(entry.rated));
        if entry.generation == self.generation {
            for debt in &mut self.debts {
                debt.least = debt.least.saturating_sub(debt.tokens(u64::from(unused)));
            }
        }
    }

    pub fn pause(&mut self, now: u64, until: u64) {
        if until <= now || self.pause.is_some_and(|(_, before)| before >= until) {
            // The longer one goes on.
            return;
        }
        self.pause = Some((now, until));
        for debt in &mut self.debts {
            debt.go_on(now);
            let one_then = debt.capacity() - debt.tokens(1) + debt.in_time(until - now);
            debt.least = debt.least.max(one_then);
            debt.most = debt.most.max(one_then);
        }
    }

    pub fn paused_until(&self) -> u64 {
        self.pause.map_or(0, |(_, until)| until)
    }

    pub fn in_flight(&self) -> Option<u32> {
        self.limit.map(|_| self.in_flight)
    }

    /// Whether nothing has stood in the way of an attempt for some ms: then nobody should wait.
    pub fn is_overdue(&mut self, cost: u32, now: u64) -> bool {
        let before = now.saturating_sub(OVERDUE);
        let mut may = self.paused_until() <= before && self.since.is_none_or(|since| since <= before);
        for debt in &mut self.debts {
            debt.go_on(now);
            may &= debt.most + debt.in_time(OVERDUE) + debt.tokens(u64::from(cost)) <= debt.capacity();
        }
        for log in &mut self.logs {
            log.go_on(now);
            may &= now >= log.unknown_until && log.sum + u64::from(cost) <= u64::from(log.quota.count());
        }
        may && self.limit.is_none_or(|limit| self.is_sure && self.in_flight < limit && self.released <= before)
    }

    /// The tokens that are there by the books, least and most; `None` where they are not known.
    pub fn tokens(&mut self, now: u64) -> Option<(f64, f64)> {
        if self.paused_until() + OVERDUE > now {
            return None;
        }
        let mut free = (f64::INFINITY, f64::INFINITY);
        for debt in &mut self.debts {
            debt.go_on(now);
            let period = debt.rate.period().as_nanos() as f64;
            let there = |debts: u128| (debt.capacity() as f64 - debts as f64) / period;
            let late = debt.in_time(LATE + MS) as f64 / period;
            free = (free.0.min(there(debt.most) - late), free.1.min(there(debt.least) + late));
        }
        for log in &mut self.logs {
            log.go_on(now);
            let there = |taken: u64| f64::from(log.quota.count()) - taken as f64;
            let least = if now < log.unknown_until { 0.0 } else { there(log.sum) };
            free = (free.0.min(least), free.1.min(there(log.in_window(now))));
        }
        // Debts are no tokens.
        free.0.is_finite().then_some((free.0, free.1.max(0.0)))
    }
}
