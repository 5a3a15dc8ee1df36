//! What is fuzzed, and what has to hold for every input.

mod calls;
mod config;
mod headers;
mod parts;
mod settings;
mod text;

use crate::dictionary;
use crate::driver::Seen;

pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// Runs one input; panics when something is wrong.
    pub(crate) run: fn(&[u8], &mut Seen),
    /// Words that inputs are made of; none where they are no text.
    pub(crate) dictionary: &'static [&'static str],
    /// In bytes.
    pub(crate) longest: usize,
}

pub(crate) const TARGETS: &[Target] = &[
    Target { name: "text", run: text::run, dictionary: dictionary::TEXT, longest: 300 },
    Target { name: "headers", run: headers::run, dictionary: dictionary::HEADERS, longest: 8_192 },
    Target { name: "config", run: config::run, dictionary: dictionary::CONFIG, longest: 4_096 },
    Target { name: "settings", run: settings::run, dictionary: &[], longest: 400 },
    Target { name: "parts", run: parts::run, dictionary: &[], longest: 400 },
    Target { name: "calls", run: calls::run, dictionary: &[], longest: 900 },
];
