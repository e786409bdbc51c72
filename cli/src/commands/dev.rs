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

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::sync::watch::Sender;
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
    let worked = tokio::select! {
        worked = Loop { args, reld, folder: folder.path(), watch, json }.work(&mut node) => worked,
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
    json: bool,
}

impl Loop<'_> {
    /// Works until the node or the output fails for good.
    async fn work(mut self, node: &mut Node) -> Result<(), Failure> {
        let client = node.client();
        self.greet(client.socket())?;
        let mut workshop = Workshop::new(&self.args, &self.reld, client, self.folder, self.json);
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
                paths = self.watch.changed() => match self.changes(paths) {
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
        terminal::err(&render::failure(ended.report()));
        let node = fresh_node(&self.reld, self.folder).await?;
        terminal::err("a new node has started; the next change boots the release on it\n");
        Ok(node)
    }

    /// Returns the places of changed files.
    fn changes(&self, changed: Result<Changed, Failure>) -> Changes {
        let is_app = |folder: &Path| folder.join("app.toml").is_file();
        match changed {
            Ok(Changed::Files(paths)) => {
                let place =
                    |path: &PathBuf| sources::place(path, &self.args.apps, &self.args.release, is_app);
                paths.iter().filter_map(place).collect()
            }
            Ok(Changed::Unknown) => [Change::Shared].into(),
            Err(failure) => {
                terminal::err(&render::failure(failure.report()));
                Changes::new()
            }
        }
    }
}

/// Waits until an instant, or forever if there is none.
async fn passed(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
