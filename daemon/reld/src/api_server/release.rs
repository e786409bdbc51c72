//! Release verbs: orders to the operator, and the list of releases.

use axum::Router;
use axum::body::{Body, Bytes};
use reld_api::request as q;
use reld_api::response as r;
use reld_api::{ErrorCode, ErrorReport};
use reld_handler::{Check, Ended, Error, Key, KnownApp, Order, Status, UnpackOptions};
use reld_source::{Source, download};
use reld_store::Upload;
use tempfile::NamedTempFile;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;

use super::api::Api;
use super::look::code::lingering;
use super::order::{self, Here, version};
use super::routing::{on, on_upload};
use crate::history::Origin;
use crate::node::Handler;
use crate::operator::{Begun, Done, Entry};
use crate::report::{check_error, checked, error, moved, not_fetched, not_unpacked, not_unpacked_by};

/// The maximum number of chunks of an upload that wait to be stored.
const CHUNKS_AHEAD: usize = 4;

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    let router = on_upload(router, |api: Api, request: q::Unpack, body| unpack(api, request, body));
    let router = on(router, |api: Api, _: q::Keys| async move { keys(api).await });
    let router = on(router, |api: Api, request: q::Fetch| async move { fetch(api, request).await });
    let router = on(router, |api: Api, request: q::Check| async move { check(api, request).await });
    let router =
        on(router, |api: Api, request: q::CheckDowngrade| async move { check_downgrade(api, request).await });
    let router = on(router, |api: Api, request: q::Install| async move { install(api, request).await });
    let router = on(router, |api: Api, request: q::Commit| async move { commit(api, request).await });
    let router = on(router, |api: Api, request: q::Remove| async move { remove(api, request).await });
    let router = on(router, |api: Api, request: q::RebootOld| async move { reboot_old(api, request).await });
    let router = on(router, |api: Api, request: q::Upgrade| async move { upgrade(api, request).await });
    let router = on(router, |api: Api, request: q::Downgrade| async move { downgrade(api, request).await });
    on(router, |api: Api, _: q::Releases| async move { Ok(releases(&api)) })
}

/// Stores an uploaded tarball in the node's own folder. A bad tarball is refused as soon as a fault
/// is found, without reading the rest.
pub(super) async fn receive(api: &Api, body: Body) -> Result<NamedTempFile, ErrorReport> {
    let (sender, mut chunks) = mpsc::channel::<Bytes>(CHUNKS_AHEAD);
    let (folder, platform) = (api.uploads.clone(), api.platform.clone());
    let stored = api.wait(move |_| {
        let take = || {
            let mut upload = Upload::begin(&folder, platform)?;
            while let Some(chunk) = chunks.blocking_recv() {
                upload.take(&chunk)?;
            }
            upload.finish()
        };
        take().map_err(|fault| not_unpacked(&fault))
    });
    tokio::pin!(stored);
    tokio::select! {
        // Storing has ended before the upload was complete, because the tarball is refused.
        stored = &mut stored => stored,
        // If the upload breaks off, storing fails as well, but that failure is not the cause.
        sent = pass_on(body, sender) => {
            let stored = stored.await;
            sent.and(stored)
        }
    }
}

/// Sends chunks until the receiver is dropped.
async fn pass_on(body: Body, chunks: mpsc::Sender<Bytes>) -> Result<(), ErrorReport> {
    let mut stream = body.into_data_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|fault| {
            ErrorReport::refused(ErrorCode::UploadFailed, "the tarball was not received completely")
                .caused_by(fault.to_string())
        })?;
        if chunks.send(chunk).await.is_err() {
            break;
        }
    }
    Ok(())
}

async fn unpack(api: Api, request: q::Unpack, body: Body) -> Result<r::Unpacked, ErrorReport> {
    let file = receive(&api, body).await?;
    take_in(&api, request, file).await
}

/// Fetches a tarball on a thread for blocking work, and unpacks it.
async fn fetch(api: Api, request: q::Fetch) -> Result<r::Unpacked, ErrorReport> {
    let q::Fetch { url, identity, replace, ignore_floor, wait } = request;
    let (folder, platform) = (api.root.downloads_dir(), api.platform.clone());
    let fetched = api.wait(move |_| {
        let source = Source::parse(&url).map_err(|error| not_fetched(&error))?;
        download(&source, &folder, platform, identity.as_deref(), &|| false)
            .map_err(|error| not_fetched(&error))
    });
    let file = fetched.await?;
    take_in(&api, q::Unpack { replace, ignore_floor, wait }, file).await
}

