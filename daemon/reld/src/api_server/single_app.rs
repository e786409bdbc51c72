//! One app by itself: loaded by hand, or moved to another version in the release that runs.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use reld_api::ErrorReport;
use reld_api::request as q;
use reld_api::response as r;
use reld_handler::{InstallOptions, SingleApp};
use tempfile::{NamedTempFile, TempDir};

use super::look::lingering;
use super::release::{receive, restart_if_needed};
use super::report::{check_error, checked, error, not_unpacked, report};
use super::{Api, on_upload};
use crate::history::Asked;
use crate::node::{LoadByHandError, chain};
use crate::operator::Handler;

/// How long a library may take to load.
const LOAD: Duration = Duration::from_secs(30);

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    let router = on_upload::<q::Load, _, _>(router, load);
    let router = on_upload::<q::CheckApp, _, _>(router, check);
    on_upload::<q::UpgradeApp, _, _>(router, upgrade)
}

/// Takes the app out of an uploaded tarball, into a folder that goes with the returned value, or with the daemon's life.
fn unpack(
    api: &Api,
    file: NamedTempFile,
) -> impl FnOnce() -> Result<(SingleApp, TempDir), ErrorReport> + Send + use<> {
    let (platform, folder): (_, PathBuf) = (api.platform.clone(), api.uploads.clone());
    move || {
        let place = tempfile::tempdir_in(folder).map_err(|fault| {
            ErrorReport::refused("io", "the app can not be laid out").caused_by(fault.to_string())
        })?;
        let app = SingleApp::unpack(file.path(), &platform, place.path()).map_err(|e| not_unpacked(&e))?;
        Ok((app, place))
    }
}

async fn check(api: Api, body: Body) -> Result<r::Checked, ErrorReport> {
    let unpack = unpack(&api, receive(&api, body).await?);
    let work = move |handler: &mut Handler| {
        let (app, _place) = unpack()?;
        let what = format!("app {} {}", app.library.app, app.library.vsn);
        let check = handler.check_app(app, InstallOptions::default()).map_err(|e| error(&e))?;
        if check.obstacles.is_empty() { Ok(checked(&check)) } else { Err(check_error(&what, &check)) }
    };
    api.operator.order(work).await?
}

async fn upgrade(api: Api, body: Body) -> Result<r::Report, ErrorReport> {
    let unpack = unpack(&api, receive(&api, body).await?);
    let asked = Asked { kind: r::HistoryKind::UpgradeApp, uid: api.peer.uid };
    let operator = api.operator.clone();
    let work = move |handler: &mut Handler| {
        let (app, place) = unpack()?;
        let (name, vsn) = (app.library.app.clone(), app.library.vsn.clone());
        let from = handler.runs(&name).map(|from| format!("{name}-{from}"));
        let to = format!("{name}-{vsn}");
        let mut observer = operator.observer(to.clone());
        let answer = operator.carry_out(handler, &asked, from, to, |handler| {
            let done = handler.upgrade_app(app, InstallOptions::default(), &mut observer);
            report(&done.map_err(|e| error(&e))?)
        });
        if answer.is_ok() {
            handler.node_mut().changed_by_hand();
            // The app's own files are read for as long as it runs.
            let _ = place.keep();
        }
        answer
    };
    let answer = api.operator.order(work).await?;
    restart_if_needed(&api, &answer);
    answer
}

/// Compares who ran the library's modules before with who does now: those that it does not find again did not take the
/// new code.
async fn load(api: Api, body: Body) -> Result<r::Loaded, ErrorReport> {
    let unpack = unpack(&api, receive(&api, body).await?);
    let before = api.runtime.processes();
    let work = move |handler: &mut Handler| {
        // The folder goes when the private copy is made.
        let (SingleApp { library, .. }, _place) = unpack()?;
        handler.node_mut().load_by_hand(&library, Instant::now() + LOAD).map_err(|e| by_hand(&e))?;
        Ok::<_, ErrorReport>(library)
    };
    let library = api.operator.order(work).await??;
    let concerned = |module: &str| library.modules.iter().any(|m| m.as_str() == module);
    let was = before.iter().filter(|info| concerned(&info.module));
    let now: Vec<_> = was.clone().filter_map(|info| api.runtime.process(info.pid)).collect();
    let gone = was.filter(|info| !now.iter().any(|now| now.pid == info.pid)).map(|info| r::Ended {
        pid: info.pid.to_string(),
        name: info.names.first().cloned(),
        module: info.module.clone(),
        reason: "its state was not accepted by the new code, or it ended by itself".to_owned(),
    });
    Ok(r::Loaded {
        app: library.app.to_string(),
        version: library.vsn.to_string(),
        modules: library.modules.iter().map(ToString::to_string).collect(),
        converted: now.iter().filter(|info| !info.is_old).count() as u64,
        killed: gone.collect(),
        lingering: lingering(&api, |info| concerned(&info.module)),
    })
}

fn by_hand(error: &LoadByHandError) -> ErrorReport {
    use LoadByHandError::{Code, Node};
    use reld_runtime::CodeError::NotPurged;
    let kind = match error {
        Code(NotPurged { .. }) => "not_purged",
        Code(_) | Node(_) => "not_loaded",
    };
    ErrorReport::refused(kind, chain(error))
}
