//! Release verbs: orders to the operator thread.

use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use reld_api::request as q;
use reld_api::response as r;
use reld_api::{ErrorReport, ExitCode};
use reld_handler::{CrashPolicy, InstallOptions, OrphanPolicy, Settle, Status, Unrest, Vsn, Windows};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::report::{check_error, checked, error, not_unpacked, report, under_way};
use super::{Api, on, on_follow, on_upload};
use crate::daemon::Next;
use crate::history::Asked;
use crate::operator::{Board, Handler, Operator};

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    let router = on_upload::<q::Unpack, _, _>(router, unpack);
    let router = on(router, |api: Api, request: q::Check| async move { check(api, request).await });
    let router = on(router, |api: Api, request: q::Install| async move { install(api, request).await });
    let router = on(router, |api: Api, request: q::Commit| async move { commit(api, request).await });
    let router = on(router, |api: Api, request: q::Remove| async move { remove(api, request).await });
    let router = on(router, |api: Api, request: q::RebootOld| async move { reboot_old(api, request).await });
    let router = on(router, |api: Api, request: q::Upgrade| async move { upgrade(api, request).await });
    let router = on(router, |api: Api, request: q::Downgrade| async move { downgrade(api, request).await });
    let router = super::single_app::routes(router);
    let router = on(router, |api: Api, _: q::Abort| async move { abort(api).await });
    let router = on_follow(router, |api: Api, _: q::Attach| async move { attach(api).await });
    let router = on(router, |api: Api, request: q::History| async move { history(&api, &request) });
    on(router, |api: Api, _: q::Releases| async move { Ok(releases(&api)) })
}

/// Writes an uploaded file to the node's own folder.
pub(super) async fn receive(api: &Api, body: Body) -> Result<NamedTempFile, ErrorReport> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        ErrorReport::refused("upload_failed", format!("the tarball was not {what}"))
            .caused_by(error.to_string())
    };
    let file = NamedTempFile::new_in(&api.uploads).map_err(|e| failed("stored", &e))?;
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
    let q::Check { orphans, group_windows, rename, supersede, .. } = request;
    let policy = q::Policy { orphans, group_windows, rename, ..q::Policy::default() };
    let options = options(q::Timeouts::default(), policy, supersede);
    let check = api.operator.order(move |handler| -> Result<_, ErrorReport> {
        let mut check = handler.check_install(&vsn, options).map_err(|e| error(&e))?;
        if check.restarts {
            handler.check_daemon(&mut check, &installed()?).map_err(|e| error(&e))?;
        }
        Ok(check)
    });
    let check = check.await??;
    if check.obstacles.is_empty() {
        Ok(checked(&check))
    } else {
        Err(check_error(&format!("release {}", check.to), &check))
    }
}

async fn install(api: Api, request: q::Install) -> Result<r::Report, ErrorReport> {
    let vsn = version(&request.version)?;
    let order = Order {
        end: q::End::Current,
        options: options(request.timeouts, request.policy, request.supersede),
        ..Order::new(&api, r::HistoryKind::Install)
    };
    go(api, order, Box::new(|_| Ok(vsn))).await
}

async fn upgrade(api: Api, request: q::Upgrade) -> Result<r::Report, ErrorReport> {
    let vsn = version(&request.version)?;
    let kind = match request.mode {
        q::Mode::Live => r::HistoryKind::Upgrade,
        q::Mode::Restart => r::HistoryKind::Restart,
    };
    let order = Order {
        end: request.end,
        options: options(request.timeouts, request.policy, request.supersede),
        settle: request.settle,
        detach: request.detach,
        ..Order::new(&api, kind)
    };
    order.makes_sense()?;
    go(api, order, Box::new(|_| Ok(vsn))).await
}

