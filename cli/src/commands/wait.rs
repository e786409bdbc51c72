//! `relctl wait`: waits until a node is in a state.

use std::io;
use std::time::Duration;

use reld_api::response::{NodeStatus, ReleaseStatus};
use reld_api::{Client, ClientError, ErrorCode, ErrorReport, ExitCode, request as q};
use tokio::time::{Instant, sleep};

use crate::args::{WaitFor, WaitState};
use crate::error::Failure;
use crate::render;
use crate::shown::Shown;

/// The pause between two looks at the node.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn wait(client: &Client, args: WaitFor) -> Result<Shown, Failure> {
    let deadline = Instant::now() + Duration::from_secs(args.timeout);
    loop {
        let left = deadline.saturating_duration_since(Instant::now()).max(PAUSE);
        let missing = match client.call_within(&q::Status {}, left).await {
            Ok(status) => match missing(args.state, &status) {
                None => return Ok(Shown::new(&status, render::status(&status))),
                Some(missing) => Failure::from(ErrorReport::refused(ErrorCode::Deadline, missing)),
            },
            Err(error) if is_passing(&error) => Failure::from(error),
            Err(error) => return Err(error.into()),
        };
        if Instant::now() >= deadline {
            return Err(late(args.state, args.timeout, &missing));
        }
        sleep(PAUSE).await;
    }
}

/// Returns the part of a state that a node lacks; `None` if it is in the state.
///
/// | state | the node |
/// |---|---|
/// | up | runs its permanent release, or has none |
/// | quiet | is up; no order is under way or waits, and no release settles |
/// | committed | is quiet, and runs a permanent release |
fn missing(state: WaitState, status: &NodeStatus) -> Option<String> {
    if let (None, Some(permanent)) = (&status.release, &status.permanent) {
        return Some(format!("release {permanent} does not run yet"));
    }
    if state == WaitState::Up {
        return None;
    }
    if let Some(order) = &status.order {
        return Some(format!("{order} is under way"));
    }
    if let Some(settling) = &status.settling {
        return Some(format!("release {settling} settles"));
    }
    if let Some(waiting) = status.waiting.first() {
        return Some(format!("{} waits", waiting.order));
    }
    match (state, &status.release) {
        (WaitState::Up | WaitState::Quiet, _) => None,
        (WaitState::Committed, None) => Some("the node runs no release".to_owned()),
        (WaitState::Committed, Some(release)) => (release.status != ReleaseStatus::Permanent)
            .then(|| format!("release {} is not committed", release.version)),
    }
}

/// Reports whether a daemon that starts or restarts may answer later.
pub(super) fn is_passing(error: &ClientError) -> bool {
    match error {
        ClientError::NoDaemon { source, .. } => source.kind() != io::ErrorKind::PermissionDenied,
        ClientError::Broken { .. } | ClientError::Deadline { .. } | ClientError::Ended { .. } => true,
        ClientError::Refused(_) | ClientError::Shape { .. } => false,
    }
}

/// The error of a state that did not come in time. The exit code tells a node in another state from
/// one that does not answer.
fn late(state: WaitState, timeout: u64, missing: &Failure) -> Failure {
    let missing = missing.report();
    let message = format!("the node was not {state} within {timeout} s");
    let report =
        ErrorReport::new(ErrorCode::Deadline, message, missing.exit_code).caused_by(missing.message.clone());
    let hint = match missing.exit_code {
        ExitCode::NoDaemon => missing.hint.clone().unwrap_or_default(),
        _ => "`relctl status` shows the node, `relctl attach` follows an upgrade".to_owned(),
    };
    report.with_hint(hint).into()
}
