//! What a windowed breaker looks back on: the maths. Numbers in, numbers out; no clock, no lock.
//!
//! The last N calls are a ring of two bits each: exact, 2.5 KiB at most. A time is 32 buckets of 1/32 of it, the present one
//! included: it reaches back the whole time or up to 1/32 less, never more, in 384 bytes whatever comes. So a call is
//! forgotten when its time is over, however many were good before it: when everything fails, nothing but failures is in the
//! window one window later. (More buckets would be sharper than anybody can tell a failing service from a well one.)
//!
//! The sums are kept beside: a call costs the same in any window. Calls without end do not overflow: a bucket that is full
//! (4 x 10^9 calls) is halved, which keeps its shares.

use std::time::Duration;

use guard_spec::{Breaker, Ratio};

use crate::clock::{self, NANOS_PER_MS};

const BUCKETS: u64 = 32;
/// What was before a day of silence is forgotten by a window of calls, too, as by the longest window of time.
const SILENCE: u64 = 86_400_000 * NANOS_PER_MS;

/// How a call went. One may be both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) failed: bool,
    pub(super) slow: bool,
}

/// How the calls in a window went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) calls: u64,
    pub(crate) failures: u64,
    pub(crate) slow: u64,
}

impl Counts {
    /// Whether a breaker with this in its window opens.
    pub(super) fn trips(self, settings: &Breaker) -> bool {
        // At most 32 x 2^32 calls times 10^6.
        let reaches = |count: u64, share: Option<Ratio>| {
            share.is_some_and(|share| count * 1_000_000 >= self.calls * share.millionths())
        };
        self.calls >= u64::from(settings.least_calls())
            && (reaches(self.failures, settings.failure_share()) || reaches(self.slow, settings.slow_share()))
    }

    fn add(&mut self, call: Call) {
        self.calls += 1;
        self.failures += u64::from(call.failed);
        self.slow += u64::from(call.slow);
    }

    fn subtract(&mut self, calls: u64, failures: u64, slow: u64) {
        self.calls -= calls;
        self.failures -= failures;
        self.slow -= slow;
    }
}

/// The calls that count.
#[derive(Debug)]
pub(super) struct Window {
    kind: Kind,
    counts: Counts,
    /// How long it is, as the settings say it.
    length: (Option<u32>, Option<Duration>),
}

#[derive(Debug)]
enum Kind {
    Calls(Ring),
    Time(Box<Buckets>),
}

impl Window {
    /// An empty one; `None` for a breaker that has none.
    pub(super) fn new(settings: &Breaker) -> Option<Window> {
        let length = (settings.window_size(), settings.window_time());
        let kind = match length {
            (Some(size), _) => Kind::Calls(Ring::new(size)),
            (None, Some(time)) => Kind::Time(Box::new(Buckets::new(clock::nanos(time)))),
            (None, None) => return None,
        };
        Some(Window { kind, counts: Counts::default(), length })
    }

    /// Whether it is as long as these settings say.
    pub(super) fn fits(&self, settings: &Breaker) -> bool {
        self.length == (settings.window_size(), settings.window_time())
    }

    pub(super) fn clear(&mut self) {
        self.counts = Counts::default();
        match &mut self.kind {
            Kind::Calls(ring) => ring.next = 0,
            Kind::Time(buckets) => buckets.all = [Bucket::EMPTY; BUCKETS as usize],
        }
    }

    /// Counts a call that ends at `now`.
    pub(super) fn add(&mut self, call: Call, now: u64) -> Counts {
        self.pass(now);
        match &mut self.kind {
            Kind::Calls(ring) => ring.add(call, now, &mut self.counts),
            Kind::Time(buckets) => buckets.add(call, &mut self.counts),
        }
        self.counts
    }

    /// What counts at `now`.
    pub(super) fn counts(&mut self, now: u64) -> Counts {
        self.pass(now);
        self.counts
    }

    /// Forgets what is over at `now`. A clock that steps back brings nothing back.
    fn pass(&mut self, now: u64) {
        match &mut self.kind {
            Kind::Calls(ring) if now.saturating_sub(ring.last) >= SILENCE => self.clear(),
            Kind::Calls(_) => {}
            Kind::Time(buckets) => buckets.pass(now, &mut self.counts),
        }
    }
}