async fn downgrade(api: Api, request: q::Downgrade) -> Result<r::Report, ErrorReport> {
    let named = request.version.as_deref().map(version).transpose()?;
    let order = Order {
        end: request.end,
        options: options(request.timeouts, request.policy, request.supersede),
        settle: request.settle,
        detach: request.detach,
        ..Order::new(&api, r::HistoryKind::Downgrade)
    };
    order.makes_sense()?;
    go(api, order, Box::new(|handler| handler.way_back(named))).await
}

fn options(timeouts: q::Timeouts, policy: q::Policy, supersede: bool) -> InstallOptions {
    InstallOptions {
        orphans: match policy.orphans {
            q::Orphans::Refuse => OrphanPolicy::Refuse,
            q::Orphans::Kill => OrphanPolicy::Kill,
            q::Orphans::Include => OrphanPolicy::Include,
            q::Orphans::Ignore => OrphanPolicy::Ignore,
        },
        unrest: match policy.unrest {
            q::Unrest::Abort => Unrest::Abort,
            q::Unrest::Kill => Unrest::Kill,
            q::Unrest::Leave => Unrest::Leave,
        },
        rest: timeouts.suspend_ms.map(Duration::from_millis),
        code_change: timeouts.code_change_ms.map(Duration::from_millis),
        supersede,
        rename: policy.rename,
        windows: if policy.group_windows { Windows::Group } else { Windows::Release },
        crashes: match policy.crashes {
            q::Crashes::Abort => CrashPolicy::TakeBack,
            q::Crashes::Ignore => CrashPolicy::Ignore,
        },
    }
}

/// Where to, known only when the order's turn has come.
type To = Box<dyn FnOnce(&Handler) -> Result<Vsn, reld_handler::Error> + Send>;

/// How the node is to go to a release.
struct Order {
    asked: Asked,
    end: q::End,
    options: InstallOptions,
    settle: q::Settle,
    detach: bool,
    socket: PathBuf,
}

impl Order {
    fn new(api: &Api, kind: r::HistoryKind) -> Self {
        Self {
            asked: Asked { kind, uid: api.peer.uid },
            end: q::End::Commit,
            options: InstallOptions::default(),
            settle: q::Settle::default(),
            detach: false,
            socket: api.socket.clone(),
        }
    }

    fn makes_sense(&self) -> Result<(), ErrorReport> {
        let refuse = |why: &str| Err(ErrorReport::new("bad_request", why, ExitCode::Usage));
        let settles = self.settle != q::Settle::default();
        let stays = self.end == q::End::Current;
        let restarts = self.asked.kind == r::HistoryKind::Restart;
        match () {
            () if settles && stays => refuse("a release that stays current is not watched: nothing follows"),
            () if restarts && (settles || stays) => {
                refuse("a restart boots the release for good: it is not watched, and it is committed")
            }
            () if restarts && self.options.windows == Windows::Group => {
                refuse("a restart has no windows: nothing is left running")
            }
            () => Ok(()),
        }
    }

    /// Makes it an order to restart where the script has one.
    fn restarting_where_needed(mut self, handler: &Handler, vsn: &Vsn) -> Result<Self, ErrorReport> {
        let commits = matches!(self.end, q::End::Commit) && self.settle == q::Settle::default();
        if commits && handler.restarts(vsn, self.options).map_err(|e| error(&e))? {
            self.asked.kind = r::HistoryKind::Restart;
        }
        Ok(self)
    }

