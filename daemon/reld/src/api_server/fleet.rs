//! Verbs of a fleet: looks at the ledger in etcd, and changes of it. The nodes do the work.

mod shown;

use std::sync::Arc;

use axum::Router;
use parking_lot::Mutex;
use reld_api::request as q;
use reld_api::response as r;
use reld_api::{ErrorCode, ErrorReport, ExitCode};
use reld_fleet::ledger::{Document, Name, Note, Refused, Txn, View};
use reld_plan::Rollout;

use self::shown::Shown;
use super::api::Api;
use super::routing::on;
use crate::fleet::{Fault, Fleet};
use crate::history::now;

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    let router = on(router, |api: Api, _: q::Fleet| async move { status(&api) });
    let router = on(router, |api: Api, _: q::FleetNodes| async move { nodes(api).await });
    let router = on(router, |api: Api, request: q::RemoveNode| async move { remove(api, request).await });
    let router = on(router, |api: Api, _: q::FleetRollout| async move { rollout(api).await });
    let router = on(router, |api: Api, request: q::StartRollout| async move { start(api, request).await });
    let router = on(router, |api: Api, request: q::PauseRollout| async move {
        change(api, move |view| view.pause(&request.by)).await
    });
    let router = on(router, |api: Api, _: q::ResumeRollout| async move { change(api, View::resume).await });
    let router = on(router, |api: Api, request: q::HaltRollout| async move {
        change(api, move |view| view.halt(&request.by)).await
    });
    let router = on(router, |api: Api, request: q::TakeBackRollout| async move {
        change(api, move |view| view.take_back(&request.by)).await
    });
    on(router, |api: Api, request: q::SkipNode| async move { skip(api, request).await })
}

/// Returns the sentence about the fleet for the status of the node.
pub(super) fn sentence(api: &Api) -> Option<String> {
    api.fleet.as_ref().map(|fleet| fleet.status().1)
}

fn of(api: &Api) -> Result<&Fleet, ErrorReport> {
    api.fleet.as_ref().ok_or_else(|| {
        ErrorReport::refused(ErrorCode::NoFleet, "cannot look at the fleet: this daemon has joined none")
            .with_hint("start it as `reld --fleet FLEET.TOML`, or roll out over ssh with --hosts")
    })
}

fn status(api: &Api) -> Result<r::FleetStatus, ErrorReport> {
    let fleet = of(api)?;
    let (name, node) = fleet.names();
    let (connected, text) = fleet.status();
    Ok(r::FleetStatus { fleet: name.to_string(), node: node.to_string(), connected, text })
}

async fn nodes(api: Api) -> Result<r::FleetNodeList, ErrorReport> {
    let (fleet, view) = look(&api).await?;
    let nodes = Shown::new(&fleet, &view).nodes();
    Ok(r::FleetNodeList { fleet: fleet.names().0.to_string(), nodes })
}

async fn rollout(api: Api) -> Result<r::RolloutShown, ErrorReport> {
    let (fleet, view) = look(&api).await?;
    let rollout = Shown::new(&fleet, &view).rollout();
    Ok(r::RolloutShown { fleet: fleet.names().0.to_string(), rollout })
}

/// Looks at the fleet. A daemon that knows to have lost etcd refuses at once.
async fn look(api: &Api) -> Result<(Fleet, View), ErrorReport> {
    let fleet = connected(api)?;
    api.wait(move |_| fleet.look().map(|view| (fleet, view)).map_err(|fault| failed(&fault))).await
}

fn connected(api: &Api) -> Result<Fleet, ErrorReport> {
    let fleet = of(api)?;
    match fleet.status() {
        (true, _) => Ok(fleet.clone()),
        (false, text) => {
            let message = format!("cannot look at the fleet: {text}");
            Err(ErrorReport::refused(ErrorCode::NoEtcd, message))
        }
    }
}

async fn start(api: Api, request: q::StartRollout) -> Result<r::RolloutChanged, ErrorReport> {
    let q::StartRollout { policy, source, name, version, identity, skip, by } = request;
    check(&api, &policy)?;
    let skip = skip.iter().map(|node| named(node)).collect::<Result<Vec<_>, _>>()?;
    let at = now();
    let id = Arc::<Mutex<String>>::default();
    let new = Arc::clone(&id);
    let decide = move |view: &View| {
        let document = Document {
            policy: policy.clone(),
            name: name.clone(),
            version: version.clone(),
            identity: identity.clone(),
            source: source.clone(),
            members: view.members.keys().cloned().collect(),
            by: by.clone(),
            at: at.clone(),
        };
        let (id, txn) = view.start(&document, &skip)?;
        *new.lock() = id;
        Ok(txn)
    };
    write(&api, "begin the rollout", decide).await?;
    let rollout = id.lock().clone();
    Ok(r::RolloutChanged { rollout })
}

