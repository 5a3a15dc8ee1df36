//! The header fields `RateLimit` and `RateLimit-Policy` of the IETF (draft-ietf-httpapi-ratelimit-headers).
//!
//! | drafts | `RateLimit` | `RateLimit-Policy` |
//! |---|---|---|
//! | 08 to 11 | `"burst";r=50;t=30, "daily";r=0;t=3600` | `"burst";q=100;w=60, "daily";q=1000;w=86400` |
//! | 07 | `limit=100, remaining=50, reset=30` | `100;w=60`: says nothing that the other does not |
//!
//! They are structured fields (RFC 9651), so that a mistake anywhere makes the field as good as absent, all its lines
//! included. A name is a string or, as in some examples, a token. `r`, `t` and `q` may be missing; negative ones are
//! unknown, other types are a mistake, except that `t` may have a fraction. Other parameters are ignored.
//!
//! A dictionary is read only where a list cannot be: `limit=100` is no item.

use std::borrow::Cow;
use std::time::Duration;

use ::http::HeaderMap;
use sfv::visitor::{
    DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ListVisitor, Never, ParameterVisitor,
};
use sfv::{BareItemFromInput, KeyRef, Parser};

use super::RateLimit;
use super::value::{NANOS_PER_MS, delay};

const USAGE: &str = "ratelimit";
const POLICY: &str = "ratelimit-policy";

/// The most bytes that a field is read of, in all its lines. A longer one is a mistake, and so is one of more items.
const LONGEST_FIELD: usize = 4_096;
const MOST_ITEMS: usize = 32;

/// The limits that the two fields name: those with a usage first, then those with a policy alone.
pub(super) fn read(headers: &HeaderMap, found: &mut impl FnMut(RateLimit)) {
    let policies = list(headers, POLICY).unwrap_or_default();
    let usages = list(headers, USAGE);
    if usages.is_none() {
        dictionary(headers, USAGE).into_iter().for_each(&mut *found);
    }
    let usages = usages.unwrap_or_default();
    for Item { name, said } in &usages {
        let limit = policies.iter().find(|policy| policy.name == *name).and_then(|policy| policy.said.limit);
        found(RateLimit { limit, ..*said });
    }
    for Item { said, .. } in policies.iter().filter(|policy| !usages.iter().any(|usage| usage.name == policy.name)) {
        found(*said);
    }
}

/// An item of the list: a limit with its name, `""` for one that has none.
#[derive(Debug)]
struct Item<'de> {
    name: Cow<'de, str>,
    said: RateLimit,
}

/// The lines of a field, unless they are too long together.
fn lines<'de>(headers: &'de HeaderMap, name: &'static str) -> Option<impl Iterator<Item = &'de [u8]>> {
    let lines = || headers.get_all(name).iter().map(::http::HeaderValue::as_bytes);
    let length = lines().fold(0_usize, |sum, line| sum.saturating_add(line.len()));
    (length <= LONGEST_FIELD).then(lines)
}

fn list<'de>(headers: &'de HeaderMap, name: &'static str) -> Option<Vec<Item<'de>>> {
    let mut items = List { header: name, items: Vec::new() };
    for line in lines(headers, name)? {
        Parser::new(line).parse_list_with_visitor(&mut items).ok()?;
    }
    Some(items.items)
}

fn dictionary(headers: &HeaderMap, name: &'static str) -> Option<RateLimit> {
    let mut usage = Dictionary(RateLimit::of(name));
    for line in lines(headers, name)? {
        Parser::new(line).parse_dictionary_with_visitor(&mut usage).ok()?;
    }
    // `default;r=?1` is a dictionary too, though not one of a limit.
    Some(usage.0).filter(|usage| !usage.says_nothing())
}

#[derive(Debug, thiserror::Error)]
#[error("not a field of rate limits")]
struct Malformed;

/// A number of something: negative ones are unknown.
fn count(value: &BareItemFromInput<'_>) -> Result<Option<u64>, Malformed> {
    match value {
        BareItemFromInput::Integer(n) => Ok(u64::try_from(i64::from(*n)).ok()),
        _ => Err(Malformed),
    }
}

