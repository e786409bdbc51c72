//! The rules that every script must satisfy, generated or hand-written.

use std::collections::{BTreeMap, BTreeSet};

use crate::instr::Apply;
use crate::name::ModuleName;
use crate::script::{Action, Mark, Script, Step};

/// A violated rule. Steps count from 1, as they are printed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("step {step}: {rule}")]
pub struct CheckError {
    /// The step that breaks the rule.
    pub step: usize,
    /// The rule.
    pub rule: Rule,
}

/// The rules of a script. Each doc line states a rule; the variant is its violation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// There is exactly one switch in each window.
    #[error("the script has {count} switches instead of one")]
    OneSwitch {
        /// The number of switches.
        count: usize,
    },
    /// Libraries have no module in common.
    #[error("module {module} is in two libraries")]
    ModuleTwice {
        /// The module.
        module: ModuleName,
    },
    /// A module is staged once.
    #[error("module {module} is loaded twice")]
    LoadedTwice {
        /// The module.
        module: ModuleName,
    },
    /// A module is loaded from a library that was opened before.
    #[error("module {module} is loaded, but no load_object_code before it opens its library")]
    NoObjectCode {
        /// The module.
        module: ModuleName,
    },
    /// A step that can fail comes before the switch.
    #[error("{word} comes after the switch")]
    AfterSwitch {
        /// The instruction.
        word: &'static str,
    },
    /// A step that cannot be undone, or that resumes processes, comes after the switch.
    #[error("{word} comes before the switch")]
    BeforeSwitch {
        /// The instruction.
        word: &'static str,
    },
    /// A state is converted only while its process is suspended.
    #[error("code_change of module {module}, which is not suspended")]
    NotSuspended {
        /// The module.
        module: ModuleName,
    },
    /// A state is converted only if its module is loaded.
    #[error("code_change of module {module}, which is not loaded: does its app's version change?")]
    NotLoaded {
        /// The module.
        module: ModuleName,
    },
    /// A suspended module is resumed or stopped.
    #[error("module {module} is suspended, but neither resumed nor stopped")]
    NotResumed {
        /// The module.
        module: ModuleName,
    },
    /// Only a suspended module is resumed.
    #[error("module {module} is resumed, but not suspended")]
    ResumedOnly {
        /// The module.
        module: ModuleName,
    },
    /// A call of a built-in module is valid.
    #[error("apply {call}: {problem}")]
    BadCall {
        /// The call.
        call: String,
        /// The mistake.
        problem: String,
    },
    /// An instruction fits the behaviour of its module.
    #[error("{word}: {problem}")]
    Misfit {
        /// The instruction.
        word: &'static str,
        /// The mistake.
        problem: String,
    },
    /// A restart is the first or the last step.
    #[error("{word} comes between other steps")]
    RestartAmid {
        /// The instruction.
        word: &'static str,
    },
}

impl Script {
    /// Checks every rule.
    ///
    /// # Errors
    /// The first violated rule.
    pub fn check(&self) -> Result<(), CheckError> {
        if self.steps.is_empty() {
            return Err(CheckError { step: 1, rule: Rule::OneSwitch { count: 0 } });
        }
        let mut before = 0;
        for window in self.windows() {
            check_window(window).map_err(|(at, rule)| CheckError { step: before + at + 1, rule })?;
            before += window.len();
        }
        Ok(())
    }
}

/// Checks one window; the rules apply to each window on its own.
fn check_window(steps: &[Step]) -> Result<(), (usize, Rule)> {
    let switch = one_switch(steps)?;
    let mut seen = Seen::default();
    for (at, step) in steps.iter().enumerate() {
        let placed = placed(step, at, switch, steps.len());
        placed.and_then(|()| seen.step(step)).map_err(|rule| (at, rule))?;
    }
    seen.all_resumed()
}

fn one_switch(steps: &[Step]) -> Result<usize, (usize, Rule)> {
    let switches: Vec<usize> = steps
        .iter()
        .enumerate()
        .filter(|(_, step)| step.action == Action::Switch)
        .map(|(at, _)| at)
        .collect();
    match switches[..] {
        [at] => Ok(at),
        _ => {
            let at = switches.first().copied().unwrap_or(0);
            Err((at, Rule::OneSwitch { count: switches.len() }))
        }
    }
}

