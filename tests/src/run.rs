//! Runs commands and waits for conditions.

use std::process::Command;
use std::time::{Duration, Instant};

use reld_api::{ErrorBody, ErrorCode, ErrorReport};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::json::exactly;

/// Time limit for every awaited condition.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its exit code.
    pub code: i32,
    /// Its output on stdout.
    pub stdout: String,
    /// Its output on stderr.
    pub stderr: String,
}

impl Run {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Self {
        let output = command.output().expect("the program can be run");
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Checks the exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Reads stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        parse(&self.stdout)
    }

    /// Reads stdout as an answer.
    #[track_caller]
    pub fn read<T: DeserializeOwned + Serialize>(&self) -> T {
        exactly(&self.json())
    }

    /// Reads stdout as an error. Its code must be known, and stderr must have it too.
    #[track_caller]
    pub fn error(&self) -> ErrorReport {
        let error = exactly::<ErrorBody>(&self.json()).error;
        assert!(ErrorCode::of(&error.kind).is_some(), "{} is not a code: {error}", error.kind);
        // A wrong command line is reported by clap.
        let text = if error.kind == "usage" { "error" } else { &format!("error[{}]: ", error.kind) };
        assert!(self.stderr.contains(text), "no {text:?} in:\n{}", self.stderr);
        error
    }
}

#[track_caller]
fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in:\n{text}"))
}

/// Checks that a text contains all of `parts`.
#[track_caller]
pub fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

/// Checks that a text contains all of `parts`, with their first occurrences in this order.
#[track_caller]
pub fn assert_in_order(text: &str, parts: &[&str]) {
    assert_contains(text, parts);
    let places = parts.iter().map(|part| text.find(part));
    assert!(places.is_sorted(), "not in the order {parts:?}:\n{text}");
}

/// Calls `ask` until it returns a value.
#[track_caller]
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
