//! What is wrong with a configuration: everything, each with its place.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use guard_spec::words::{self, Node};

/// Where a configuration comes from.
pub(super) struct Source {
    /// The path of the file.
    pub(super) name: Option<String>,
    /// Empty where there are no places.
    pub(super) text: Arc<str>,
    /// The first byte of each line, once one is asked for: there may be thousands of mistakes in a long file.
    lines: OnceLock<Vec<usize>>,
}

impl Source {
    pub(super) fn new(name: Option<String>, text: impl Into<Arc<str>>) -> Source {
        Source { name, text: text.into(), lines: OnceLock::new() }
    }

    /// Line and column, both from 1, of a byte.
    pub(super) fn position(&self, at: usize) -> Option<(usize, usize)> {
        let lines = self
            .lines
            .get_or_init(|| std::iter::once(0).chain(self.text.match_indices('\n').map(|(end, _)| end + 1)).collect());
        let line = lines.partition_point(|start| *start <= at);
        let start = lines.get(line.checked_sub(1)?)?;
        // A line may be as long as the file; its columns are counted as far as one is looked at.
        let before = self.text.get(*start..at)?;
        Some((line, before.chars().count() + 1))
    }
}

/// One thing that is wrong with a configuration.
///
/// Displays as `apiguard.toml:7:8: policies.search.rate = "0/s" never admits a call; write at least 1/s`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    file: Option<String>,
    position: Option<(usize, usize)>,
    key: String,
    value: Option<String>,
    advice: String,
}

impl Mistake {
    /// The path of the file; `None` for a text, and for a variable of the environment.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The line, from 1, where it is known.
    pub fn line(&self) -> Option<usize> {
        self.position.map(|(line, _)| line)
    }

    /// The column, from 1, in characters.
    pub fn column(&self) -> Option<usize> {
        self.position.map(|(_, column)| column)
    }

    /// The setting, `policies."stripe.charges".rate`, or the variable of the environment; empty where the file itself is
    /// wrong.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What was written, its beginning if it is long; `None` where it is the name that is wrong.
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// What is wrong, and what to write instead.
    pub fn advice(&self) -> &str {
        &self.advice
    }
}

/// `apiguard.toml:7:8: `
pub(super) fn write_place(
    f: &mut fmt::Formatter<'_>,
    file: Option<&str>,
    position: Option<(usize, usize)>,
) -> fmt::Result {
    match (file, position) {
        (Some(file), Some((line, column))) => write!(f, "{file}:{line}:{column}: "),
        (Some(file), None) => write!(f, "{file}: "),
        (None, Some((line, column))) => write!(f, "{line}:{column}: "),
        (None, None) => Ok(()),
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, self.file(), self.position)?;
        let Mistake { key, advice, .. } = self;
        match &self.value {
            Some(value) if key.is_empty() => write!(f, "{value} {advice}"),
            Some(value) => write!(f, "{key} = {value} {advice}"),
            None if key.is_empty() => f.write_str(advice),
            None => write!(f, "{key} {advice}"),
        }
    }
}

/// Why a configuration was not used: everything that is wrong with it. Nothing has changed then.
///
/// Displays one [`Mistake`] a line, the first fifty.
#[derive(Clone, Debug)]
pub struct ConfigError {
    mistakes: Vec<Mistake>,
    left_out: usize,
    source: Option<Arc<io::Error>>,
}

impl ConfigError {
    /// More than these are not kept.
    const MOST: usize = 1_000;
    const SHOWN: usize = 50;

    pub(super) fn of_file(name: Option<String>, advice: &str, source: Option<io::Error>) -> ConfigError {
        let mistake =
            Mistake { file: name, position: None, key: String::new(), value: None, advice: advice.to_owned() };
        ConfigError { mistakes: vec![mistake], left_out: 0, source: source.map(Arc::new) }
    }

    /// Everything that is wrong, in the order of the file; of more than a thousand things the first.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate().take(ConfigError::SHOWN) {
            write!(f, "{}{mistake}", if index == 0 { "" } else { "\n" })?;
        }
        match self.mistakes.len().saturating_sub(ConfigError::SHOWN) + self.left_out {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Collects mistakes.
#[derive(Default)]
pub(super) struct Found {
    mistakes: Vec<(usize, Mistake)>,
    left_out: usize,
}

impl Found {
    pub(super) fn add(&mut self, source: &Source, key: &str, value: Option<String>, advice: &str, at: Option<usize>) {
        if self.mistakes.len() >= ConfigError::MOST {
            self.left_out += 1;
            return;
        }
        let (file, position) = (source.name.clone(), at.and_then(|at| source.position(at)));
        let mistake = Mistake { file, position, key: key.to_owned(), value, advice: advice.to_owned() };
        self.mistakes.push((at.unwrap_or(usize::MAX), mistake));
    }

    /// The mistakes of a table.
    pub(super) fn extend(&mut self, source: &Source, table: &str, mistakes: Vec<words::Mistake>) {
        for words::Mistake { path, value, advice, at } in mistakes {
            let key = if path.is_empty() { table.to_owned() } else { format!("{table}.{path}") };
            self.add(source, &key, value, &advice, at);
        }
    }

    /// What is wrong with a variable of the environment.
    pub(super) fn add_variable(&mut self, key: String, value: Option<String>, advice: String) {
        let mistake = Mistake { file: None, position: None, key, value, advice };
        self.mistakes.push((usize::MAX, mistake));
    }

    pub(super) fn into_error(mut self) -> ConfigError {
        // Policies of one name may make the same mistake each.
        let mut told = BTreeSet::new();
        self.mistakes.retain(|(at, mistake)| told.insert((*at, mistake.to_string())));
        self.mistakes.sort_by_key(|(at, _)| *at);
        let mistakes = self.mistakes.into_iter().map(|(_, mistake)| mistake).collect();
        ConfigError { mistakes, left_out: self.left_out, source: None }
    }

    pub(super) fn into_result(self) -> Result<(), ConfigError> {
        if self.mistakes.is_empty() { Ok(()) } else { Err(self.into_error()) }
    }
}

/// A key as it is written: in quotes where it needs them; its beginning if it is long.
pub(super) fn key(name: &str) -> String {
    let is_bare = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if is_bare && !name.is_empty() && name.len() <= 60 {
        name.to_owned()
    } else {
        Node::from(words::Kind::Text(name.to_owned())).shown()
    }
}
