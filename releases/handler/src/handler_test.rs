//! The release handler over a real root and a fake node.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reld_plan::Vsn;
use reld_store::{Abi, Digest, FileEntry, Manifest, Platform, Store, Unpacked};

use crate::error::{Error, Obstacle};
use crate::event::{Event, Observer};
use crate::fake::Fake;
use crate::fixture::{app_toml, appup_toml, release_toml};
use crate::handler::{ReleaseHandler, Watched};
use crate::limits::Limits;
use crate::lineup::SingleApp;
use crate::node::{Image, OrphanPolicy, OutsiderKind};
use crate::options::InstallOptions;
use crate::order::{End, Ended, Order};
use crate::report::{Outcome, Report};
use crate::settle::Settle;

const ABI: Abi = Abi { major: 1, minor: 0 };
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Which release an upgrade goes to.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// The release in this tarball.
    Tarball(PathBuf),
    /// A release that is unpacked.
    Version(Vsn),
}

/// A folder with tarballs and a root.
pub(crate) struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// Starts a daemon's handler on the root, with a fresh node, as after a crash.
    pub(crate) fn handler(&self) -> ReleaseHandler<Fake> {
        let store = Store::open(self.root()).unwrap();
        ReleaseHandler::new(Fake::default(), store, platform(), Limits::default())
    }

    /// Takes the one app out of a tarball.
    pub(crate) fn single(&self, tarball: &Target) -> SingleApp {
        let Target::Tarball(path) = tarball else { panic!("no tarball: {tarball:?}") };
        let place = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        SingleApp::unpack(path, &platform(), &place).unwrap()
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Packs release 1.MINOR.0, whose app shop has version 0.1.MINOR, one module, and these appup entries.
    fn pack(&self, minor: u64, entries: &str) -> Target {
        self.pack_modules(minor, &["counter"], entries)
    }

    /// The same with other modules.
    pub(crate) fn pack_modules(&self, minor: u64, modules: &[&str], entries: &str) -> Target {
        self.pack_changed(minor, modules, entries, &[])
    }

    /// The same with what else the modules say of themselves.
    pub(crate) fn pack_described(
        &self,
        minor: u64,
        modules: &[&str],
        entries: &str,
        schemas: String,
    ) -> Target {
        self.pack_with(minor, modules, entries, schemas, &[])
    }

    /// The same with changes of the documents' texts.
    pub(crate) fn pack_changed(
        &self,
        minor: u64,
        modules: &[&str],
        entries: &str,
        changes: &[(&str, &str)],
    ) -> Target {
        // What is updated as a supervisor is one.
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

    /// Packs 1.0.0, 1.1.0 and 1.2.0, each a step up from the one before and a step down to it.
    pub(crate) fn three(&self) -> [Target; 3] {
        [0, 1, 2].map(|minor| {
            self.pack(
                minor,
                &if minor == 0 { String::new() } else { both_ways(minor, "{ update = \"counter\" }") },
            )
        })
    }
}

/// Every version of the counter takes `get`, the first two take `stop` as well.
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
    let manifest = Manifest {
        name: "shop".parse().unwrap(),
        version,
        target: TARGET.to_owned(),
        reld: Vsn::new(1, 0, 0),
        abi: ABI,
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

/// Orders as the daemon gives them.
impl ReleaseHandler<Fake> {
    /// Carries an order out, and watches the release until it has settled.
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

    /// Upgrades and expects the road to end as told.
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
}

/// Takes the title of a step.
pub(crate) fn title<'a>(event: &Event<'a>) -> Option<&'a str> {
    match event {
        Event::Step(progress) => Some(progress.title),
        Event::Begins(_) | Event::GoesBack { .. } => None,
    }
}

