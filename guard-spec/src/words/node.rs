//! A value as it was written, with its place: what any format that serde reads is brought to, and TOML with places.

use core::fmt;

use ::serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use ::serde::ser::{SerializeMap as _, SerializeSeq as _, Serializer};
use ::serde::{Deserialize, Serialize};

/// A value and where it begins, as far as that is known: the offset of its first byte.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Its first byte.
    pub at: Option<usize>,
}

/// What a [`Node`] is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// `true` or `false`.
    Switch(bool),
    /// A whole number.
    Whole(i128),
    /// Another number.
    Float(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A table; a key may come twice where the format lets it.
    Table(Vec<Entry>),
    /// What no setting takes, by its name: a date, nothing.
    Other(&'static str),
}

/// A key of a table and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its first byte.
    pub at: Option<usize>,
    /// The value.
    pub value: Node,
}

impl From<Kind> for Node {
    fn from(kind: Kind) -> Node {
        Node { kind, at: None }
    }
}

impl Node {
    /// The longest value that is shown whole.
    const SHOWN: usize = 60;
    /// How deep lists and tables may lie in one another; settings need four.
    const DEEPEST: usize = 16;

    pub(super) fn text(text: impl fmt::Display) -> Node {
        Kind::Text(text.to_string()).into()
    }

    pub(super) fn whole(number: u32) -> Node {
        Kind::Whole(number.into()).into()
    }

    /// The value as it is written in TOML, its beginning if it is long.
    pub fn shown(&self) -> String {
        use fmt::Write as _;

        /// Takes so many characters, and no more.
        struct Beginning(String, usize);
        impl fmt::Write for Beginning {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                for letter in text.chars() {
                    self.1 = self.1.checked_sub(1).ok_or(fmt::Error)?;
                    self.0.push(letter);
                }
                Ok(())
            }
        }
        let mut shown = Beginning(String::new(), Node::SHOWN);
        if write!(shown, "{self}").is_err() {
            shown.0.push('…');
        }
        shown.0
    }
}

/// As it is written in TOML, in one line.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Switch(switch) => write!(f, "{switch}"),
            Kind::Whole(number) => write!(f, "{number}"),
            Kind::Float(number) => write!(f, "{number:?}"),
            Kind::Text(text) => write!(f, "{text:?}"),
            Kind::Other(name) => f.write_str(name),
            Kind::List(nodes) => {
                f.write_str("[")?;
                for (index, node) in nodes.iter().enumerate() {
                    write!(f, "{}{node}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Kind::Table(entries) => {
                f.write_str("{")?;
                for (index, entry) in entries.iter().enumerate() {
                    write!(f, "{} {} = {}", if index == 0 { "" } else { "," }, entry.key, entry.value)?;
                }
                f.write_str(" }")
            }
        }
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.kind {
            Kind::Switch(switch) => serializer.serialize_bool(*switch),
            // Settings have no number that is larger; one of 128 bits is more than some formats know.
            Kind::Whole(number) => match i64::try_from(*number) {
                Ok(number) => serializer.serialize_i64(number),
                Err(_) => serializer.serialize_i128(*number),
            },
            Kind::Float(number) => serializer.serialize_f64(*number),
            Kind::Text(text) => serializer.serialize_str(text),
            Kind::Other(_) => serializer.serialize_unit(),
            Kind::List(nodes) => {
                let mut list = serializer.serialize_seq(Some(nodes.len()))?;
                for node in nodes {
                    list.serialize_element(node)?;
                }
                list.end()
            }
            Kind::Table(entries) => {
                let mut table = serializer.serialize_map(Some(entries.len()))?;
                for entry in entries {
                    table.serialize_entry(&entry.key, &entry.value)?;
                }
                table.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        Inside(Node::DEEPEST).deserialize(deserializer)
    }
}

/// Reads a node with at most so many levels.
#[derive(Clone, Copy)]
struct Inside(usize);

impl Inside {
    fn one_deeper<E: ::serde::de::Error>(self) -> Result<Inside, E> {
        self.0.checked_sub(1).map(Inside).ok_or_else(|| E::custom("lists and tables lie too deep in one another"))
    }
}

impl<'de> DeserializeSeed<'de> for Inside {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Inside {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a setting")
    }

    fn visit_bool<E>(self, switch: bool) -> Result<Node, E> {
        Ok(Kind::Switch(switch).into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        Ok(Kind::Whole(number.into()).into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
        Ok(Kind::Whole(number.into()).into())
    }

    fn visit_i128<E>(self, number: i128) -> Result<Node, E> {
        Ok(Kind::Whole(number).into())
    }

    fn visit_u128<E>(self, number: u128) -> Result<Node, E> {
        Ok(Kind::Whole(number.try_into().unwrap_or(i128::MAX)).into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Node, E> {
        Ok(Kind::Float(number).into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Kind::Text(text.to_owned()).into())
    }

    fn visit_string<E>(self, text: String) -> Result<Node, E> {
        Ok(Kind::Text(text).into())
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Kind::Other("nothing").into())
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Kind::Other("nothing").into())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        self.one_deeper()?.deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        self.one_deeper()?.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let inside = self.one_deeper()?;
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element_seed(inside)? {
            nodes.push(node);
        }
        Ok(Kind::List(nodes).into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Node, A::Error> {
        let inside = self.one_deeper()?;
        let mut entries = Vec::new();
        while let Some(key) = table.next_key_seed(inside)? {
            let Kind::Text(key) = key.kind else { return Err(A::Error::custom("a key is not a text")) };
            entries.push(Entry { key, at: None, value: table.next_value_seed(inside)? });
        }
        Ok(Kind::Table(entries).into())
    }
}
