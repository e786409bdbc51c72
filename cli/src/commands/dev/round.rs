//! One round: builds the apps that changed and loads them, or boots the release on an idle node.
//!
//! The node is the only truth about itself: each round asks it for its release and the versions of
//! its apps.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use reld_api::response::{self as r, AppStatus, Report};
use reld_api::{Client, ErrorCode, ErrorReport, ExitCode, request as q};
use reld_plan::{Anew, App, AppName, NameError, Rel, Revision, Vsn};
use reld_store::{Digest, Manifest, Order, Purpose, Workspaces};
use tokio::fs::File;
use tokio::sync::watch::Receiver;

use super::line::{Line, Outcome, ms};
use super::misfit;
use super::question::Judge;
use super::rounds::{Change, Changes};
use crate::args::{AppBuild, Build, ByHand, Dev, Floor, Going, Upgrade};
use crate::commands::probe::ReldProbe;
use crate::commands::{load, pack, upgrade};
use crate::error::Failure;
use crate::{render, terminal};

/// Everything that a round needs, and everything that the next round has to know.
#[derive(Debug)]
pub(super) struct Workshop {
    release: PathBuf,
    apps: PathBuf,
    profile: String,
    reld: PathBuf,
    workspaces: Workspaces,
    client: Client,
    /// The tarball of the release.
    tarball: PathBuf,
    judge: Judge,
    json: bool,
    /// The number of the last revision.
    number: u64,
    /// The revisions that were loaded, with their versions.
    loaded: BTreeMap<AppName, (Vsn, Content)>,
}

/// The parts of an app that change with its sources: its `app.toml`, its library and its files.
#[derive(Debug, PartialEq)]
struct Content(App, Vec<(String, Digest)>);

impl Workshop {
    pub(super) fn new(
        args: &Dev,
        reld: &Path,
        workspaces: Workspaces,
        client: Client,
        folder: &Path,
        json: bool,
    ) -> Self {
        Self {
            release: args.release.clone(),
            apps: args.apps.clone(),
            profile: args.profile.clone(),
            reld: reld.to_owned(),
            workspaces,
            client,
            tarball: folder.join("release.tar.gz"),
            judge: Judge::new(args.state),
            json,
            number: 0,
            loaded: BTreeMap::new(),
        }
    }

    /// Runs a round and prints its lines. `is_superseded` is whether another round follows.
    ///
    /// # Errors
    /// The output failed. A failed build or load is a line.
    pub(super) async fn run(
        &mut self,
        changes: &Changes,
        is_superseded: Receiver<bool>,
    ) -> Result<(), Failure> {
        match self.is_idle().await {
            Ok(true) => self.boot().await,
            Ok(false) => self.reload(changes, is_superseded).await,
            Err(failure) => self.print(&failed(Line::new("the node"), &failure)),
        }
    }

    async fn is_idle(&self) -> Result<bool, Failure> {
        Ok(self.client.call(&q::Status {}).await?.release.is_none())
    }

    /// Boots the release on the idle node.
    async fn boot(&mut self) -> Result<(), Failure> {
        self.loaded.clear();
        let mut line = Line::new(self.release.display().to_string());
        if let Err(failure) = self.pack_and_boot(&mut line).await {
            line = failed(line, &failure);
        }
        self.print(&line)
    }

    async fn pack_and_boot(&self, line: &mut Line) -> Result<(), Failure> {
        let begun = Instant::now();
        let order = Order {
            release: self.release.clone(),
            apps: self.apps.clone(),
            output: Some(self.tarball.clone()),
            profile: self.profile.clone(),
            shared_build: pack::shared_build(),
            workspaces: self.workspaces.clone(),
            purpose: Purpose::Try,
            without: [].into(),
            reld: pack::least_reld(),
        };
        let packed = pack::build(order, self.probe()).await;
        line.build_ms = ms(begun.elapsed());
        let (packed, begun) = (packed?, Instant::now());
        terminal::err(&render::warnings(&packed.warnings));
        line.app = packed.manifest.name.to_string();
        line.version = Some(packed.manifest.version.to_string());
        let (release, build) = (self.tarball.clone().into(), AppBuild::default());
        let (floor, by_hand) = (Floor::default(), ByHand::default());
        let order = Upgrade { release, app: None, build, floor, by_hand, going: Going::default() };
        let booted = upgrade::upgrade(&self.client, order).await;
        line.load_ms = ms(begun.elapsed());
        booted?;
        line.outcome = Outcome::Booted;
        Ok(())
    }