/// Compares the status table, printed as `1.1.0 current, 1.0.0 permanent`.
#[track_caller]
pub(crate) fn check(handler: &ReleaseHandler<Fake>, expected: &str) {
    let entry = |release: &reld_store::KnownRelease| format!("{} {}", release.version, release.status);
    let entries: Vec<String> = handler.releases().releases.iter().map(entry).collect();
    assert_eq!(entries.join(", "), expected);
}

fn classes(obstacles: &[Obstacle]) -> Vec<&'static str> {
    obstacles.iter().map(Obstacle::class).collect()
}

#[test]
fn an_empty_root_is_idle_and_the_first_upgrade_boots_it() {
    let site = Site::new();
    let [first, ..] = site.three();
    let mut handler = site.handler();
    assert_eq!(handler.boot(&mut |_| ()).unwrap(), None);
    assert_eq!(handler.running(), None);
    let report = handler.goes(&first, Outcome::Installed);
    assert_eq!((report.from, report.changed, report.permanent), (None, true, true));
    check(&handler, "1.0.0 permanent");
    let (vsn, env) = &handler.node().world.apps[&"shop".parse().unwrap()];
    assert_eq!(
        (vsn.to_string().as_str(), env["vsn"].as_str(), env["minor"].as_u64()),
        ("0.1.0", Some("0.1.0"), Some(0))
    );
}

#[test]
fn a_release_is_unpacked_then_current_then_permanent_and_a_crash_boots_the_permanent_one() {
    let site = Site::new();
    let [first, second, _] = site.three();
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    assert!(handler.unpacks(&second).is_new);
    check(&handler, "1.1.0 unpacked, 1.0.0 permanent");
    let report = handler.install(&vsn(1), options(), &mut |_| ()).unwrap();
    assert_eq!((report.outcome, report.permanent), (Outcome::Installed, false));
    check(&handler, "1.1.0 current, 1.0.0 permanent");

    drop(handler);
    let mut handler = site.handler();
    assert_eq!(handler.boot(&mut |_| ()).unwrap().map(|report| report.to), Some(vsn(0)));
    check(&handler, "1.1.0 unpacked, 1.0.0 permanent");
    handler.install(&vsn(1), options(), &mut |_| ()).unwrap();
    handler.commits(&vsn(1));
    check(&handler, "1.1.0 permanent, 1.0.0 old");

    drop(handler);
    let mut handler = site.handler();
    let report = handler.boot(&mut |_| ()).unwrap().unwrap();
    assert_eq!((report.from, report.to, report.permanent), (None, vsn(1), true));
    assert_eq!(handler.running(), Some(&vsn(1)));
}

#[test]
fn asking_for_the_release_that_runs_is_nothing_to_do() {
    let site = Site::new();
    let [first, ..] = site.three();
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    let before = handler.node().world.clone();
    let report = handler.goes(&first, Outcome::Installed);
    assert_eq!((report.changed, report.permanent), (false, true));
    assert!(!handler.check_install(&vsn(0), options()).unwrap().changed);
    assert_eq!(handler.node().world, before);
}

#[test]
fn the_observer_is_told_each_step_before_it_is_done() {
    let site = Site::new();
    let [first, second, _] = site.three();
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    let mut titles = Vec::new();
    let report = handler
        .upgrade(&second, options(), &mut |event| titles.extend(title(&event).map(str::to_owned)))
        .unwrap();
    let done: Vec<String> = report.steps.into_iter().map(|step| step.title).collect();
    assert_eq!(titles, done);
    let expected = [
        "load_object_code shop-0.1.1",
        "load [counter]",
        "precopy [counter]",
        "suspend [counter]",
        "code_change counter (soft)",
        "compare",
        "switch",
        "kill",
        "resume",
        "sweep",
        "config_change",
        "pre_purge [counter]",
        "soft_purge [counter]",
    ];
    assert_eq!(done, expected);
}

