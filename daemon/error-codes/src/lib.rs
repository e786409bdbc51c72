//! The codes of errors. Each error that an operator or a script can meet has one: a word that
//! stays the same, is OTP's word if OTP has one, and has a page that `relctl explain` prints.

mod table;

use std::fmt;

pub use table::ErrorCode;

impl ErrorCode {
    /// Returns the code with this word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == word)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