/// The last calls: two bits each, the older ones overwritten.
#[derive(Debug)]
struct Ring {
    bits: Box<[u64]>,
    size: u32,
    next: u32,
    /// When the last call ended.
    last: u64,
}

impl Ring {
    fn new(size: u32) -> Ring {
        Ring { bits: vec![0; size.div_ceil(32) as usize].into(), size, next: 0, last: 0 }
    }

    fn add(&mut self, call: Call, now: u64, counts: &mut Counts) {
        let (word, shift) = ((self.next / 32) as usize, self.next % 32 * 2);
        if counts.calls == u64::from(self.size) {
            let oldest = self.bits[word] >> shift;
            counts.subtract(1, oldest & 1, oldest >> 1 & 1);
        }
        let bits = u64::from(call.failed) | u64::from(call.slow) << 1;
        self.bits[word] = self.bits[word] & !(0b11 << shift) | bits << shift;
        counts.add(call);
        self.next = (self.next + 1) % self.size;
        self.last = self.last.max(now);
    }
}

#[derive(Debug)]
struct Buckets {
    width: u64,
    /// The number of the present bucket, from instant 0.
    present: u64,
    all: [Bucket; BUCKETS as usize],
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    calls: u32,
    failures: u32,
    slow: u32,
}

impl Bucket {
    const EMPTY: Bucket = Bucket { calls: 0, failures: 0, slow: 0 };

    fn forget(&mut self, kept: Bucket, counts: &mut Counts) {
        let gone = |before: u32, kept: u32| u64::from(before - kept);
        counts.subtract(gone(self.calls, kept.calls), gone(self.failures, kept.failures), gone(self.slow, kept.slow));
        *self = kept;
    }
}

impl Buckets {
    fn new(time: u64) -> Buckets {
        // A second at least, which the settings' check holds.
        Buckets { width: (time / BUCKETS).max(1), present: 0, all: [Bucket::EMPTY; BUCKETS as usize] }
    }

    fn pass(&mut self, now: u64, counts: &mut Counts) {
        let present = now / self.width;
        let passed = present.saturating_sub(self.present).min(BUCKETS);
        for number in 0..passed {
            self.all[((present - number) % BUCKETS) as usize].forget(Bucket::EMPTY, counts);
        }
        self.present = self.present.max(present);
    }

