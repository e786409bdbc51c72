//! Predicts whether a release boots, and how a restart would change the running apps.
//!
//! A release reached by a live upgrade has never booted on the node, so every install also plans a
//! boot of the target release.
//!
//! | an app that a boot starts | error |
//! |---|---|
//! | its `start` names a module that its library does not have | [`NoStartModule`](BootError::NoStartModule) |
//! | its `start` names a module of another behaviour | [`NotAnApplication`](BootError::NotAnApplication) |
//! | it needs an app that no boot starts, or itself | [`NotStarted`](BootError::NotStarted) |
//!
//! Documents that do not form a release are refused earlier, see [`Release::new`].
//!
//! | after an upgrade | warning |
//! |---|---|
//! | an app runs that a boot does not start | [`NotRestarted`](Warning::NotRestarted) |
//! | an app does not run that a boot starts | [`RestartStarts`](Warning::RestartStarts) |
//! | a boot would start a running app by another module | [`OtherStart`](Warning::OtherStart) |
//! | a running app has new start phases | [`StartPhases`](Warning::StartPhases) |
//! | a child runs that no supervisor names | [`UnnamedChildren`](Warning::UnnamedChildren) |
//! | a supervisor names a child that could not be started | [`UnfitChild`](Warning::UnfitChild) |

use std::collections::BTreeSet;

use serde_json::Value;

use crate::apply::BuiltIn;
use crate::behaviours::Behaviours;
use crate::boot_error::BootError;
use crate::diff::PackedRelease;
use crate::name::AppName;
use crate::rel::StartType;
use crate::release::{Release, ReleaseApp};
use crate::schemas::ChildSpec;
use crate::script::{Action, Script};
use crate::start_order::outermost;
use crate::warning::Warning;

impl Release {
    /// Returns the apps that a boot starts, in start order.
    ///
    /// # Errors
    /// All reasons that would prevent one of them from starting.
    pub fn boot_order(&self, behaviours: &Behaviours) -> Result<Vec<&ReleaseApp>, Vec<BootError>> {
        let order: Vec<&ReleaseApp> = self.start_order().filter(|app| self.boot_type(app).starts()).collect();
        let errors = order.iter().flat_map(|app| {
            let start = wrong_start(app, behaviours).into_iter();
            start.chain(self.needs(app).into_iter().filter_map(|needed| self.not_started(app, needed)))
        });
        let errors: Vec<BootError> = errors.collect();
        if errors.is_empty() { Ok(order) } else { Err(errors) }
    }

    /// Returns how a boot starts an app. An included app is only loaded: the including app starts
    /// it.
    pub fn boot_type(&self, app: &ReleaseApp) -> StartType {
        match app.start_type {
            StartType::None => StartType::None,
            _ if self.is_included(app.name()) => StartType::Load,
            start_type => start_type,
        }
    }

    /// Returns the apps that must run before an app starts, without the optional ones. An included
    /// app is replaced by the app that starts it.
    pub fn needs<'a>(&'a self, app: &'a ReleaseApp) -> Vec<&'a AppName> {
        let optional = &app.docs.app.optional_applications;
        let named = app.docs.app.applications.iter().filter(|name| !optional.contains(name));
        let mut needs: Vec<&AppName> = Vec::new();
        for name in named.map(|name| outermost(name, self.apps())) {
            if !needs.contains(&name) {
                needs.push(name);
            }
        }
        needs
    }

    /// Returns why a needed app does not run when `app` starts; `None` if it runs, because the
    /// start order puts it first.
    fn not_started(&self, app: &ReleaseApp, needed: &AppName) -> Option<BootError> {
        let start_type = self.app(needed)?.start_type;
        let is_started = needed != app.name() && start_type.starts();
        let (app, needs) = (app.name().clone(), needed.clone());
        (!is_started).then_some(BootError::NotStarted { app, needs, start_type })
    }

