//! `relctl upgrade`, `downgrade` and `install`, with progress while they run.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reld_api::request::{self as q, End};
use reld_api::response::{Checked, Outcome, Report};
use reld_api::{Client, ErrorCode, ErrorReport, Request};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use super::{history, load, release};
use crate::args::{Downgrade, Floor, Going, Install, Policy, Settle, Timeouts, Upgrade, Wait};
use crate::error::Failure;
use crate::shown::Shown;
use crate::{input, render, terminal};

/// The maximum size of a probe that is sent to the daemon.
const SCRIPT_MAX: u64 = 1 << 20;

/// The refresh interval of the progress line.
const TICK: Duration = Duration::from_millis(100);

pub(super) async fn upgrade(client: &Client, args: Upgrade) -> Result<Shown, Failure> {
    if let Some(app) = args.app.clone() {
        return load::upgrade_app(client, &app, args).await;
    }
    let policy = args.going.policy;
    match Target::of(args.release) {
        Target::File(file) if input::url(&file).is_some() => Err(takes_no_url(&file)),
        Target::File(file) if args.going.dry_run => {
            dry_run_of_file(client, &file, policy, args.floor, args.going.wait).await
        }
        Target::File(file) => {
            let unpacked = release::upload(client, &file, true, args.floor, args.going.wait).await?;
            let mut shown = go(client, unpacked.version, args.going).await?;
            shown.text.insert_str(0, &render::repaired(&unpacked.repaired));
            Ok(shown)
        }
        Target::Version(version) if args.going.dry_run => release::check(client, version, policy).await,
        Target::Version(version) => go(client, version, args.going).await,
    }
}

pub(super) async fn downgrade(client: &Client, args: Downgrade) -> Result<Shown, Failure> {
    let Downgrade { version, going } = args;
    let Going { dry_run, mode, no_commit, policy: terms, detach, rollout, wait, settle, timeouts: times } =
        going;
    if dry_run {
        return release::check_downgrade(client, version, terms).await;
    }
    let patience = patience(&settle);
    let request = q::Downgrade {
        version,
        end: end(no_commit),
        timeouts: timeouts(times),
        settle: settled(settle)?,
        policy: policy(terms),
        supersede: terms.supersede,
        detach,
        mode: mode.into(),
        rollout,
        wait: wait.wait,
    };
    let shown = watched(client, &request, patience).await?;
    arrived(client, shown, detach).await
}

pub(super) async fn install(client: &Client, args: Install) -> Result<Shown, Failure> {
    let Install { version, wait, policy: terms, timeouts: times } = args;
    let request = q::Install {
        version,
        timeouts: timeouts(times),
        policy: policy(terms),
        supersede: terms.supersede,
        wait: wait.wait,
    };
    watched(client, &request, Duration::ZERO).await
}

async fn go(client: &Client, version: String, going: Going) -> Result<Shown, Failure> {
    let Going { dry_run: _, mode, no_commit, policy: terms, detach, rollout, wait, settle, timeouts: times } =
        going;
    let patience = patience(&settle);
    let request = q::Upgrade {
        version,
        end: end(no_commit),
        timeouts: timeouts(times),
        settle: settled(settle)?,
        policy: policy(terms),
        supersede: terms.supersede,
        detach,
        mode: mode.into(),
        rollout,
        wait: wait.wait,
    };
    let shown = watched(client, &request, patience).await?;
    arrived(client, shown, detach).await
}

/// Waits until a restarting node is back, unless the order was detached.
async fn arrived(client: &Client, shown: Shown, detach: bool) -> Result<Shown, Failure> {
    match shown.json["to"].as_str() {
        Some(to) if !detach && shown.json["outcome"] == json!(Outcome::UnderWay) => {
            history::arrived(client, to).await
        }
        _ => Ok(shown),
    }
}

fn settled(args: Settle) -> Result<q::Settle, Failure> {
    let timeout_ms = args.probe_timeout * 1000;
    let probe = args.probe.map(|command| -> Result<q::Probe, Failure> {
        Ok(q::Probe { script: script(&command)?, command, timeout_ms })
    });
    Ok(q::Settle { window_ms: args.settle.unwrap_or_default() * 1000, probe: probe.transpose()? })
}

/// Reads the probe if it is a file, because the daemon may have no access to the file or to the
/// folder of a relative path.
fn script(command: &str) -> Result<Option<q::Script>, Failure> {
    let path = Path::new(command);
    if input::is_stdin(path) {
        return from_stdin().map(Some);
    }
    if !path.is_file() {
        return Ok(None);
    }
    let facts = path.metadata().map_err(|fault| Failure::io("read", path.display(), &fault))?;
    let refused = |why: String| Failure::from(ErrorReport::refused(ErrorCode::Probe, why));
    if facts.permissions().mode() & 0o111 == 0 {
        return Err(refused(format!("cannot use the probe {command}: it is not executable"))
            .or_hint(format!("`chmod +x {command}`")));
    }
    if facts.len() > SCRIPT_MAX {
        let why = format!(
            "cannot send the probe {command}: its {} bytes exceed the limit of {SCRIPT_MAX}",
            facts.len()
        );
        return Err(refused(why).or_hint("put it on the node's machine and call it from a small script"));
    }
    let bytes = std::fs::read(path).map_err(|fault| Failure::io("read", path.display(), &fault))?;
    Ok(Some(q::Script(bytes)))
}

