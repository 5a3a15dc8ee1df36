//! The name of a policy.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// The name of a policy: cheap to clone; compares, hashes and displays as the text it is.
#[derive(Clone)]
pub struct PolicyName(pub(crate) Text);

#[derive(Clone)]
pub(crate) enum Text {
    Static(&'static str),
    Shared(Arc<str>),
}

impl PolicyName {
    /// A name that is known at compile time.
    pub const fn new(name: &'static str) -> PolicyName {
        PolicyName(Text::Static(name))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Static(name) => name,
            Text::Shared(name) => name,
        }
    }
}

impl From<String> for PolicyName {
    fn from(name: String) -> PolicyName {
        PolicyName(Text::Shared(name.into()))
    }
}

impl From<&'static str> for PolicyName {
    fn from(name: &'static str) -> PolicyName {
        PolicyName::new(name)
    }
}

impl Deref for PolicyName {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for PolicyName {
    fn eq(&self, other: &PolicyName) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for PolicyName {}

impl PartialEq<str> for PolicyName {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for PolicyName {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl Hash for PolicyName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
