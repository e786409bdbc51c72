//! The check before an install. It reports all obstacles at once: those that documents, files and
//! the tables of libraries show.

use std::collections::BTreeMap;

use reld_plan::{
    Action as PlanAction, Finding, MemberChange, Mode, ModuleName, Moved, Origin, PackedRelease, PlanError,
    PurgeMethod, Release, ReleaseApp, Script, Vsn, Warning, Windows, detour, diff, plan_windows,
};
use reld_store::{Action, Documents, Store, next};
use serde::Serialize;
use serde_json::Value;

use crate::action::{pre_purges, restarts};
use crate::boot::{Ends, Tables, not_bootable, plan_boot};
use crate::candidate::{Candidate, candidate, files};
use crate::error::{Error, Obstacle};
use crate::foresight::{Foresight, foresee};
use crate::lineup::Lineup;
use crate::material::Material;
use crate::meeting::Seat;
use crate::node::{Look, Node, NodeError, OldCode, OrphanPolicy, OutsiderKind};
use crate::options::InstallOptions;
use crate::process::{Listed, Process};
use crate::program::programs;
use crate::step::Program;
use crate::trial::Outlook;

/// The script of an install, and its obstacles.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// The running release; `None` if the node is idle and the install would be a boot.
    pub from: Option<Vsn>,
    /// The release to install.
    pub to: Vsn,
    /// Whether the install changes anything: false if the release is already running.
    pub changed: bool,
    /// Whether the script restarts the daemon.
    pub restarts: bool,
    /// The script, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<Script>,
    /// Everything that prevents the install.
    pub obstacles: Vec<Obstacle>,
    /// Remarks for the operator.
    pub warnings: Vec<String>,
}

/// A check, and the programs of its script, one per window.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) check: Check,
    pub(crate) programs: Vec<Program>,
}

impl Prepared {
    pub(crate) fn new(from: Option<&Vsn>, to: &Vsn) -> Self {
        let check = Check {
            from: from.cloned(),
            to: to.clone(),
            changed: from != Some(to),
            restarts: false,
            script: None,
            obstacles: Vec::new(),
            warnings: Vec::new(),
        };
        Self { check, programs: Vec::new() }
    }
}

/// Checks everything that an install of `to` needs. Changes nothing.
///
/// # Errors
/// The running release cannot be read.
pub(crate) fn prepare<N: Node>(
    node: &N,
    store: &Store,
    from: Option<&Lineup>,
    to: &Lineup,
    options: InstallOptions,
    look: Option<Look>,
    seat: Option<Seat>,
) -> Result<Prepared, Error> {
    let running = from.map(|from| &from.vsn);
    let mut prepared = Prepared::new(running, &to.vsn);
    prepared.check.changed = from.is_none_or(|from| !from.is_same_code(to));
    // The status table does not change if only an app of the running release is replaced, or such a
    // replacement is undone.
    let moves = running != Some(&to.vsn);
    if let Some(obstacle) = moves.then(|| allowed(store, running, &to.vsn)).and_then(Result::err) {
        prepared.check.obstacles.push(obstacle);
        return Ok(prepared);
    }
    prepared.check.warnings.extend(moves.then(|| key_change(store, &to.vsn)).flatten());
    if !to.replaced.is_empty() && !options.goes_back {
        match store.admit_by_hand(options.unsigned) {
            Ok(warning) => prepared.check.warnings.extend(warning),
            Err(error) => {
                // What follows would run code of the app: where it is tried, and where it is asked.
                prepared.check.obstacles.push(files(error));
                return Ok(prepared);
            }
        }
    }
    let left = from.map(|from| from.documents(store)).transpose()?;
    match candidate(store, to, options) {
        Ok(Candidate { documents, mut material, warnings }) => {
            prepared.check.warnings.extend(warnings);
            prepared.check.warnings.extend(unknown_in_config(&documents));
            material.seat = seat;
            let (old, new) = (left.map(packed), packed(documents));
            let script = match &old {
                Some(old) => plan_windows(&old.release, &new.release, options.windows),
                None => Ok(Script::boot(&new.release)),
            };
            let moves = |module: &ModuleName| {
                script.as_ref().map_or(true, |script| restarts(script) || script.loads(module))
            };
            prepared.check.warnings.extend(old.iter().flat_map(|old| not_taken(old, &new, moves)));
            if let (Some(old), Ok(script)) = (&old, &script) {
                let Outlook { obstacle, warning, back } =
                    Outlook::new(&old.release, &new.release, script, options);
                prepared.check.obstacles.extend(obstacle);
                prepared.check.warnings.extend(warning);
                material.back = back;
                prepared.check.obstacles.append(&mut threads(node, &old.release, &material, script));
            }
            let ends = Ends { left: old.as_ref(), to: &new };
            let script = script.map_err(|error| no_script(store, ends, error));
            prepared.plan(node, ends, script, material, options, look);
        }
        Err(mut obstacles) => prepared.check.obstacles.append(&mut obstacles),
    }
    Ok(prepared)
}

