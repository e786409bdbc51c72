//! The output of a command.

use reld_api::ExitCode;
use serde::Serialize;
use serde_json::Value;

/// The output of a command, as text and as JSON.
#[derive(Debug)]
pub(crate) struct Shown {
    /// Text; ends with a line break unless empty.
    pub(crate) text: String,
    /// For `--json`: the daemon's answer, unchanged.
    pub(crate) json: Value,
    /// The exit code of relctl.
    pub(crate) exit_code: ExitCode,
}

impl Shown {
    /// Shows an answer, as `text` unless `--json` is given.
    pub(crate) fn new(answer: &impl Serialize, text: impl Into<String>) -> Self {
        let json = serde_json::to_value(answer).expect("answers came from JSON");
        Self { text: text.into(), json, exit_code: ExitCode::Done }
    }

    pub(crate) fn line(answer: &impl Serialize, line: impl std::fmt::Display) -> Self {
        Self::new(answer, format!("{line}\n"))
    }

    /// Shows nothing: the command has printed its output while it ran.
    pub(crate) fn nothing() -> Self {
        Self { text: String::new(), json: Value::Null, exit_code: ExitCode::Done }
    }
}
