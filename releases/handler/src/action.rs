//! Looks up facts in the actions of a script.

use reld_plan::{
    Action, BuiltIn, MemberChange, Mode, ModuleName, PurgeMethod, PurgeWords, Script, Step, Vsn,
};

use crate::node::{Conversion, StateChange};

/// Returns the modules with a pre-purge, each with its new version and the purge method.
pub(crate) fn pre_purges(steps: &[Step]) -> impl Iterator<Item = (&ModuleName, Option<&Vsn>, PurgeMethod)> {
    steps.iter().filter_map(|step| match &step.action {
        Action::Load { module, vsn, purge, .. } => Some((module, Some(vsn), pre(*purge))),
        Action::Remove { module, purge, .. } => Some((module, None, pre(*purge))),
        _ => None,
    })
}

/// Returns the module that a step makes current.
pub(crate) fn loaded(step: &Step) -> Option<&ModuleName> {
    match &step.action {
        Action::Load { module, .. } => Some(module),
        _ => None,
    }
}

/// Returns the built-in call of a step.
pub(crate) fn built_in_call(step: &Step) -> Option<BuiltIn> {
    match &step.action {
        Action::Apply(call) => call.built_in()?.ok(),
        _ => None,
    }
}

/// Returns the conversion of a code_change; `None` for other actions.
pub(crate) fn conversion(action: &Action) -> Option<Conversion> {
    let Action::CodeChange { module, from, to, mode, change, extra, dropped, .. } = action else {
        return None;
    };
    let change = match change {
        MemberChange::Supervisor => StateChange::Supervisor,
        MemberChange::Soft => StateChange::Soft(dropped.clone()),
        // The planner makes no code_change for stopped members; a hand-written one is advanced.
        MemberChange::Advanced | MemberChange::Stop => StateChange::Advanced {
            mode: *mode,
            vsn: if *mode == Mode::Up { from } else { to }.clone(),
            extra: extra.clone(),
            dropped: dropped.clone(),
        },
    };
    Some(Conversion { module: module.clone(), change })
}

/// Returns the pre-purge method. Unlike OTP, where the default is brutal, no process is killed by
/// default.
pub(crate) fn pre(words: PurgeWords) -> PurgeMethod {
    words.pre.unwrap_or(PurgeMethod::Soft)
}

pub(crate) fn post(words: PurgeWords) -> PurgeMethod {
    words.post.unwrap_or(PurgeMethod::Soft)
}

/// Returns whether the script restarts the daemon. OTP: `restart_new_emulator`, `restart_emulator`.
pub(crate) fn restarts(script: &Script) -> bool {
    script.steps.iter().any(|step| matches!(step.action, Action::RestartDaemon | Action::RestartNewDaemon))
}
