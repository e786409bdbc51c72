//! The form of failures in responses.

use std::fmt;

use reld_error_codes::ErrorCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The body of every unsuccessful response: `{"error": {…}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The failure.
    pub error: ErrorReport,
}

/// A failure: the message, the state of the node, the failed step, and the causes.
///
/// ```json
/// {"kind": "rolled_back", "message": "release 1.1.0 was not installed", "exit_code": 4,
///  "node_state": "the node runs 1.0.0 as before",
///  "step": {"number": 7, "of": 12, "text": "change_code counter in <41.1>", "kind": "change_code"},
///  "causes": ["app counter 1.1.0 answered: unknown state version 3"],
///  "hint": "`relctl check 1.1.0` prints the script", "details": null}
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorReport {
    /// The code: the word of an [`ErrorCode`], or of one that a newer daemon has.
    pub kind: String,
    /// The message, in one line.
    pub message: String,
    /// The exit code of relctl.
    pub exit_code: ExitCode,
    /// The release that the node runs now. Absent if the request could not have changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_state: Option<String>,
    /// The step at which an upgrade failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<FailedStep>,
    /// The causes. The outermost cause comes first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// A remedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Data that belongs to this kind of error, such as the pid of the child for `already_started`,
    /// or the report of an upgrade that was rolled back.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub details: Value,
}

/// The failed step of a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedStep {
    /// The number of the step, from 1.
    pub number: usize,
    /// The number of steps of the script.
    pub of: usize,
    /// The instruction. If it affects a process, the text names the process.
    pub text: String,
    /// The code of the cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

impl ErrorReport {
    /// Returns a report that contains only a message.
    pub fn new(code: ErrorCode, message: impl Into<String>, exit_code: ExitCode) -> Self {
        Self {
            kind: code.as_str().to_owned(),
            message: message.into(),
            exit_code,
            node_state: None,
            step: None,
            causes: Vec::new(),
            hint: None,
            details: Value::Null,
        }
    }

    /// Returns the report of a request that was refused and changed nothing.
    pub fn refused(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::new(code, message, ExitCode::Refused)
    }

    /// Adds a cause.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Returns the message with the step and the causes, in one line.
    pub fn in_one_line(&self) -> String {
        let step = self.step.iter().map(|step| format!("step {} of {}, {}", step.number, step.of, step.text));
        let causes = self.causes.iter().map(|cause| cause.replace('\n', " "));
        [self.to_string()].into_iter().chain(step).chain(causes).collect::<Vec<_>>().join(": ")
    }

    /// Adds a remedy.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<ErrorReport> for ErrorBody {
    fn from(error: ErrorReport) -> Self {
        Self { error }
    }
}

impl fmt::Display for ErrorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.node_state {
            Some(state) => write!(f, "; {state}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ErrorReport {}

/// An exit code of relctl. In JSON it is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum ExitCode {
    /// 0: the request succeeded, or there was nothing to do.
    Done,
    /// 1: the request was refused, and nothing changed.
    Refused,
    /// 2: the command line or request is wrong.
    Usage,
    /// 3: no daemon answers.
    NoDaemon,
    /// 4: the request failed and was rolled back or taken back. The previous release runs, and the
    /// report names any loss.
    RolledBack,
    /// 5: the rollback is incomplete. The node restarts into the permanent release.
    Incomplete,
    /// 6: a rollout has halted, and a part of the nodes has moved.
    Halted,
    /// 7: the release is installed but not committed. It could not be taken back, or could not be
    /// made permanent, or is not permanent yet. A restart drops it.
    Uncommitted,
    /// 70: there is a bug in reld.
    Bug,
}

const EXIT_CODES: [(ExitCode, u8); 9] = [
    (ExitCode::Done, 0),
    (ExitCode::Refused, 1),
    (ExitCode::Usage, 2),
    (ExitCode::NoDaemon, 3),
    (ExitCode::RolledBack, 4),
    (ExitCode::Incomplete, 5),
    (ExitCode::Halted, 6),
    (ExitCode::Uncommitted, 7),
    (ExitCode::Bug, 70),
];

impl ExitCode {
    /// Returns the HTTP status of an error response with this exit code.
    pub fn http_status(self) -> u16 {
        match self {
            Self::Done => 200,
            Self::Usage => 400,
            Self::Refused => 409,
            Self::NoDaemon => 503,
            Self::RolledBack | Self::Incomplete | Self::Halted | Self::Uncommitted | Self::Bug => 500,
        }
    }
}

impl From<ExitCode> for u8 {
    fn from(code: ExitCode) -> Self {
        EXIT_CODES.iter().find(|(known, _)| *known == code).map_or(70, |(_, number)| *number)
    }
}

impl TryFrom<u8> for ExitCode {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        let known = EXIT_CODES.iter().find(|(_, known)| *known == number);
        known.map(|(code, _)| *code).ok_or_else(|| format!("{number} is not an exit code of relctl"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_exit_code_round_trips_as_a_number_and_other_numbers_are_refused() {
        for (code, number) in EXIT_CODES {
            assert_eq!(serde_json::to_value(code).unwrap(), json!(number));
            assert_eq!(serde_json::from_value::<ExitCode>(json!(number)).unwrap(), code);
        }
        assert!(serde_json::from_value::<ExitCode>(json!(8)).is_err());
    }

    #[test]
    fn absent_fields_of_an_error_are_not_written() {
        let body = ErrorBody::from(ErrorReport::refused(ErrorCode::NotFound, "there is no child 30000"));
        let expected =
            json!({"error": {"kind": "not_found", "message": "there is no child 30000", "exit_code": 1}});
        assert_eq!(serde_json::to_value(&body).unwrap(), expected);
        assert_eq!(serde_json::from_value::<ErrorBody>(expected).unwrap(), body);
    }
}
