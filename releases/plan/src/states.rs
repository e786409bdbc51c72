//! Finds the states that processes take to another version of their module, and how they are
//! carried over.

use std::collections::BTreeMap;

use crate::diff::{Carried, carried};
use crate::error::PlanError;
use crate::facts::Facts;
use crate::instr::{LowLevel, Mode};
use crate::name::ModuleName;
use crate::script::{Action, MemberChange};
use crate::version::Vsn;
use crate::warning::Warning;

/// The modules with processes that take their states to another version, if both versions describe
/// the state.
#[derive(Debug)]
pub(crate) struct States<'a>(BTreeMap<&'a ModuleName, State<'a>>);

#[derive(Debug)]
struct State<'a> {
    from: &'a Vsn,
    to: &'a Vsn,
    mode: Mode,
    /// No code of the author converts the state.
    is_soft: bool,
    carried: Carried,
}

impl<'a> States<'a> {
    /// Compares the states of a relup.
    ///
    /// # Errors
    /// [`PlanError::StateMoved`] for the first state that may lose a renamed or moved place.
    pub(crate) fn of(facts: &Facts<'a>, mode: Mode) -> Result<Self, PlanError> {
        let is_restart = |instruction: &LowLevel| {
            matches!(instruction, LowLevel::RestartDaemon | LowLevel::RestartNewDaemon)
        };
        if facts.relup.lines.iter().any(|line| is_restart(&line.instruction)) {
            return Ok(Self(BTreeMap::new()));
        }
        let states = facts.moving().filter_map(|module| Some((module, State::of(facts, module, mode)?)));
        let states = Self(states.collect());
        states.0.iter().find_map(|(module, state)| state.moved(module)).map_or(Ok(states), Err)
    }

    /// Records the dropped fields in the step that brings states to another version.
    pub(crate) fn note(&self, action: &mut Action) {
        let (module, dropped, is_soft) = match action {
            Action::Load { module, dropped, .. } => (module, dropped, true),
            Action::CodeChange { module, dropped, .. } => (module, dropped, false),
            _ => return,
        };
        if let Some(state) = self.0.get(module).filter(|state| state.is_soft == is_soft) {
            *dropped = state.carried.dropped.clone();
        }
    }

    /// Returns warnings about states that the target version may be unable to read.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = Warning> {
        let warning = |(module, state): (&&ModuleName, &State<'_>)| {
            let why = state.carried.unread();
            let State { from, to, mode, .. } = *state;
            let (module, from, to) = ((*module).clone(), from.clone(), to.clone());
            (state.is_soft && !why.is_empty()).then(|| Warning::StateNotRead { module, from, to, mode, why })
        };
        self.0.iter().filter_map(warning)
    }
}

impl<'a> State<'a> {
    fn of(facts: &Facts<'a>, module: &ModuleName, mode: Mode) -> Option<Self> {
        let is_soft = match facts.change(module) {
            MemberChange::Soft => true,
            MemberChange::Advanced => false,
            MemberChange::Supervisor | MemberChange::Stop => return None,
        };
        let (old, new) = (facts.old_owner(module)?, facts.new_owner(module).ok()?);
        let carried = carried(old.schema(module)?, new.schema(module)?, mode)?;
        Some(Self { from: old.version(), to: new.version(), mode, is_soft, carried })
    }

    fn moved(&self, module: &ModuleName) -> Option<PlanError> {
        let moved = self.carried.moved.as_ref().filter(|_| self.is_soft)?;
        Some(PlanError::StateMoved {
            module: module.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            left: moved.left.clone(),
            gone_to: moved.to.clone(),
        })
    }
}