/// Returns the change of keys that the commit of a release makes.
fn key_change(store: &Store, vsn: &Vsn) -> Option<String> {
    let keys = &store.release(vsn).ok()?.provenance.keys;
    (!keys.is_empty()).then(|| format!("the commit of release {vsn} {keys}"))
}

/// Returns the obstacle for a planning error. If no appup leads directly to the target, the
/// obstacle names a detour through other releases of the node.
fn no_script(store: &Store, ends: Ends<'_>, error: PlanError) -> Obstacle {
    match (ends.left, &error) {
        (Some(left), PlanError::NoAppupFound { .. } | PlanError::VersionNotInAppup { .. }) => {
            match way_through(store, &left.release, &ends.to.release) {
                Some(through) => Obstacle::Detour { error, through },
                None => Obstacle::Plan(error),
            }
        }
        _ => Obstacle::Plan(error),
    }
}

fn way_through(store: &Store, from: &Release, to: &Release) -> Option<Vec<Vsn>> {
    let others = store.releases().releases.iter().filter(|known| {
        known.name == from.rel().name && ![from.version(), to.version()].contains(&&known.version)
    });
    // Releases with damaged documents are skipped.
    let known: Vec<Release> =
        others.filter_map(|known| Some(store.docs(&known.version).ok()?.release)).collect();
    detour(from, to, &known).filter(|through| !through.is_empty())
}

/// Returns a release in the form that `diff` compares.
fn packed(documents: Documents) -> PackedRelease {
    PackedRelease { release: documents.release, config: documents.config.release, libraries: BTreeMap::new() }
}

/// Returns warnings about messages that replaced modules no longer accept, according to the schemas
/// of the two releases. Such a message crashes its receiver if it is in flight during the switch,
/// or if an unchanged sender sends it later.
fn not_taken(left: &PackedRelease, to: &PackedRelease, moves: impl Fn(&ModuleName) -> bool) -> Vec<String> {
    let findings = diff(left, to).findings.into_iter();
    let text = |finding: Finding| {
        let module = finding.module.map(|module| format!("{module} ")).unwrap_or_default();
        format!("{module}{}", finding.message)
    };
    let concerns = |finding: &Finding| {
        let is_here = finding.class == "message_not_taken" && finding.direction == Some(Mode::Up);
        is_here && finding.module.as_ref().is_none_or(&moves)
    };
    findings.filter(concerns).map(text).collect()
}

/// Returns a warning for each configured app that the release does not have. OTP ignores such a
/// configuration.
pub(crate) fn unknown_in_config(to: &Documents) -> impl Iterator<Item = String> + use<> {
    to.config.unknown(|name| to.release.app(name).is_some()).into_iter().map(|(app, origin)| {
        let place = match origin {
            Origin::App | Origin::Release => "config.toml",
            Origin::Node => "the node's config.toml",
            Origin::CommandLine => "the daemon's command line",
        };
        format!("{place} has a section {app}, which is not an app of the release")
    })
}

/// Prepares the way back from an upgrade that was carried out in part, so the node is between two
/// releases.
///
/// # Errors
/// The release that was to be installed cannot be read.
pub(crate) fn prepare_way_back<N: Node>(
    node: &N,
    store: &Store,
    from: &Lineup,
    to: &Lineup,
    moved: &Moved,
    options: InstallOptions,
) -> Result<Prepared, Error> {
    let mut prepared = Prepared::new(Some(&from.vsn), &to.vsn);
    let left = packed(from.documents(store)?);
    match candidate(store, to, options) {
        Ok(Candidate { documents, material, .. }) => {
            let to = packed(documents);
            let script =
                plan_windows(&left.release, &to.release, Windows::Group).map(|script| script.about(moved));
            let script = script.map_err(Obstacle::Plan);
            let material = Material { continues: true, ..material };
            // Without a prediction of the new code: the node goes back in any case, and failures
            // are reported when they occur.
            prepared.plan(node, Ends { left: Some(&left), to: &to }, script, material, options, None);
        }
        Err(mut obstacles) => prepared.check.obstacles.append(&mut obstacles),
    }
    Ok(prepared)
}

