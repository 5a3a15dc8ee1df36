//! The loop: change an input, run it, keep it if it showed something new. One input at a time, in one thread; another one watches
//! that none takes for ever.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::mutate::{Dice, Mutator};
use crate::shrink::shrink;
use crate::targets::Target;

/// An input that takes longer has no end. (The machine may be busy: the slowest takes some ms.)
const HANGS: Duration = Duration::from_secs(30);
/// More inputs are not kept: the later ones tell little.
const MOST_KEPT: usize = 20_000;

/// What was special about an input, as hashes.
#[derive(Default)]
pub(crate) struct Seen(Vec<u64>);

impl Seen {
    pub(crate) fn mark(&mut self, what: impl Hash) {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        self.0.push(hasher.finish());
    }

    /// Marks the shape of a message: what it says, without the numbers and the names in it.
    pub(crate) fn mark_message(&mut self, message: &str) {
        let is_plain = |c: char| c.is_ascii_alphabetic() || c == ' ' || c == '`';
        let mut quoted = false;
        let shape: String = message
            .chars()
            .filter(|c| {
                quoted ^= *c == '`' || *c == '"';
                is_plain(*c) && !quoted
            })
            .collect();
        self.mark(shape);
    }
}

/// How large a number is, for [`Seen::mark`].
pub(crate) fn size(number: u64) -> u32 {
    u64::BITS - number.leading_zeros()
}

/// What a panic says that is part of a history: no mistake.
pub(crate) const PLANNED: &str = "planned";

thread_local! {
    /// What the last panic of this thread said, and where.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps what panics say for the report: there may be thousands while an input is made smaller, and some are meant.
pub(crate) fn silence_panics() {
    std::panic::set_hook(Box::new(|info| {
        if !is_planned(info.payload()) {
            PANIC.with(|panic| panic.replace(info.to_string()));
        }
    }));
}

/// Whether it is a panic that is part of a history.
pub(crate) fn is_planned(panic: &(dyn Any + Send)) -> bool {
    panic.downcast_ref::<&str>().is_some_and(|text| *text == PLANNED)
        || panic.downcast_ref::<String>().is_some_and(|text| text == PLANNED)
}

/// Runs an input; what went wrong, if anything did.
pub(crate) fn run(target: &Target, input: &[u8], seen: &mut Seen) -> Result<(), String> {
    let ran = catch_unwind(AssertUnwindSafe(|| (target.run)(input, seen)));
    ran.map_err(|_| PANIC.with(RefCell::take))
}

/// A seed that is another one each day, the same for all targets: what fails at night can be made to fail in the morning.
pub(crate) fn seed_of_the_day() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs() / 86_400)
}

/// How long to go on.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    Time(Duration),
    /// As many executions: two runs with one seed can be compared then.
    Runs(u64),
}

/// Runs a target for a while; whether nothing failed.
pub(crate) fn fuzz(target: &'static Target, seed: u64, until: Until) -> bool {
    let watch = Watch::over(target);
    let mut dice = Dice::new(seed);
    let mutator = Mutator { dictionary: target.dictionary, longest: target.longest };
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let mut known: HashSet<u64> = HashSet::new();
    let (mut runs, mut slowest) = (0_u64, Duration::ZERO);
    let mut seeds = corpus(target).into_iter();
    let start = Instant::now();
    let mut last = start;
    let goes_on = |runs: u64, last: Instant| match until {
        Until::Time(time) => last.duration_since(start) < time,
        Until::Runs(most) => runs < most,
    };
    while goes_on(runs, last) {
        let input = seeds.next().unwrap_or_else(|| mutator.next(&kept, &mut dice));
        watch.begin(&input);
        let mut seen = Seen::default();
        let ran = run(target, &input, &mut seen);
        if let Err(message) = ran {
            watch.end();
            report(target, seed, &input, &message);
            return false;
        }
        runs += 1;
        let now = Instant::now();
        slowest = slowest.max(now.duration_since(last));
        last = now;
        let before = known.len();
        known.extend(seen.0);
        if known.len() > before && kept.len() < MOST_KEPT {
            kept.push(input);
        }
    }
    watch.end();
    println!(
        "{:10} {runs:>9} executions, {} kept, {} marks, slowest {slowest:.1?} (seed {seed})",
        target.name,
        kept.len(),
        known.len()
    );
    true
}

/// Runs one input, often, since some of what happens is chance; whether nothing failed.
pub(crate) fn replay(target: &'static Target, file: &Path) -> bool {
    const TIMES: usize = 100;
    let Ok(input) = std::fs::read(file) else {
        eprintln!("{} cannot be read", file.display());
        return false;
    };
    let watch = Watch::over(target);
    for time in 1..=TIMES {
        watch.begin(&input);
        let ran = run(target, &input, &mut Seen::default());
        watch.end();
        if let Err(message) = ran {
            println!("{}: {} fails, run {time}: {message}", target.name, file.display());
            return false;
        }
    }
    println!("{}: {} passes {TIMES} times", target.name, file.display());
    true
}

fn report(target: &Target, seed: u64, input: &[u8], message: &str) {
    println!("{}: FAILED with seed {seed}, {} bytes: {message}", target.name, input.len());
    let small = shrink(target, input);
    let mut seen = Seen::default();
    let message = run(target, &small, &mut seen).err().unwrap_or_else(|| "(passes when it is run again)".into());
    let path = save(target, &small);
    println!("{}: the smallest, {} bytes: {message}\n{:?}", target.name, small.len(), String::from_utf8_lossy(&small));
    println!("replay: cargo run --release --manifest-path fuzz/Cargo.toml -- {} {}", target.name, path.display());
}

fn here(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

fn save(target: &Target, input: &[u8]) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let folder = here("failures");
    let path = folder.join(format!("{}-{:016x}", target.name, hasher.finish()));
    if let Err(error) = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, input)) {
        eprintln!("{} cannot be written: {error}", path.display());
    }
    path
}

/// The inputs that a target begins with: the blocks of its text files, between lines of `====`.
fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let mut inputs = vec![Vec::new()];
    let mut files: Vec<_> = std::fs::read_dir(here("corpus").join(target.name))
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    files.sort();
    for file in files {
        match std::fs::read_to_string(&file) {
            Ok(text) => inputs.extend(text.split("====\n").map(|block| block.trim_end_matches('\n').into())),
            Err(error) => eprintln!("{}: {error}", file.display()),
        }
    }
    inputs
}

/// The input that runs, since when.
type Running = Option<(Instant, Vec<u8>)>;

/// Ends the program when an input does not end.
struct Watch(Arc<Mutex<Running>>);

impl Watch {
    fn over(target: &'static Target) -> Watch {
        let running = Arc::new(Mutex::new(None::<(Instant, Vec<u8>)>));
        let watched = Arc::downgrade(&running);
        std::thread::spawn(move || {
            while let Some(running) = watched.upgrade() {
                let running = running.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if let Some((_, input)) = running.filter(|(since, _)| since.elapsed() > HANGS) {
                    let path = save(target, &input);
                    println!("{}: HANGS with {}", target.name, path.display());
                    std::process::exit(1);
                }
                std::thread::sleep(Duration::from_millis(500));
            }
        });
        Watch(running)
    }

    fn begin(&self, input: &[u8]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), input.to_vec()));
    }

    fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
