//! Current and past upgrades: abort, attach, history.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use reld_api::request as q;
use reld_api::response as r;
use reld_api::{ErrorCode, ErrorReport};
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::api::Api;
use super::routing::{line, on, on_follow};
use crate::operator::Board;

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    let router = on(router, |api: Api, _: q::Abort| async move { abort(api).await });
    let router = on_follow(router, |api: Api, _: q::Attach| async move { attach(api).await });
    on(router, |api: Api, request: q::History| async move { history(&api, &request) })
}

fn history(api: &Api, request: &q::History) -> Result<r::HistoryList, ErrorReport> {
    let records = api.operator.records();
    let Some(number) = request.number else {
        let is_wanted =
            |entry: &r::HistoryEntry| request.rollout.is_none() || entry.rollout == request.rollout;
        return Ok(r::HistoryList { entries: records.list().into_iter().filter(is_wanted).collect() });
    };
    let none = || {
        ErrorReport::refused(ErrorCode::NoSuchEntry, format!("the history has no entry {number}"))
            .with_hint("`relctl history` lists the entries; the last hundred are kept")
    };
    Ok(r::HistoryList { entries: vec![records.read(number).ok_or_else(none)?] })
}

/// Aborts the upgrade under way and waits until it has ended. It may end by itself before the
/// abort.
///
/// | end of the upgrade | answer |
/// |---|---|
/// | rolled back or taken back, by this abort or an earlier one | its history entry |
/// | failed for another reason | its failure |
/// | refused before it changed anything | `too_late`: nothing was done |
/// | installed | `too_late`: it had ended before |
async fn abort(api: Api) -> Result<r::HistoryEntry, ErrorReport> {
    let mut board = api.operator.follow();
    let Board { under_way: kind, ended, last: before, .. } = api.operator.board();
    match kind {
        None => return Err(ErrorReport::refused(ErrorCode::NothingUnderWay, "there is nothing to abort")),
        Some(r::HistoryKind::Boot) => {
            let message = "cannot abort a boot: there is no release to go back to";
            return Err(ErrorReport::refused(ErrorCode::Boots, message).with_hint("stop the daemon instead"));
        }
        Some(_) => api.operator.abort(),
    }
    let gone = |_| ErrorReport::refused(ErrorCode::Stopping, "the node is stopping");
    let last = board.wait_for(|board| board.ended > ended).await.map_err(gone)?.last.clone();
    let ours = last.filter(|entry| !before.is_some_and(|before| Arc::ptr_eq(&before, entry)));
    let Some(entry) = ours.as_deref().cloned() else {
        return Err(ErrorReport::refused(
            ErrorCode::TooLate,
            "the upgrade was refused before it was aborted",
        ));
    };
    match (entry.outcome, &entry.failure) {
        (r::Outcome::RolledBack | r::Outcome::TakenBack, _) => Ok(entry),
        (_, Some(failure)) => {
            let details = serde_json::to_value(&entry.report).unwrap_or_default();
            Err(ErrorReport { details, ..failure.clone() })
        }
        (outcome, None) => {
            let mut report =
                ErrorReport::refused(ErrorCode::TooLate, "the upgrade had ended before it was aborted");
            report.node_state = Some(format!("release {}: {outcome}", entry.to));
            Err(report.with_hint("`relctl downgrade` goes back"))
        }
    }
}

/// Streams the upgrade under way: its steps, then its result.
async fn attach(api: Api) -> Result<Body, ErrorReport> {
    let (events, lines) = mpsc::unbounded_channel();
    tokio::spawn(follow(api.operator.follow(), events));
    Ok(Body::from_stream(UnboundedReceiverStream::new(lines).map(line)))
}

async fn follow(mut board: watch::Receiver<Board>, events: mpsc::UnboundedSender<r::Attached>) {
    let begin = board.borrow_and_update().clone();
    let last = |board: &Board| board.last.as_deref().cloned().map(Box::new);
    if begin.under_way.is_none() {
        // Here and below, sending fails if the client has disconnected.
        let _ = events.send(r::Attached::Idle { last: last(&begin) });
        return;
    }
    let mut shown = None;
    loop {
        let now = board.borrow_and_update().clone();
        if let Some(entry) = last(&now).filter(|_| now.ended != begin.ended) {
            let _ = events.send(r::Attached::Ended(entry));
            return;
        }
        if now.progress != shown {
            shown.clone_from(&now.progress);
            now.progress.into_iter().for_each(|progress| drop(events.send(r::Attached::Step(progress))));
        }
        tokio::select! {
            changed = board.changed() => if changed.is_err() { return },
            () = events.closed() => return,
        }
    }
}
