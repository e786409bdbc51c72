//! The entry point of the planner: from the documents of two releases to a script.

use crate::coalesce::coalesce;
use crate::collect::Pair;
use crate::error::PlanError;
use crate::instr::Mode;
use crate::name::AppName;
use crate::release::{AppupFile, Release, ReleaseApp};
use crate::relup::{RelupOptions, make_relup, written_relup};
use crate::script::Script;
use crate::warning::Warning;
use crate::windows::Windows;

/// Returns the script from the running release to another, in the direction that the appups allow.
///
/// # Errors
/// No direction, see [`pick_direction`]; a mistake in an appup, see [`make_relup`]; a script that
/// violates a rule, see [`Script::check`].
pub fn plan(running: &Release, target: &Release) -> Result<Script, PlanError> {
    plan_windows(running, target, Windows::Release)
}

/// Returns the script from the running release to another, as one window or as one window per
/// group.
///
/// # Errors
/// Those of [`plan`].
pub fn plan_windows(running: &Release, target: &Release, windows: Windows) -> Result<Script, PlanError> {
    match pick_direction(running, target)? {
        Mode::Up => directed(&Pair { top: target, base: running, mode: Mode::Up }, windows),
        Mode::Down => directed(&Pair { top: running, base: target, mode: Mode::Down }, windows),
    }
}

/// Returns the script for one direction: up from `base` to `top`, or down from `top` to `base`. The
/// script comes from the newer release's `relup.toml` if that has one for the other release,
/// otherwise from the appups.
///
/// # Errors
/// A mistake in an appup or relup, see [`make_relup`]; a script that violates a rule, see
/// [`Script::check`].
pub fn plan_direction(top: &Release, base: &Release, mode: Mode) -> Result<Script, PlanError> {
    directed(&Pair { top, base, mode }, Windows::Release)
}

/// Returns the script of a pair of releases. A script for an upgrade has warnings about the way
/// back.
fn directed(pair: &Pair<'_>, windows: Windows) -> Result<Script, PlanError> {
    let mut script = one_way(pair, windows)?;
    if pair.mode == Mode::Up {
        script.warnings.extend(way_back(&Pair { mode: Mode::Down, ..*pair }, windows));
    }
    Ok(script)
}

/// Returns warnings about problems on the way back. A missing down entry is no problem: the author
/// of the appup wants no way back.
fn way_back(pair: &Pair<'_>, windows: Windows) -> Vec<Warning> {
    let to = || pair.base.version().clone();
    match one_way(pair, windows) {
        Ok(script) => {
            let unread = script.warnings.iter().filter(|one| matches!(one, Warning::StateNotRead { .. }));
            unread.map(|unread| Warning::WayBack { to: to(), problem: unread.to_string() }).collect()
        }
        Err(PlanError::NoRelup { .. } | PlanError::NoAppup { .. }) => Vec::new(),
        Err(error) => vec![Warning::NoWayBack { to: to(), why: error.to_string() }],
    }
}

fn one_way(pair: &Pair<'_>, windows: Windows) -> Result<Script, PlanError> {
    let &Pair { top, base, mode } = pair;
    let relup = match top.relup(mode, base.version()) {
        Some(entry) => written_relup(pair, entry)?,
        None => make_relup(top, base, mode, RelupOptions::default())?,
    };
    let script = coalesce(pair, &relup, windows)?;
    script.check()?;
    Ok(script)
}

/// Returns the direction: up if the target's own appups lead to it, down if the appups of the
/// running release do.
///
/// The first matching rule decides:
///
/// - The target's `relup.toml` has a script for the running release: up.
/// - The running release's `relup.toml` has a script for the target: down.
/// - The target's appups have an up entry for the running version of every changed app: up.
/// - The running release's appups have a down entry for the target's version of every changed app:
///   down.
///
/// Version numbers are never compared.
///
/// # Errors
/// `no_appup_found` or `version_not_in_appup` (OTP: release_handler:upgrade_app), with the app and
/// both versions.
pub fn pick_direction(running: &Release, target: &Release) -> Result<Mode, PlanError> {
    if target.relup(Mode::Up, running.version()).is_some() {
        return Ok(Mode::Up);
    }
    if running.relup(Mode::Down, target.version()).is_some() {
        return Ok(Mode::Down);
    }
    let changed: Vec<_> = Pair { top: target, base: running, mode: Mode::Up }.changed().collect();
    if changed.iter().all(|(new, old)| leads(new, Mode::Up, old)) {
        return Ok(Mode::Up);
    }
    if changed.iter().all(|(new, old)| leads(old, Mode::Down, new)) {
        return Ok(Mode::Down);
    }
    Err(no_direction(&changed))
}

/// Returns whether the appup of an app has an entry for another version. An unreadable appup counts
/// as having one, so that its error is reported.
fn leads(owner: &ReleaseApp, mode: Mode, other: &ReleaseApp) -> bool {
    match &owner.docs.appup {
        AppupFile::Found(appup) => appup.entry(mode, other.version()).is_some(),
        AppupFile::Broken(_) => true,
        AppupFile::Missing => false,
    }
}

/// Returns the error for the first app with an entry in neither direction, or else for the first
/// app without an up entry.
fn no_direction(changed: &[(&ReleaseApp, &ReleaseApp)]) -> PlanError {
    let up = |(new, old): &&(&ReleaseApp, &ReleaseApp)| !leads(new, Mode::Up, old);
    let neither = |pair: &&(&ReleaseApp, &ReleaseApp)| up(pair) && !leads(pair.1, Mode::Down, pair.0);
    let blocked = changed.iter().find(neither).or_else(|| changed.iter().find(up));
    let (new, old) = blocked.unwrap_or(&changed[0]);
    let app: AppName = new.name().clone();
    let (from, to) = (old.version().clone(), new.version().clone());
    match (&new.docs.appup, &old.docs.appup) {
        (AppupFile::Missing, AppupFile::Missing) => PlanError::NoAppupFound { app, from, to },
        _ => PlanError::VersionNotInAppup { app, from, to },
    }
}