    /// Goes. The observer is told each step.
    fn run(
        self,
        operator: &Operator,
        handler: &mut Handler,
        vsn: Vsn,
        observer: &mut dyn FnMut(reld_handler::Progress<'_>),
    ) -> Result<r::Report, ErrorReport> {
        let is_restart = self.asked.kind == r::HistoryKind::Restart;
        if let Some(from) = handler.running().cloned().filter(|from| is_restart && *from != vsn) {
            handler.restart_into(&vsn, &installed()?, self.options).map_err(|e| error(&e))?;
            return Ok(under_way(Some(from.to_string()), vsn.to_string()));
        }
        let done = match self.end {
            q::End::Commit => {
                let settle = Settle {
                    window: Duration::from_millis(self.settle.window_ms),
                    crashes: self.options.crashes,
                    probe: self.settle.probe.map(|probe| {
                        crate::probe::probe(
                            probe.command,
                            Duration::from_millis(probe.timeout_ms),
                            self.socket,
                        )
                    }),
                };
                handler.install(&vsn, self.options, observer).map(|mut report| {
                    // Who looks while it settles sees what runs.
                    operator.show(handler);
                    handler.settle(settle, &mut report, observer);
                    report
                })
            }
            q::End::Current => handler.install(&vsn, self.options, observer),
        };
        report(&done.map_err(|e| error(&e))?)
    }
}

/// Returns the version of the daemon that a restart would execute.
fn installed() -> Result<Vsn, ErrorReport> {
    crate::daemon::installed().map_err(|e| {
        ErrorReport::refused("other_daemon", "what a restart would execute is not known")
            .caused_by(format!("{e:#}"))
    })
}

/// Has an order carried out to its end, even if who asked hangs up. One that is detached is answered when it has begun.
async fn go(api: Api, order: Order, to: To) -> Result<r::Report, ErrorReport> {
    let (begun, has_begun) = oneshot::channel();
    let begun = order.detach.then_some(begun);
    let mut work = tokio::spawn(carry_out(api, order, to, begun));
    let bug = |error| ErrorReport::new("bug", format!("the daemon panicked: {error}"), ExitCode::Bug);
    tokio::select! {
        biased;
        Ok(report) = has_begun => Ok(report),
        done = &mut work => done.map_err(bug)?,
    }
}

/// Has an order carried out when its turn comes, and restarts the node where that is what follows.
async fn carry_out(
    api: Api,
    order: Order,
    to: To,
    mut begun: Option<oneshot::Sender<r::Report>>,
) -> Result<r::Report, ErrorReport> {
    let operator = api.operator.clone();
    let work = move |handler: &mut Handler| {
        let vsn = to(handler).map_err(|e| error(&e))?;
        let order = order.restarting_where_needed(handler, &vsn)?;
        let from = handler.running().map(ToString::to_string);
        let mut observer = operator.observer(vsn.to_string());
        let text = vsn.to_string();
        let mut tell = move |progress: reld_handler::Progress<'_>| {
            if let Some(begun) = begun.take() {
                // Who asked may be gone by now.
                let _ = begun.send(under_way(from.clone(), text.clone()));
            }
            observer(progress);
        };
        let (asked, left, to) =
            (order.asked.clone(), handler.running().map(ToString::to_string), vsn.to_string());
        operator.carry_out(handler, &asked, left, to, |handler| order.run(&operator, handler, vsn, &mut tell))
    };
    let answer = api.operator.order(work).await?;
    restart_if_needed(&api, &answer);
    answer
}

pub(super) fn restart_if_needed(api: &Api, answer: &Result<r::Report, ErrorReport>) {
    let restarts = match answer {
        Ok(report) => report.outcome == r::Outcome::UnderWay,
        Err(error) => error.exit_code == ExitCode::Incomplete,
    };
    if restarts {
        restart(api);
    }
}

fn history(api: &Api, request: &q::History) -> Result<r::HistoryList, ErrorReport> {
    let records = api.operator.records();
    let Some(number) = request.number else { return Ok(r::HistoryList { entries: records.list() }) };
    let none = || {
        ErrorReport::refused("no_such_entry", format!("the history has no entry {number}"))
            .with_hint("`relctl history` lists them; the last hundred are kept")
    };
    Ok(r::HistoryList { entries: vec![records.read(number).ok_or_else(none)?] })
}

