//! Test fixture: a release handler over a real root and a fake node, with tarballs of releases.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reld_plan::{Rel, Vsn};
use reld_store::{Abi, Digest, FileEntry, Manifest, Platform, Store, Unpacked};
use reld_trust::PolicyFile;

use crate::error::{Error, Obstacle};
use crate::event::{Event, Observer};
use crate::fake::Fake;
use crate::fixture::{app_toml, appup_toml, release_toml};
use crate::handler::{ReleaseHandler, Watched};
use crate::limits::Limits;
use crate::lineup::SingleApp;
use crate::options::InstallOptions;
use crate::order::{End, Ended, Order};
use crate::report::{Outcome, Report};
use crate::settle::Settle;

const ABI: Abi = Abi { major: 1, minor: 0 };
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The target of an upgrade.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// The release in a tarball.
    Tarball(PathBuf),
    /// An unpacked release.
    Version(Vsn),
}

/// A folder with tarballs and the root of a store.
pub(crate) struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// Returns a new handler on the root with a fresh node, as after a crash of the daemon.
    pub(crate) fn handler(&self) -> ReleaseHandler<Fake> {
        let mut store = Store::open(self.root()).unwrap();
        store.trust(PolicyFile::Usual(self.policy()));
        ReleaseHandler::new(Fake::default(), store, platform(), Limits::default())
    }

    /// Unpacks the only app of a tarball.
    pub(crate) fn single(&self, tarball: &Target) -> SingleApp {
        let Target::Tarball(path) = tarball else { panic!("no tarball: {tarball:?}") };
        let place = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        SingleApp::unpack(path, &platform(), &place).unwrap()
    }

    fn policy(&self) -> PathBuf {
        self.folder.path().join("trust.toml")
    }

    /// Changes the policy of signatures; at first nothing is required.
    pub(crate) fn require(&self, policy: &str) {
        std::fs::write(self.policy(), format!("require = \"{policy}\"\n")).unwrap();
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Packs release 1.MINOR.0: app shop 0.1.MINOR with one module and these appup entries.
    pub(crate) fn pack(&self, minor: u64, entries: &str) -> Target {
        self.pack_modules(minor, &["counter"], entries)
    }

    /// As [`pack`](Self::pack), with other modules.
    pub(crate) fn pack_modules(&self, minor: u64, modules: &[&str], entries: &str) -> Target {
        self.pack_changed(minor, modules, entries, &[])
    }

    /// As [`pack_modules`](Self::pack_modules), with schemas of the modules.
    pub(crate) fn pack_described(
        &self,
        minor: u64,
        modules: &[&str],
        entries: &str,
        schemas: String,
    ) -> Target {
        self.pack_with(minor, modules, entries, schemas, &[])
    }

    /// As [`pack_modules`](Self::pack_modules), with replacements in the texts of the documents.
    pub(crate) fn pack_changed(
        &self,
        minor: u64,
        modules: &[&str],
        entries: &str,
        changes: &[(&str, &str)],
    ) -> Target {
        // A module with a supervisor update is a supervisor.
        let is_supervisor = entries.contains("change = \"supervisor\"");
        let behaviour = if is_supervisor { "supervisor" } else { "gen_server" };
        self.pack_with(minor, modules, entries, schemas(minor, behaviour), changes)
    }

    fn pack_with(
        &self,
        minor: u64,
        modules: &[&str],
        entries: &str,
        schemas: String,
        changes: &[(&str, &str)],
    ) -> Target {
        let vsn = format!("0.1.{minor}");
        let lib = format!("lib/shop-{vsn}");
        let rel = release_toml(&format!("1.{minor}.0"), &[("shop".to_owned(), vsn.clone())]);
        let mut files = [
            (format!("{lib}/app.toml"), app_toml("shop", &vsn, modules)),
            (format!("{lib}/appup.toml"), appup_toml("shop", &vsn, entries)),
            (format!("{lib}/schema.json"), schemas),
            (format!("{lib}/shop.so"), format!("library {minor}")),
            (format!("releases/1.{minor}.0/config.toml"), format!("[shop]\nminor = {minor}\n")),
            (format!("releases/1.{minor}.0/release.toml"), rel),
        ];
        for (from, to) in changes {
            assert!(files.iter().any(|(_, text)| text.contains(from)), "no {from}");
            files.iter_mut().for_each(|(_, text)| *text = text.replace(from, to));
        }
        let path = self.folder.path().join(format!("shop-1.{minor}.0.tar.gz"));
        tarball(&path, Vsn::new(1, minor, 0), &files);
        Target::Tarball(path)
    }

    /// Packs 1.0.0, 1.1.0 and 1.2.0, each with both ways to and from its predecessor.
    pub(crate) fn three(&self) -> [Target; 3] {
        [0, 1, 2].map(|minor| {
            self.pack(
                minor,
                &if minor == 0 { String::new() } else { both_ways(minor, "{ update = \"counter\" }") },
            )
        })
    }
}

