//! `relctl plan FROM TO`: the script from one release to another, each a tarball or a folder, without a node.

pub(super) mod documents;

use reld_api::ErrorReport;
use reld_plan::{PlanError, Release, RelupEntry, RelupFile, RelupOptions, Relups, make_relups};
use serde_json::json;

use self::documents::release;
use super::Shown;
use crate::args::{Plan, Window};
use crate::error::Failure;

/// A release, or what OTP would call wrong with its documents: a part of the answer where both directions are shown.
type Read = Result<Release, PlanError>;

pub(super) fn plan(args: &Plan) -> Result<Shown, Failure> {
    let options = RelupOptions { restart_daemon: args.restart_daemon };
    if args.restart_daemon && args.window != Window::Group && !args.relup {
        return Err(Failure::usage(
            "--restart-daemon is for --relup and --window group; an upgrade has --mode restart",
        ));
    }
    let (from, to) = (release(&args.from)?, release(&args.to)?);
    if args.window == Window::Group {
        let both = make_relups(to.as_ref(), from.as_ref(), options);
        return Ok(Shown::new(&both, both.to_string()));
    }
    let (from, to) = (from?, to?);
    if !args.rename {
        same_name(&from, &to)?;
    }
    if args.relup {
        let relup = relup(&to, make_relups(Ok(&to), Ok(&from), options))?.to_toml();
        return Ok(Shown::new(&json!({ "relup": relup }), relup));
    }
    let script = reld_plan::plan(&from, &to)?;
    Ok(Shown::new(&script, script.to_string()))
}

/// As the node has it. OTP compares no names.
fn same_name(from: &Release, to: &Release) -> Result<(), Failure> {
    let (from, to) = (&from.rel().name, &to.rel().name);
    if from == to {
        return Ok(());
    }
    let message = format!("the one is a release of {from}, the other one of {to}");
    Err(Failure::from(ErrorReport::refused("other_release", message))
        .or_hint("name two releases of one name; --rename plans it all the same"))
}

/// OTP: `make_relup`, whose file holds both directions too.
fn relup(top: &Release, both: Relups) -> Result<RelupFile, PlanError> {
    let (up, down) = (RelupEntry::from(both.up?), RelupEntry::from(both.down?));
    Ok(RelupFile { version: top.version().clone(), up: vec![up], down: vec![down] })
}