/// Checks whether the status table allows the install. An idle node may boot any known release,
/// including the permanent one.
fn allowed(store: &Store, from: Option<&Vsn>, to: &Vsn) -> Result<(), Obstacle> {
    match from {
        Some(_) => {
            next(store.releases(), &Action::Install(to.clone())).map(|_| ()).map_err(Obstacle::Refused)
        }
        None => store.release(to).map(|_| ()).map_err(files),
    }
}

/// The result of the check before a restart into a release.
#[derive(Debug, Default)]
pub(crate) struct Bootable {
    pub(crate) obstacles: Vec<Obstacle>,
    pub(crate) warnings: Vec<String>,
}

impl Bootable {
    fn no(obstacles: Vec<Obstacle>) -> Self {
        Self { obstacles, ..Self::default() }
    }
}

/// Checks everything that the next daemon needs to boot a release.
pub(crate) fn bootable<N: Node>(node: &N, store: &Store, vsn: &Vsn, options: InstallOptions) -> Bootable {
    if let Err(error) = store.release(vsn) {
        return Bootable::no(vec![files(error)]);
    }
    let config = match store.read_config() {
        Ok(read) => read.config,
        Err(error) => return Bootable::no(vec![files(error)]),
    };
    match candidate(store, &Lineup::of(vsn.clone(), config), options) {
        Ok(Candidate { documents, material, warnings }) => {
            let to = packed(documents);
            let Tables { behaviours, refused, .. } =
                Tables::of(node, Ends { left: None, to: &to }, &material.libraries);
            let boots = not_bootable(node, &to.release, &Material { behaviours, ..material });
            let obstacles =
                other_daemon(&to.release, node.successor()).into_iter().chain(refused).chain(boots).collect();
            Bootable { obstacles, warnings }
        }
        Err(obstacles) => Bootable::no(obstacles),
    }
}

/// Returns the obstacle if the daemon `successor` does not fit a release.
pub(crate) fn other_daemon(release: &Release, successor: Result<Vsn, NodeError>) -> Option<Obstacle> {
    let wanted = &release.rel().daemon;
    match successor {
        Ok(installed) if installed == *wanted => None,
        Ok(installed) => Some(Obstacle::OtherDaemon { wanted: wanted.clone(), installed }),
        Err(error) => Some(Obstacle::NoSuccessor(error)),
    }
}

/// Finds libraries that would be replaced while threads that they started run.
fn threads<N: Node>(node: &N, old: &Release, material: &Material, script: &Script) -> Vec<Obstacle> {
    let is_restarted = |app: &ReleaseApp| {
        let restarts_it = |action: &PlanAction| matches!(action, PlanAction::RestartApplication { app: it, .. } if it == app.name());
        restarts(script) || script.steps.iter().any(|step| restarts_it(&step.action))
    };
    let is_replaced = |app: &&ReleaseApp| {
        material.libraries.get(app.name()).is_some_and(|library| library.vsn != *app.version())
    };
    let replaced = old.apps().iter().filter(is_replaced);
    let undeclared = replaced.filter(|app| !app.docs.app.threads && !is_restarted(app));
    let obstacle = |app: &ReleaseApp| {
        let count = node.threads(app.name(), app.version());
        let (app, vsn) = (app.name().clone(), app.version().clone());
        (count > 0).then_some(Obstacle::Threads { app, vsn, count })
    };
    undeclared.filter_map(obstacle).collect()
}

/// Warns of a code change with `extra`: a process that restarts later starts from its child spec,
/// without this data.
fn unknown_to_restarts(script: &Script) -> impl Iterator<Item = String> {
    script.steps.iter().filter_map(|step| match &step.action {
        PlanAction::CodeChange { module, change: MemberChange::Advanced, extra, .. } if !is_empty(extra) => {
            Some(format!(
            "{module} is changed with {extra}, which a restarted process does not get: it starts from its child spec; \
             make sure that both lead to the same state"
            ))
        }
        _ => None,
    })
}

/// Warns of states that are lost even after a rollback, because the script ends their processes.
fn lost(script: &Script) -> impl Iterator<Item = String> {
    script.steps.iter().filter_map(|step| match &step.action {
        PlanAction::RestartApplication { app, .. } => Some(format!(
            "restart_application {app} ends its processes, and their states are lost, even if the upgrade fails or \
             is taken back: {app} is then started afresh"
        )),
        _ => None,
    })
}