#[test]
fn a_failed_upgrade_leaves_node_and_table_as_they_were() {
    let site = Site::new();
    let [first, second, _] = site.three();
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    let world = handler.node().world.clone();
    handler.fail([handler.node().calls.len() + 2]);
    let report = handler.goes(&second, Outcome::RolledBack);
    assert!(
        report
            .to_string()
            .starts_with("release 1.1.0 was not installed; the node runs 1.0.0 as before\n  step 3 of")
    );
    assert_eq!((handler.running(), &handler.node().world), (Some(&vsn(0)), &world));
    check(&handler, "1.1.0 unpacked, 1.0.0 permanent");
    handler.fail([]);
    handler.goes(&Target::Version(vsn(1)), Outcome::Installed);
}

#[test]
fn after_an_incomplete_rollback_nothing_is_installed_until_the_node_restarts() {
    let site = Site::new();
    let [first, second, _] = site.three();
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    let next = handler.node().calls.len();
    handler.fail([next + 2, next + 3]);
    handler.goes(&second, Outcome::NeedsRestart);
    assert!(matches!(handler.install(&vsn(1), options(), &mut |_| ()), Err(Error::NeedsRestart)));
    drop(handler);
    let mut handler = site.handler();
    assert_eq!(handler.boot(&mut |_| ()).unwrap().unwrap().to, vsn(0));
}

#[test]
fn a_boot_that_fails_leaves_the_node_idle_and_another_release_can_be_booted() {
    let site = Site::new();
    let [first, second, _] = site.three();
    site.handler().goes(&first, Outcome::Installed);
    let mut handler = site.handler();
    handler.fail([0]);
    let report = handler.boot(&mut |_| ()).unwrap().unwrap();
    assert_eq!((report.outcome, report.permanent), (Outcome::RolledBack, false));
    assert!(report.to_string().starts_with("release 1.0.0 was not installed; the node is idle as before"));
    assert_eq!(handler.running(), None);
    handler.goes(&second, Outcome::Installed);
    check(&handler, "1.1.0 permanent, 1.0.0 old");
}

#[test]
fn a_downgrade_goes_back_the_way_the_node_came_a_restart_between_or_not() {
    let site = Site::new();
    let [first, second, third] = site.three();
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    assert!(matches!(handler.way_back(None), Err(Error::NoPrevious { candidates }) if candidates.is_empty()));
    handler.goes(&second, Outcome::Installed);
    handler.goes(&third, Outcome::Installed);
    handler.goes(&Target::Version(handler.way_back(None).unwrap()), Outcome::Installed);
    check(&handler, "1.2.0 old, 1.1.0 permanent, 1.0.0 old");

    drop(handler);
    let mut handler = site.handler();
    handler.boot(&mut |_| ()).unwrap();
    assert_eq!(handler.way_back(None).unwrap(), vsn(0));
    handler.goes(&Target::Version(vsn(0)), Outcome::Installed);
    // There is nothing further back, and a second downgrade does not go up again.
    let error = handler.way_back(None).unwrap_err();
    assert!(matches!(&error, Error::NoPrevious { candidates } if *candidates == [vsn(2), vsn(1)]), "{error}");
    assert_eq!(handler.way_back(Some(vsn(2))).unwrap(), vsn(2));
}

#[test]
fn a_downgrade_goes_to_no_release_that_never_ran() {
    let site = Site::new();
    let [first, second, _] = site.three();
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    handler.unpacks(&second);
    let error = handler.way_back(Some(vsn(1))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "bad_status: release 1.1.0 is unpacked, only one that ran before is allowed here"
    );
}