/// Every version of the counter accepts `get`; the first two also accept `stop`.
fn schemas(minor: u64, behaviour: &str) -> String {
    let words = if minor < 2 { r#"["get", "stop"]"# } else { r#"["get"]"# };
    format!(
        r#"{{"modules": {{"counter": {{"behaviour": "{behaviour}", "interface": {{"call": {{"type": "string", "enum": {words}}}}}}}}}}}"#
    )
}

fn platform() -> Platform {
    Platform { target: TARGET.to_owned(), abi: ABI, reld: Vsn::new(1, 0, 0) }
}

pub(crate) fn both_ways(minor: u64, instruction: &str) -> String {
    let before = minor - 1;
    format!(
        "[[up]]\nfrom = \"0.1.{before}\"\ninstructions = [{instruction}]\n\
         [[down]]\nto = \"0.1.{before}\"\ninstructions = [{instruction}]\n"
    )
}

fn tarball(path: &Path, version: Vsn, files: &[(String, String)]) {
    let entry = |(path, text): &(String, String)| FileEntry {
        path: path.clone(),
        size: text.len() as u64,
        sha256: Digest::of(text.as_bytes()),
        executable: false,
        not_carried: false,
    };
    let rel = files.iter().find(|(path, _)| path.ends_with("release.toml")).unwrap();
    let manifest = Manifest {
        name: "shop".parse().unwrap(),
        version,
        target: TARGET.to_owned(),
        reld: Vsn::new(1, 0, 0),
        abi: ABI,
        serial: Rel::parse(&rel.0, &rel.1).unwrap().serial,
        files: files.iter().map(entry).collect(),
    };
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    let manifest = ("manifest.toml".to_owned(), toml::to_string(&manifest).unwrap());
    for (path, text) in [&manifest].into_iter().chain(files) {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_entry_type(tar::EntryType::Regular);
        tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    let bytes = tar.into_inner().unwrap().finish().unwrap();
    std::fs::File::create(path).unwrap().write_all(&bytes).unwrap();
}

pub(crate) fn vsn(minor: u64) -> Vsn {
    Vsn::new(1, minor, 0)
}

pub(crate) fn options() -> InstallOptions {
    InstallOptions::default()
}

/// Short forms of orders for tests.
impl ReleaseHandler<Fake> {
    /// Carries out an order, and watches the release until it has settled.
    pub(crate) fn moves(&mut self, order: Order, observer: Observer<'_>) -> Result<Report, Error> {
        match self.carry_out(order, observer)? {
            Ended::Moved(report) => Ok(*report),
            Ended::Settles => self.settles(observer),
            other => panic!("it did not move: {other:?}"),
        }
    }

    /// Watches the release until it has settled.
    pub(crate) fn settles(&mut self, observer: Observer<'_>) -> Result<Report, Error> {
        let deadline = Instant::now() + Duration::from_secs(300);
        loop {
            match self.watch(observer).expect("a release settles") {
                Watched::Ended(report) => return report.map(|report| *report),
                Watched::Again(_) => assert!(Instant::now() < deadline, "it settles for ever"),
            }
            std::thread::yield_now();
        }
    }

    pub(crate) fn install(
        &mut self,
        vsn: &Vsn,
        options: InstallOptions,
        observer: Observer<'_>,
    ) -> Result<Report, Error> {
        self.moves(Order::Install { to: vsn.clone(), options }, observer)
    }

    pub(crate) fn upgrade(
        &mut self,
        target: &Target,
        options: InstallOptions,
        observer: Observer<'_>,
    ) -> Result<Report, Error> {
        self.upgrade_settled(target, options, Settle::default(), observer)
    }

    pub(crate) fn upgrade_settled(
        &mut self,
        target: &Target,
        options: InstallOptions,
        settle: Settle,
        observer: Observer<'_>,
    ) -> Result<Report, Error> {
        let to = match target {
            Target::Tarball(path) => self.unpack(path)?.release.version,
            Target::Version(vsn) => vsn.clone(),
        };
        self.moves(Order::Upgrade { to, options, end: End::Commit(settle) }, observer)
    }

    pub(crate) fn replace(&mut self, app: SingleApp, options: InstallOptions) -> Result<Report, Error> {
        self.moves(Order::App { app: Box::new(app), options }, &mut |_| ())
    }

    #[track_caller]
    pub(crate) fn removes(&mut self, vsn: &Vsn) {
        let ended = self.carry_out(Order::Remove { vsn: vsn.clone() }, &mut |_| ());
        assert!(matches!(ended, Ok(Ended::Removed { .. })), "{ended:?}");
    }

    #[track_caller]
    pub(crate) fn commits(&mut self, vsn: &Vsn) {
        let ended = self.carry_out(Order::Commit { vsn: Some(vsn.clone()) }, &mut |_| ());
        assert!(matches!(ended, Ok(Ended::Committed { .. })), "{ended:?}");
    }

    /// Upgrades and expects this outcome.
    #[track_caller]
    pub(crate) fn goes(&mut self, target: &Target, expected: Outcome) -> Report {
        let report = self.upgrade(target, options(), &mut |_| ()).unwrap();
        assert_eq!(report.outcome, expected, "{report}");
        report
    }

    #[track_caller]
    pub(crate) fn unpacks(&mut self, target: &Target) -> Unpacked {
        let Target::Tarball(path) = target else { panic!("no tarball: {target:?}") };
        self.unpack(path).unwrap()
    }

    #[track_caller]
    pub(crate) fn refuses(&mut self, vsn: &Vsn) -> Vec<Obstacle> {
        match self.install(vsn, options(), &mut |_| ()) {
            Err(Error::Refused { obstacles, .. }) => obstacles,
            other => panic!("not refused: {other:?}"),
        }
    }

    /// Makes these fallible calls of the node fail.
    pub(crate) fn fail<const N: usize>(&mut self, calls: [usize; N]) {
        self.node_mut().failing = calls.into();
    }
}

/// Returns the title of a step.
pub(crate) fn title<'a>(event: &Event<'a>) -> Option<&'a str> {
    match event {
        Event::Step(progress) => Some(progress.title),
        Event::Begins(_) | Event::GoesBack { .. } => None,
    }
}

/// Compares the status table in the form `1.1.0 current, 1.0.0 permanent`.
#[track_caller]
pub(crate) fn check(handler: &ReleaseHandler<Fake>, expected: &str) {
    let entry = |release: &reld_store::KnownRelease| format!("{} {}", release.version, release.status);
    let entries: Vec<String> = handler.releases().releases.iter().map(entry).collect();
    assert_eq!(entries.join(", "), expected);
}

pub(crate) fn classes(obstacles: &[Obstacle]) -> Vec<&'static str> {
    obstacles.iter().map(|obstacle| obstacle.code().as_str()).collect()
}

/// Returns a node that runs 1.0.0 with one counter.
pub(crate) fn shop() -> (Site, ReleaseHandler<Fake>, [Target; 3]) {
    let site = Site::new();
    let targets = site.three();
    let mut handler = site.handler();
    handler.goes(&targets[0], Outcome::Installed);
    handler.node_mut().spawn("counter", None);
    (site, handler, targets)
}
