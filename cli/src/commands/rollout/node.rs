//! One node of a rollout: looks at it, and orders.

use std::time::Duration;

use reld_api::response::{HistoryList, NodeStatus, ReleaseList};
use reld_api::{ErrorBody, ErrorCode, ErrorReport, ExitCode};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::ssh::{Ended, Lost, Ssh};
use super::target::{Probe, Tarball, Target};

/// The time limit of a look.
const LOOK: Duration = Duration::from_secs(30);

/// The answers of a node to a look.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) status: NodeStatus,
    pub(super) releases: ReleaseList,
    /// The entries of the rollout.
    pub(super) history: HistoryList,
}

/// The end of an order that is not done. The next look at the node shows the result of every other
/// order.
#[derive(Debug)]
pub(super) enum NotDone {
    /// The order may have begun: the node has its result.
    Ask,
    /// The node cannot begin the order now, for this reason.
    Later(Box<ErrorReport>),
    /// The order was refused, or could not be given.
    Refused(Box<ErrorReport>),
}

/// Asks a node for its state. One command asks all questions.
pub(super) async fn look(ssh: &Ssh, host: &str, rollout: &str) -> Result<Box<Look>, Lost> {
    let questions: [&[&str]; 3] = [&["status"], &["releases"], &["history", "--rollout", rollout]];
    let answer = timeout(LOOK, ssh.relctl(host, &questions, None)).await;
    let answer = answer.map_err(|_| Lost(format!("no answer within {LOOK:?}")))??;
    if answer.code != 0 {
        return Err(Lost(complaint(&answer)));
    }
    read(&answer.stdout)
        .map(Box::new)
        .map_err(|fault| Lost(format!("its answer has an unknown form: {fault}")))
}

fn read(text: &str) -> serde_json::Result<Look> {
    fn next<T: DeserializeOwned>(text: &mut &str) -> serde_json::Result<T> {
        let mut documents = serde_json::Deserializer::from_str(text).into_iter();
        let document = documents.next().unwrap_or_else(|| serde_json::from_str(""))?;
        *text = &text[documents.byte_offset()..];
        Ok(document)
    }
    let mut rest = text;
    Ok(Look { status: next(&mut rest)?, releases: next(&mut rest)?, history: next(&mut rest)? })
}

/// Brings the release to a node, and upgrades the node to it.
pub(super) async fn upgrade(ssh: &Ssh, host: &str, target: &Target) -> Result<(), NotDone> {
    let unpacked = match &target.tarball {
        Tarball::File(file) => ssh.relctl(host, &[&["unpack", "-"]], Some(file)).await,
        Tarball::Url(url) => {
            ssh.relctl(host, &[&["unpack", url, "--identity", &target.identity]], None).await
        }
    };
    done(unpacked)?;
    let settle = target.settle.to_string();
    let mut args = vec!["upgrade", &*target.version, "--rollout", &*target.rollout];
    if target.settle > 0 {
        args.extend(["--settle", &settle]);
    }
    let stdin = match &target.probe {
        None => None,
        Some(Probe::File(file)) => {
            args.extend(["--probe", "-"]);
            Some(file.as_path())
        }
        Some(Probe::Command(command)) => {
            args.extend(["--probe", command]);
            None
        }
    };
    done(ssh.relctl(host, &[&args], stdin).await)
}

/// Takes the release back from a node.
pub(super) async fn take_back(ssh: &Ssh, host: &str, target: &Target, to: &str) -> Result<(), NotDone> {
    // The release may be one that could not be committed.
    let args = ["downgrade", to, "--supersede", "--rollout", &target.rollout];
    done(ssh.relctl(host, &[&args], None).await)
}

/// Judges the end of a command.
///
/// | exit code of relctl | the order |
/// |---|---|
/// | 0 | is done |
/// | 1 with `busy`, `locked_out` | another client has the node, or other nodes have the lock: later |
/// | 3, 4, 5, 7, or the line was lost | may have begun |
/// | another one | was refused; with 70, the next attempt would meet the same bug |
fn done(ended: Result<Ended, Lost>) -> Result<(), NotDone> {
    let Ok(ended) = ended else { return Err(NotDone::Ask) };
    match u8::try_from(ended.code).ok().and_then(|code| ExitCode::try_from(code).ok()) {
        Some(ExitCode::Done) => Ok(()),
        Some(ExitCode::NoDaemon | ExitCode::RolledBack | ExitCode::Incomplete | ExitCode::Uncommitted) => {
            Err(NotDone::Ask)
        }
        _ => {
            let report = error(&ended);
            let passes = [ErrorCode::Busy, ErrorCode::LockedOut].map(ErrorCode::as_str);
            let reason = Box::new(report);
            Err(if passes.contains(&&*reason.kind) {
                NotDone::Later(reason)
            } else {
                NotDone::Refused(reason)
            })
        }
    }
}

/// Returns the error of relctl, or of the shell that did not find it.
fn error(ended: &Ended) -> ErrorReport {
    let body = serde_json::from_str::<ErrorBody>(&ended.stdout);
    body.map_or_else(|_| ErrorReport::refused(ErrorCode::Unreachable, complaint(ended)), |body| body.error)
}

fn complaint(ended: &Ended) -> String {
    match serde_json::from_str::<ErrorBody>(&ended.stdout) {
        Ok(body) => body.error.message,
        Err(_) if ended.complaint.is_empty() => format!("relctl exited with {}", ended.code),
        Err(_) => ended.complaint.clone(),
    }
}