    /// Returns how a restart of this release would change the running apps, after a script that led
    /// to it from the release `left`. `running` are the apps that run before the script.
    pub fn after_restart(&self, left: &Self, script: &Script, running: &BTreeSet<AppName>) -> Vec<Warning> {
        let mut difference = Difference { left, to: self, runs: running.clone(), begun: BTreeSet::new() };
        script.steps.iter().for_each(|step| difference.step(&step.action));
        difference.warnings()
    }
}

impl PackedRelease {
    /// Returns a warning for each child that no boot could start. Only supervisors with children
    /// recorded by the packer are covered.
    pub fn unfit_children(&self) -> Vec<Warning> {
        let behaviours = self.behaviours();
        let schemas =
            self.release.apps().iter().map(|app| (app.name(), &app.docs)).flat_map(|(app, packed)| {
                packed.schemas.modules.iter().map(move |(module, schema)| (app, module, schema))
            });
        let mut warnings = Vec::new();
        for (app, supervisor, schema) in schemas {
            let spec = schema.interface.as_ref().and_then(|interface| interface.supervisor.as_ref());
            for child in spec.iter().flat_map(|spec| &spec.children) {
                let problem = self.unfit(child, &behaviours);
                warnings.extend(problem.map(|problem| Warning::UnfitChild {
                    app: app.clone(),
                    supervisor: supervisor.clone(),
                    child: child.id.clone(),
                    problem,
                }));
            }
        }
        warnings
    }

    /// Returns the children that a script starts and no supervisor of the release names; `None` if
    /// the packer has not recorded the children of every supervisor.
    pub fn unnamed_children(&self, script: &Script) -> Option<Warning> {
        let schemas = || self.release.apps().iter().flat_map(|app| app.docs.schemas.modules.values());
        let supervisors = schemas().filter(|schema| schema.behaviour == "supervisor");
        let specs = supervisors.map(|schema| schema.interface.as_ref()?.supervisor.as_ref());
        let specs = specs.collect::<Option<Vec<_>>>()?;
        let is_named =
            |id: &Value| specs.iter().any(|spec| spec.children.iter().any(|child| child.id == *id));
        let started = script.steps.iter().filter_map(|step| match &step.action {
            Action::Apply(call) => match call.built_in()?.ok()? {
                BuiltIn::StartChild { supervisor, spec } => Some((supervisor, spec["id"].clone())),
                _ => None,
            },
            _ => None,
        });
        let children: Vec<_> = started.filter(|(_, id)| !is_named(id)).collect();
        (!children.is_empty()).then_some(Warning::UnnamedChildren { children })
    }

    fn unfit(&self, child: &ChildSpec, behaviours: &Behaviours) -> Option<String> {
        let module = child.module.parse().ok().filter(|module| self.release.owner(module).is_some());
        match module {
            Some(module) => behaviours.misfit_child(&module, &child.kind),
            None => Some(format!("no app of the release has a module {}", child.module)),
        }
    }
}

/// Checks the module that starts an app. If the app.toml lists no modules, the name of the start
/// module is not checked.
fn wrong_start(app: &ReleaseApp, behaviours: &Behaviours) -> Option<BootError> {
    let module = app.docs.app.start.as_ref()?;
    let name = || app.name().clone();
    if !app.modules().is_empty() && !app.modules().contains(module) {
        return Some(BootError::NoStartModule { app: name(), module: module.clone() });
    }
    let behaviour = behaviours.unless(module, "application")?.to_owned();
    Some(BootError::NotAnApplication { app: name(), module: module.clone(), behaviour })
}

/// The running apps during the simulation of a script.
struct Difference<'a> {
    left: &'a Release,
    to: &'a Release,
    runs: BTreeSet<AppName>,
    /// The apps that the script starts in the same way as a boot.
    begun: BTreeSet<AppName>,
}

