//! What may not be: anything that is not given back when all is quiet, and anything that grows.
//!
//! - **At each rest**: no call runs, nobody waits, nothing is in flight, and no key is left.
//! - **From rest to rest**: the first is left out, since it still fills what is made once. Of the others, the least of the later half
//!   may not be above the most of the earlier half by more than a slack. So one odd value on either side says nothing, and what
//!   leaks is above at all later ones.
//! - **Under load**: of the samples without the first fifth, the median of the last third may not be above one and a half times that of the
//!   first third and a slack.

use crate::record::Sample;

type Column = (&'static str, fn(&Sample) -> i64, i64);

/// What is counted at rest, and by how much that may differ: registrations that tokio frees some at a time, a connection that the
/// other side has not closed yet.
const AT_REST: [Column; 6] = [
    ("live blocks", |sample| sample.blocks, 50),
    ("live bytes", |sample| sample.bytes, 16 << 10),
    ("resident KiB", |sample| sample.resident_kib, 8 << 10),
    ("tasks", |sample| sample.tasks, 4),
    ("threads", |sample| sample.threads, 0),
    ("file descriptors", |sample| sample.descriptors, 4),
];

const UNDER_LOAD: [Column; 6] = [
    ("keys that come and go", |sample| sample.passing_keys, 500),
    ("waiters", |sample| sample.waiting, 50),
    ("attempts in flight", |sample| sample.in_flight, 20),
    ("tasks", |sample| sample.tasks, 50),
    ("resident KiB", |sample| sample.resident_kib, 8 << 10),
    ("file descriptors", |sample| sample.descriptors, 50),
];

/// What is wrong with a rest, by itself.
pub fn of_rest(sample: &Sample) -> Vec<String> {
    let counts = [
        ("calls that run", sample.running),
        ("waiters", sample.waiting),
        ("attempts in flight", sample.in_flight),
        ("keys that never failed", sample.passing_keys),
        ("keys that were told to begin anew", sample.failing_keys),
    ];
    let wrong = counts.into_iter().filter(|(_, is)| *is != 0);
    wrong.map(|(what, is)| format!("at rest in second {}: {is} {what}", sample.second)).collect()
}

/// What has grown.
pub fn of_all(samples: &[Sample]) -> Vec<String> {
    let rests: Vec<_> = samples.iter().filter(|sample| sample.at_rest).skip(1).collect();
    let (earlier, later) = rests.split_at(rests.len() / 2);
    let at_rest = AT_REST.iter().filter_map(|(what, read, slack)| {
        let most = earlier.iter().map(|sample| read(sample)).max()?;
        let least = later.iter().map(|sample| read(sample)).min()?;
        let grew = least - most;
        (grew > *slack).then(|| format!("{what} grow from rest to rest: {most} at most, then {least} at least"))
    });
    let loaded: Vec<_> = samples.iter().filter(|sample| !sample.at_rest).collect();
    let middle = &loaded[loaded.len() / 5..];
    let third = middle.len() / 3;
    let under_load = UNDER_LOAD.iter().filter_map(|(what, read, slack)| {
        let first = median(middle[..third].iter().map(|sample| read(sample)).collect())?;
        let last = median(middle[middle.len() - third..].iter().map(|sample| read(sample)).collect())?;
        (last > first + first / 2 + slack).then(|| format!("{what} grow under load: {first}, then {last} (medians)"))
    });
    at_rest.chain(under_load).collect()
}

fn median(mut values: Vec<i64>) -> Option<i64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}