    fn add(&mut self, call: Call, counts: &mut Counts) {
        let bucket = &mut self.all[(self.present % BUCKETS) as usize];
        if bucket.calls == u32::MAX {
            let half = Bucket { calls: bucket.calls / 2, failures: bucket.failures / 2, slow: bucket.slow / 2 };
            bucket.forget(half, counts);
        }
        bucket.calls += 1;
        bucket.failures += u32::from(call.failed);
        bucket.slow += u32::from(call.slow);
        counts.add(call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Call = Call { failed: false, slow: false };
    const BAD: Call = Call { failed: true, slow: false };
    const SECOND: u64 = 1_000 * NANOS_PER_MS;

    fn half() -> Breaker {
        Breaker::failure_rate(0.5)
    }

    /// How many calls it takes to open when all fail, one each `step`.
    fn failures_to_open(window: &mut Window, settings: &Breaker, from: u64, step: u64) -> u64 {
        (0..1_000_000).find(|n| window.add(BAD, from + n * step).trips(settings)).unwrap() + 1
    }

    #[test]
    fn b05_half_of_a_window_of_calls_opens_it_whatever_came_before() {
        let settings = half().window_calls(100);
        for before in [10, 1_000, 1_000_000] {
            let mut window = Window::new(&settings).unwrap();
            (0..before).for_each(|_| assert!(!window.add(GOOD, 0).trips(&settings)));
            let failures = failures_to_open(&mut window, &settings, 0, 0);
            assert!(failures <= 51, "{failures} after {before}");
        }
    }

    #[test]
    fn b05_an_outage_after_hours_of_health_opens_it_within_the_window() {
        let settings = half().window(Duration::from_secs(32));
        let mut window = Window::new(&settings).unwrap();
        // A hundred calls a second.
        let step = SECOND / 100;
        let hours = 6 * 3_600 * 100;
        (0..hours).for_each(|n| assert!(!window.add(GOOD, n * step).trips(&settings)));
        let failures = failures_to_open(&mut window, &settings, hours * step, step);
        assert!((1_550..=1_600).contains(&failures), "half of the window, less at most a bucket: {failures}");
    }

    #[test]
    fn b05_after_billions_of_calls_too() {
        let settings = half().window(Duration::from_secs(32));
        for before in [1_000_000_000, u32::MAX] {
            let mut window = Window::new(&settings).unwrap();
            window.add(GOOD, 3_600 * SECOND);
            let Kind::Time(buckets) = &mut window.kind else { unreachable!() };
            buckets.all[(buckets.present % BUCKETS) as usize].calls = before;
            window.counts.calls = u64::from(before);
            let failures = failures_to_open(&mut window, &settings, 3_600 * SECOND, SECOND / 100);
            assert!(failures <= 3_201, "{failures} after {before}");
        }
    }

    #[test]
    fn b05b_four_failures_of_five_open_it_at_once() {
        for settings in [half().window_calls(100), half()] {
            let mut window = Window::new(&settings).unwrap();
            let call = |n: u64| if n % 5 == 0 { GOOD } else { BAD };
            let calls = (0..5_000).find(|n| window.add(call(*n), n * SECOND / 100).trips(&settings)).unwrap() + 1;
            assert_eq!(calls, 20, "as soon as `min_calls` are there");
        }
    }

    #[test]
    fn it_trips_at_the_share_and_not_below() {
        let settings = half().window_calls(10).min_calls(10).slow_call(Duration::from_secs(1)).slow_rate(0.3);
        let counts = |failures, slow| Counts { calls: 10, failures, slow };
        assert!(counts(5, 0).trips(&settings) && !counts(4, 0).trips(&settings));
        assert!(counts(0, 3).trips(&settings) && !counts(0, 2).trips(&settings));
        assert!(!Counts { calls: 9, failures: 9, slow: 9 }.trips(&settings), "too few calls");
        let slow = Breaker::slow_calls(Duration::from_secs(1));
        assert!(!Counts { calls: 100, failures: 100, slow: 79 }.trips(&slow), "failures do not count");
        let thirds = Breaker::failure_rate_ratio(Ratio::from_millionths(333_333)).min_calls(1);
        assert!(Counts { calls: 3, failures: 1, slow: 0 }.trips(&thirds));
        let most = 32 * u64::from(u32::MAX);
        assert!(Counts { calls: most, failures: most, slow: most }.trips(&Breaker::failure_rate(1.0)), "no overflow");
    }

    #[test]
    fn a_full_bucket_keeps_its_shares() {
        let settings = half();
        let mut window = Window::new(&settings).unwrap();
        let Kind::Time(buckets) = &mut window.kind else { unreachable!() };
        let full = Bucket { calls: u32::MAX, failures: u32::MAX / 4, slow: u32::MAX / 8 };
        buckets.all[0] = full;
        let [calls, failures, slow] = [full.calls, full.failures, full.slow].map(u64::from);
        window.counts = Counts { calls, failures, slow };
        let counts = window.add(BAD, 0);
        assert_eq!(counts, Counts { calls: 1 << 31, failures: failures / 2 + 1, slow: slow / 2 });
        assert_eq!(window.counts(60 * SECOND), Counts::default(), "and all of it is forgotten");
    }

    #[test]
    fn a_days_silence_empties_a_window_of_calls_and_a_step_back_nothing() {
        let settings = half().window_calls(10);
        let mut window = Window::new(&settings).unwrap();
        window.add(BAD, 2 * SILENCE);
        assert_eq!(window.counts(0).calls, 1);
        assert_eq!(window.counts(3 * SILENCE - 1).calls, 1);
        assert_eq!(window.counts(3 * SILENCE), Counts::default());
        let mut window = Window::new(&half()).unwrap();
        window.add(BAD, 100 * SECOND);
        assert_eq!(window.add(BAD, 99 * SECOND).calls, 2);
        assert_eq!(window.add(BAD, u64::MAX).calls, 1);
        assert_eq!(window.add(BAD, 0).calls, 2);
    }
}
