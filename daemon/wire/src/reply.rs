//! The answer to a request: a value or a refusal.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The answer of a supervisor, a port or a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply<T, E> {
    /// The request was carried out. The value is its result.
    Ok(T),
    /// The request was refused.
    Error(E),
}

impl<T, E> From<Result<T, E>> for Reply<T, E> {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(value) => Self::Ok(value),
            Err(error) => Self::Error(error),
        }
    }
}

impl<T, E> From<Reply<T, E>> for Result<T, E> {
    fn from(reply: Reply<T, E>) -> Self {
        match reply {
            Reply::Ok(value) => Ok(value),
            Reply::Error(error) => Err(error),
        }
    }
}

/// The reason why a request to a port or a table was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal<R> {
    /// The reason as a word.
    pub reason: R,
    /// The reason as text for people. It names the address, the port or the table.
    pub text: String,
}

impl<R> Refusal<R> {
    /// Makes a refusal.
    pub fn new(reason: R, text: impl Into<String>) -> Self {
        Self { reason, text: text.into() }
    }
}

impl<R> fmt::Display for Refusal<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<R: fmt::Debug> std::error::Error for Refusal<R> {}

/// A word as a library reads it. A newer daemon may send an unknown one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Word<W> {
    /// A word of this version.
    Known(W),
    /// A word of a newer version.
    Unknown(String),
}
