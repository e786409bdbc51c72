//! Conversions of requests that change the node to orders for the handler.

use std::path::Path;
use std::time::Duration;

use reld_api::request as q;
use reld_api::response::HistoryKind;
use reld_api::{ErrorCode, ErrorReport, ExitCode};
use reld_handler::{
    CrashPolicy, End, InstallOptions, Order, OrphanPolicy, Probe, Settle, Unrest, Vsn, Windows,
};

use crate::probe::{OperatorProbe, probe};

/// The paths of the daemon's own files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Here<'a> {
    pub(super) socket: &'a Path,
    pub(super) scratch: &'a Path,
}

/// Parses the version of a release.
pub(super) fn version(text: &str) -> Result<Vsn, ErrorReport> {
    text.parse().map_err(|cause: <Vsn as std::str::FromStr>::Err| {
        let message = format!("{text:?} is not a release version");
        ErrorReport::new(ErrorCode::BadVersion, message, ExitCode::Usage).caused_by(cause.to_string())
    })
}

pub(super) fn install(request: &q::Install) -> Result<Order, ErrorReport> {
    let options = options(request.timeouts, request.policy, request.supersede);
    Ok(Order::Install { to: version(&request.version)?, options })
}

pub(super) fn upgrade(request: q::Upgrade, here: Here<'_>) -> Result<(Order, HistoryKind), ErrorReport> {
    let to = version(&request.version)?;
    let options = options(request.timeouts, request.policy, request.supersede);
    let kind = kind(request.mode, HistoryKind::Upgrade);
    let end = end(request.mode, request.end, request.settle, options, here)?;
    Ok((Order::Upgrade { to, options, end }, kind))
}

pub(super) fn downgrade(request: q::Downgrade, here: Here<'_>) -> Result<(Order, HistoryKind), ErrorReport> {
    let to = request.version.as_deref().map(version).transpose()?;
    if request.wait && to.is_none() {
        return Err(bad(
            "a downgrade that waits needs a version: the previous release is not known until its turn",
        ));
    }
    let options = options(request.timeouts, request.policy, request.supersede);
    let kind = kind(request.mode, HistoryKind::Downgrade);
    let end = end(request.mode, request.end, request.settle, options, here)?;
    Ok((Order::Downgrade { to, options, end }, kind))
}

fn kind(mode: q::Mode, live: HistoryKind) -> HistoryKind {
    match mode {
        q::Mode::Live => live,
        q::Mode::Restart => HistoryKind::Restart,
    }
}

fn bad(why: &str) -> ErrorReport {
    ErrorReport::new(ErrorCode::BadRequest, why, ExitCode::Usage)
}

fn end(
    mode: q::Mode,
    end: q::End,
    settle: q::Settle,
    options: InstallOptions,
    here: Here<'_>,
) -> Result<End, ErrorReport> {
    if mode == q::Mode::Restart {
        return restart(end, &settle, options);
    }
    match end {
        q::End::Current if settle != q::Settle::default() => {
            Err(bad("a release that is not committed at the end does not settle"))
        }
        q::End::Current => Ok(End::Current),
        q::End::Commit => Ok(End::Commit(Settle {
            window: Duration::from_millis(settle.window_ms),
            crashes: options.crashes,
            probe: settle.probe.map(|probe| settle_probe(probe, here)).transpose()?,
        })),
    }
}

fn restart(end: q::End, settle: &q::Settle, options: InstallOptions) -> Result<End, ErrorReport> {
    if *settle != q::Settle::default() || end == q::End::Current {
        return Err(bad(
            "a restart commits the release at once: it cannot settle, and it cannot stay uncommitted",
        ));
    }
    if options.windows == Windows::Group {
        return Err(bad("a restart has no windows: no process keeps running"));
    }
    Ok(End::Restart)
}

fn settle_probe(request: q::Probe, here: Here<'_>) -> Result<Probe, ErrorReport> {
    let command = request.command.clone();
    let run = OperatorProbe::new(request, here.scratch).map_err(|why| {
        ErrorReport::refused(ErrorCode::Probe, format!("cannot run the probe `{command}`: {why}")).with_hint(
            "give a file without arguments, which `relctl` sends, or a program on the node's machine",
        )
    })?;
    Ok(probe(run, here.socket.to_owned()))
}

pub(super) fn options(timeouts: q::Timeouts, policy: q::Policy, supersede: bool) -> InstallOptions {
    InstallOptions {
        orphans: match policy.orphans {
            q::Orphans::Refuse => OrphanPolicy::Refuse,
            q::Orphans::Kill => OrphanPolicy::Kill,
            q::Orphans::Include => OrphanPolicy::Include,
            q::Orphans::Ignore => OrphanPolicy::Ignore,
        },
        unrest: match policy.unrest {
            q::Unrest::Abort => Unrest::Abort,
            q::Unrest::Kill => Unrest::Kill,
            q::Unrest::Leave => Unrest::Leave,
        },
        rest: timeouts.suspend_ms.map(Duration::from_millis),
        code_change: timeouts.code_change_ms.map(Duration::from_millis),
        supersede,
        rename: policy.rename,
        windows: if policy.group_windows { Windows::Group } else { Windows::Release },
        crashes: match policy.crashes {
            q::Crashes::Abort => CrashPolicy::TakeBack,
            q::Crashes::Ignore => CrashPolicy::Ignore,
        },
        // The handler derives it from `End`.
        settles: false,
        one_way: policy.one_way,
        goes_back: false,
        as_new: false,
        unsigned: false,
    }
}
