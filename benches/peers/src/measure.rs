//! How things are measured. Times come from many short rounds in which all rows take turns, so that what disturbs the machine
//! disturbs all of them; of its rounds a row keeps the time that a fiftieth of them stayed below. Allocations are those of the thread that asks.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

const ROUNDS: usize = 600;
/// Fill caches and predictors, and do not count.
const WARMING_UP: usize = 50;

/// Counts in the thread, so that counting costs a peer which allocates as good as nothing.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

// Safety: all is passed on to the system's allocator as it is; the cells have no destructor and allocate nothing.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        LIVE.set(LIVE.get() + layout.size() as i64);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - layout.size() as i64);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that this thread has allocated and not freed.
pub fn live_bytes() -> f64 {
    LIVE.get() as f64
}

/// CPU time of this thread.
#[allow(unsafe_code)]
pub fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // Safety: the pointer is valid for the call, which is all that the function asks for.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Does something so many times.
pub type Repeat = Box<dyn Fn(u32) + Send + Sync>;

/// What one doing of something took, in nanoseconds.
fn time(repeat: &Repeat, times: u32) -> f64 {
    let start = Instant::now();
    repeat(times);
    start.elapsed().as_nanos() as f64 / f64::from(times)
}

/// Nanoseconds of one doing of each.
pub fn nanos(rows: &[Repeat]) -> Vec<f64> {
    // Rounds of 10 us to 1 ms, by what is repeated.
    in_turns(rows, |repeat| time(repeat, 1_000))
}

/// Allocations that this thread has made.
pub fn allocations_so_far() -> u64 {
    ALLOCATIONS.get()
}

/// Allocations of one doing.
pub fn allocations(repeat: &Repeat) -> f64 {
    repeat(1_000);
    let before = ALLOCATIONS.get();
    repeat(1_000);
    ((ALLOCATIONS.get() - before) as f64 / 1_000.0).round()
}

/// Does something so many times in each of two threads at once: how many nanoseconds that is for one.
pub type Twice = Box<dyn Fn(u32) -> f64>;

pub fn by_two_threads(repeat: Repeat) -> Twice {
    Box::new(move |times| {
        let ready = AtomicUsize::new(0);
        let run = || {
            ready.fetch_add(1, SeqCst);
            while ready.load(SeqCst) < 2 {
                std::hint::spin_loop();
            }
            let start = Instant::now();
            repeat(times);
            (start, Instant::now())
        };
        let [(one, one_ended), (other, other_ended)] = std::thread::scope(|scope| {
            let other = scope.spawn(run);
            [run(), other.join().expect("no row panics")]
        });
        one_ended.max(other_ended).duration_since(one.min(other)).as_nanos() as f64 / f64::from(2 * times)
    })
}

/// Millions a second that two threads do of each.
pub fn millions_by_two(rows: &[Twice]) -> Vec<f64> {
    in_turns(rows, |twice| twice(2_000)).into_iter().map(|nanos| 1_000.0 / nanos).collect()
}

/// The fiftieth of each row's rounds, by time.
fn in_turns<T>(rows: &[T], mut measure: impl FnMut(&T) -> f64) -> Vec<f64> {
    let mut samples = vec![Vec::with_capacity(ROUNDS); rows.len()];
    for round in 0..WARMING_UP + ROUNDS {
        for (row, samples) in rows.iter().zip(&mut samples) {
            let took = measure(row);
            if round >= WARMING_UP {
                samples.push(took);
            }
        }
    }
    let fiftieth = |mut samples: Vec<f64>| {
        samples.sort_by(f64::total_cmp);
        samples[samples.len() / 50]
    };
    samples.into_iter().map(fiftieth).collect()
}

/// xorshift64*: Vigna, 2016. The same numbers in every run.
pub struct Random(u64);

impl Random {
    pub fn new() -> Random {
        Random(7)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % bound
    }
}
