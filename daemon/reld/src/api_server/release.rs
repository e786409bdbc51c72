//! Release verbs: orders to the operator thread.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use reld_api::request as q;
use reld_api::response as r;
use reld_api::{ErrorReport, ExitCode};
use reld_handler::{InstallOptions, Status, Target, Vsn};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;
use tokio_stream::StreamExt;

use super::report::{check_error, checked, error, not_unpacked, report};
use super::{Api, on, on_upload};
use crate::daemon::Next;
use crate::operator::Handler;

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    let router = on_upload::<q::Unpack, _, _>(router, unpack);
    let router = on(router, |api: Api, request: q::Check| async move { check(api, request).await });
    let router = on(router, |api: Api, request: q::Install| async move { install(api, request).await });
    let router = on(router, |api: Api, request: q::Commit| async move { commit(api, request).await });
    let router = on(router, |api: Api, request: q::Remove| async move { remove(api, request).await });
    let router = on(router, |api: Api, request: q::RebootOld| async move { reboot_old(api, request).await });
    let router = on(router, |api: Api, request: q::Upgrade| async move { upgrade(api, request).await });
    let router = on(router, |api: Api, request: q::Downgrade| async move { downgrade(api, request).await });
    on(router, |api: Api, _: q::Releases| async move { Ok(releases(&api)) })
}

/// Writes an uploaded file to the node's own folder.
pub(super) async fn receive(api: &Api, body: Body) -> Result<NamedTempFile, ErrorReport> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        ErrorReport::refused("upload_failed", format!("the tarball was not {what}"))
            .caused_by(error.to_string())
    };
    let file = NamedTempFile::new_in(&api.run_dir).map_err(|e| failed("stored", &e))?;
    let copy = file.reopen().map_err(|e| failed("stored", &e))?;
    let mut copy = tokio::fs::File::from_std(copy);
    let mut stream = body.into_data_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|e| failed("received whole", &e))?;
        copy.write_all(&chunk).await.map_err(|e| failed("stored", &e))?;
    }
    copy.flush().await.map_err(|e| failed("stored", &e))?;
    Ok(file)
}

async fn unpack(api: Api, body: Body) -> Result<r::Unpacked, ErrorReport> {
    let file = receive(&api, body).await?;
    let unpacked = api.operator.order(move |handler| handler.unpack(file.path())).await?;
    let unpacked = unpacked.map_err(|e| not_unpacked(&e))?;
    let apps = unpacked.release.apps.iter().map(|app| format!("{}-{}", app.name, app.version));
    Ok(r::Unpacked {
        name: unpacked.release.name.to_string(),
        version: unpacked.release.version.to_string(),
        apps: apps.collect(),
        changed: unpacked.is_new,
    })
}

fn version(text: &str) -> Result<Vsn, ErrorReport> {
    text.parse().map_err(|cause: <Vsn as std::str::FromStr>::Err| {
        let message = format!("{text:?} is no version of a release");
        ErrorReport::new("bad_version", message, ExitCode::Usage).caused_by(cause.to_string())
    })
}

async fn check(api: Api, request: q::Check) -> Result<r::Checked, ErrorReport> {
    let vsn = version(&request.version)?;
    let check =
        api.operator.order(move |handler| handler.check_install(&vsn, InstallOptions::default())).await?;
    let check = check.map_err(|e| error(&e))?;
    if check.obstacles.is_empty() { Ok(checked(&check)) } else { Err(check_error(&check)) }
}

async fn install(api: Api, request: q::Install) -> Result<r::Report, ErrorReport> {
    let vsn = version(&request.version)?;
    let mut observer = api.operator.observer(vsn.to_string());
    let options = options(request.timeouts);
    carry_out(&api, move |handler| handler.install(&vsn, options, &mut observer)).await
}

async fn upgrade(api: Api, request: q::Upgrade) -> Result<r::Report, ErrorReport> {
    let vsn = version(&request.version)?;
    let mut observer = api.operator.observer(vsn.to_string());
    let options = options(request.timeouts);
    carry_out(&api, move |handler| go(handler, vsn, request.end, options, &mut observer)).await
}

async fn downgrade(api: Api, request: q::Downgrade) -> Result<r::Report, ErrorReport> {
    let named = request.version.as_deref().map(version).transpose()?;
    let to = request.version.unwrap_or_else(|| "the previous release".to_owned());
    let mut observer = api.operator.observer(to);
    let options = options(request.timeouts);
    carry_out(&api, move |handler| {
        let vsn = handler.way_back(named)?;
        go(handler, vsn, request.end, options, &mut observer)
    })
    .await
}