/// A number of seconds: negative ones are unknown.
fn seconds(value: &BareItemFromInput<'_>) -> Result<Option<Duration>, Malformed> {
    let millis = match value {
        BareItemFromInput::Integer(n) => i128::from(i64::from(*n)) * 1_000,
        BareItemFromInput::Decimal(n) => i128::from(i64::from(n.as_integer_scaled_1000())),
        _ => return Err(Malformed),
    };
    Ok(u128::try_from(millis).ok().map(|millis| delay(millis * u128::from(NANOS_PER_MS))))
}

struct List<'de> {
    header: &'static str,
    items: Vec<Item<'de>>,
}

impl<'de> ListVisitor<'de> for &mut List<'de> {
    type Out = ();
    type Error = Malformed;

    fn entry(&mut self) -> Result<impl EntryVisitor<'de>, Malformed> {
        if self.items.len() < MOST_ITEMS { Ok(Entry { list: self }) } else { Err(Malformed) }
    }

    fn finish(self) -> Result<(), Malformed> {
        Ok(())
    }
}

struct Entry<'a, 'de> {
    list: &'a mut List<'de>,
}

impl<'de> EntryVisitor<'de> for Entry<'_, 'de> {
    type Error = Malformed;

    fn item(self) -> Result<impl ItemVisitor<'de>, Malformed> {
        Ok(self)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Malformed> {
        Err::<Never, _>(Malformed)
    }
}

impl<'de> ItemVisitor<'de> for Entry<'_, 'de> {
    type Out = ();
    type Error = Malformed;

    fn bare_item(self, name: BareItemFromInput<'de>) -> Result<impl ParameterVisitor<'de, Out = ()>, Malformed> {
        let name = match name {
            BareItemFromInput::Token(name) => Cow::Borrowed(name.as_str()),
            BareItemFromInput::String(Cow::Borrowed(name)) => Cow::Borrowed(name.as_str()),
            BareItemFromInput::String(Cow::Owned(name)) => Cow::Owned(name.into()),
            // A policy of draft 07.
            BareItemFromInput::Integer(_) if self.list.header == POLICY => Cow::Borrowed(""),
            _ => return Err(Malformed),
        };
        let said = RateLimit::of(self.list.header);
        Ok(Parameters { list: self.list, item: Item { name, said } })
    }
}

struct Parameters<'a, 'de> {
    list: &'a mut List<'de>,
    item: Item<'de>,
}

impl<'de> ParameterVisitor<'de> for Parameters<'_, 'de> {
    type Out = ();
    type Error = Malformed;