/// Unpacks a complete tarball.
async fn take_in(api: &Api, request: q::Unpack, file: NamedTempFile) -> Result<r::Unpacked, ErrorReport> {
    let entry = api.entry("the unpacking of a release", request.wait);
    if request.ignore_floor {
        api.may_pass_by_the_policy()?;
    }
    let options = UnpackOptions { replaces: request.replace, ignores_floor: request.ignore_floor };
    let work = move |handler: &mut Handler| handler.unpack_with(file.path(), options);
    let unpacked = api.operator.change_beside(entry, work).await?;
    let unpacked = unpacked.map_err(|e| not_unpacked_by(&e))?;
    Ok(r::Unpacked {
        name: unpacked.release.name.to_string(),
        version: unpacked.release.version.to_string(),
        apps: app_names(&unpacked.release.apps),
        changed: unpacked.is_new,
        replaced: unpacked.replaced,
        signed_by: unpacked.release.provenance.signed_by,
        warnings: unpacked.warnings,
        repaired: unpacked.repaired.iter().map(|path| path.display().to_string()).collect(),
    })
}

async fn keys(api: Api) -> Result<r::KeyList, ErrorReport> {
    let table = api.operator.board().releases;
    let (policy, keys) = api.operator.ask("read the keys", |checker| checker.keys()).await?;
    let (require, threshold, fault) = match policy {
        Ok((require, threshold)) => (require.to_string(), threshold as u64, None),
        Err(unreadable) => ("unknown".to_owned(), 0, Some(error(&unreadable))),
    };
    let row = |key: &Key| r::KeyRow {
        name: key.name.clone(),
        id: key.id.to_string(),
        names: key.limits.names.iter().map(ToString::to_string).collect(),
        not_after: key.limits.not_after,
        brought_by: key.brought_by.as_ref().map(ToString::to_string),
    };
    let retired = table.keys.retired.iter().filter(|id| keys.iter().all(|key| key.id != **id));
    Ok(r::KeyList {
        policy: api.trust.display().to_string(),
        fault,
        require,
        threshold,
        keys: keys.iter().map(row).collect(),
        // A retired key of the administrator signs nevertheless.
        retired: retired.map(ToString::to_string).collect(),
        floors: table.floors.iter().map(|floor| (floor.name.to_string(), floor.serial)).collect(),
    })
}

async fn check(api: Api, request: q::Check) -> Result<r::Checked, ErrorReport> {
    let vsn = version(&request.version)?;
    let q::Check { orphans, group_windows, rename, one_way, supersede, .. } = request;
    let policy = q::Policy { orphans, group_windows, rename, one_way, ..q::Policy::default() };
    let options = order::options(q::Timeouts::default(), policy, supersede);
    let what = format!("check release {vsn}");
    answered(api.operator.ask(&what, move |checker| checker.check_install(&vsn, options)).await?)
}

async fn check_downgrade(api: Api, request: q::CheckDowngrade) -> Result<r::Checked, ErrorReport> {
    let to = request.version.as_deref().map(version).transpose()?;
    let q::CheckDowngrade { orphans, group_windows, rename, one_way, supersede, .. } = request;
    let policy = q::Policy { orphans, group_windows, rename, one_way, ..q::Policy::default() };
    let options = order::options(q::Timeouts::default(), policy, supersede);
    answered(
        api.operator.ask("check a downgrade", move |checker| checker.check_downgrade(to, options)).await?,
    )
}

fn answered(check: Result<Check, Error>) -> Result<r::Checked, ErrorReport> {
    let check = check.map_err(|e| error(&e))?;
    if check.obstacles.is_empty() {
        Ok(checked(&check))
    } else {
        Err(check_error(&format!("release {}", check.to), &check))
    }
}

async fn install(api: Api, request: q::Install) -> Result<r::Report, ErrorReport> {
    api.may_rename(request.policy.rename)?;
    let entry = api.entry(format!("install of {}", request.version), request.wait);
    let order = order::install(&request)?;
    go(&api, order, entry, api.origin(r::HistoryKind::Install), false).await
}

async fn upgrade(api: Api, request: q::Upgrade) -> Result<r::Report, ErrorReport> {
    api.may_rename(request.policy.rename)?;
    let entry = api.entry(format!("upgrade to {}", request.version), request.wait);
    let (detach, rollout) = (request.detach, request.rollout.clone());
    let (order, kind) = wait(&api, move |here| order::upgrade(request, here)).await?;
    go(&api, order, entry, Origin { rollout, ..api.origin(kind) }, detach).await
}

async fn downgrade(api: Api, request: q::Downgrade) -> Result<r::Report, ErrorReport> {
    api.may_rename(request.policy.rename)?;
    let to = request.version.as_ref().map(|to| format!(" to {to}")).unwrap_or_default();
    let entry = api.entry(format!("downgrade{to}"), request.wait);
    let (detach, rollout) = (request.detach, request.rollout.clone());
    let (order, kind) = wait(&api, move |here| order::downgrade(request, here)).await?;
    go(&api, order, entry, Origin { rollout, ..api.origin(kind) }, detach).await
}