/// Returns whether the `extra` of a change carries no data.
fn is_empty(extra: &Value) -> bool {
    match extra {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

impl Prepared {
    /// Derives the programs of a script, and checks the processes that these programs affect.
    fn plan<N: Node>(
        &mut self,
        node: &N,
        ends: Ends<'_>,
        script: Result<Script, Obstacle>,
        mut material: Material,
        options: InstallOptions,
        look: Option<Look>,
    ) {
        let script = match script {
            Ok(script) => script,
            Err(obstacle) => return self.check.obstacles.push(obstacle),
        };
        material.replaceable = ends.left.map(|left| Material::modules_of(&left.release)).unwrap_or_default();
        match programs(&script, &material, options) {
            Ok(programs) => self.programs = programs,
            Err(mut unsupported) => self.check.obstacles.append(&mut unsupported),
        }
        let tables = Tables::of(node, ends, &material.libraries);
        let is_harmless = tables.refused.is_empty();
        self.check.obstacles.extend(tables.refused);
        self.check.warnings.extend(tables.stays);
        material.behaviours = tables.behaviours;
        // On the way back, the target release has booted before.
        if !material.continues {
            let boot = plan_boot(node, ends, &script, &material);
            self.check.obstacles.extend(boot.obstacles);
            self.check.warnings.extend(boot.warnings);
        }
        self.check.restarts = restarts(&script);
        let mut foresight = Foresight::default();
        // After a restart no old state, message or start argument meets new code.
        if let Some(look) = look.filter(|_| is_harmless && !self.check.restarts) {
            foresight = foresee(node, &script, &material, look);
        }
        let is_reported = |warning: &&Warning| matches!(warning, Warning::StateNotRead { module, .. } if foresight.unread.contains(module));
        let warnings =
            script.warnings.iter().filter(|warning| !is_reported(warning)).map(ToString::to_string);
        self.check.warnings.extend(warnings.chain(unknown_to_restarts(&script)));
        if !self.check.restarts {
            self.check.warnings.extend(lost(&script));
        }
        self.check.obstacles.append(&mut foresight.obstacles);
        self.check.warnings.append(&mut foresight.warnings);
        self.old_processes(node, &script);
        self.outsiders(node, &script, &material, options);
        self.check.script = Some(script);
    }

    /// Checks the pre-purges. OTP: a soft pre-purge is checked once, before the install changes
    /// anything. Unlike OTP, the check names the processes that a brutal pre-purge would kill.
    fn old_processes<N: Node>(&mut self, node: &N, script: &Script) {
        let old_code = node.old_code();
        for (module, vsn, method) in pre_purges(&script.steps) {
            // A load of the version that is in the old slot swaps the two slots, so processes in
            // that slot are no obstacle.
            let old = old_code.iter().find(|old| old.module == *module && Some(&old.vsn) != vsn);
            let Some(OldCode { module, vsn, lingering }) =
                old.filter(|old| !old.lingering.is_empty()).cloned()
            else {
                continue;
            };
            match method {
                PurgeMethod::Soft => {
                    self.check.obstacles.push(Obstacle::OldProcesses { module, vsn, lingering });
                }
                PurgeMethod::Brutal => {
                    let processes: Vec<Process> =
                        lingering.into_iter().map(|lingerer| lingerer.process).collect();
                    let warning = format!(
                        "in old code {vsn} of module {module}, and would be killed by its brutal pre_purge: {}",
                        Listed(&processes)
                    );
                    self.check.warnings.push(warning);
                }
            }
        }
    }

    fn outsiders<N: Node>(
        &mut self,
        node: &N,
        script: &Script,
        material: &Material,
        options: InstallOptions,
    ) {
        let modules: Vec<_> = pre_purges(&script.steps)
            .map(|(module, _, _)| module.clone())
            .filter(|module| material.replaceable.contains(module))
            .collect();
        let outsiders = node.outsiders(&modules);
        let of = |kind| -> Vec<Process> {
            let wanted = outsiders.iter().filter(|outsider| outsider.kind == kind);
            wanted.map(|outsider| outsider.process.clone()).collect()
        };
        let (orphans, tasks) = (of(OutsiderKind::Orphan), of(OutsiderKind::Task));
        if options.orphans == OrphanPolicy::Refuse && !orphans.is_empty() {
            self.check.obstacles.push(Obstacle::Orphans { processes: orphans });
        }
        self.check.warnings.extend(match &tasks[..] {
            [] => None,
            [task] => Some(format!("task {task} stays on its version until it ends")),
            tasks => {
                let listed = Listed(tasks);
                Some(format!("{} tasks stay on their versions until they end: {listed}", tasks.len()))
            }
        });
    }
}
