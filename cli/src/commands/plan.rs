//! `relctl plan FROM TO`: the script from one tarball to another, without a node.

use std::path::Path;

use reld_plan::{Release, group_json};
use reld_store::docs_of_tarball;

use super::Shown;
use crate::args::{Plan, Window};
use crate::error::Failure;

pub(super) fn plan(args: &Plan) -> Result<Shown, Failure> {
    let (from, to) = (release(&args.from)?, release(&args.to)?);
    if args.window == Window::Group {
        let both = group_json(Ok(&to), Ok(&from));
        return Ok(Shown::new(&both, format!("{both:#}\n")));
    }
    let script = reld_plan::plan(&from, &to)?;
    Ok(Shown::new(&script, script.to_string()))
}

fn release(tarball: &Path) -> Result<Release, Failure> {
    let (_, documents) = docs_of_tarball(tarball)?;
    Ok(documents.release)
}
