//! Test fixture: short definitions of releases, and programs between them.

use std::path::PathBuf;

use reld_plan::{AppDocs, Rel, Release, Script, StartType, Vsn, plan};
use reld_store::{Digest, KnownRelease, Status};

use crate::fake::{Fake, FakeMeetings, World};
use crate::interrupt::Interrupt;
use crate::limits::Limits;
use crate::material::Material;
use crate::meeting::Seat;
use crate::node::{AppSpec, Library};
use crate::options::InstallOptions;
use crate::program::programs;
use crate::report::Report;
use crate::saga::{self, Around};
use crate::step::Program;
use crate::trial::Outlook;

/// One app of a release: name, version, modules, appup entries.
pub(crate) type AppText<'a> = (&'a str, &'a str, &'a [&'a str], &'a str);

pub(crate) fn release_toml(version: &str, apps: &[(String, String)]) -> String {
    let apps: String =
        apps.iter().map(|(name, vsn)| format!("[[app]]\nname = \"{name}\"\nversion = \"{vsn}\"\n")).collect();
    format!("name = \"shop\"\nversion = \"{version}\"\ndaemon = \"1.0.0\"\n{apps}")
}

pub(crate) fn app_toml(name: &str, vsn: &str, modules: &[&str]) -> String {
    format!("name = \"{name}\"\nversion = \"{vsn}\"\nmodules = {modules:?}\nenv = {{ vsn = \"{vsn}\" }}\n")
}

pub(crate) fn appup_toml(name: &str, vsn: &str, entries: &str) -> String {
    format!("app = \"{name}\"\nversion = \"{vsn}\"\n{entries}")
}

pub(crate) fn release(version: &str, apps: &[AppText<'_>]) -> Release {
    let docs = |(name, vsn, modules, entries): &AppText<'_>| {
        let appup = appup_toml(name, vsn, entries);
        AppDocs::parse(("app.toml", &app_toml(name, vsn, modules)), Some(("appup.toml", &appup))).unwrap()
    };
    let named: Vec<(String, String)> = apps.iter().map(|app| (app.0.to_owned(), app.1.to_owned())).collect();
    let rel = Rel::parse("release.toml", &release_toml(version, &named)).unwrap();
    Release::new(rel, apps.iter().map(docs)).unwrap()
}

/// The first release of the shop: a counter with its supervisor, a helper that no appup names, and
/// a till.
pub(crate) fn shop_1_0() -> Release {
    release(
        "1.0.0",
        &[("shop", "0.1.0", &["counter", "counter_sup", "helper"], ""), ("till", "1.0.0", &["till"], "")],
    )
}

/// The second release: new counters, one more module and a bank, but no till.
pub(crate) fn shop_1_1() -> Release {
    shop_1_1_with(", change = { advanced = { interval_ms = 250 } }")
}

/// The second release with other words in the update of the counter.
pub(crate) fn shop_1_1_with(words: &str) -> Release {
    let entries = format!(
        "[[up]]\nfrom = \"0.1.0\"\ninstructions = [{{ update = \"counter\"{words} }}, \
         {{ update = \"counter_sup\", change = \"supervisor\" }}, {{ add_module = \"extra\" }}]\n\
         [[down]]\nto = \"0.1.0\"\ninstructions = [{{ update = \"counter\"{words} }}, \
         {{ update = \"counter_sup\", change = \"supervisor\" }}, {{ delete_module = \"extra\" }}]\n"
    );
    let shop: AppText<'_> = ("shop", "0.1.1", &["counter", "counter_sup", "helper", "extra"], &entries);
    release("1.1.0", &[shop, ("bank", "1.0.0", &["bank"], "")])
}

pub(crate) fn material(old: Option<&Release>, new: &Release) -> Material {
    let library = |app: &reld_plan::ReleaseApp| Library {
        app: app.name().clone(),
        vsn: app.version().clone(),
        dir: PathBuf::from("lib"),
        file: PathBuf::from("lib/app.so"),
        sha256: "0".repeat(64),
        modules: app.modules().to_vec(),
    };
    let spec = |app: &reld_plan::ReleaseApp| AppSpec {
        name: app.name().clone(),
        vsn: app.version().clone(),
        dir: PathBuf::from("lib"),
        start: None,
        start_type: StartType::Permanent,
        applications: vec![],
        start_phases: vec![],
        env: app.docs.app.env.clone(),
    };
    Material {
        replaceable: old.map(Material::modules_of).unwrap_or_default(),
        libraries: new.apps().iter().map(|app| (app.name().clone(), library(app))).collect(),
        apps: new.apps().iter().map(spec).collect(),
        seat: Some(Seat { node: "n1".to_owned(), identity: "0123".to_owned() }),
        ..Material::default()
    }
}

/// Returns the program from one release to another, or of a boot.
pub(crate) fn program_to(old: Option<&Release>, new: &Release, options: InstallOptions) -> Program {
    let script = old.map_or_else(|| Script::boot(new), |old| plan(old, new).unwrap());
    let back = old.and_then(|old| Outlook::new(old, new, &script, options).back);
    let material = Material { back, ..material(old, new) };
    programs(&script, &material, options).unwrap().remove(0)
}

/// Runs a program on a fake node without a fleet.
pub(crate) fn run(fake: &mut Fake, program: &Program) -> Report {
    run_with(fake, program, None)
}

/// Runs a program on a fake node that meets other nodes.
pub(crate) fn run_with(fake: &mut Fake, program: &Program, meetings: Option<&FakeMeetings>) -> Report {
    let mut report = Report::new(None, "9.9.9".parse().unwrap());
    fake.calls.clear();
    let no_crashes = |_: &Fake| Vec::new();
    let (limits, interrupt) = (Limits::default(), &Interrupt::default());
    let around = Around { limits, interrupt, crashes: &no_crashes, meetings: meetings.map(|fake| fake as _) };
    saga::run(fake, program, around, &mut report, &mut |_| ());
    report
}

/// Returns a fake node that has booted a release, without processes.
pub(crate) fn booted(release: &Release) -> Fake {
    let mut fake = Fake::default();
    run(&mut fake, &program_to(None, release, InstallOptions::default()));
    fake.world.processes.clear();
    fake.spawned = 0;
    fake
}

/// Returns the world without its messages, and tests that no process is held, missed a message or
/// got one twice.
#[track_caller]
pub(crate) fn quiet(fake: &Fake) -> World {
    let mut world = fake.world.clone();
    for (pid, process) in &mut world.processes {
        assert!(!process.is_held, "{pid} is still held");
        assert!(process.mail.is_empty(), "{pid} has unread mail");
        let first = process.handled.first().copied().unwrap_or(1);
        let expected: Vec<u32> = (first..).take(process.handled.len()).collect();
        assert_eq!(process.handled, expected, "{pid} missed a message, or got one twice");
        process.handled.clear();
    }
    world
}

/// Returns a record of the status table: release 1.`minor`.0 of this name, without apps.
pub(crate) fn known(name: &str, minor: u64, status: Status, previous: Option<u64>) -> KnownRelease {
    KnownRelease {
        name: name.parse().unwrap(),
        version: Vsn::new(1, minor, 0),
        status,
        identity: Digest::of(&minor.to_be_bytes()),
        previous: previous.map(|minor| Vsn::new(1, minor, 0)),
        tried: false,
        unconfirmed: false,
        provenance: Default::default(),
        apps: vec![],
    }
}
