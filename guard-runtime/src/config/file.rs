//! A file -> nodes with their places. What is no regular file, too long, or no TOML is an error before anything is used.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use guard_spec::words::{Entry, Kind, Node};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Config;
use super::error::{ConfigError, Found, Source};

pub(super) const TOO_LONG: &str = "is longer than 1 MiB; this is no configuration";

pub(super) fn failed(path: &Path, error: io::Error) -> ConfigError {
    let name = Some(path.display().to_string());
    ConfigError::of_file(name, &format!("cannot be read ({})", error.kind()), Some(error))
}

/// The bytes of a regular file, at most so many as a configuration may have.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    let wrong = |advice: &str| ConfigError::of_file(Some(path.display().to_string()), advice, None);
    // Before it is opened: opening a pipe waits for a writer.
    let metadata = std::fs::metadata(path).map_err(|error| failed(path, error))?;
    if !metadata.is_file() {
        return Err(wrong(if metadata.is_dir() {
            "is a directory; write the path of a file"
        } else {
            "is no regular file"
        }));
    }
    if metadata.len() > Config::MOST_BYTES as u64 {
        return Err(wrong(TOO_LONG));
    }
    let mut bytes = Vec::new();
    let most = Config::MOST_BYTES as u64 + 1;
    File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)).map_err(|error| failed(path, error))?;
    if bytes.len() > Config::MOST_BYTES { Err(wrong(TOO_LONG)) } else { Ok(bytes) }
}

/// The text of a file; one without a byte is being written, or could not be.
pub(super) fn text(bytes: Vec<u8>, path: &Path) -> Result<Arc<str>, ConfigError> {
    let wrong = |advice: &str| ConfigError::of_file(Some(path.display().to_string()), advice, None);
    if bytes.is_empty() {
        return Err(wrong(
            "is empty, as a file is that is being written; write a comment where there is nothing to set",
        ));
    }
    String::from_utf8(bytes).map(Into::into).map_err(|error| {
        let sound = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        wrong(&format!("is not UTF-8 from line {} on; save it as UTF-8", sound.matches('\n').count() + 1))
    })
}

/// The text as a table; all its mistakes of syntax.
pub(super) fn parse(source: &Source) -> Result<Node, ConfigError> {
    let text = source.text.strip_prefix('\u{feff}').unwrap_or(&source.text);
    let offset = source.text.len() - text.len();
    let (root, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(Node { kind: table(root.into_inner(), offset), at: None });
    }
    let mut found = Found::default();
    for error in errors {
        let at = error.span().map_or(text.len(), |span| span.start) + offset;
        let advice = format!("is no TOML: {}", error.message().replace('\n', ", "));
        found.add(source, "", None, &advice, Some(at));
    }
    Err(found.into_error())
}

/// One value, as in `key = value`, if the text is one.
pub(super) fn value(text: &str) -> Result<Node, String> {
    let line = format!("value = {text}");
    match DeTable::parse(&line) {
        Ok(root) => match table(root.into_inner(), 0) {
            Kind::Table(mut entries) if entries.len() == 1 => entries.pop().map(|entry| entry.value),
            _ => None,
        }
        .map(|node| without_places(node.kind))
        .ok_or_else(|| "more than one value".to_owned()),
        Err(error) => Err(error.message().replace('\n', ", ")),
    }
}

fn table(table: DeTable<'_>, offset: usize) -> Kind {
    let mut entries: Vec<_> = table
        .into_iter()
        .map(|(key, value)| {
            let at = Some(key.span().start + offset);
            Entry { key: key.into_inner().into_owned(), at, value: node(value, offset) }
        })
        .collect();
    entries.sort_by_key(|entry| entry.at);
    Kind::Table(entries)
}

fn node(value: Spanned<DeValue<'_>>, offset: usize) -> Node {
    let at = Some(value.span().start + offset);
    let kind = match value.into_inner() {
        DeValue::String(text) => Kind::Text(text.into_owned()),
        DeValue::Boolean(switch) => Kind::Switch(switch),
        DeValue::Integer(digits) => {
            let number = i128::from_str_radix(digits.as_str(), digits.radix());
            // Longer than any number has a use for.
            number.map_or(Kind::Float(f64::INFINITY), Kind::Whole)
        }
        DeValue::Float(digits) => Kind::Float(digits.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Array(list) => Kind::List(list.into_iter().map(|value| node(value, offset)).collect()),
        DeValue::Table(entries) => table(entries, offset),
        DeValue::Datetime(_) => Kind::Other("a date"),
    };
    Node { kind, at }
}

/// Those of a variable would be taken for places in the file.
fn without_places(kind: Kind) -> Node {
    let kind = match kind {
        Kind::List(nodes) => Kind::List(nodes.into_iter().map(|node| without_places(node.kind)).collect()),
        Kind::Table(entries) => Kind::Table(
            entries
                .into_iter()
                .map(|entry| Entry { at: None, value: without_places(entry.value.kind), ..entry })
                .collect(),
        ),
        other => other,
    };
    kind.into()
}