/// Converts a request to an order on a thread for blocking work, because the program of the probe
/// is looked up on disk.
async fn wait<T: Send + 'static>(
    api: &Api,
    read: impl FnOnce(Here<'_>) -> Result<T, ErrorReport> + Send + 'static,
) -> Result<T, ErrorReport> {
    let (socket, scratch) = (api.socket.clone(), api.uploads.clone());
    api.wait(move |_| read(Here { socket: &socket, scratch: &scratch })).await
}

/// Carries out an order that changes the node. A detached order is answered as soon as it begins to
/// change the node.
pub(super) async fn go(
    api: &Api,
    order: Order,
    entry: Entry,
    origin: Origin,
    detach: bool,
) -> Result<r::Report, ErrorReport> {
    let done = if detach {
        match api.operator.begin_only(order, entry, origin).await? {
            Begun::UnderWay(report) => return Ok(*report),
            Begun::Ended(done) => done,
        }
    } else {
        api.operator.carry_out(order, entry, origin).await?
    };
    // If the order requires a restart, dropping `then` starts the restart.
    let Done { result, then: _then } = done;
    moved(&result.map_err(|e| error(&e))?)
}

async fn commit(api: Api, request: q::Commit) -> Result<r::Committed, ErrorReport> {
    let order = Order::Commit { vsn: request.version.as_deref().map(version).transpose()? };
    let entry = api.entry("commit", request.wait);
    let done = api.operator.carry_out(order, entry, api.origin(r::HistoryKind::Commit)).await?;
    match done.result.map_err(|e| error(&e))? {
        Ended::Committed { vsn, before, warning } => Ok(r::Committed {
            changed: before.as_ref() != Some(&vsn),
            version: vsn.to_string(),
            killed: Vec::new(),
            lingering: lingering(&api, |_| true),
            warnings: warning.into_iter().collect(),
        }),
        other => Err(unexpected(&other)),
    }
}

async fn remove(api: Api, request: q::Remove) -> Result<r::Removed, ErrorReport> {
    let vsn = version(&request.version)?;
    let entry = api.entry(format!("removal of {vsn}"), request.wait);
    match api.operator.remove(Order::Remove { vsn }, entry).await?.map_err(|e| error(&e))? {
        Ended::Removed { vsn, apps } => {
            let apps = apps.into_iter().map(|(name, vsn)| format!("{name}-{vsn}"));
            Ok(r::Removed { version: vsn.to_string(), apps: apps.collect() })
        }
        other => Err(unexpected(&other)),
    }
}

async fn reboot_old(api: Api, request: q::RebootOld) -> Result<r::Rebooting, ErrorReport> {
    let vsn = version(&request.version)?;
    let entry = api.entry(format!("restart into {vsn}"), request.wait);
    let origin = api.origin(r::HistoryKind::RebootOld);
    let done = api.operator.carry_out(Order::RebootOld { vsn }, entry, origin).await?;
    let Done { result, then: _then } = done;
    match result.map_err(|e| error(&e))? {
        Ended::Restarts { to, .. } => Ok(r::Rebooting { version: to.to_string() }),
        other => Err(unexpected(&other)),
    }
}

/// Returns the error of an order whose result does not fit its kind.
pub(super) fn unexpected(ended: &Ended) -> ErrorReport {
    ErrorReport::new(
        ErrorCode::Bug,
        format!("the order ended as {ended:?}; this is a bug in reld"),
        reld_api::ExitCode::Bug,
    )
}

fn releases(api: &Api) -> r::ReleaseList {
    let row = |known: &reld_handler::KnownRelease| r::ReleaseRow {
        name: known.name.to_string(),
        version: known.version.to_string(),
        status: status(known.status),
        serial: known.provenance.serial,
        signed_by: known.provenance.signed_by.clone(),
        identity: known.identity.to_string(),
        apps: app_names(&known.apps),
    };
    r::ReleaseList { releases: api.operator.board().releases.releases.iter().map(row).collect() }
}

pub(super) fn app_names(apps: &[KnownApp]) -> Vec<String> {
    apps.iter().map(|app| format!("{}-{}", app.name, app.version)).collect()
}

pub(super) fn status(status: Status) -> r::ReleaseStatus {
    match status {
        Status::Unpacked => r::ReleaseStatus::Unpacked,
        Status::Current => r::ReleaseStatus::Current,
        Status::Permanent => r::ReleaseStatus::Permanent,
        Status::Old => r::ReleaseStatus::Old,
    }
}