/// Checks that a step is on the right side of the switch.
fn placed(step: &Step, at: usize, switch: usize, len: usize) -> Result<(), Rule> {
    let word = step.action.word();
    match (&step.action, step.action.mark()) {
        (Action::Switch, _) => Ok(()),
        (Action::RestartNewDaemon, _) if at > 0 => Err(Rule::RestartAmid { word }),
        (Action::RestartDaemon, _) if at + 1 < len => Err(Rule::RestartAmid { word }),
        (Action::RestartNewDaemon | Action::RestartDaemon, _) => Ok(()),
        (Action::Resume { .. }, _) | (_, Mark::Irreversible) if at < switch => {
            Err(Rule::BeforeSwitch { word })
        }
        (Action::Resume { .. } | Action::Apply(_), _) | (_, Mark::Irreversible | Mark::TakenBack) => Ok(()),
        _ if at > switch => Err(Rule::AfterSwitch { word }),
        _ => Ok(()),
    }
}

/// Checks a call of a built-in module.
fn understood(call: &Apply) -> Result<(), Rule> {
    match call.built_in() {
        Some(Err(problem)) => Err(Rule::BadCall { call: call.to_string(), problem }),
        Some(Ok(_)) | None => Ok(()),
    }
}

/// The effects of the steps so far.
#[derive(Default)]
struct Seen<'a> {
    at: usize,
    opened: BTreeSet<&'a ModuleName>,
    loaded: BTreeSet<&'a ModuleName>,
    suspended: BTreeMap<&'a ModuleName, usize>,
    released: BTreeSet<&'a ModuleName>,
}

impl<'a> Seen<'a> {
    fn step(&mut self, step: &'a Step) -> Result<(), Rule> {
        match &step.action {
            Action::LoadObjectCode { modules, .. } => self.open(modules)?,
            Action::Load { module, .. } => self.load(module)?,
            Action::Suspend { modules } => {
                for member in modules {
                    self.suspended.entry(&member.module).or_insert(self.at);
                }
            }
            Action::CodeChange { module, .. } => self.code_change(module)?,
            Action::Resume { modules } => self.resume(modules)?,
            Action::Stop { modules } => self.released.extend(modules),
            Action::Apply(call) => understood(call)?,
            _ => {}
        }
        self.at += 1;
        Ok(())
    }

    fn open(&mut self, modules: &'a [ModuleName]) -> Result<(), Rule> {
        let twice = modules.iter().find(|module| !self.opened.insert(module));
        twice.map_or(Ok(()), |module| Err(Rule::ModuleTwice { module: module.clone() }))
    }

    fn load(&mut self, module: &'a ModuleName) -> Result<(), Rule> {
        if !self.opened.contains(module) {
            return Err(Rule::NoObjectCode { module: module.clone() });
        }
        if !self.loaded.insert(module) {
            return Err(Rule::LoadedTwice { module: module.clone() });
        }
        Ok(())
    }

    fn is_suspended(&self, module: &ModuleName) -> bool {
        self.suspended.contains_key(module)
    }

    fn code_change(&self, module: &ModuleName) -> Result<(), Rule> {
        if !self.is_suspended(module) {
            return Err(Rule::NotSuspended { module: module.clone() });
        }
        if !self.loaded.contains(module) {
            return Err(Rule::NotLoaded { module: module.clone() });
        }
        Ok(())
    }

    fn resume(&mut self, modules: &'a [ModuleName]) -> Result<(), Rule> {
        let stray = modules.iter().find(|module| !self.is_suspended(module));
        self.released.extend(modules);
        stray.map_or(Ok(()), |module| Err(Rule::ResumedOnly { module: module.clone() }))
    }

    fn all_resumed(&self) -> Result<(), (usize, Rule)> {
        let left = self.suspended.iter().filter(|(module, _)| !self.released.contains(*module));
        let first = left.min_by_key(|(_, at)| **at);
        first.map_or(Ok(()), |(module, at)| Err((*at, Rule::NotResumed { module: (*module).clone() })))
    }
}