/// Reads a probe from stdin.
fn from_stdin() -> Result<q::Script, Failure> {
    let mut bytes = Vec::new();
    let read = input::stdin()?.take(SCRIPT_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|fault| Failure::io("read", "the probe from stdin", &fault))?;
    if bytes.len() as u64 > SCRIPT_MAX {
        let why = format!("cannot send the probe from stdin: it exceeds the limit of {SCRIPT_MAX} bytes");
        return Err(ErrorReport::refused(ErrorCode::Probe, why).into());
    }
    Ok(q::Script(bytes))
}

/// Returns the extra time that settling and the probe may take.
fn patience(args: &Settle) -> Duration {
    let probe = if args.probe.is_some() { args.probe_timeout } else { 0 };
    Duration::from_secs(args.settle.unwrap_or_default() + probe)
}

fn timeouts(args: Timeouts) -> q::Timeouts {
    q::Timeouts { suspend_ms: args.suspend_timeout, code_change_ms: args.code_change_timeout }
}

pub(super) fn policy(args: Policy) -> q::Policy {
    let Policy { supersede: _, rename, orphans, unrest, crashes, group_windows, one_way } = args;
    q::Policy { orphans, unrest, crashes, group_windows, rename, one_way }
}

#[derive(Debug, PartialEq)]
pub(super) enum Target {
    File(PathBuf),
    Version(String),
}

impl Target {
    /// Distinguishes files from versions. An argument is a file if it is `-`, contains a slash,
    /// ends like a tarball, names an existing file or is not UTF-8. Any other argument is a
    /// version.
    pub(super) fn of(release: OsString) -> Self {
        let is_file = |text: &str| {
            text == "-" || text.contains('/') || text.ends_with(".tar.gz") || Path::new(text).is_file()
        };
        match release.into_string() {
            Ok(text) if is_file(&text) => Self::File(text.into()),
            Ok(text) => Self::Version(text),
            Err(path) => Self::File(path.into()),
        }
    }
}

fn takes_no_url(url: &Path) -> Failure {
    let why = format!("cannot upgrade to {}: it is a URL, and not a file or a version", url.display());
    Failure::usage(why).or_hint("`relctl unpack URL`, then `relctl upgrade VERSION`")
}

fn end(no_commit: bool) -> End {
    if no_commit { End::Current } else { End::Commit }
}

/// Plans with a tarball on the node. The node plans only with unpacked releases, so the tarball is
/// unpacked, and a new release is removed again.
async fn dry_run_of_file(
    client: &Client,
    file: &Path,
    policy: Policy,
    floor: Floor,
    wait: Wait,
) -> Result<Shown, Failure> {
    let unpacked = release::upload(client, file, false, floor, wait).await?;
    let version = unpacked.version;
    let checked = client.call(&release::checking(version.clone(), policy)).await;
    if unpacked.changed {
        client.call(&q::Remove { version, wait: wait.wait }).await?;
    }
    let checked: Checked = checked?;
    Ok(Shown::new(&checked, render::checked(&checked)))
}

/// Sends a request and shows the progress of the node meanwhile.
async fn watched<R: Request<Response = Report>>(
    client: &Client,
    request: &R,
    patience: Duration,
) -> Result<Shown, Failure> {
    let work = client.call_within(request, R::PATIENCE + patience);
    let report = with_progress(client, work).await?;
    Ok(Shown::new(&report, render::report(&report)))
}

/// Shows the progress of the node while `work` runs, if stderr is a terminal.
pub(super) async fn with_progress<T>(client: &Client, work: impl Future<Output = T>) -> T {
    if !io::stderr().is_terminal() {
        return work.await;
    }
    tokio::pin!(work);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            _ = ticks.tick() => show_progress(client).await,
        }
    };
    terminal::replace_line("");
    done
}

async fn show_progress(client: &Client) {
    // Progress is optional, so the call has a short time limit for a busy node.
    let status = client.call_within(&q::Status {}, TICK).await;
    if let Some(progress) = status.ok().and_then(|status| status.upgrade) {
        terminal::replace_line(&format!("step {} of {}: {}", progress.step, progress.of, progress.text));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn versions_and_files_are_distinguished() {
        assert_eq!(Target::of("1.1.0".into()), Target::Version("1.1.0".to_owned()));
        let latin_1 = OsString::from_vec(b"caf\xe9-1.1.0.tgz".to_vec());
        for file in ["-".into(), "shop-1.1.0.tar.gz".into(), "./1.1.0".into(), latin_1] {
            assert_eq!(Target::of(file.clone()), Target::File(file.into()));
        }
    }
}
