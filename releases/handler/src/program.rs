//! Translates the steps of a script into a program: the operations on a node.
//!
//! A script is written for people; a node needs more detail. All loads are staged together.
//! Processes of a replaced module that no instruction suspends by name (`load_module`, written or
//! implied) are brought to rest too if possible, because their states go to the new code.
//! [`programs`] computes all of this before anything is done:
//!
//! ```text
//! script                                  program
//! load_object_code counter-0.1.1          Load
//! apply migrate:prepare()                 Apply
//! restart_application till                StopApplication, and StartApplication right after Stage
//! load counter, load counter_sup          Stage
//! start_application shop                  StartApplication
//! suspend [counter counter_sup]           the gate, Convert (soft) of modules without code_change
//! code_change counter                     Convert
//! sync_nodes till                         joined before the gate is raised, decided before the switch
//! switch                                  | the switch | Purge of condemned code
//! apply supervisor:restart_child(..)      a birth: before the members resume
//! resume [..]                             (done by the switch)
//! apply supervisor:delete_child(..)       Call, also for a start behind the resume
//! apply migrate:complete()                Apply, if it is behind the switch
//! stop_application till, remove, purge    StopApplication, Purge
//! ```
//!
//! The bar is the point of no return: an [`Effect`] can fail and be undone, a [`Finish`] has no
//! undo. Each window of a script becomes one program.

mod builder;

use reld_plan::{Action, AppName, Apply, BuiltIn, ModuleName, PlanError, Script};

use self::builder::Builder;
use crate::action::restarts;
use crate::error::Obstacle;
use crate::material::Material;
use crate::meeting;
use crate::options::InstallOptions;
use crate::step::Program;

/// Returns the programs of a script, one per window.
///
/// # Errors
/// An obstacle for every step that this version of reld cannot carry out.
pub(crate) fn programs(
    script: &Script,
    material: &Material,
    options: InstallOptions,
) -> Result<Vec<Program>, Vec<Obstacle>> {
    let numbered = (1..).zip(&script.steps);
    let mut obstacles: Vec<Obstacle> =
        numbered.filter_map(|(number, step)| obstacle(number, &step.action, material)).collect();
    if !options.goes_back {
        obstacles.extend(unmet(script, material));
    }
    if !obstacles.is_empty() {
        return Err(obstacles);
    }
    let mut programs = Vec::new();
    let mut before = 0;
    for window in script.windows() {
        let builder = Builder::new(script, before..before + window.len(), material, options);
        before += window.len();
        programs.push(builder.program());
    }
    Ok(programs)
}

/// Returns the obstacle to a step.
fn obstacle(number: usize, action: &Action, material: &Material) -> Option<Obstacle> {
    let instruction = || action.to_string();
    if let Some(app) = started(action).filter(|app| !material.has_app(app)) {
        return Some(Obstacle::Plan(PlanError::NoSuchApplication { app }));
    }
    match action {
        Action::LoadObjectCode { app, vsn, .. } => {
            let is_there = material.libraries.get(app).is_some_and(|library| library.vsn == *vsn);
            let remedy = "pack the release with this app's library".to_owned();
            (!is_there).then(|| Obstacle::Unsupported { step: number, instruction: instruction(), remedy })
        }
        Action::Apply(call) if called(call).is_some_and(|module| !material.has_module(&module)) => {
            Some(Obstacle::UndefModule { step: number, instruction: instruction() })
        }
        _ => None,
    }
}

/// Returns the obstacles to the meetings of a script. A window has one switch, so it has one
/// meeting.
fn unmet(script: &Script, material: &Material) -> Vec<Obstacle> {
    let (mut obstacles, mut met) = (Vec::new(), Vec::new());
    for (number, step) in (1..).zip(&script.steps) {
        let Action::SyncNodes { with, .. } = &step.action else { continue };
        let remedy = match meeting::nodes(with, material.seat.as_ref()) {
            Err(remedy) => remedy,
            Ok(_) if restarts(script) => "a script that restarts the daemon has no switch to meet \
                                          before; remove it from the appup"
                .to_owned(),
            Ok(_) if met.contains(&step.window) => {
                "nodes meet once before a switch, and an earlier step does it; keep one of them".to_owned()
            }
            Ok(_) => {
                met.push(step.window);
                continue;
            }
        };
        obstacles.push(Obstacle::Unsupported { step: number, instruction: step.action.to_string(), remedy });
    }
    obstacles
}

/// Returns the app that a step starts or loads.
fn started(action: &Action) -> Option<AppName> {
    match action {
        Action::StartApplication { app, .. } | Action::LoadApplication { app } => Some(app.clone()),
        Action::Apply(call) => match call.built_in() {
            Some(Ok(BuiltIn::StartApplication(app) | BuiltIn::LoadApplication(app))) => Some(app),
            _ => None,
        },
        _ => None,
    }
}

/// Returns the module of an app with the code that a call runs; `None` for other built-in calls.
fn called(call: &Apply) -> Option<ModuleName> {
    match call.built_in() {
        None => Some(call.module.clone()),
        Some(Ok(BuiltIn::StartChild { spec, .. })) => spec["module"].as_str()?.parse().ok(),
        Some(_) => None,
    }
}
