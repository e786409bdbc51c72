//! Names of apps and modules. They have separate types, because the two are easily swapped.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::quote::Quoted;
use crate::read::{self, Fault, Node};

/// The maximum length of a name, in characters. A name and a version become the name of a folder.
const LENGTH_MAX: usize = 100;

/// The text is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a name: a letter or `_`, then letters, digits, `_`, `-` or `.`, at most {LENGTH_MAX} in all"
)]
pub struct NameError(pub String);

/// Checks a name. Few characters are allowed, because a name becomes part of paths and of
/// `module:function`.
fn checked(text: String) -> Result<String, NameError> {
    let head = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let tail = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if head && tail && text.len() <= LENGTH_MAX {
        Ok(text)
    } else {
        Err(NameError(Quoted(&text).to_string()))
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Returns the name, or an error if the text contains other characters than a name may
            /// have.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                checked(text.into()).map(Self)
            }

            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            pub(crate) fn read(node: Node<'_>) -> Result<Self, Fault> {
                Self::new(read::string(node.clone())?).map_err(|error| Fault::at(&node, error.to_string()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}

name! {
    /// The name of an application.
    AppName
}

name! {
    /// The name of a module: one callback table in an app's library, unique in a release.
    ModuleName
}