    /// Reloads the changed apps of the release, one after the other.
    async fn reload(&mut self, changes: &Changes, is_superseded: Receiver<bool>) -> Result<(), Failure> {
        if changes.contains(&Change::Release) {
            let release = self.release.display();
            terminal::err(&format!(
                "{release} or its config.toml has changed: start `relctl dev` again to boot it\n"
            ));
        }
        let folders = match folders(&self.release, &self.apps) {
            Ok(folders) => folders,
            Err(failure) => {
                let name = self.apps.display().to_string();
                return self.print(&failed(Line::new(name), &failure));
            }
        };
        let is_changed = |folder: &PathBuf| {
            changes.contains(&Change::Shared) || changes.contains(&Change::App(folder.clone()))
        };
        for (folder, app) in folders.into_iter().filter(|(folder, _)| is_changed(folder)) {
            let mut line = Line::new(app.name.as_str());
            if let Err(failure) = self.revise(&folder, &app, &mut line, is_superseded.clone()).await {
                line = failed(line, &failure);
            }
            self.print(&line)?;
        }
        Ok(())
    }

    /// Builds a revision of an app and loads it. Completes the line.
    async fn revise(
        &mut self,
        folder: &Path,
        app: &App,
        line: &mut Line,
        is_superseded: Receiver<bool>,
    ) -> Result<(), Failure> {
        let running = self.running(app).await?;
        let before = self.pids(app).await?;
        let mut revision = self.revision(app, &running)?;
        loop {
            match self.attempt(folder, app, &revision, line).await {
                Ok(Some(report)) => {
                    self.start_ended(&running).await?;
                    line.reloaded(&before, &self.pids(app).await?);
                    terminal::err(&render::warnings(&report.warnings));
                    return Ok(());
                }
                Ok(None) => {
                    self.start_ended(&running).await?;
                    (line.outcome, line.version) = (Outcome::Unchanged, Some(running.version));
                    return Ok(());
                }
                Err(failure) => {
                    let report = failure.report();
                    let Some(anew) = misfit::anew(report, &revision.anew) else { return Err(failure) };
                    line.reasons = report.causes.clone();
                    if !self.judge.restarts(app.name.as_str(), &line.reasons, is_superseded.clone()).await {
                        line.outcome = Outcome::KeptOld;
                        return Ok(());
                    }
                    revision.anew = anew;
                }
            }
        }
    }

    /// Returns the app as it runs on the node.
    async fn running(&self, app: &App) -> Result<r::App, Failure> {
        let apps = self.client.call(&q::Apps {}).await?.apps;
        let found = apps.into_iter().find(|running| running.name == app.name.as_str());
        found.ok_or_else(|| {
            let message = format!("cannot load app {}: the node does not have it", app.name);
            Failure::from(ErrorReport::refused(ErrorCode::NoSuchApplication, message))
                .or_hint("start `relctl dev` again to boot the release")
        })
    }

    /// Starts an app that has ended by itself, because its author tries it again.
    async fn start_ended(&self, running: &r::App) -> Result<(), Failure> {
        if running.status == AppStatus::Ended {
            self.client.call(&q::AppStart { app: running.name.clone() }).await?;
        }
        Ok(())
    }

    async fn pids(&self, app: &App) -> Result<BTreeSet<String>, Failure> {
        let processes = self.client.call(&q::Processes {}).await?.processes.into_iter();
        Ok(processes.filter(|process| process.app == app.name.as_str()).map(|process| process.pid).collect())
    }