#[test]
fn an_old_release_is_booted_after_a_restart_and_removed_ones_are_gone() {
    let site = Site::new();
    let [first, second, _] = site.three();
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    handler.goes(&second, Outcome::Installed);
    let ended = handler.carry_out(Order::RebootOld { vsn: vsn(0) }, &mut |_| ()).unwrap();
    assert!(matches!(ended, Ended::Restarts { .. }), "{ended:?}");
    assert!(matches!(handler.check_install(&vsn(1), options()), Err(Error::NeedsRestart)));
    drop(handler);
    let mut handler = site.handler();
    handler.boot(&mut |_| ()).unwrap();
    check(&handler, "1.1.0 old, 1.0.0 permanent");
    handler.removes(&vsn(1));
    check(&handler, "1.0.0 permanent");
    assert!(!site.root().join("lib/shop-0.1.1").exists());
    assert_eq!(classes(&handler.refuses(&vsn(1))), ["no_such_release"]);
}

#[test]
fn the_check_tells_all_obstacles_at_once_and_touches_nothing() {
    let site = Site::new();
    let [first, ..] = site.three();
    let instruction = "{ update = \"counter\" }, { sync_nodes = \"till\", nodes = [\"n1\"] }";
    let second = site.pack(1, &both_ways(1, instruction));
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    handler.unpacks(&second);
    handler.with_outsiders();
    let before = handler.node().world.clone();

    let found = handler.check_install(&vsn(1), options()).unwrap();
    assert_eq!(classes(&found.obstacles), ["unsupported", "old_processes", "orphans"]);
    assert!(found.obstacles[0].to_string().contains("sync_nodes"), "{}", found.obstacles[0]);
    let lingers = "task <4.1> (shop:counter) stays on its version until it ends";
    assert_eq!(found.warnings, ["there is no way back: the script back waits for other nodes", lingers]);
    assert!(found.script.is_some());
    let ignoring = InstallOptions { orphans: OrphanPolicy::Ignore, ..options() };
    let found = handler.check_install(&vsn(1), ignoring).unwrap();
    assert_eq!(classes(&found.obstacles), ["unsupported", "old_processes"]);

    assert_eq!(classes(&handler.refuses(&vsn(1))), ["unsupported", "old_processes", "orphans"]);
    assert_eq!(handler.node().world, before);
    check(&handler, "1.1.0 unpacked, 1.0.0 permanent");
}

#[test]
fn the_check_names_whom_a_brutal_pre_purge_would_kill() {
    let site = Site::new();
    let [first, ..] = site.three();
    let second = site.pack(1, &both_ways(1, "{ update = \"counter\", pre_purge = \"brutal\" }"));
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    handler.unpacks(&second);
    handler.with_outsiders();
    let ignoring = InstallOptions { orphans: OrphanPolicy::Ignore, ..options() };
    let found = handler.check_install(&vsn(1), ignoring).unwrap();
    assert_eq!(classes(&found.obstacles), [""; 0]);
    let killed = "of module counter, and would be killed by its brutal pre_purge: <";
    assert!(found.warnings.iter().any(|warning| warning.contains(killed)), "{:?}", found.warnings);
}

#[test]
fn without_a_way_between_two_releases_the_check_names_the_app() {
    let site = Site::new();
    let [first, _, third] = site.three();
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    handler.unpacks(&third);
    let obstacles = handler.refuses(&vsn(2));
    assert_eq!(classes(&obstacles), ["version_not_in_appup"]);
    assert!(obstacles[0].to_string().contains("shop"), "{}", obstacles[0]);
}

#[test]
fn a_release_that_was_changed_on_disk_is_refused() {
    let site = Site::new();
    let [first, second, _] = site.three();
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    handler.unpacks(&second);
    std::fs::write(site.root().join("lib/shop-0.1.1/shop.so"), "library X").unwrap();
    assert_eq!(classes(&handler.refuses(&vsn(1))), ["files"]);
    assert_eq!(handler.running(), Some(&vsn(0)));
}

#[test]
fn a_library_that_crashes_where_it_is_tried_is_an_obstacle_and_is_never_loaded() {
    let site = Site::new();
    let [first, second, ..] = site.three();
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    handler.unpacks(&second);
    handler.node_mut().crashes_when_probed = Some("shop".parse().unwrap());
    let calls = handler.node().calls.len();
    assert_eq!(classes(&handler.refuses(&vsn(1))), ["library"]);
    assert_eq!(handler.node().calls.len(), calls);
}