    /// Of a parameter that comes twice, the second counts.
    fn parameter(&mut self, key: &'de KeyRef, value: BareItemFromInput<'de>) -> Result<(), Malformed> {
        match (self.list.header, key.as_str()) {
            (USAGE, "r") => self.item.said.remaining = count(&value)?,
            (USAGE, "t") => self.item.said.reset = seconds(&value)?,
            (POLICY, "q") => self.item.said.limit = count(&value)?,
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Malformed> {
        self.list.items.push(self.item);
        Ok(())
    }
}

struct Dictionary(RateLimit);

impl<'de> DictionaryVisitor<'de> for &mut Dictionary {
    type Out = ();
    type Error = Malformed;

    fn entry(&mut self, key: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Malformed> {
        Ok(match key.as_str() {
            "limit" => Some(Number::Count(&mut self.0.limit)),
            "remaining" => Some(Number::Count(&mut self.0.remaining)),
            "reset" => Some(Number::Seconds(&mut self.0.reset)),
            _ => None,
        })
    }

    fn finish(self) -> Result<(), Malformed> {
        Ok(())
    }
}

/// An entry of the dictionary, and where its value goes.
enum Number<'a> {
    Count(&'a mut Option<u64>),
    Seconds(&'a mut Option<Duration>),
}

impl<'de> EntryVisitor<'de> for Number<'_> {
    type Error = Malformed;

    fn item(self) -> Result<impl ItemVisitor<'de>, Malformed> {
        Ok(self)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Malformed> {
        Err::<Never, _>(Malformed)
    }
}

impl<'de> ItemVisitor<'de> for Number<'_> {
    type Out = ();
    type Error = Malformed;

    fn bare_item(self, value: BareItemFromInput<'de>) -> Result<impl ParameterVisitor<'de, Out = ()>, Malformed> {
        match self {
            Number::Count(place) => *place = count(&value)?,
            Number::Seconds(place) => *place = seconds(&value)?,
        }
        Ok(Ignored)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ::http::{HeaderName, HeaderValue};

    use super::*;
    use crate::http::RetryAfter;

    fn limits(lines: &[(&'static str, &str)]) -> Vec<RateLimit> {
        let line = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        let mut limits = Vec::new();
        read(&lines.iter().map(line).collect(), &mut |limit| limits.push(limit));
        limits
    }

    fn usage(limit: Option<u64>, remaining: Option<u64>, reset: Option<u64>) -> RateLimit {
        RateLimit { limit, remaining, reset: reset.map(Duration::from_secs), header: USAGE }
    }

    #[test]
    fn a_list_has_a_limit_in_each_item() {
        for text in [
            "\"default\";r=50;t=30",
            "default;r=50;t=30",
            "*default;r=50;t=30",
            "\"\";r=50;t=30",
            "  \"de\\\"fault\"; r=50;  t=30  ",
            "\"default\";t=30;r=50;pk=:cHsdsRa894==:;x;y=?0;z=\"r=0\"",
            "\"default\";r=0;t=0;r=50;t=30",
            "\"default\";r=50;t=30.0",
        ] {
            assert_eq!(limits(&[(USAGE, text)]), [usage(None, Some(50), Some(30))], "{text:?}");
        }
        let two = [usage(None, Some(50), Some(30)), usage(None, Some(0), Some(3_600))];
        assert_eq!(limits(&[(USAGE, "\"burst\";r=50;t=30, \"daily\";r=0;t=3600")]), two);
        assert_eq!(limits(&[(USAGE, "\"burst\";r=50;t=30"), (USAGE, "\"daily\";r=0;t=3600")]), two);
    }

    #[test]
    fn what_an_item_does_not_say_is_unknown() {
        for (text, expected) in [
            ("\"default\"", usage(None, None, None)),
            ("\"default\";r=50", usage(None, Some(50), None)),
            ("\"default\";t=30", usage(None, None, Some(30))),
            ("\"default\";r=-1;t=-1", usage(None, None, None)),
            ("\"default\";r=0;t=-0.5", usage(None, Some(0), None)),
        ] {
            assert_eq!(limits(&[(USAGE, text)]), [expected], "{text:?}");
        }
    }

    #[test]
    fn a_policy_adds_its_quota_to_the_usage_of_its_name() {
        let policy = (POLICY, "\"burst\";q=100;w=60, \"daily\";q=1000;w=86400;qu=\"content-bytes\", \"none\";w=1");
        let alone = |limit| RateLimit { limit, remaining: None, reset: None, header: POLICY };
        assert_eq!(
            limits(&[(USAGE, "daily;r=7;t=30, other;r=3"), policy]),
            [usage(Some(1_000), Some(7), Some(30)), usage(None, Some(3), None), alone(Some(100)), alone(None)]
        );
        assert_eq!(limits(&[policy]), [alone(Some(100)), alone(Some(1_000)), alone(None)]);
        assert_eq!(limits(&[(USAGE, "x;r=\"1\""), policy]).len(), 3, "each field for itself");
        assert_eq!(limits(&[(USAGE, "burst;r=1"), (POLICY, "burst;q=1;q=x")]), [usage(None, Some(1), None)]);
    }

    #[test]
    fn draft_07_has_a_dictionary_and_policies_without_names() {
        let expected = [usage(Some(100), Some(50), Some(30))];
        for text in [
            "limit=100, remaining=50, reset=30",
            "limit=100,remaining=50,reset=30",
            "reset=30;x=1, other=(1 2), more, remaining=50, limit=100",
            "limit=1, remaining=50, reset=30, limit=100",
        ] {
            assert_eq!(limits(&[(USAGE, text)]), expected, "{text:?}");
        }
        assert_eq!(limits(&[(USAGE, "limit=100"), (USAGE, "remaining=50"), (USAGE, "reset=30")]), expected);
        let mut known = limits(&[(USAGE, "limit=100, remaining=50, reset=30"), (POLICY, "100;w=60, 1000;w=3600")]);
        known.retain(|limit| !limit.says_nothing());
        assert_eq!(known, expected);
        let [unnamed, named] =
            [None, Some(7)].map(|limit| RateLimit { limit, header: POLICY, ..usage(None, None, None) });
        assert_eq!(limits(&[(POLICY, "100;w=60, \"daily\";q=7")]), [unnamed, named], "beside one that has a name");
        assert_eq!(limits(&[(USAGE, "limit=100, reset=-1")]), [usage(Some(100), None, None)]);
        for text in ["limit=100, remaining=\"0\"", "limit=100, reset=(30)", "limit=100, reset=30,", "limit = 100"] {
            assert_eq!(limits(&[(USAGE, text)]), [], "{text:?}");
        }
    }

    #[test]
    fn a_mistake_anywhere_makes_the_field_absent() {
        for text in [
            ";;;",
            ",",
            "100",
            "default;R=0",
            "default ;r=0",
            "\"default\";r=0;t",
            "\"default\";r=0;t=",
            "\"default\";r=0;t=30,",
            "\"default\";r=0;t=30;",
            "\"default\";r=0;t=30 x",
            "\"default;r=0;t=30",
            "default;r=0;t=30, (default)",
            "default;r=0;t=30, ;",
            "default;r=0;t=30, 5",
            "default;r=0.0;t=30",
            "default;r=?1;t=30",
            "default;r=0;t=\"30\"",
            "default;r=0;t=NaN",
            "default;r=0;t=inf",
            "default;r=0;t=1e400",
            "default;r=0;t=+5",
            "default;r=0;t=1_0",
            "default;r=0;t=.5",
            "default;r=0;t=5.",
            "default;r=0;t=5.0001",
            "default;r=0;t=9223372036854775807",
            "default;r=0;t=99999999999999999999999",
            "default;r=0;t=18446744073709551616x",
            "default;r=0;t=@1700000000",
        ] {
            assert_eq!(limits(&[(USAGE, text)]), [], "{text:?}");
            assert_eq!(limits(&[(USAGE, "default;r=0;t=30"), (USAGE, text)]), [], "{text:?} below another line");
        }
        let longest = [RateLimit { reset: Some(RetryAfter::LONGEST), ..usage(None, Some(0), None) }];
        assert_eq!(limits(&[(USAGE, "default;r=0;t=999999999999999")]), longest);
    }

    #[test]
    fn a_field_of_many_items_or_bytes_is_absent() {
        let item = "default;r=0;t=30";
        let list = |n| vec![item; n].join(",");
        assert_eq!(limits(&[(USAGE, &list(MOST_ITEMS))]).len(), MOST_ITEMS);
        assert_eq!(limits(&[(USAGE, &list(MOST_ITEMS + 1))]), []);
        assert_eq!(limits(&[(USAGE, &list(MOST_ITEMS)), (USAGE, item)]), []);
        let long = |n: usize| format!("{item};x=\"{}\"", "x".repeat(n - item.len() - 5));
        assert_eq!(limits(&[(USAGE, &long(LONGEST_FIELD))]).len(), 1);
        assert_eq!(limits(&[(USAGE, &long(LONGEST_FIELD + 1))]), []);
        assert_eq!(limits(&[(USAGE, &long(LONGEST_FIELD)), (USAGE, "a")]), []);
        assert_eq!(limits(&[(USAGE, &long(1_000_000))]), []);
        assert_eq!(limits(&[(USAGE, &format!("limit=1, remaining=0, x={}", "1, x=".repeat(200_000)))]), []);
    }
}