impl Difference<'_> {
    fn step(&mut self, action: &Action) {
        match action {
            Action::StartApplication { app, .. } => self.start(app),
            Action::RestartApplication { app, .. } => {
                self.runs.remove(app);
                self.start(app);
            }
            Action::StopApplication { app } => drop(self.runs.remove(app)),
            Action::Apply(call) => match call.built_in() {
                // A call starts an app regardless of its type.
                Some(Ok(BuiltIn::StartApplication(app))) => self.begin(&app),
                Some(Ok(BuiltIn::StopApplication(app))) => drop(self.runs.remove(&app)),
                _ => {}
            },
            _ => {}
        }
    }

    /// Starts an app, unless its type is load or none.
    fn start(&mut self, app: &AppName) {
        if self.to.app(app).is_some_and(|app| self.to.boot_type(app).starts()) {
            self.begin(app);
        }
    }

    fn begin(&mut self, app: &AppName) {
        self.runs.insert(app.clone());
        self.begun.insert(app.clone());
    }

    fn warnings(&self) -> Vec<Warning> {
        let lost = self.runs.iter().filter_map(|app| Some((app.clone(), self.lost(app)?)));
        let lost: Vec<(AppName, String)> = lost.collect();
        let gained = self.to.apps().iter().filter(|app| self.is_gained(app));
        let gained: Vec<AppName> = gained.map(|app| app.name().clone()).collect();
        let mut warnings = Vec::new();
        warnings.extend((!lost.is_empty()).then_some(Warning::NotRestarted { apps: lost }));
        warnings.extend((!gained.is_empty()).then_some(Warning::RestartStarts { apps: gained }));
        for (old, new) in self.gone_on() {
            warnings.extend(other_start(old, new));
            warnings.extend(other_phases(old, new));
        }
        warnings
    }

    /// Returns why a restart would not start a running app.
    fn lost(&self, name: &AppName) -> Option<String> {
        let Some(app) = self.to.app(name) else {
            return Some("the release has no such app".to_owned());
        };
        let includes = |outer: &&ReleaseApp| outer.included.contains(name);
        match (self.to.boot_type(app), self.to.apps().iter().find(includes)) {
            (StartType::Load, Some(outer)) => Some(format!("{} includes it", outer.name())),
            (start_type, _) if !start_type.starts() => Some(format!("its type is {start_type}")),
            _ if app.docs.app.start.is_none() && self.went_on_with_start(name) => {
                Some("its app.toml names no start".to_owned())
            }
            _ => None,
        }
    }

    /// Returns whether an app keeps running from the source release and has a start module there.
    fn went_on_with_start(&self, name: &AppName) -> bool {
        !self.begun.contains(name) && self.left.app(name).is_some_and(|app| app.docs.app.start.is_some())
    }

    /// Returns whether a restart would start an app that does not run.
    fn is_gained(&self, app: &ReleaseApp) -> bool {
        self.to.boot_type(app).starts() && !self.runs.contains(app.name())
    }

    /// Returns the source and target versions of the apps that keep running during the upgrade and
    /// that a restart would start.
    fn gone_on(&self) -> impl Iterator<Item = (&ReleaseApp, &ReleaseApp)> {
        let new = self.to.apps().iter().filter(|app| {
            self.runs.contains(app.name())
                && !self.begun.contains(app.name())
                && self.to.boot_type(app).starts()
        });
        new.filter_map(|new| Some((self.left.app(new.name())?, new)))
    }
}

fn other_start(old: &ReleaseApp, new: &ReleaseApp) -> Option<Warning> {
    let (from, to) = (&old.docs.app.start, new.docs.app.start.clone()?);
    let app = new.name().clone();
    (*from != Some(to.clone())).then_some(Warning::OtherStart { app, from: from.clone(), to })
}

fn other_phases(old: &ReleaseApp, new: &ReleaseApp) -> Option<Warning> {
    let phases = &new.docs.app.start_phases;
    let names = || phases.iter().map(|phase| phase.name.clone()).collect();
    let differ = !phases.is_empty() && old.docs.app.start_phases != *phases;
    differ.then(|| Warning::StartPhases { app: new.name().clone(), phases: names() })
}
