//! Nodes -> single values: each is a switch, a count, a duration, a share… or a mistake that says what to write.

use super::node::{Kind, Node};
use super::read::Reader;
use crate::breaker::Window;
use crate::text::nanos;
use crate::{Budget, Field, Jitter, Ratio, Statuses, parse};

impl Reader {
    pub(super) fn switch(&mut self, path: &str, value: &Node) -> Option<bool> {
        if let Kind::Switch(switch) = value.kind {
            return Some(switch);
        }
        self.wrong(path, value, format!("is no switch; write `{path} = true` or `{path} = false`"));
        None
    }

    /// A rate or a quota.
    pub(super) fn per<T>(
        &mut self,
        path: &str,
        value: &Node,
        read: fn(&str) -> Result<T, parse::Error>,
        example: &str,
    ) -> Option<T> {
        let advice = match &value.kind {
            Kind::Text(text) => match read(text) {
                Ok(item) => return Some(item),
                Err(error) => error.to_string(),
            },
            Kind::List(_) => format!("is a list in the list; write `\"{example}\"`"),
            Kind::Whole(count) => format!("has no period; write `\"{count}/s\"`, `\"{count}/m\"` or `\"{count}/h\"`"),
            _ => format!("is not a text; write one such as `\"{example}\"`"),
        };
        self.wrong(path, value, advice);
        None
    }

    pub(super) fn count(&mut self, path: &str, value: &Node) -> Option<u32> {
        let advice = match &value.kind {
            Kind::Whole(count) => match u32::try_from(*count) {
                Ok(count) => return Some(count),
                Err(_) if *count < 0 => "is negative; write one such as `5`".to_owned(),
                Err(_) => format!("is too large; write at most `{}`", u32::MAX),
            },
            Kind::Text(text) if text.parse::<u32>().is_ok() => format!("is a text; write `{text}`"),
            Kind::Text(text) if path == "breaker" && parse::share(text).is_ok() => {
                format!("is a share; write `breaker = {{ failure_rate = {} }}`", value.shown())
            }
            _ => "is not a whole number; write one such as `5`".to_owned(),
        };
        self.wrong(path, value, advice);
        None
    }

    /// A duration that is noted.
    pub(super) fn time(&mut self, field: Field, path: &str, value: &Node) -> Option<u64> {
        self.noted(field, 0, path, value);
        self.duration(path, value)
    }

    pub(super) fn duration(&mut self, path: &str, value: &Node) -> Option<u64> {
        let advice = match &value.kind {
            Kind::Text(text) => match parse::duration(text) {
                Ok(time) => return Some(nanos(time)),
                Err(error) => error.to_string(),
            },
            Kind::Whole(count) if *count >= 0 => format!("has no unit; write `\"{count}s\"` or `\"{count}ms\"`"),
            _ => "is not a duration; write one such as `\"250ms\"`, `\"2s\"` or `\"1m30s\"`".to_owned(),
        };
        self.wrong(path, value, advice);
        None
    }

    pub(super) fn window(&mut self, path: &str, value: &Node) -> Option<Window> {
        let advice = match &value.kind {
            Kind::Whole(calls) => match u32::try_from(*calls) {
                Ok(calls) => return Some(Window::Calls(calls)),
                Err(_) => "is outside 1..=10000 calls; write one such as `100`".to_owned(),
            },
            Kind::Text(calls) if calls.parse::<u32>().is_ok() => {
                format!("is no window; write `{calls}` for the last {calls} calls, or `\"{calls}s\"` for a time")
            }
            Kind::Text(_) => return self.duration(path, value).map(Window::Time),
            _ => "is no window; write a time such as `\"30s\"`, or a number of calls such as `100`".to_owned(),
        };
        self.wrong(path, value, advice);
        None
    }

    pub(super) fn share(&mut self, path: &str, value: &Node) -> Option<Ratio> {
        let advice = match (&value.kind, float(value)) {
            (Kind::Text(text), _) => match parse::share(text) {
                Ok(share) => return Some(share),
                Err(error) => error.to_string(),
            },
            (_, Some(percent)) if percent > 1.0 && percent <= 100.0 => {
                format!("is more than all; write `\"{percent}%\"`")
            }
            (_, Some(share)) if share > 1.0 => "is more than all; write `\"0%\"` to `\"100%\"`".to_owned(),
            (_, Some(share)) if share >= 0.0 => return Some(Ratio::new(share)),
            _ => "is not a share; write one such as `\"50%\"` or `0.5`".to_owned(),
        };
        self.wrong(path, value, advice);
        None
    }