    /// Makes up the next revision of an app.
    fn revision(&mut self, app: &App, running: &r::App) -> Result<Revision, Failure> {
        let bad =
            |error: &dyn std::error::Error| ErrorReport::refused(ErrorCode::BadVersion, error.to_string());
        self.number += 1;
        let modules = running.modules.iter().map(|module| module.parse()).collect::<Result<_, _>>();
        Ok(Revision {
            version: app.version.revision(self.number).map_err(|error| bad(&error))?,
            from: running.version.parse::<Vsn>().map_err(|error| bad(&error))?,
            modules: modules.map_err(|error: NameError| bad(&error))?,
            anew: Anew::Modules([].into()),
        })
    }

    /// Builds and loads a revision; `None` if the same code runs already.
    async fn attempt(
        &mut self,
        folder: &Path,
        app: &App,
        revision: &Revision,
        line: &mut Line,
    ) -> Result<Option<Report>, Failure> {
        let begun = Instant::now();
        let scratch = load::scratch()?;
        let build = Build { profile: self.profile.clone(), reld: Some(self.reld.clone()) };
        let order = Order {
            workspaces: self.workspaces.clone(),
            purpose: Purpose::Try,
            ..load::order(folder, &build, &scratch)?
        };
        let packed = pack::revise(order, revision.clone(), self.probe()).await;
        line.build_ms += ms(begun.elapsed());
        let (packed, begun) = (packed?, Instant::now());
        line.version = Some(revision.version.to_string());
        let content = content(app, revision, &packed.manifest);
        if self.loaded.get(&app.name).is_some_and(|(vsn, loaded)| *vsn == revision.from && *loaded == content)
        {
            return Ok(None);
        }
        let order = q::UpgradeApp { unsigned: false, wait: true };
        let report = self.client.upload(&order, open(&packed.tarball).await?).await;
        line.load_ms += ms(begun.elapsed());
        let report = match report {
            Ok(report) => report,
            Err(error) => return Err(self.explained(error.into(), &packed.tarball).await?),
        };
        self.loaded.insert(app.name.clone(), (revision.version.clone(), content));
        Ok(Some(report))
    }

    /// Returns the obstacles to a revision that was rolled back. The upgrade asks new code only
    /// about states that schemas make doubtful, and fails at the first other one that does not fit.
    /// The check asks about all.
    async fn explained(&self, failure: Failure, tarball: &Path) -> Result<Failure, Failure> {
        if failure.report().exit_code != ExitCode::RolledBack {
            return Ok(failure);
        }
        let checked = self.client.upload(&q::CheckApp::default(), open(tarball).await?).await;
        Ok(checked.err().map_or(failure, Failure::from))
    }

    fn probe(&self) -> ReldProbe {
        ReldProbe::new(Some(self.reld.clone()))
    }

    fn print(&self, line: &Line) -> Result<(), Failure> {
        let text = if self.json { line.json() } else { line.text() };
        terminal::out(&text).map_err(|fault| Failure::io("write", "stdout", &fault))
    }
}

/// Returns the folders of the apps of a release.
pub(super) fn folders(release: &Path, apps: &Path) -> Result<Vec<(PathBuf, App)>, Failure> {
    let rel = Rel::parse(&release.to_string_lossy(), &load::read(release)?)?;
    Ok(reld_store::app_folders(apps, &rel)?)
}

async fn open(tarball: &Path) -> Result<File, Failure> {
    File::open(tarball).await.map_err(|fault| Failure::io("read", tarball.display(), &fault))
}

/// Returns everything in a packed revision that a change of its sources can change.
fn content(app: &App, revision: &Revision, manifest: &Manifest) -> Content {
    let below = format!("lib/{}-{}", app.name, revision.version);
    let documents = ["app.toml", "appup.toml"].map(|name| format!("{below}/{name}"));
    let files = manifest.files_below(&below).filter(|file| !documents.contains(&file.path));
    Content(app.clone(), files.map(|file| (file.path[below.len()..].to_owned(), file.sha256)).collect())
}

/// Prints a failure, and completes the line with it.
fn failed(mut line: Line, failure: &Failure) -> Line {
    let report = failure.report();
    terminal::err(&render::failure(report));
    line.reasons = std::iter::once(report.message.clone()).chain(report.causes.iter().cloned()).collect();
    line
}