/// Checks a policy before it is written. The other nodes probably have the same probes.
fn check(api: &Api, policy: &str) -> Result<(), ErrorReport> {
    let policy = Rollout::parse("rollout.toml", policy).map_err(|fault| {
        ErrorReport::new(fault.code(), format!("cannot begin the rollout: {fault}"), ExitCode::Usage)
    })?;
    let Some(probe) = &policy.probe else { return Ok(()) };
    of(api)?
        .check_probe(probe)
        .map_err(|why| ErrorReport::refused(ErrorCode::Probe, format!("cannot begin the rollout: {why}")))
}

async fn skip(api: Api, request: q::SkipNode) -> Result<r::RolloutChanged, ErrorReport> {
    let node = named(&request.node)?;
    let note = Note { by: request.by, at: now() };
    change(api, move |view| view.skip(&node, note.clone())).await
}

async fn remove(api: Api, request: q::RemoveNode) -> Result<r::NodeRemoved, ErrorReport> {
    let node = named(&request.node)?;
    write(&api, "remove the node", move |view| view.remove(&node)).await?;
    Ok(r::NodeRemoved { node: request.node })
}

/// Changes the present rollout.
async fn change(
    api: Api,
    decide: impl Fn(&View) -> Result<Txn, Refused> + Send + 'static,
) -> Result<r::RolloutChanged, ErrorReport> {
    let id = Arc::<Mutex<String>>::default();
    let present = Arc::clone(&id);
    let decide = move |view: &View| {
        let txn = decide(view)?;
        *present.lock() = view.rollout.as_ref().map(|run| run.id.clone()).unwrap_or_default();
        Ok(txn)
    };
    write(&api, "change the rollout", decide).await?;
    let rollout = id.lock().clone();
    Ok(r::RolloutChanged { rollout })
}

/// Writes a change that is decided from a look at the fleet.
async fn write(
    api: &Api,
    what: &str,
    decide: impl Fn(&View) -> Result<Txn, Refused> + Send + 'static,
) -> Result<(), ErrorReport> {
    let fleet = connected(api)?;
    let written = api.wait(move |_| fleet.change(decide).map_err(|fault| failed(&fault))).await?;
    written.map_err(|why| refused(what, &why))
}

fn named(node: &str) -> Result<Name, ErrorReport> {
    node.parse().map_err(|fault: reld_fleet::ledger::UnknownName| {
        ErrorReport::refused(ErrorCode::NoSuchNode, fault.to_string())
    })
}

/// Returns the error of a change that the ledger refuses.
fn refused(what: &str, why: &Refused) -> ErrorReport {
    let (code, hint) = match why {
        Refused::UnderWay { .. } => {
            (ErrorCode::RollingOut, "`relctl rollout status` shows it, `relctl rollout halt` ends it")
        }
        Refused::Held { .. } => (
            ErrorCode::RollingOut,
            "`relctl rollout locks` shows it; if the node is gone, `relctl rollout skip NODE` frees the slot",
        ),
        Refused::NoRollout | Refused::State { .. } => {
            (ErrorCode::NoRollout, "`relctl rollout status` shows the last rollout")
        }
        Refused::TakesPart { .. } => {
            (ErrorCode::NoSuchNode, "`relctl rollout skip NODE` leaves it out of the rollout")
        }
        Refused::NoNode | Refused::UnknownNode { .. } | Refused::NoMember(_) | Refused::Connected(_) => {
            (ErrorCode::NoSuchNode, "`relctl rollout nodes` lists the nodes of the fleet")
        }
    };
    ErrorReport::refused(code, format!("cannot {what}: {why}")).with_hint(hint)
}

fn failed(fault: &Fault) -> ErrorReport {
    let code = match fault {
        Fault::Contended => ErrorCode::Busy,
        Fault::Panicked => ErrorCode::Bug,
        Fault::Etcd(_) | Fault::Unreadable(_) | Fault::Twice { .. } => ErrorCode::NoEtcd,
    };
    ErrorReport::refused(code, fault.to_string())
}
