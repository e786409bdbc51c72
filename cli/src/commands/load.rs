//! `relctl load DIR`: builds one app and hands it to the node as a release of just that app.

use std::path::Path;

use reld_api::{Client, request as q};
use reld_plan::{App, Rel, RelApp, StartType};
use reld_store::Order;
use tempfile::TempDir;
use tokio::fs::File;

use super::probe::ReldProbe;
use super::{Shown, pack};
use crate::args::Load;
use crate::error::Failure;
use crate::render;

pub(super) async fn load(client: &Client, args: Load) -> Result<Shown, Failure> {
    let scratch = tempfile::tempdir().map_err(|fault| Failure::io("make", "a temporary folder", &fault))?;
    let order = order(&args, &scratch)?;
    let packed = pack::build(order, ReldProbe::new(args.build.reld)).await?;
    let tarball = File::open(&packed.tarball).await;
    let tarball = tarball.map_err(|fault| Failure::io("read", packed.tarball.display(), &fault))?;
    let answer = client.upload::<q::Load>(tarball).await?;
    Ok(Shown::new(&answer, render::loaded(&answer)))
}

fn order(args: &Load, scratch: &TempDir) -> Result<Order, Failure> {
    let document = args.dir.join("app.toml");
    let app = App::parse(&document.to_string_lossy(), &read(&document)?)?;
    let release = scratch.path().join("release.toml");
    write(&release, &release_of(app).to_toml())?;
    Ok(Order {
        release,
        apps: args.dir.clone(),
        output: Some(scratch.path().join("app.tar.gz")),
        profile: args.build.profile.clone(),
        without: [].into(),
        reld: pack::least_reld(),
    })
}

/// Returns the release of one app. Its version never gets into a status table: the node takes just the app out.
fn release_of(app: App) -> Rel {
    Rel {
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

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|fault| Failure::io("read", path.display(), &fault))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|fault| Failure::io("write", path.display(), &fault))
}
