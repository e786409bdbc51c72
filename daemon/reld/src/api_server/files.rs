//! The files of releases: verification against the manifests, and removal of old releases.

use axum::Router;
use reld_api::ErrorReport;
use reld_api::request as q;
use reld_api::response as r;
use reld_handler::{Ended, KnownRelease, Order, Removal, StatusTable};
use reld_store::{Damage, Harm, Verified, removals, survey};
use tokio::sync::Mutex;

use super::api::Api;
use super::order::version;
use super::release::{app_names, unexpected};
use super::routing::on;
use crate::report::{error, store_error};

/// Held during a verification, so that only one runs at a time. Otherwise clients with read access
/// could overload the disk.
static VERIFYING: Mutex<()> = Mutex::const_new(());

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    let router = on(router, |api: Api, request: q::Verify| async move { verify(api, request).await });
    let router =
        on(router, |api: Api, request: q::CheckPrune| async move { check_prune(api, request).await });
    on(router, |api: Api, request: q::Prune| async move { prune(api, request).await })
}

/// Verifies files while orders are carried out. A damaged release is verified a second time,
/// because an order may have repaired or removed it during the first verification.
async fn verify(api: Api, request: q::Verify) -> Result<r::Verified, ErrorReport> {
    let only = request.version.as_deref().map(version).transpose()?;
    let known = api.operator.board().releases;
    let asked = match &only {
        None => known.releases,
        Some(vsn) => match known.get(vsn) {
            Some(known) => vec![known.clone()],
            None => return Err(no_such_release(vsn)),
        },
    };
    let looking = api.clone();
    let turn = VERIFYING.lock().await;
    let releases = api
        .wait(move |_| {
            let _turn = turn;
            let looked = asked.into_iter().filter_map(|known| verify_twice(&looking, known).transpose());
            looked.collect::<Result<Vec<_>, _>>()
        })
        .await?;
    let is_damaged = releases.iter().any(|release| !release.damage.is_empty());
    let beside = api.operator.board().busy.filter(|_| is_damaged);
    Ok(r::Verified { releases, beside })
}

/// Returns the state of a release, or `None` if an order has removed it meanwhile.
fn verify_twice(api: &Api, known: KnownRelease) -> Result<Option<r::VerifiedRelease>, ErrorReport> {
    let look = || survey(&api.root, &known).map_err(|fault| store_error(&fault));
    let first = look();
    let found = match first {
        Ok(found) if found.damage.is_empty() => found,
        _ if api.operator.board().releases.get(&known.version).is_none() => return Ok(None),
        _ => look()?,
    };
    let board = api.operator.board();
    if board.releases.get(&known.version).is_none() {
        return Ok(None);
    }
    if board.busy.is_none() {
        api.health.note(&known.version, &found.damage);
    }
    Ok(Some(verified(&known, &found)))
}

fn verified(known: &KnownRelease, found: &Verified) -> r::VerifiedRelease {
    r::VerifiedRelease {
        name: known.name.to_string(),
        version: known.version.to_string(),
        files: found.files as u64,
        bytes: found.bytes,
        damage: found.damage.iter().map(damaged).collect(),
    }
}

fn damaged(damage: &Damage) -> r::DamagedFile {
    let (harm, cause) = match &damage.fault {
        Harm::Missing => (r::Harm::Missing, None),
        Harm::Changed => (r::Harm::Changed, None),
        Harm::Stray => (r::Harm::Stray, None),
        Harm::Unreadable(fault) => (r::Harm::Unreadable, Some(fault.to_string())),
    };
    r::DamagedFile { path: damage.path.display().to_string(), harm, cause }
}

fn no_such_release(vsn: &reld_handler::Vsn) -> ErrorReport {
    store_error(&reld_handler::Refusal::NoSuchRelease(vsn.clone()).into())
}

async fn check_prune(api: Api, request: q::CheckPrune) -> Result<r::Pruned, ErrorReport> {
    let (root, table): (_, StatusTable) = (api.root.clone(), api.operator.board().releases);
    let keep = keep(request.keep);
    let removals = api.wait(move |_| removals(&root, &table, keep).map_err(|fault| store_error(&fault)));
    Ok(pruned(&removals.await?))
}

async fn prune(api: Api, request: q::Prune) -> Result<r::Pruned, ErrorReport> {
    let entry = api.entry("removal of old releases", request.wait);
    let order = Order::Prune { keep: keep(request.keep) };
    match api.operator.remove(order, entry).await?.map_err(|e| error(&e))? {
        Ended::Pruned(removals) => Ok(pruned(&removals)),
        other => Err(unexpected(&other)),
    }
}

fn keep(keep: u64) -> usize {
    usize::try_from(keep).unwrap_or(usize::MAX)
}

fn pruned(removals: &[Removal]) -> r::Pruned {
    let release = |removal: &Removal| r::PrunedRelease {
        version: removal.version.to_string(),
        apps: app_names(&removal.apps),
        bytes: removal.bytes,
    };
    r::Pruned {
        releases: removals.iter().map(release).collect(),
        bytes: removals.iter().map(|removal| removal.bytes).sum(),
    }
}
