//! "Did you mean": the nearest known name.

/// The candidate nearest to a name, if one is near enough to be meant: at most a third of its letters (at least one)
/// inserted, deleted, replaced or swapped with a neighbour.
///
/// Distance: optimal string alignment (Damerau 1964, Levenshtein 1966).
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A name of any length may come from a file; none that long is near anything.
    if name.len() > 64 {
        return None;
    }
    let name = name.to_lowercase();
    let length = name.chars().count();
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let letters = candidate.chars().count();
            let near = (letters / 3).max(1);
            // The difference of their lengths is the least that the distance can be.
            let distance = if letters.abs_diff(length) > near { usize::MAX } else { distance(&name, candidate) };
            (distance <= near).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The name that another is meant for: by a synonym, misspelled, or not typed to its end.
pub fn meant<'a>(name: &str, known: &[(&'a str, &[&str])]) -> Option<&'a str> {
    let find = |fits: &dyn Fn(&str, &[&str]) -> bool| {
        known.iter().find(|(candidate, synonyms)| fits(candidate, synonyms)).map(|(candidate, _)| *candidate)
    };
    find(&|_, synonyms| synonyms.contains(&name))
        .or_else(|| nearest(name, known.iter().map(|(candidate, _)| *candidate)))
        .or_else(|| find(&|candidate, _| name.len() > 1 && candidate.starts_with(name)))
}

fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 6] = ["rate", "retries", "breaker", "timeout", "attempt_timeout", "name"];

    #[test]
    fn typing_mistakes_find_what_was_meant() {
        for (typed, meant) in [
            ("rates", "rate"),
            ("retires", "retries"),
            ("braker", "breaker"),
            ("Timeout", "timeout"),
            ("tiemout", "timeout"),
        ] {
            assert_eq!(nearest(typed, KEYS), Some(meant), "{typed}");
        }
    }

    #[test]
    fn a_synonym_goes_before_what_is_spelled_like_it() {
        let known = [("rate", &["retry"][..]), ("retries", &[]), ("timeout", &["deadline"])];
        assert_eq!(meant("retry", &known), Some("rate"));
        assert_eq!(meant("deadline", &known), Some("timeout"));
        assert_eq!(meant("retrie", &known), Some("retries"));
        assert_eq!((meant("ti", &known), meant("t", &known)), (Some("timeout"), None));
    }

    #[test]
    fn a_distance_counts_letters_inserted_deleted_replaced_and_swapped() {
        for (a, b, expected) in [
            ("rate", "rate", 0),
            ("rate", "rates", 1),
            ("rate", "rte", 1),
            ("rate", "rale", 1),
            ("ab", "ba", 1),
            ("abcd", "acbd", 1),
            ("abcdef", "abcdfe", 1),
            ("abcd", "badc", 2),
            // Each letter is changed once at most.
            ("ca", "abc", 3),
            ("a cat", "an abct", 4),
            ("", "abc", 3),
        ] {
            assert_eq!((distance(a, b), distance(b, a)), (expected, expected), "{a:?} and {b:?}");
        }
    }

    #[test]
    fn a_third_of_the_letters_may_be_wrong() {
        assert_eq!(nearest("atemp_tmeot", KEYS), Some("attempt_timeout"), "four of fifteen");
        assert_eq!(nearest("rtae", KEYS), Some("rate"), "one of four");
        assert_eq!(nearest("rtea", KEYS), None, "two of four");
        let long = "a".repeat(64);
        assert_eq!(nearest(&long, [long.as_str()]), Some(long.as_str()));
    }

    #[test]
    fn other_words_find_nothing() {
        for typed in ["", "colour", "x", "concurrency"] {
            assert_eq!(nearest(typed, KEYS), None, "{typed}");
        }
        assert_eq!(nearest(&"rate".repeat(1_000_000), KEYS), None);
    }
}