/// Waits until the upgrade under way has ended, which it may do well before it is aborted.
async fn abort(api: Api) -> Result<r::HistoryEntry, ErrorReport> {
    let mut board = api.operator.follow();
    let (kind, ended) = {
        let board = board.borrow();
        (board.under_way, board.ended)
    };
    match kind {
        None => return Err(ErrorReport::refused("nothing_under_way", "there is nothing to abort")),
        Some(r::HistoryKind::Boot) => {
            let message = "a boot is not aborted: there is no release to go back to";
            return Err(ErrorReport::refused("boots", message).with_hint("stop the daemon instead"));
        }
        Some(_) => api.operator.abort(),
    }
    let gone = |_| ErrorReport::refused("stopping", "the node is about to stop");
    let last = board.wait_for(|board| board.ended > ended).await.map_err(gone)?.last.clone();
    match last {
        Some(entry) if matches!(entry.outcome, r::Outcome::RolledBack | r::Outcome::TakenBack) => {
            Ok((*entry).clone())
        }
        last => Err(too_late(last.as_deref())),
    }
}

fn too_late(last: Option<&r::HistoryEntry>) -> ErrorReport {
    let mut report = ErrorReport::refused("too_late", "the upgrade had ended before it was aborted");
    report.node_state = last.map(|entry| format!("release {}: {}", entry.to, entry.outcome));
    report.with_hint("`relctl downgrade` goes back")
}

/// Follows the upgrade under way: its steps, then how it ended.
async fn attach(api: Api) -> Result<Body, ErrorReport> {
    let (tell, lines) = mpsc::unbounded_channel();
    tokio::spawn(follow(api.operator.follow(), tell));
    Ok(Body::from_stream(UnboundedReceiverStream::new(lines).map(super::line)))
}

async fn follow(mut board: watch::Receiver<Board>, tell: mpsc::UnboundedSender<r::Attached>) {
    let begin = board.borrow_and_update().clone();
    let last = |board: &Board| board.last.as_deref().cloned().map(Box::new);
    if begin.under_way.is_none() {
        // Who hangs up sees nothing more; so below.
        let _ = tell.send(r::Attached::Idle { last: last(&begin) });
        return;
    }
    let mut shown = None;
    loop {
        let now = board.borrow_and_update().clone();
        if let Some(entry) = last(&now).filter(|_| now.ended != begin.ended) {
            let _ = tell.send(r::Attached::Ended(entry));
            return;
        }
        if now.progress != shown {
            shown.clone_from(&now.progress);
            now.progress.into_iter().for_each(|progress| drop(tell.send(r::Attached::Step(progress))));
        }
        tokio::select! {
            changed = board.changed() => if changed.is_err() { return },
            () = tell.closed() => return,
        }
    }
}

/// The answer goes out first: a restart begins by stopping the applications.
fn restart(api: &Api) {
    api.next.send_replace(Next::Restart);
}

async fn commit(api: Api, request: q::Commit) -> Result<r::Committed, ErrorReport> {
    let named = request.version.as_deref().map(version).transpose()?;
    let asked = Asked { kind: r::HistoryKind::Commit, uid: api.peer.uid };
    let records = api.operator.records().clone();
    let committed = api.operator.order(move |handler| {
        let running = handler.running().cloned();
        let Some(vsn) = named.or(running) else {
            return Err(ErrorReport::refused("idle", "the node is idle; there is nothing to commit"));
        };
        let was = handler.releases().permanent().map(|release| release.version.to_string());
        let changed = was.as_deref() != Some(&vsn.to_string());
        handler.make_permanent(&vsn).map_err(|e| error(&e))?;
        if changed {
            records.note(&asked, was, vsn.to_string());
        }
        Ok((vsn, changed))
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
    let asked = Asked { kind: r::HistoryKind::RebootOld, uid: api.peer.uid };
    let records = api.operator.records().clone();
    let done = api.operator.order(move |handler| {
        let from = handler.running().map(ToString::to_string);
        handler.reboot_old(&vsn)?;
        records.note(&asked, from, vsn.to_string());
        Ok(())
    });
    done.await?.map_err(|e: reld_handler::Error| error(&e))?;
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
