//! The differences between two releases, and drafts of the appups for both directions.
//!
//! Two versions of a module are compared by their descriptions ([`Schemas`]), not by their code. A
//! draft is therefore only a starting point: it has the instructions that follow from types and
//! child specs, and a `TODO` wherever a person must decide. [`Appup`](crate::Appup) refuses an
//! instruction with a `TODO` left in it.

mod carried;
mod draft;
mod findings;
mod module;
mod place;
mod print;
mod same;
mod schema;
mod shape;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

use self::module::{ChildChange, ChildChangeKind, InterfaceType, Need, need};
use self::place::Modules;
use crate::collect::Pair;
use crate::config::Config;
use crate::instr::Mode;
use crate::name::{AppName, ModuleName};
use crate::rel::StartType;
use crate::release::{Release, ReleaseApp};
use crate::schemas::ModuleSchema;
use crate::version::Vsn;

pub(crate) use self::carried::{Carried, carried};
pub use self::findings::Finding;

/// A release with the data that the packer recorded about it.
#[derive(Debug, Clone, PartialEq)]
pub struct PackedRelease {
    /// Its documents.
    pub release: Release,
    /// Its `config.toml`.
    pub config: Config,
    /// The known digests of its apps' libraries.
    pub libraries: BTreeMap<AppName, String>,
}

/// The differences between two releases. The JSON form is a contract; the printed form is for
/// people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diff {
    /// The version of the source release.
    pub from: Vsn,
    /// The version of the target release.
    pub to: Vsn,
    /// The daemon's two versions, if they differ: the node restarts.
    pub daemon: Option<[Vsn; 2]>,
    /// Every app of either release, in the order of the target's release file, removed apps last.
    pub apps: Vec<AppDiff>,
    /// The differences in `config.toml`, by app and key.
    pub config: Vec<KeyDiff>,
    /// The points to check before the upgrade.
    pub findings: Vec<Finding>,
}

/// The differences of one app.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AppDiff {
    /// The app.
    pub app: AppName,
    /// How it changes.
    pub change: AppChange,
    /// Its version in the source release.
    pub from: Option<Vsn>,
    /// Its version in the target release.
    pub to: Option<Vsn>,
    /// Its two start types, if they differ.
    pub start_type: Option<[StartType; 2]>,
    /// The differences in the `[env]` of its `app.toml`.
    pub env: Vec<KeyDiff>,
    /// Its modules.
    pub modules: Vec<ModuleDiff>,
    /// The text of an `appup.toml` for its newer version. Only changed apps have one.
    pub draft: Option<String>,
}

/// How an app changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AppChange {
    /// Only the target release has it; the planner adds and starts it.
    Added,
    /// Only the source release has it; the planner stops and removes it.
    Removed,
    /// Its version changes.
    Changed,
    /// Its version changes, and its appup restarts it: the state of its processes is lost.
    Restarted,
    /// Its version is the same.
    Unchanged,
}

/// A key with its values in the two releases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeyDiff {
    /// The key. A key of `config.toml` is prefixed with the app's name and a dot.
    pub key: String,
    /// The value in the source release.
    pub from: Option<Value>,
    /// The value in the target release.
    pub to: Option<Value>,
}

/// The differences of a module in a changed app.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModuleDiff {
    /// The module.
    pub module: ModuleName,
    /// OTP's name for its behaviour; `None` if neither version was packed with schemas.
    pub behaviour: Option<String>,
    /// How it changes.
    pub change: ModuleChange,
    /// Why the newer version cannot read a state of the older one unchanged, or the differences of
    /// its child specs.
    pub up: Vec<String>,
    /// The same for the way back.
    pub down: Vec<String>,
    /// Messages, start arguments and replies of the older version that are incompatible with the
    /// newer one.
    pub interface: Vec<String>,
    /// The same for the way back.
    pub interface_down: Vec<String>,
}

