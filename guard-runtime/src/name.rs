//! The name of a policy.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// The name of a policy: cheap to clone; compares and hashes as the text it is.
///
/// It displays as that text, with control characters and those that turn its direction round as `\n` or `\u{1b}`: a name that is
/// made of what others say cannot forge a line of a log.
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
        if !self.contains(would_forge) {
            return f.pad(self);
        }
        let escape = |char: char| if would_forge(char) { char.escape_debug().to_string() } else { char.to_string() };
        f.pad(&self.chars().map(escape).collect::<String>())
    }
}

/// Whether a character moves the cursor of whoever reads it, or the text around it.
fn would_forge(char: char) -> bool {
    char.is_control() || matches!(char, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Debug for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_displays_as_it_is_but_for_what_would_forge_a_line() {
        assert_eq!(format!("{:>7}", PolicyName::new("häß.<1>")), "häß.<1>");
        assert_eq!(format!("[{:>5}]", PolicyName::new("tea")), "[  tea]");
        let forged = PolicyName::from("a\n\u{1b}[31mb\u{202e}c".to_owned());
        assert_eq!(forged.to_string(), "a\\n\\u{1b}[31mb\\u{202e}c");
        assert_eq!(forged, "a\n\u{1b}[31mb\u{202e}c");
    }
}
