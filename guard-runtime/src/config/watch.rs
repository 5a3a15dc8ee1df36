//! A file that is looked at again and again, and applied when it has changed.
//!
//! ```text
//! look -> as before            -> wait
//!      -> other than before    -> look again after a while -> the same  -> apply, report
//!                                                          -> other     -> look again
//! ```
//!
//! The whole content is compared: the time of the last change is too coarse on some file systems, and a file of settings is
//! small. A save in two steps (truncate, write) is thus not taken for a file until it has stood still; an empty one never is.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Config, ConfigError, Report, file};
use crate::clock::{self, Timer};
use crate::{Registry, registry};

/// A file whose settings are applied whenever it changes; made by [`Registry::watch`].
#[derive(Debug)]
#[must_use = "it looks at the file while `next` is awaited"]
pub struct Watch {
    path: PathBuf,
    every: Duration,
    settle: Duration,
    with_env: bool,
    /// What was reported last.
    reported: Option<Content>,
    /// When it is looked at next.
    next: Option<u64>,
}

/// What is at the path: enough to know it again.
#[derive(PartialEq)]
enum Content {
    Bytes(Vec<u8>),
    /// By the text of the error.
    Unreadable(String),
}

/// A file is not shown whole.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Content::Unreadable(error) => f.write_str(error),
        }
    }
}

type Looked = Result<Vec<u8>, ConfigError>;

fn content(looked: &Looked) -> Content {
    match looked {
        Ok(bytes) => Content::Bytes(bytes.clone()),
        Err(error) => Content::Unreadable(error.to_string()),
    }
}

impl Watch {
    const LEAST: Duration = Duration::from_millis(10);
    const MOST: Duration = Duration::from_secs(86_400);

    /// How often the file is looked at: 10 ms to 1 day, default 5 s; a duration outside of that is the nearest in it.
    pub fn every(mut self, every: Duration) -> Watch {
        self.every = every.clamp(Watch::LEAST, Watch::MOST);
        self
    }

    /// How long a changed file must stand still before it is applied: 10 ms to 1 day, default 1 s. It is for files that are
    /// written in place, in several steps; one that is renamed to its place could do with less.
    pub fn settle(mut self, settle: Duration) -> Watch {
        self.settle = settle.clamp(Watch::LEAST, Watch::MOST);
        self
    }

    /// Lays the variables of the environment over the file, each time; see [`Config::with_env`].
    pub fn with_env(mut self) -> Watch {
        self.with_env = true;
        self
    }

    /// Waits for a change of the file, applies it, and returns what became of it. The first call applies the file as it is, once
    /// it has stood still.
    ///
    /// Each content is applied and reported once. A file that cannot be used changes nothing: it is an error once, and the next
    /// change is waited for. In a tokio runtime the file is read on a thread for blocking work, elsewhere on the thread that
    /// polls.
    ///
    /// # Errors
    /// As [`Config::read`] and [`Registry::apply`]; go on waiting.
    ///
    /// # Panics
    /// In a tokio runtime whose timers are not enabled (`enable_time`).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: a change that was not reported is found by the next call.
    pub async fn next(&mut self) -> Result<Report, ConfigError> {
        loop {
            if let Some(next) = self.next {
                Timer::at(next).await;
            }
            let mut looked = self.look().await;
            let mut is_new = self.reported.as_ref() != Some(&content(&looked));
            while is_new {
                Timer::at(clock::now().saturating_add(clock::nanos(self.settle))).await;
                let again = self.look().await;
                is_new = self.reported.as_ref() != Some(&content(&again));
                let stands_still = content(&looked) == content(&again);
                looked = again;
                if stands_still {
                    break;
                }
            }
            self.next = Some(clock::now().saturating_add(clock::nanos(self.every)));
            if is_new {
                self.reported = Some(content(&looked));
                return looked.and_then(|bytes| self.apply(bytes));
            }
        }
    }

    fn apply(&self, bytes: Vec<u8>) -> Result<Report, ConfigError> {
        let config = Config::from_bytes(bytes, &self.path)?;
        registry().apply(if self.with_env { config.with_env() } else { config })
    }

    async fn look(&self) -> Looked {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return file::read(&self.path) };
        let path = self.path.clone();
        let looked = runtime.spawn_blocking(move || file::read(&path)).await;
        // The runtime ends.
        looked.unwrap_or_else(|error| Err(file::failed(&self.path, io::Error::other(error))))
    }
}

impl Registry {
    /// Watches a file: [`Watch::next`] applies it, and then each change of it, while calls run.
    ///
    /// There is one configuration at a time: what a second file is watched for would take the place of what the first has said, and
    /// the other way round. A program watches one file.
    ///
    /// It does so while `next` is awaited: give it a task of its own. It follows tokio's clock in a tokio runtime, and works
    /// without one.
    ///
    /// ```no_run
    /// # async fn watch() {
    /// tokio::spawn(async {
    ///     let mut watch = apiguard::registry().watch("apiguard.toml").with_env();
    ///     loop {
    ///         match watch.next().await {
    ///             Ok(report) => println!("{report}"),
    ///             Err(error) => eprintln!("the settings stay as they are: {error}"),
    ///         }
    ///     }
    /// });
    /// # }
    /// ```
    pub fn watch(self, path: impl AsRef<Path>) -> Watch {
        Watch {
            path: path.as_ref().to_owned(),
            every: Duration::from_secs(5),
            settle: Duration::from_secs(1),
            with_env: false,
            reported: None,
            next: None,
        }
    }
}