fn go(
    handler: &mut Handler,
    vsn: Vsn,
    end: q::End,
    options: InstallOptions,
    observer: &mut dyn FnMut(reld_handler::Progress<'_>),
) -> Result<reld_handler::Report, reld_handler::Error> {
    match end {
        q::End::Commit => handler.upgrade(&Target::Version(vsn), options, observer),
        q::End::Current => handler.install(&vsn, options, observer),
    }
}

fn options(timeouts: q::Timeouts) -> InstallOptions {
    InstallOptions {
        rest: timeouts.suspend_ms.map(Duration::from_millis),
        code_change: timeouts.code_change_ms.map(Duration::from_millis),
        ..InstallOptions::default()
    }
}

/// Has an upgrade done, and restarts the node where the upgrade says so.
async fn carry_out(
    api: &Api,
    work: impl FnOnce(&mut Handler) -> Result<reld_handler::Report, reld_handler::Error> + Send + 'static,
) -> Result<r::Report, ErrorReport> {
    let done = api.operator.order(work).await?;
    let answer = report(&done.map_err(|e| error(&e))?);
    if answer.as_ref().is_err_and(|error| error.exit_code == ExitCode::Incomplete) {
        restart(api);
    }
    answer
}

/// The answer goes out first: a restart begins by stopping the applications.
fn restart(api: &Api) {
    api.next.send_replace(Next::Restart);
}

async fn commit(api: Api, request: q::Commit) -> Result<r::Committed, ErrorReport> {
    let named = request.version.as_deref().map(version).transpose()?;
    let committed = api.operator.order(move |handler| {
        let running = handler.running().cloned();
        let Some(vsn) = named.or(running) else {
            return Err(ErrorReport::refused("idle", "the node is idle; there is nothing to commit"));
        };
        let was = handler.releases().permanent().is_some_and(|release| release.version == vsn);
        handler.make_permanent(&vsn).map_err(|e| error(&e))?;
        Ok((vsn, !was))
    });
    let (vsn, changed) = committed.await??;
    let lingering = super::look::lingering(&api, |_| true);
    Ok(r::Committed { version: vsn.to_string(), changed, killed: Vec::new(), lingering })
}

async fn remove(api: Api, request: q::Remove) -> Result<r::Removed, ErrorReport> {
    let vsn = version(&request.version)?;
    let removed = api.operator.order(move |handler| {
        let before = handler.releases().clone();
        handler.remove(&vsn).map_err(|e| error(&e))?;
        Ok::<_, ErrorReport>((vsn, before, handler.releases().clone()))
    });
    let (vsn, before, after) = removed.await??;
    let kept = |app: &String| after.releases.iter().any(|release| apps_of(release).contains(app));
    let gone = before.get(&vsn).map(apps_of).unwrap_or_default().into_iter().filter(|app| !kept(app));
    Ok(r::Removed { version: vsn.to_string(), apps: gone.collect() })
}

async fn reboot_old(api: Api, request: q::RebootOld) -> Result<r::Rebooting, ErrorReport> {
    let vsn = version(&request.version)?;
    let text = vsn.to_string();
    let done = api.operator.order(move |handler| handler.reboot_old(&vsn)).await?;
    done.map_err(|e| error(&e))?;
    restart(&api);
    Ok(r::Rebooting { version: text })
}

fn releases(api: &Api) -> r::ReleaseList {
    let row = |known: &reld_handler::KnownRelease| r::ReleaseRow {
        name: known.name.to_string(),
        version: known.version.to_string(),
        status: status(known.status),
        apps: apps_of(known),
    };
    r::ReleaseList { releases: api.operator.board().releases.releases.iter().map(row).collect() }
}

fn apps_of(known: &reld_handler::KnownRelease) -> Vec<String> {
    known.apps.iter().map(|app| format!("{}-{}", app.name, app.version)).collect()
}

pub(super) fn status(status: Status) -> r::ReleaseStatus {
    match status {
        Status::Unpacked => r::ReleaseStatus::Unpacked,
        Status::Current => r::ReleaseStatus::Current,
        Status::Permanent => r::ReleaseStatus::Permanent,
        Status::Old => r::ReleaseStatus::Old,
    }
}
