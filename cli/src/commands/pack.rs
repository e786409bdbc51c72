//! `relctl pack`.

use std::env;
use std::path::PathBuf;

use reld_plan::{Revision, Vsn};
use reld_store::{Order, Packed, Purpose, Workspaces};
use serde_json::json;
use tokio::task::spawn_blocking;

use super::probe::ReldProbe;
use crate::args::Pack;
use crate::error::Failure;
use crate::input::Input;
use crate::render;
use crate::shown::Shown;

pub(super) async fn pack(args: Pack) -> Result<Shown, Failure> {
    let without = args.without.iter().map(|name| name.parse()).collect::<Result<_, reld_plan::NameError>>();
    let release = Input::of(&args.release)?;
    let order = Order {
        release: release.path().to_owned(),
        apps: args.apps,
        output: args.output,
        profile: args.build.profile,
        shared_build: shared_build(),
        workspaces: Workspaces::default(),
        purpose: Purpose::Keep,
        without: without.map_err(|fault| Failure::usage(fault.to_string()))?,
        reld: least_reld(),
    };
    Ok(show(&build(order, ReldProbe::new(args.build.reld)).await?))
}

/// Builds and packs on a thread of its own, because cargo blocks.
pub(super) async fn build(order: Order, probe: ReldProbe) -> Result<Packed, Failure> {
    let packing = spawn_blocking(move || reld_store::pack(&order, &probe));
    Ok(packing.await.expect("packing neither panics nor is it aborted")?)
}

/// Builds and packs a revision of one app.
pub(super) async fn revise(order: Order, revision: Revision, probe: ReldProbe) -> Result<Packed, Failure> {
    let packing = spawn_blocking(move || reld_store::pack_revision(&order, &revision, &probe));
    Ok(packing.await.expect("packing neither panics nor is it aborted")?)
}

/// Returns the daemon version that a release requires: relctl's own, since the release may use all
/// of its features.
pub(super) fn least_reld() -> Vsn {
    env!("CARGO_PKG_VERSION").parse().expect("cargo takes semver only")
}

/// Returns the folder in which the dependencies of all apps are built, or `None` without a home.
pub(super) fn shared_build() -> Option<PathBuf> {
    let named = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = named.or_else(|| Some(env::home_dir()?.join(".cache")))?;
    Some(cache.join("reld/build"))
}

fn show(packed: &Packed) -> Shown {
    let manifest = &packed.manifest;
    let carried = manifest.files.iter().filter(|file| !file.not_carried);
    let bytes: u64 = carried.clone().map(|file| file.size).sum();
    let answer = json!({
        "tarball": packed.tarball, "name": manifest.name, "version": manifest.version,
        "files": carried.count(), "bytes": bytes, "warnings": packed.warnings,
    });
    let release = format!("{} {}", manifest.name, manifest.version);
    let line =
        format!("packed {release} into {}, {} unpacked", packed.tarball.display(), render::size(bytes));
    Shown::new(&answer, format!("{line}\n{}", render::warnings(&packed.warnings)))
}
