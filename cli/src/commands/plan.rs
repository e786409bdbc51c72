//! `relctl plan FROM TO`: the script between two releases, each a tarball or a folder, without a
//! node.

pub(super) mod documents;

use reld_api::{ErrorCode, ErrorReport};
use reld_plan::{
    BootError, PackedRelease, PlanError, Release, ReleaseApp, RelupEntry, RelupFile, RelupOptions, Relups,
    Script, make_relups,
};
use serde_json::json;

use self::documents::packed;
use crate::args::{Plan, Window};
use crate::error::Failure;
use crate::input::Input;
use crate::shown::Shown;

/// A release, or OTP's error for its documents. If both directions are shown, the error is part of
/// the output.
type Read = Result<PackedRelease, PlanError>;

pub(super) fn plan(args: &Plan) -> Result<Shown, Failure> {
    let options = RelupOptions { restart_daemon: args.restart_daemon };
    if args.restart_daemon && args.window != Window::Group && !args.relup {
        return Err(Failure::usage(
            "--restart-daemon needs --relup or --window group; for an upgrade, use --mode restart",
        ));
    }
    let [from, to] = Input::pair(&args.from, &args.to)?;
    let (from, to) = (packed(from.path())?, packed(to.path())?);
    if args.window == Window::Group {
        let release = |read: &Read| read.clone().map(|packed| packed.release);
        let both = make_relups(release(&to).as_ref(), release(&from).as_ref(), options);
        return Ok(Shown::new(&both, both.to_string()));
    }
    let (from, to) = (from?, to?);
    if !args.rename {
        same_name(&from.release, &to.release)?;
    }
    boots(&to)?;
    if args.relup {
        let both = make_relups(Ok(&to.release), Ok(&from.release), options);
        let relup = relup(&to.release, both)?.to_toml();
        return Ok(Shown::new(&json!({ "relup": relup }), relup));
    }
    let script = script(&from, &to)?;
    Ok(Shown::new(&script, script.to_string()))
}

/// Refuses a release that does not boot, as a node does.
fn boots(to: &PackedRelease) -> Result<(), Failure> {
    let errors = to.release.boot_order(&to.behaviours()).err().unwrap_or_default();
    let code = errors.first().map_or(ErrorCode::NotStarted, BootError::code);
    let message = format!("release {} would not boot", to.release.version());
    refuse(code, message, errors.iter().map(ToString::to_string))
}

/// Returns the script, with warnings about how a restart would change the running apps. It assumes
/// that all apps that the old release starts are running.
fn script(from: &PackedRelease, to: &PackedRelease) -> Result<Script, Failure> {
    let mut script = reld_plan::plan(&from.release, &to.release)?;
    let misfits = script.misfits(&from.behaviours(), &to.behaviours());
    refuse(
        ErrorCode::BadScript,
        "the script cannot be carried out".to_owned(),
        misfits.iter().map(ToString::to_string),
    )?;
    let starts = |app: &&ReleaseApp| from.release.boot_type(app).starts();
    let running = from.release.apps().iter().filter(starts).map(|app| app.name().clone()).collect();
    let restarted = to.release.after_restart(&from.release, &script, &running);
    let children = to.unfit_children().into_iter().chain(to.unnamed_children(&script));
    script.warnings.extend(restarted.into_iter().chain(children));
    Ok(script)
}

fn refuse(code: ErrorCode, message: String, causes: impl Iterator<Item = String>) -> Result<(), Failure> {
    let causes: Vec<String> = causes.collect();
    if causes.is_empty() {
        return Ok(());
    }
    Err(ErrorReport { causes, ..ErrorReport::refused(code, message) }.into())
}

/// Refuses releases with different names, as a node does. Unlike OTP, which compares no names.
fn same_name(from: &Release, to: &Release) -> Result<(), Failure> {
    let (from, to) = (&from.rel().name, &to.rel().name);
    if from == to {
        return Ok(());
    }
    let message = format!("the releases have different names: {from} and {to}");
    Err(Failure::from(ErrorReport::refused(ErrorCode::OtherRelease, message))
        .or_hint("choose releases with the same name, or add --rename"))
}

/// Returns the `relup.toml` with both directions. OTP: `make_relup`, with both directions in one
/// file too.
fn relup(top: &Release, both: Relups) -> Result<RelupFile, PlanError> {
    let (up, down) = (RelupEntry::from(both.up?), RelupEntry::from(both.down?));
    Ok(RelupFile { version: top.version().clone(), up: vec![up], down: vec![down] })
}
