//! Whether a release boots, and what a restart would make different of what runs.
//!
//! A release that a node went to live has never booted, so every install plans that boot as well.
//!
//! | an app that a boot starts | error |
//! |---|---|
//! | its `start` names a module that its library does not have | [`NoStartModule`](BootError::NoStartModule) |
//! | its `start` names a module of another behaviour | [`NotAnApplication`](BootError::NotAnApplication) |
//! | it needs an app that no boot starts, or itself | [`NotStarted`](BootError::NotStarted) |
//!
//! What makes no release at all is refused before, see [`Release::new`].
//!
//! | after an upgrade | warning |
//! |---|---|
//! | an app runs that a boot does not start | [`NotRestarted`](Warning::NotRestarted) |
//! | an app does not run that a boot starts | [`RestartStarts`](Warning::RestartStarts) |
//! | an app runs by another module than a boot starts | [`OtherStart`](Warning::OtherStart) |
//! | an app has other start phases than those that it went through | [`StartPhases`](Warning::StartPhases) |
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
use crate::start_order::top;
use crate::warning::Warning;

impl Release {
    /// Returns the apps that a boot starts, in their order.
    ///
    /// # Errors
    /// Everything that would keep one of them from starting.
    pub fn boot_order(&self, behaviours: &Behaviours) -> Result<Vec<&ReleaseApp>, Vec<BootError>> {
        let order: Vec<&ReleaseApp> = self.start_order().filter(|app| self.boot_type(app).starts()).collect();
        let errors = order.iter().flat_map(|app| {
            let start = wrong_start(app, behaviours).into_iter();
            start.chain(self.needs(app).into_iter().filter_map(|needed| self.not_started(app, needed)))
        });
        let errors: Vec<BootError> = errors.collect();
        if errors.is_empty() { Ok(order) } else { Err(errors) }
    }

    /// Returns how a boot starts an app. One that another includes is only made known: that one starts it.
    pub fn boot_type(&self, app: &ReleaseApp) -> StartType {
        match app.start_type {
            StartType::None => StartType::None,
            _ if self.is_included(app.name()) => StartType::Load,
            start_type => start_type,
        }
    }

    /// Returns the apps that must run before one starts, without the optional ones. For one that is included elsewhere
    /// stands the app that starts it.
    pub fn needs<'a>(&'a self, app: &'a ReleaseApp) -> Vec<&'a AppName> {
        let optional = &app.docs.app.optional_applications;
        let named = app.docs.app.applications.iter().filter(|name| !optional.contains(name));
        let mut needs: Vec<&AppName> = Vec::new();
        for name in named.map(|name| top(name, self.apps())) {
            if !needs.contains(&name) {
                needs.push(name);
            }
        }
        needs
    }

    /// Says why an app does not run when another one needs it. The start order puts all others before it.
    fn not_started(&self, app: &ReleaseApp, needed: &AppName) -> Option<BootError> {
        let start_type = self.app(needed)?.start_type;
        let is_started = needed != app.name() && start_type.starts();
        let (app, needs) = (app.name().clone(), needed.clone());
        (!is_started).then_some(BootError::NotStarted { app, needs, start_type })
    }

    /// Returns what a restart of this release would make different, once a script has led to it from the release `left`.
    /// `running` are the apps that run before the script.
    pub fn after_restart(&self, left: &Self, script: &Script, running: &BTreeSet<AppName>) -> Vec<Warning> {
        let mut difference = Difference { left, to: self, runs: running.clone(), begun: BTreeSet::new() };
        script.steps.iter().for_each(|step| difference.step(&step.action));
        difference.warnings()
    }
}

impl PackedRelease {
    /// Returns the children that no boot could start, of the supervisors whose children are recorded.
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

    /// Returns the children that a script starts and no supervisor of the release names; `None` where that is not recorded
    /// of each.
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

/// Says what is wrong with the module by which an app is started. An app.toml that lists no modules says nothing of them.
fn wrong_start(app: &ReleaseApp, behaviours: &Behaviours) -> Option<BootError> {
    let module = app.docs.app.start.as_ref()?;
    let name = || app.name().clone();
    if !app.modules().is_empty() && !app.modules().contains(module) {
        return Some(BootError::NoStartModule { app: name(), module: module.clone() });
    }
    let behaviour = behaviours.unless(module, "application")?.to_owned();
    Some(BootError::NotAnApplication { app: name(), module: module.clone(), behaviour })
}

/// What runs, while a script is played through.
struct Difference<'a> {
    left: &'a Release,
    to: &'a Release,
    runs: BTreeSet<AppName>,
    /// The apps that the script starts: as a boot would.
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
                // Whatever its type is.
                Some(Ok(BuiltIn::StartApplication(app))) => self.begin(&app),
                Some(Ok(BuiltIn::StopApplication(app))) => drop(self.runs.remove(&app)),
                _ => {}
            },
            _ => {}
        }
    }

    /// Starts an app, which one of type load or none is not.
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

    /// Says why a restart would not start an app that runs.
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

    /// Says whether an app has gone on that was started by a module.
    fn went_on_with_start(&self, name: &AppName) -> bool {
        !self.begun.contains(name) && self.left.app(name).is_some_and(|app| app.docs.app.start.is_some())
    }

    /// Says whether a restart would start what does not run.
    fn is_gained(&self, app: &ReleaseApp) -> bool {
        self.to.boot_type(app).starts() && !self.runs.contains(app.name())
    }

    /// Returns the apps that have gone on and that a restart would start, as they were and as they are.
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
