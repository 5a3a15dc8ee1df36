//! All policies as a table for people, in at most 120 columns; long names and settings go on in the next line.
//!
//! ```text
//! policy          settings                     breaker     calls  retries rejected
//! stripe.charges  rate: 100/s, burst 20; …     closed       1204       17        3
//! ```

use std::fmt;

use super::Registry;
use crate::Snapshot;

const NAME: usize = 30;
const SETTINGS: usize = 46;

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshots = self.snapshots();
        if snapshots.is_empty() {
            return f.write_str("no policies");
        }
        let rows: Vec<_> = snapshots.iter().map(Row::of).collect();
        let width = |lines: fn(&Row) -> &[String], title: &str| {
            let lines = rows.iter().flat_map(lines).map(|line| line.chars().count());
            lines.max().unwrap_or(0).max(title.len())
        };
        let (name, settings) = (width(|row| &row.name, "policy"), width(|row| &row.settings, "settings"));
        write!(
            f,
            "{:name$}  {:settings$}  {:13}{:>9}{:>9}{:>9}",
            "policy", "settings", "breaker", "calls", "retries", "rejected"
        )?;
        for row in &rows {
            for line in 0..row.name.len().max(row.settings.len()) {
                let cell = |lines: &[String]| lines.get(line).cloned().unwrap_or_default();
                let (first, second) = (cell(&row.name), cell(&row.settings));
                if line == 0 {
                    let Row { breaker, counts: [calls, retries, rejected], .. } = row;
                    let counts = format!("{calls:>9}{retries:>9}{rejected:>9}");
                    write!(f, "\n{first:name$}  {second:settings$}  {breaker:13}{counts}")?;
                } else {
                    write!(f, "\n{}", format!("{first:name$}  {second}").trim_end())?;
                }
            }
        }
        Ok(())
    }
}

struct Row {
    name: Vec<String>,
    settings: Vec<String>,
    breaker: String,
    counts: [String; 3],
}

impl Row {
    fn of(snapshot: &Snapshot) -> Row {
        // A name may hold anything.
        let name: String = snapshot.name.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect();
        let breaker = snapshot.breaker.map_or_else(|| "-".to_owned(), |state| state.to_string());
        Row {
            name: wrapped(&name, NAME, &[':', '.', '_', '-', ' ', '/']),
            settings: wrapped(&snapshot.settings.to_string(), SETTINGS, &[' ']),
            breaker,
            counts: [snapshot.calls, snapshot.retries, snapshot.rejections.total()].map(short),
        }
    }
}

/// In lines of at most so many characters, which end after one of these where there is one.
fn wrapped(text: &str, width: usize, ends: &[char]) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let mut rest = &letters[..];
    let mut lines = Vec::new();
    while rest.len() > width {
        let end = rest[..width].iter().rposition(|letter| ends.contains(letter)).map_or(width, |end| end + 1);
        lines.push(rest[..end].iter().collect::<String>().trim_end().to_owned());
        rest = &rest[end..];
    }
    lines.push(rest.iter().collect());
    lines
}

/// At most seven characters.
fn short(count: u64) -> String {
    match count {
        0..=999_999 => count.to_string(),
        1_000_000..=9_999_999_999 => format!("{}.{}M", count / 1_000_000, count / 100_000 % 10),
        10_000_000_000..=999_999_999_999_999 => format!("{}G", count / 1_000_000_000),
        _ => format!("{}P", count / 1_000_000_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_go_on_where_a_part_of_them_ends() {
        assert_eq!(wrapped("app::payments::charge", 10, &[':']), ["app::", "payments::", "charge"]);
        assert_eq!(wrapped(&"x".repeat(25), 10, &[':']), ["x".repeat(10), "x".repeat(10), "x".repeat(5)]);
        assert_eq!(wrapped("", 10, &[':']), [""]);
        assert_eq!(wrapped("ééééé", 2, &[]), ["éé", "éé", "é"]);
    }

    #[test]
    fn counts_of_any_size_fit() {
        for count in [0, 999_999, 1_000_000, 9_999_999_999, 10_000_000_000, 999_999_999_999_999, u64::MAX] {
            assert!(short(count).len() <= 7, "{count}: {}", short(count));
        }
    }
}
