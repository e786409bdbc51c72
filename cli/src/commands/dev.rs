//! `relctl dev`: runs a release on a throw-away node, and loads an app anew whenever its sources
//! change.
//!
//! [`sources`] decides whether a changed file concerns an app, [`rounds`] when a round begins, and
//! [`misfit`] which processes start anew. All three are pure; [`watch`], [`round`] and this file
//! carry their decisions out.

mod line;
mod misfit;
mod question;
mod round;
mod rounds;
mod sources;
mod watch;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use reld_store::Workspaces;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::sync::watch::Sender;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use self::round::Workshop;
use self::rounds::{Action, Change, Changes, Event, QUIET, State};
use self::watch::{Changed, Watch};
use super::node::Node;
use super::probe;
use super::reports::End;
use crate::args::Dev;
use crate::error::Failure;
use crate::shown::Shown;
use crate::{render, terminal};

/// Runs until a signal ends it, or until the node or the output fails for good.
pub(super) async fn dev(args: Dev, json: bool) -> Result<Shown, Failure> {
    let mut end = End::new()?;
    let args = Dev { release: found(&args.release)?, apps: found(&args.apps)?, ..args };
    let folder = TempDir::with_prefix("reld-dev-");
    let folder = folder.map_err(|fault| Failure::io("create", "a temporary folder", &fault))?;
    let watch = Watch::start(&args.apps, &args.release)?;
    let reld = probe::daemon(args.reld.clone());
    let mut node = tokio::select! {
        node = fresh_node(&reld, folder.path()) => node?,
        () = end.signalled() => return Ok(Shown::nothing()),
    };
    let work = Loop {
        args,
        reld,
        folder: folder.path(),
        watch,
        workspaces: Workspaces::default(),
        crates: BTreeSet::new(),
        json,
    };
    let worked = tokio::select! {
        worked = work.work(&mut node) => worked,
        () = end.signalled() => Ok(()),
    };
    let stopped = tokio::select! {
        stopped = node.stop() => stopped,
        () = end.signalled() => Ok(()),
    };
    worked.and(stopped).map(|()| Shown::nothing())
}

/// Returns the path of a file as the watcher reports it.
fn found(path: &Path) -> Result<PathBuf, Failure> {
    fs::canonicalize(path).map_err(|fault| Failure::io("read", path.display(), &fault))
}

/// Starts an idle node with an empty root. Its socket has the same path each time.
async fn fresh_node(reld: &Path, folder: &Path) -> Result<Node, Failure> {
    let home = folder.join("node");
    let emptied = match fs::remove_dir_all(&home) {
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => Err(fault),
        _ => fs::create_dir(&home),
    };
    emptied.map_err(|fault| Failure::io("empty", home.display(), &fault))?;
    Node::start(reld, &home, &[]).await
}

/// The loop around the rounds.
struct Loop<'a> {
    args: Dev,
    reld: PathBuf,
    folder: &'a Path,
    watch: Watch,
    workspaces: Workspaces,
    /// The path dependencies of the apps outside of the folder of all apps.
    crates: BTreeSet<PathBuf>,
    json: bool,
}

impl Loop<'_> {
    /// Works until the node or the output fails for good.
    async fn work(mut self, node: &mut Node) -> Result<(), Failure> {
        let client = node.client();
        self.greet(client.socket())?;
        self.find_crates().await?;
        let mut workshop =
            Workshop::new(&self.args, &self.reld, self.workspaces.clone(), client, self.folder, self.json);
        let (orders, mut ordered) = mpsc::channel(1);
        let (finished, mut done) = mpsc::channel(1);
        let is_superseded = Sender::new(false);
        let work = async {
            while let Some(changes) = ordered.recv().await {
                workshop.run(&changes, is_superseded.subscribe()).await?;
                // The loop below receives it, or has ended.
                let _ = finished.send(()).await;
            }
            Ok(())
        };
        tokio::pin!(work);
        // The first round boots the release.
        let mut state = State::Running(Changes::new());
        let mut quiet_at = None;
        let _ = orders.send(Changes::new()).await;
        loop {
            let event = tokio::select! {
                ended = node.ended() => {
                    *node = self.start_again(&ended).await?;
                    continue;
                }
                changed = self.watch.changed() => match self.changes(changed).await {
                    changes if changes.is_empty() => continue,
                    changes => Event::Changed(changes),
                },
                Some(()) = done.recv() => Event::Done,
                worked = &mut work => return worked,
                () = passed(quiet_at) => Event::Quiet,
            };
            let (next, action) = state.next(event);
            is_superseded.send_replace(next.has_more());
            state = next;
            quiet_at = match action {
                Action::Nothing => quiet_at,
                Action::Wait => Some(Instant::now() + QUIET),
                Action::Run(changes) => {
                    let _ = orders.send(changes).await;
                    None
                }
            };
        }
    }

    fn greet(&self, socket: &Path) -> Result<(), Failure> {
        let text = if self.json {
            format!("{}\n", json!({ "outcome": "started", "socket": socket }))
        } else {
            format!(
                "the node's socket, for relctl in another terminal:\nexport RELD_SOCKET={}\n",
                socket.display()
            )
        };
        terminal::out(&text).map_err(|fault| Failure::io("write", "stdout", &fault))
    }

    /// Replaces a node that has ended by an idle one.
    async fn start_again(&self, ended: &Failure) -> Result<Node, Failure> {
        warn(ended);
        let node = fresh_node(&self.reld, self.folder).await?;
        terminal::err("a new node has started; the next change boots the release on it\n");
        Ok(node)
    }

    /// Returns the places of changed files.
    async fn changes(&mut self, changed: Result<Changed, Failure>) -> Changes {
        let paths = match changed {
            Ok(Changed::Files(paths)) => paths,
            Ok(Changed::Unknown) => return [Change::Shared].into(),
            Err(failure) => {
                warn(&failure);
                return Changes::new();
            }
        };
        let Dev { apps, release, .. } = &self.args;
        let is_app = |folder: &Path| folder.join("app.toml").is_file();
        let place = |path: &PathBuf| sources::place(path, apps, &self.crates, release, is_app);
        let changes: Changes = paths.iter().filter_map(place).collect();
        if !changes.is_empty() && paths.iter().any(|path| path.ends_with("Cargo.toml")) {
            self.find_crates().await.unwrap_or_else(|failure| warn(&failure));
        }
        changes
    }

    /// Finds and watches the path dependencies of the apps.
    async fn find_crates(&mut self) -> Result<(), Failure> {
        let (release, apps) = (self.args.release.clone(), self.args.apps.clone());
        let workspaces = self.workspaces.clone();
        let found = spawn_blocking(move || crates(&release, &apps, &workspaces)).await;
        let found = found.expect("it neither panics nor is it aborted");
        found.iter().try_for_each(|folder| self.watch.extend(folder.clone()))?;
        self.crates = found;
        Ok(())
    }
}

fn warn(failure: &Failure) {
    terminal::err(&render::failure(failure.report()));
}

/// Returns the path dependencies of the apps of a release outside of the folder of all apps. An app
/// that cannot be read has none: its build shows the error.
fn crates(release: &Path, apps: &Path, workspaces: &Workspaces) -> BTreeSet<PathBuf> {
    let folders = round::folders(release, apps).unwrap_or_default().into_iter();
    let crates = folders.filter_map(|(folder, _)| workspaces.crates(&folder).ok()).flatten();
    let found = crates.filter_map(|folder| fs::canonicalize(folder).ok());
    found.filter(|folder| !folder.starts_with(apps)).collect()
}

/// Waits until an instant, or forever if there is none.
async fn passed(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
