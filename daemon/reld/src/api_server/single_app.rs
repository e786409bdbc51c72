//! Single apps: loads by hand, and upgrades of one app within the running release.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use reld_api::request as q;
use reld_api::response as r;
use reld_api::{ErrorCode, ErrorReport, ExitCode};
use reld_handler::{Checker, Foresight, InstallOptions, Library, Order, SingleApp};
use tempfile::{NamedTempFile, TempDir};

use super::api::Api;
use super::look::lingering;
use super::release::{go, receive};
use super::routing::on_upload;
use crate::node::{Handler, LoadByHandError, RuntimeNode, chain};
use crate::report::{check_error, checked, error, load_refused, not_unpacked_by};

/// The time limit for loading a library.
const LOAD: Duration = Duration::from_secs(30);

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    let router = on_upload(router, |api: Api, request: q::Load, body| load(api, request, body));
    let router = on_upload(router, |api: Api, request: q::CheckApp, body| check(api, request, body));
    on_upload(router, |api: Api, request: q::UpgradeApp, body| upgrade(api, request, body))
}

/// Unpacks the app of an uploaded tarball into a folder. Dropping the returned value removes the
/// folder. If the daemon dies before that, the next daemon removes the folder.
fn unpack(
    api: &Api,
    file: NamedTempFile,
) -> impl FnOnce() -> Result<(SingleApp, TempDir), ErrorReport> + Send + use<> {
    let (platform, folder): (_, PathBuf) = (api.platform.clone(), api.uploads.clone());
    move || {
        let place = tempfile::tempdir_in(folder).and_then(|place| {
            // Set the mode explicitly, because an app may have changed the umask.
            std::fs::set_permissions(place.path(), Permissions::from_mode(0o700)).map(|()| place)
        });
        let place = place.map_err(|fault| {
            ErrorReport::refused(ErrorCode::Io, "cannot unpack the app").caused_by(fault.to_string())
        })?;
        let app = SingleApp::unpack(file.path(), &platform, place.path()).map_err(|e| not_unpacked_by(&e))?;
        Ok((app, place))
    }
}

/// Upgrades of single apps are for development, so a missing way back is no obstacle.
fn terms(api: &Api, unsigned: bool) -> Result<InstallOptions, ErrorReport> {
    if unsigned {
        api.may_pass_by_the_policy()?;
    }
    Ok(InstallOptions { one_way: true, unsigned, ..InstallOptions::default() })
}

async fn check(api: Api, request: q::CheckApp, body: Body) -> Result<r::Checked, ErrorReport> {
    let terms = terms(&api, request.unsigned)?;
    let unpack = unpack(&api, receive(&api, body).await?);
    let work = move |checker: &Checker<RuntimeNode>| {
        let (app, _place) = unpack()?;
        let what = format!("app {} {}", app.library.app, app.library.vsn);
        let check = checker.check_app(app, terms).map_err(|e| error(&e))?;
        if check.obstacles.is_empty() { Ok(checked(&check)) } else { Err(check_error(&what, &check)) }
    };
    api.operator.ask("check the app", work).await?
}

async fn upgrade(api: Api, request: q::UpgradeApp, body: Body) -> Result<r::Report, ErrorReport> {
    let options = terms(&api, request.unsigned)?;
    let file = receive(&api, body).await?;
    let unpack = unpack(&api, file);
    let (app, place) = api.wait(move |_| unpack()).await?;
    // Keep the folder even if the client leaves, because the running app reads its own files there.
    let place = place.keep();
    let name = app.library.app.clone();
    let what = format!("upgrade of app {name} to {}", app.library.vsn);
    let order = Order::App { app: Box::new(app), options };
    let moved =
        go(&api, order, api.entry(what, request.wait), api.origin(r::HistoryKind::UpgradeApp), false).await;
    let unused = match &moved {
        Ok(_) => api.shared.lock().places.insert(name, place),
        Err(ErrorReport { exit_code: ExitCode::Refused | ExitCode::RolledBack, .. }) => Some(place),
        Err(_) => None,
    };
    // If the folder cannot be removed, the next daemon removes it.
    unused.map(std::fs::remove_dir_all);
    moved
}

/// Loads a library by hand. Processes that ran its modules before and are gone afterwards count as
/// killed, because they did not accept the new code.
async fn load(api: Api, request: q::Load, body: Body) -> Result<r::Loaded, ErrorReport> {
    let unpack = unpack(&api, receive(&api, body).await?);
    let before = api.runtime.processes();
    let unsigned = terms(&api, request.unsigned)?.unsigned;
    let work = move |handler: &mut Handler| {
        let unsigned = handler.admit_by_hand(unsigned).map_err(|e| error(&e))?;
        // The loader makes a private copy of the library, so the folder is not needed afterwards.
        let (SingleApp { library, .. }, _place) = unpack()?;
        let mut warnings = if request.force { Vec::new() } else { asked(handler, &library)? };
        warnings.extend(unsigned);
        handler.node_mut().load_by_hand(&library, Instant::now() + LOAD).map_err(|e| by_hand(&e))?;
        Ok::<_, ErrorReport>((library, warnings))
    };
    let (library, warnings) = api.operator.change(api.entry("a load by hand", false), work).await??;
    let concerned = |module: &str| library.modules.iter().any(|m| m.as_str() == module);
    let was = before.iter().filter(|info| concerned(&info.module));
    let now: Vec<_> = was.clone().filter_map(|info| api.runtime.process(info.pid)).collect();
    let gone = was.filter(|info| !now.iter().any(|now| now.pid == info.pid)).map(|info| r::Ended {
        pid: info.pid.to_string(),
        name: info.names.first().cloned(),
        module: info.module.clone(),
        reason: "the new code did not accept its state, or it ended by itself".to_owned(),
    });
    Ok(r::Loaded {
        app: library.app.to_string(),
        version: library.vsn.to_string(),
        modules: library.modules.iter().map(ToString::to_string).collect(),
        converted: now.iter().filter(|info| !info.is_old).count() as u64,
        killed: gone.collect(),
        lingering: lingering(&api, |info| concerned(&info.module)),
        warnings,
    })
}

/// Checks that the new code accepts the states and messages of the running processes. Returns
/// warnings about inputs that the new code would refuse later.
fn asked(handler: &Handler, library: &Library) -> Result<Vec<String>, ErrorReport> {
    let Foresight { obstacles, warnings, .. } = handler.foresee_load(library);
    let what = format!("app {} {}", library.app, library.vsn);
    if obstacles.is_empty() { Ok(warnings) } else { Err(load_refused(&what, &obstacles)) }
}

fn by_hand(error: &LoadByHandError) -> ErrorReport {
    use LoadByHandError::{Code, Node};
    use reld_runtime::CodeError::NotPurged;
    let code = match error {
        Code(NotPurged { .. }) => ErrorCode::NotPurged,
        Code(_) | Node(_) => ErrorCode::NotLoaded,
    };
    ErrorReport::refused(code, chain(error))
}