/// How a module changes, judged by its types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModuleChange {
    /// Only the newer version has it.
    Added,
    /// Only the older version has it.
    Removed,
    /// Its state or child specs are unchanged; its code may differ.
    Unchanged,
    /// The newer version reads the older state without a conversion.
    Additive,
    /// Code must convert the older state into the newer one.
    NeedsCode,
    /// The child specs or flags of a supervisor differ.
    ChildSpecs,
    /// One of the versions does not describe itself completely, so a person must compare them.
    Unknown,
}

/// Compares two releases. Up means from the first to the second, regardless of their versions.
pub fn diff(from: &PackedRelease, to: &PackedRelease) -> Diff {
    let pair = Pair { top: &to.release, base: &from.release, mode: Mode::Up };
    let (left, gone_to) = (from.release.rel(), to.release.rel());
    let daemon = (left.daemon != gone_to.daemon).then(|| [left.daemon.clone(), gone_to.daemon.clone()]);
    let changed: Vec<_> = pair.changed().map(|(new, old)| (App(old), App(new))).collect();
    let removed = from.release.apps().iter().filter(|app| to.release.app(app.name()).is_none());
    let names = to.release.apps().iter().chain(removed).map(ReleaseApp::name);
    Diff {
        from: from.release.version().clone(),
        to: to.release.version().clone(),
        daemon,
        apps: names.map(|name| app(name, from, to)).collect(),
        config: configs(&from.config, &to.config),
        findings: findings(from, to, &changed),
    }
}

fn findings(from: &PackedRelease, to: &PackedRelease, changed: &[(App<'_>, App<'_>)]) -> Vec<Finding> {
    let behaviours = to.behaviours();
    let booting = findings::same_version(from, to).chain(findings::not_bootable(to, &behaviours));
    booting.chain(findings::of_changed(changed, &behaviours)).collect()
}

/// One version of an app.
#[derive(Debug, Clone, Copy)]
struct App<'a>(&'a ReleaseApp);

impl<'a> App<'a> {
    fn name(&self) -> &'a AppName {
        self.0.name()
    }

    fn version(&self) -> &'a Vsn {
        self.0.version()
    }

    fn modules(&self) -> impl Iterator<Item = &'a ModuleName> + use<'a> {
        self.0.modules().iter()
    }

    fn has(&self, module: &ModuleName) -> bool {
        self.0.modules().contains(module)
    }

    fn all(&self) -> Modules<'a> {
        let modules = self.modules().map(|module| (module, self.schema(module))).collect();
        Modules { app: self.name().as_str(), registered: &self.0.docs.app.registered, modules }
    }

    fn schema(&self, module: &ModuleName) -> Option<&'a ModuleSchema> {
        self.0.schema(module)
    }
}

fn app(name: &AppName, from: &PackedRelease, to: &PackedRelease) -> AppDiff {
    let [old, new] = [from, to].map(|packed| packed.release.app(name).map(App));
    let mut diff = AppDiff {
        app: name.clone(),
        change: AppChange::Unchanged,
        from: old.map(|app| app.version().clone()),
        to: new.map(|app| app.version().clone()),
        start_type: old
            .zip(new)
            .map(|(old, new)| [old.0.start_type, new.0.start_type])
            .filter(|[from, to]| from != to),
        env: Vec::new(),
        modules: Vec::new(),
        draft: None,
    };
    match (old, new) {
        (None, _) => diff.change = AppChange::Added,
        (_, None) => diff.change = AppChange::Removed,
        (Some(old), Some(new)) if old.version() != new.version() => {
            let restarts = findings::restarts(&new, &old, Mode::Up);
            diff.change = if restarts { AppChange::Restarted } else { AppChange::Changed };
            diff.env = keys("", &old.0.docs.app.env, &new.0.docs.app.env);
            diff.modules = modules(&old, &new);
            let (up, down) = (draft::draft(&old, &new, Mode::Up), draft::draft(&new, &old, Mode::Down));
            diff.draft = Some(draft::appup(&new, &old, &up, &down));
        }
        _ => {}
    }
    diff
}