    pub(super) fn number(&mut self, path: &str, value: &Node) -> Option<Ratio> {
        match float(value) {
            Some(number) if Ratio::new(number).is_valid() => Some(Ratio::new(number)),
            Some(_) => {
                self.wrong(path, value, "is outside 1..=1000000; write one such as `2` or `1.5`");
                None
            }
            None => {
                self.wrong(path, value, "is not a number; write one such as `2` or `1.5`");
                None
            }
        }
    }

    pub(super) fn jitter(&mut self, path: &str, value: &Node) -> Option<Jitter> {
        let advice = match (&value.kind, float(value)) {
            (Kind::Text(name), _) => match parse::jitter(name) {
                Ok(jitter) => return Some(jitter),
                Err(error) => error.to_string(),
            },
            (_, Some(ratio)) if (0.0..=1.0).contains(&ratio) => return Some(Jitter::proportional(ratio)),
            (_, Some(_)) => "is outside 0..=1; write one such as `0.5`".to_owned(),
            _ => "is no kind of jitter; write `0.5`, `\"full\"`, `\"equal\"`, `\"decorrelated\"` or `\"none\"`"
                .to_owned(),
        };
        self.wrong(path, value, advice);
        None
    }

    pub(super) fn budget(&mut self, path: &str, value: &Node) -> Option<Budget> {
        let advice = match (&value.kind, float(value)) {
            (Kind::Text(text), _) => match parse::budget(text) {
                Ok(budget) => return Some(budget),
                Err(error) => error.to_string(),
            },
            (_, Some(share)) if share > 0.0 && share < 1.0 => {
                format!("is a number; write `\"{}%\"`", Ratio::from_millionths(Ratio::new(share).millionths() * 100))
            }
            _ => "is no budget; write a share such as `\"20%\"`, or `\"off\"`".to_owned(),
        };
        self.wrong(path, value, advice);
        None
    }

    pub(super) fn statuses(&mut self, path: &str, value: &Node) -> Option<Statuses> {
        let Kind::List(nodes) = &value.kind else {
            let example = match value.kind {
                Kind::Whole(_) => value.shown(),
                _ => "429, \"502..=504\"".to_owned(),
            };
            self.wrong(path, value, format!("is not a list; write `[{example}]`"));
            return None;
        };
        let mut set = Statuses::NONE;
        let before = self.mistakes.len();
        // There are 500 of them.
        for (index, node) in nodes.iter().enumerate().take(1_000) {
            let advice = match range(node) {
                Some((first, last)) if first > last => "is an empty range; write the smaller status first",
                Some((first, last)) if first >= 100 && last <= 599 => {
                    set = set.with_range(first, last);
                    continue;
                }
                Some(_) => "is no HTTP status; write statuses in `100..=599`",
                None => "is not a status; write numbers and ranges, as in `[429, 500, \"502..=504\"]`",
            };
            self.wrong(&format!("{path}[{index}]"), node, advice);
            if self.mistakes.len() - before > 20 {
                break;
            }
        }
        (self.mistakes.len() == before).then_some(set)
    }
}

/// A status, or a range of them as a text.
fn range(node: &Node) -> Option<(u16, u16)> {
    match &node.kind {
        Kind::Whole(status) => {
            let status = u16::try_from(*status).unwrap_or(0);
            Some((status, status))
        }
        Kind::Text(text) => {
            let (first, last) = text.split_once("..")?;
            let (last, is_closed) = last.strip_prefix('=').map_or((last, false), |last| (last, true));
            let (first, last) = (first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?);
            Some((first, if is_closed { last } else { last.saturating_sub(1) }))
        }
        _ => None,
    }
}

fn float(value: &Node) -> Option<f64> {
    match value.kind {
        Kind::Whole(number) => Some(number as f64),
        Kind::Float(number) => Some(number),
        _ => None,
    }
}
