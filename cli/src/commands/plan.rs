//! `relctl plan FROM TO`: the script from one release to another, each a tarball or a folder, without a node.

pub(super) mod folder;

use std::path::Path;

use reld_plan::{Mode, PlanError, Release, RelupEntry, RelupFile, RelupOptions, group_json, make_relup};
use reld_store::{Error, docs_of_tarball};
use serde_json::json;

use super::Shown;
use crate::args::{Plan, Window};
use crate::error::Failure;

/// A release, or what OTP would call wrong with its documents: a part of the answer where both directions are shown.
type Read = Result<Release, PlanError>;

pub(super) fn plan(args: &Plan) -> Result<Shown, Failure> {
    let (from, to) = (release(&args.from)?, release(&args.to)?);
    if args.window == Window::Group {
        let both = group_json(to.as_ref(), from.as_ref());
        return Ok(Shown::new(&both, format!("{both:#}\n")));
    }
    if args.relup {
        let relup = relup(&to?, &from?)?.to_toml();
        return Ok(Shown::new(&json!({ "relup": relup }), relup));
    }
    let script = reld_plan::plan(&from?, &to?)?;
    Ok(Shown::new(&script, script.to_string()))
}

/// OTP: `make_relup`, whose file holds both directions too.
fn relup(top: &Release, base: &Release) -> Result<RelupFile, PlanError> {
    let entry = |mode| make_relup(top, base, mode, RelupOptions::default()).map(RelupEntry::from);
    let (up, down) = (vec![entry(Mode::Up)?], vec![entry(Mode::Down)?]);
    Ok(RelupFile { version: top.version().clone(), up, down })
}

/// Reads the documents of a release; nothing else is looked at in a folder.
fn release(path: &Path) -> Result<Read, Failure> {
    if path.is_dir() { folder::release(path) } else { of_tarball(path) }
}

fn of_tarball(path: &Path) -> Result<Read, Failure> {
    match docs_of_tarball(path) {
        Ok((_, documents)) => Ok(Ok(documents.release)),
        Err(Error::Release(error)) => Ok(Err(*error)),
        Err(Error::Document(error)) => Ok(Err(error.into())),
        Err(error) => Err(error.into()),
    }
}