/// Returns the modules in the order of the newer version, removed ones last.
fn modules(old: &App<'_>, new: &App<'_>) -> Vec<ModuleDiff> {
    let removed = old.modules().filter(|module| !new.has(module));
    new.modules().chain(removed).map(|module| module_diff(module, old, new)).collect()
}

fn module_diff(module: &ModuleName, old: &App<'_>, new: &App<'_>) -> ModuleDiff {
    let (left, to) = (old.schema(module), new.schema(module));
    let mut diff = ModuleDiff {
        module: module.clone(),
        behaviour: to.or(left).map(|schema| schema.behaviour.clone()),
        change: ModuleChange::Unknown,
        up: Vec::new(),
        down: Vec::new(),
        interface: Vec::new(),
        interface_down: Vec::new(),
    };
    match (old.has(module), new.has(module), left.zip(to)) {
        (false, _, _) => diff.change = ModuleChange::Added,
        (_, false, _) => diff.change = ModuleChange::Removed,
        (_, _, None) => diff.up = vec!["a version was packed without schemas".to_owned()],
        (_, _, Some((left, to))) => {
            (diff.change, diff.up) = described(need(left, to, Mode::Up));
            (_, diff.down) = described(need(to, left, Mode::Down));
            diff.interface = interface(left, to);
            diff.interface_down = interface(to, left);
        }
    }
    diff
}

fn described(need: Need) -> (ModuleChange, Vec<String>) {
    match need {
        Need::Nothing => (ModuleChange::Unchanged, Vec::new()),
        Need::Soft(why) => (ModuleChange::Additive, why),
        Need::LeaveOut(why) | Need::Code(why) => (ModuleChange::NeedsCode, why),
        Need::Specs(children) => (ModuleChange::ChildSpecs, vec![draft::shown(&children)]),
        Need::ByHand(why) => (ModuleChange::Unknown, vec![why]),
    }
}

fn interface(left: &ModuleSchema, to: &ModuleSchema) -> Vec<String> {
    let kinds =
        [InterfaceType::Args].into_iter().chain(InterfaceType::MESSAGES).chain([InterfaceType::Reply]);
    let shown = |kind: InterfaceType| {
        let not_read = kind.not_read(left, to).into_iter();
        not_read.map(move |why| format!("{}: {why}", kind.word()))
    };
    kinds.flat_map(shown).collect()
}

/// Compares two `config.toml` files, table by table.
fn configs(from: &Config, to: &Config) -> Vec<KeyDiff> {
    let empty = Map::new();
    let apps: BTreeSet<_> = from.apps.keys().chain(to.apps.keys()).collect();
    let of_app = |app: &AppName| {
        let [old, new] = [from, to].map(|config| config.apps.get(app).unwrap_or(&empty));
        keys(&format!("{app}."), old, new)
    };
    apps.into_iter().flat_map(of_app).collect()
}

fn keys(prefix: &str, from: &Map<String, Value>, to: &Map<String, Value>) -> Vec<KeyDiff> {
    let names: BTreeSet<_> = from.keys().chain(to.keys()).collect();
    let differing = names.into_iter().filter(|name| from.get(*name) != to.get(*name));
    let key = |name: &String| KeyDiff {
        key: format!("{prefix}{name}"),
        from: from.get(name).cloned(),
        to: to.get(name).cloned(),
    };
    differing.map(key).collect()
}

/// Returns whether a supervisor's child spec for the module gets another start argument.
fn has_other_args(changes: &[ChildChange], module: &ModuleName) -> bool {
    changes.iter().any(|child| match &child.kind {
        ChildChangeKind::Changed(parts) => child.module == module.as_str() && parts.contains(&"args"),
        _ => false,
    })
}
