//! The errors of relctl. Each error is an [`ErrorReport`], whether it comes from the daemon, the
//! planner or the disk.

use std::error::Error;
use std::io;

use reld_api::{ClientError, ErrorCode, ErrorReport, ExitCode};
use reld_plan::{DocError, PlanError};

#[derive(Debug)]
pub(crate) struct Failure(Box<ErrorReport>);

impl Failure {
    pub(crate) fn report(&self) -> &ErrorReport {
        &self.0
    }

    /// A wrong command line.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        ErrorReport::new(ErrorCode::Usage, message, ExitCode::Usage).into()
    }

    /// An error of the operating system; the node was not changed.
    pub(crate) fn io(verb: &str, object: impl std::fmt::Display, fault: &io::Error) -> Self {
        ErrorReport::refused(ErrorCode::Io, format!("cannot {verb} {object}"))
            .caused_by(fault.to_string())
            .into()
    }

    /// Adds a hint, unless the daemon gave one.
    pub(crate) fn or_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint.get_or_insert_with(|| hint.into());
        self
    }
}

impl From<ErrorReport> for Failure {
    fn from(report: ErrorReport) -> Self {
        Self(Box::new(report))
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let (code, exit_code) = match error {
            ClientError::Refused(report) => return Self(report),
            ClientError::NoDaemon { .. } => (ErrorCode::NoDaemon, ExitCode::NoDaemon),
            ClientError::Deadline { .. } => (ErrorCode::Deadline, ExitCode::NoDaemon),
            ClientError::Broken { .. } | ClientError::Ended { .. } => (ErrorCode::Broken, ExitCode::NoDaemon),
            ClientError::Shape { .. } => (ErrorCode::Shape, ExitCode::Bug),
        };
        let hint = match &error {
            ClientError::NoDaemon { source, .. } => no_daemon(source),
            ClientError::Shape { .. } => "use the relctl of the daemon's version",
            _ => "check the node with `relctl status`",
        };
        with_causes(ErrorReport::new(code, error.to_string(), exit_code), &error).with_hint(hint).into()
    }
}

impl From<reld_store::Error> for Failure {
    fn from(error: reld_store::Error) -> Self {
        with_causes(ErrorReport::refused(error.code(), error.to_string()), &error).into()
    }
}

impl From<reld_source::Error> for Failure {
    fn from(error: reld_source::Error) -> Self {
        with_causes(ErrorReport::refused(error.code(), error.to_string()), &error).into()
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        let failure = Self::from(with_causes(ErrorReport::refused(error.code(), error.to_string()), &error));
        match error {
            PlanError::NoValidVersion { .. } => failure.or_hint(
                "the tarball may leave out an app that the node has: `relctl upgrade FILE --dry-run` plans on the node",
            ),
            _ => failure,
        }
    }
}

impl From<DocError> for Failure {
    fn from(error: DocError) -> Self {
        ErrorReport::refused(error.code(), error.to_string()).into()
    }
}

/// Returns a hint for a socket that does not accept a connection.
fn no_daemon(fault: &io::Error) -> &'static str {
    match fault.kind() {
        io::ErrorKind::PermissionDenied => {
            "only the daemon's user, its group and root may use the socket: run with `sudo`, or join the group"
        }
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            "the daemon does not accept connections: its log may show why; `kill -TERM` stops it"
        }
        _ => {
            "start one with `reld`, or name its socket with --socket or RELD_SOCKET; that of an installed service is /run/reld/reld.sock"
        }
    }
}

fn with_causes(mut report: ErrorReport, error: &dyn Error) -> ErrorReport {
    let mut source = error.source();
    while let Some(cause) = source {
        report.causes.push(cause.to_string());
        source = cause.source();
    }
    report
}
