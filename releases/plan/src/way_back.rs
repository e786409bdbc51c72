//! Finds the way back after an upgrade that completed only its first windows.
//!
//! Once the members of a window are resumed, new code may have answered callers, so old states
//! cannot simply be restored. The script of the opposite direction leads back, reduced to the steps
//! for changed modules, apps and children:
//!
//! | step | kept if |
//! |---|---|
//! | load, code_change, suspend, resume, stop, start, remove, purge | its module has changed |
//! | load_object_code | a load of its library is kept |
//! | steps for an app | the app was started, stopped or restarted |
//! | apply of a built-in module | a call was made for the same child of the same supervisor, or for the same app |
//! | other apply, sync_nodes | its window keeps another step that an instruction names |
//!
//! A window without steps is left out.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::apply::BuiltIn;
use crate::name::{AppName, ModuleName};
use crate::script::{Action, Script, Step};

/// The changes made by some windows of a script.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Moved {
    modules: BTreeSet<ModuleName>,
    apps: BTreeSet<AppName>,
    /// Children as pairs of the supervisor's name and the child's id.
    children: Vec<(String, Value)>,
}

impl Script {
    /// Returns the changes made by the script's first windows.
    pub fn moved(&self, windows: usize) -> Moved {
        let mut moved = Moved::default();
        for step in self.windows().take(windows).flatten() {
            match &step.action {
                Action::Load { module, .. } | Action::Remove { module, .. } => {
                    moved.modules.insert(module.clone());
                }
                Action::Suspend { modules } => {
                    moved.modules.extend(modules.iter().map(|member| member.module.clone()));
                }
                action => {
                    moved.apps.extend(app(action));
                    moved.children.extend(children(action));
                }
            }
        }
        moved
    }

    /// Returns the script reduced to these changes: the way back from windows of the opposite
    /// direction.
    pub fn about(&self, moved: &Moved) -> Self {
        let windows = self.windows().filter_map(|steps| moved.part(steps));
        Self { steps: windows.flatten().collect(), ..self.clone() }
    }
}

impl Moved {
    fn part(&self, steps: &[Step]) -> Option<Vec<Step>> {
        let mut steps: Vec<Step> = steps.iter().filter_map(|step| self.narrowed(step)).collect();
        let opened: BTreeSet<AppName> = steps.iter().filter_map(|step| loaded(step).cloned()).collect();
        steps.retain(
            |step| !matches!(&step.action, Action::LoadObjectCode { app, .. } if !opened.contains(app)),
        );
        let is_named = |step: &Step| match &step.action {
            Action::Load { implied, .. } => !implied,
            Action::LoadObjectCode { .. } => false,
            action => !is_foreign_call(action) && *action != Action::Switch,
        };
        if !steps.iter().any(is_named) {
            steps.retain(|step| !is_foreign_call(&step.action));
        }
        let does_something = |step: &Step| step.action != Action::Switch;
        steps.iter().any(does_something).then_some(steps)
    }

    /// Returns the step reduced to the changes.
    fn narrowed(&self, step: &Step) -> Option<Step> {
        let mut step = step.clone();
        let stays = match &mut step.action {
            Action::Load { module, .. }
            | Action::CodeChange { module, .. }
            | Action::Remove { module, .. } => self.modules.contains(module),
            Action::Suspend { modules } => {
                modules.retain(|member| self.modules.contains(&member.module));
                !modules.is_empty()
            }
            Action::Resume { modules }
            | Action::Stop { modules }
            | Action::Start { modules }
            | Action::Purge { modules } => {
                modules.retain(|module| self.modules.contains(module));
                !modules.is_empty()
            }
            action => match (app(action), children(action)) {
                (Some(app), _) => self.apps.contains(&app),
                (None, children) if children.is_empty() => true,
                (None, children) => children.iter().any(|child| self.children.contains(child)),
            },
        };
        stays.then_some(step)
    }
}

/// Returns the app that a step starts, stops, loads or unloads.
fn app(action: &Action) -> Option<AppName> {
    match action {
        Action::StartApplication { app, .. }
        | Action::LoadApplication { app }
        | Action::RestartApplication { app, .. }
        | Action::StopApplication { app }
        | Action::UnloadApplication { app } => Some(app.clone()),
        action => match built_in(action)? {
            BuiltIn::StartApplication(app)
            | BuiltIn::LoadApplication(app)
            | BuiltIn::StopApplication(app)
            | BuiltIn::UnloadApplication(app) => Some(app),
            _ => None,
        },
    }
}

/// Returns the children in a call of a built-in module.
fn children(action: &Action) -> Vec<(String, Value)> {
    match built_in(action) {
        Some(BuiltIn::StartChild { supervisor, spec }) => {
            spec.get("id").map(|id| (supervisor, id.clone())).into_iter().collect()
        }
        Some(
            BuiltIn::RestartChild { supervisor, id }
            | BuiltIn::TerminateChild { supervisor, id }
            | BuiltIn::DeleteChild { supervisor, id },
        ) => vec![(supervisor, id)],
        Some(BuiltIn::RenameChild { supervisor, id, new }) => {
            vec![(supervisor.clone(), id), (supervisor, new)]
        }
        _ => Vec::new(),
    }
}

fn built_in(action: &Action) -> Option<BuiltIn> {
    match action {
        Action::Apply(call) => call.built_in()?.ok(),
        _ => None,
    }
}

fn loaded(step: &Step) -> Option<&AppName> {
    match &step.action {
        Action::Load { app, .. } => Some(app),
        _ => None,
    }
}

/// Returns whether a step calls a function with unknown effects.
fn is_foreign_call(action: &Action) -> bool {
    matches!(action, Action::Apply(_) | Action::SyncNodes { .. }) && built_in(action).is_none()
}
