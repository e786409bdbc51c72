//! `relctl load DIR` and `relctl upgrade --app APP DIR`: build one app and send it to the node as a
//! release with that app only.

use std::path::Path;

use reld_api::{Client, ErrorCode, ErrorReport, request as q};
use reld_plan::{App, Rel, RelApp, StartType};
use reld_store::{Order, Purpose, Workspaces};
use tempfile::TempDir;
use tokio::fs::File;

use super::probe::ReldProbe;
use super::{pack, upgrade};
use crate::args::{Build, Load, Upgrade};
use crate::error::Failure;
use crate::render;
use crate::shown::Shown;

pub(super) async fn load(client: &Client, args: Load) -> Result<Shown, Failure> {
    may_load(client, args.by_hand.unsigned).await?;
    let scratch = scratch()?;
    let tarball = build(&args.dir, args.build, &scratch).await?;
    let answer =
        client.upload(&q::Load { force: args.force, unsigned: args.by_hand.unsigned }, tarball).await?;
    Ok(Shown::new(&answer, render::loaded(&answer)))
}

/// Upgrades one app of the running release, or only checks the upgrade.
pub(super) async fn upgrade_app(client: &Client, app: &str, args: Upgrade) -> Result<Shown, Failure> {
    let dir = Path::new(&args.release);
    let found = document(dir)?.name;
    if found.as_str() != app {
        return Err(ErrorReport::refused(
            ErrorCode::OtherApp,
            format!("{} is app {found}, not {app}", dir.display()),
        )
        .into());
    }
    may_load(client, args.by_hand.unsigned).await?;
    let scratch = scratch()?;
    let tarball = build(dir, args.build.into(), &scratch).await?;
    if args.going.dry_run {
        let checked = client.upload(&q::CheckApp { unsigned: args.by_hand.unsigned }, tarball).await?;
        return Ok(Shown::new(&checked, render::checked(&checked)));
    }
    let request = q::UpgradeApp { unsigned: args.by_hand.unsigned, wait: args.going.wait.wait };
    let report = upgrade::with_progress(client, client.upload(&request, tarball)).await?;
    Ok(Shown::new(&report, render::replaced(&report)))
}

/// Refuses code by hand before it is built, if the node requires signatures. The node decides again
/// when it gets the code; a node that cannot answer now decides only then.
async fn may_load(client: &Client, unsigned: bool) -> Result<(), Failure> {
    match client.call(&q::Keys {}).await {
        Ok(list) if list.require == "signed" && !unsigned => Err(reld_store::Error::ByHand.into()),
        _ => Ok(()),
    }
}

pub(super) fn scratch() -> Result<TempDir, Failure> {
    tempfile::tempdir().map_err(|fault| Failure::io("create", "a temporary folder", &fault))
}

async fn build(dir: &Path, build: Build, scratch: &TempDir) -> Result<File, Failure> {
    let order = order(dir, &build, scratch)?;
    let packed = pack::build(order, ReldProbe::new(build.reld)).await?;
    let tarball = File::open(&packed.tarball).await;
    tarball.map_err(|fault| Failure::io("read", packed.tarball.display(), &fault))
}

fn document(dir: &Path) -> Result<App, Failure> {
    let document = dir.join("app.toml");
    Ok(App::parse(&document.to_string_lossy(), &read(&document)?)?)
}

pub(super) fn order(dir: &Path, build: &Build, scratch: &TempDir) -> Result<Order, Failure> {
    let release = scratch.path().join("release.toml");
    write(&release, &release_of(document(dir)?).to_toml())?;
    Ok(Order {
        release,
        apps: dir.to_owned(),
        output: Some(scratch.path().join("app.tar.gz")),
        profile: build.profile.clone(),
        shared_build: pack::shared_build(),
        workspaces: Workspaces::default(),
        purpose: Purpose::Keep,
        without: [].into(),
        reld: pack::least_reld(),
    })
}

/// Returns a release with one app. Its version never enters a status table, because the node uses
/// only the app.
fn release_of(app: App) -> Rel {
    Rel {
        serial: 0,
        name: app.name.clone(),
        version: app.version.clone(),
        daemon: pack::least_reld(),
        apps: vec![RelApp {
            name: app.name,
            version: app.version,
            start_type: StartType::Load,
            included: None,
        }],
    }
}

pub(super) fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|fault| Failure::io("read", path.display(), &fault))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|fault| Failure::io("write", path.display(), &fault))
}