#[test]
fn a_new_library_that_will_stay_in_memory_is_a_warning_and_one_that_runs_already_is_none() {
    let site = Site::new();
    let [first, second, ..] = site.three();
    let mut handler = site.handler();
    handler.node_mut().stays = Some("imports putenv".to_owned());
    handler.goes(&first, Outcome::Installed);
    handler.unpacks(&second);
    let warnings = handler.check_install(&vsn(1), options()).unwrap().warnings;
    assert_eq!(warnings, ["app shop 0.1.1 will stay mapped: imports putenv"]);
}

#[test]
fn a_library_with_threads_that_it_does_not_declare_is_not_replaced() {
    let site = Site::new();
    let [first, second, ..] = site.three();
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    handler.unpacks(&second);
    handler.node_mut().starts_threads = Some("shop".parse().unwrap());
    assert_eq!(classes(&handler.refuses(&vsn(1))), ["threads"]);
    handler.node_mut().starts_threads = None;
    handler.goes(&second, Outcome::Installed);
}

#[test]
fn a_refusal_says_what_did_not_happen_what_runs_and_why() {
    let site = Site::new();
    let error = site.handler().install(&vsn(7), options(), &mut |_| ()).unwrap_err();
    let expected = "release 1.7.0 was not installed; the node is idle as before\n  \
                    no_such_release: release 1.7.0 is not on this node";
    assert_eq!(error.to_string(), expected);
}

impl ReleaseHandler<Fake> {
    fn fail<const N: usize>(&mut self, calls: [usize; N]) {
        self.node_mut().failing = calls.into();
    }

    /// Starts a server in the tree, an orphan, a task, and one that lingers in older code.
    fn with_outsiders(&mut self) {
        let fake = self.node_mut();
        fake.spawn("counter", None);
        fake.spawn("counter", Some(OutsiderKind::Orphan));
        fake.spawn("counter", Some(OutsiderKind::Task));
        let old = fake.spawn("counter", None);
        let image = Image(99);
        fake.world.images.insert(image, ("shop".parse().unwrap(), "0.0.9".parse().unwrap()));
        fake.world.modules.get_mut(&"counter".parse().unwrap()).unwrap().old = Some(image);
        fake.world.processes.get_mut(&old).unwrap().image = image;
    }
}

#[test]
fn r1_the_check_names_the_messages_that_the_new_library_takes_no_more() {
    let site = Site::new();
    let targets = site.three();
    let mut handler = site.handler();
    handler.goes(&targets[0], Outcome::Installed);
    targets[1..].iter().for_each(|target| drop(handler.unpacks(target)));
    assert_eq!(handler.check_install(&vsn(1), options()).unwrap().warnings, [""; 0]);
    handler.goes(&targets[1], Outcome::Installed);
    let warnings = handler.check_install(&vsn(2), options()).unwrap().warnings;
    let expected = "counter 0.1.2 no longer accepts a call of 0.1.1: `stop` is gone; keep reading the old form for one release";
    assert_eq!(warnings, [expected]);
}

#[test]
fn a_module_that_keeps_its_code_takes_all_messages_that_it_took() {
    let site = Site::new();
    let kept = both_ways(2, "").replace("instructions", "keep = [\"counter\"]\ninstructions");
    let mut handler = site.handler();
    handler.goes(&site.pack(0, ""), Outcome::Installed);
    handler.goes(&site.pack(1, &both_ways(1, "{ update = \"counter\" }")), Outcome::Installed);
    handler.unpacks(&site.pack(2, &kept));
    let warnings = handler.check_install(&vsn(2), options()).unwrap().warnings;
    assert!(!warnings.iter().any(|warning| warning.contains("no longer accepts")), "{warnings:?}");
}
