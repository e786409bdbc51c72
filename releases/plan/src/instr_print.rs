//! Prints instructions as TOML, so that they read back to the same value.

use crate::instr::{
    Apply, Change, CodeChange, HighLevel, Instruction, LowLevel, Mode, PurgeWords, Suspend, SyncWith, Timeout,
};
use crate::name::ModuleName;
use crate::print::{inline, quoted, table};
use crate::rel::StartType;

/// Keys and printed values in the order in which they are shown.
type Entries = Vec<(&'static str, String)>;

/// Prints an instruction: a table with its own word as first key, or a bare word.
pub(crate) fn instruction(instruction: &Instruction) -> String {
    match instruction {
        Instruction::High(instruction) => table(high(instruction)),
        Instruction::Low(instruction) => low_level(instruction),
    }
}

/// Prints a low-level instruction.
pub(crate) fn low_level(instruction: &LowLevel) -> String {
    match low(instruction) {
        entries if entries.is_empty() => quoted(instruction.word()),
        entries => table(entries),
    }
}

fn high(instruction: &HighLevel) -> Entries {
    let word = instruction.word();
    match instruction {
        HighLevel::Update { module, change, mod_type, timeout, purge, deps } => {
            let mut entries = vec![(word, name(module))];
            entries.extend(changed(change));
            entries.extend(mod_type.map(|mod_type| ("mod_type", quoted(mod_type.as_str()))));
            entries.extend(timed(*timeout));
            entries.into_iter().chain(purge_words(*purge)).chain(dependencies(deps)).collect()
        }
        HighLevel::LoadModule { module, purge, deps } => {
            [(word, name(module))].into_iter().chain(purge_words(*purge)).chain(dependencies(deps)).collect()
        }
        HighLevel::AddModule { module, deps } | HighLevel::DeleteModule { module, deps } => {
            [(word, name(module))].into_iter().chain(dependencies(deps)).collect()
        }
        HighLevel::AddApplication { app, start_type } => started(word, name(app), *start_type),
        HighLevel::RemoveApplication { app } | HighLevel::RestartApplication { app } => {
            vec![(word, name(app))]
        }
    }
}

fn low(instruction: &LowLevel) -> Entries {
    let word = instruction.word();
    match instruction {
        LowLevel::LoadObjectCode { app, vsn, modules } => {
            vec![(word, names(modules)), ("app", name(app)), ("vsn", quoted(&vsn.to_string()))]
        }
        LowLevel::Load { module, purge } | LowLevel::Remove { module, purge } => {
            [(word, name(module))].into_iter().chain(purge_words(*purge)).collect()
        }
        LowLevel::Purge { modules }
        | LowLevel::Resume { modules }
        | LowLevel::Stop { modules }
        | LowLevel::Start { modules } => vec![(word, names(modules))],
        LowLevel::Suspend { modules } => vec![(word, array(modules.iter().map(suspend)))],
        LowLevel::CodeChange { mode, modules } => {
            let mut entries = vec![(word, array(modules.iter().map(code_change)))];
            entries.extend((*mode == Mode::Down).then(|| ("mode", quoted(mode.as_str()))));
            entries
        }
        LowLevel::SyncNodes { id, with } => [(word, inline(id))].into_iter().chain(sync_with(with)).collect(),
        LowLevel::Apply(call) => apply(word, call),
        LowLevel::StartApplication { app, start_type } => {
            application("start", &[app.as_str(), start_type.as_str()])
        }
        LowLevel::LoadApplication { app } => application("load", &[app.as_str()]),
        LowLevel::StopApplication { app } => application("stop", &[app.as_str()]),
        LowLevel::UnloadApplication { app } => application("unload", &[app.as_str()]),
        LowLevel::PointOfNoReturn | LowLevel::RestartNewDaemon | LowLevel::RestartDaemon => Vec::new(),
    }
}

/// An appup has no word of its own for these: OTP writes them as calls of `application`.
fn application(function: &str, args: &[&str]) -> Entries {
    let args = array(args.iter().map(|arg| quoted(arg)));
    vec![("apply", quoted(&format!("application:{function}"))), ("args", args)]
}

fn apply(key: &'static str, call: &Apply) -> Entries {
    let mut entries = vec![(key, quoted(&format!("{}:{}", call.module, call.function)))];
    entries.push(("args", array(call.args.iter().map(inline))));
    entries.extend(call.undo.as_deref().map(|undo| ("undo", table(apply("apply", undo)))));
    entries
}

fn sync_with(with: &SyncWith) -> Entries {
    match with {
        SyncWith::Nodes(nodes) => vec![("nodes", array(nodes.iter().map(|node| quoted(node))))],
        SyncWith::From(call) => apply("from", call),
    }
}

fn changed(change: &Change) -> Option<(&'static str, String)> {
    match change {
        Change::Soft => None,
        Change::Supervisor => Some(("change", quoted("supervisor"))),
        Change::Advanced(extra) => Some(("change", table([("advanced", inline(extra))]))),
    }
}

fn started(word: &'static str, app: String, start_type: StartType) -> Entries {
    let mut entries = vec![(word, app)];
    entries.extend((start_type != StartType::Permanent).then(|| ("type", quoted(start_type.as_str()))));
    entries
}

fn timed(timeout: Timeout) -> Option<(&'static str, String)> {
    (timeout != Timeout::Default).then(|| ("timeout", inline(&timeout.to_value())))
}

fn purge_words(purge: PurgeWords) -> impl Iterator<Item = (&'static str, String)> {
    let pre = purge.pre.map(|method| ("pre_purge", quoted(method.as_str())));
    pre.into_iter().chain(purge.post.map(|method| ("post_purge", quoted(method.as_str()))))
}

fn dependencies(deps: &[ModuleName]) -> Option<(&'static str, String)> {
    (!deps.is_empty()).then(|| ("deps", names(deps)))
}

fn suspend(suspend: &Suspend) -> String {
    match timed(suspend.timeout) {
        None => name(&suspend.module),
        Some(timeout) => table([("module", name(&suspend.module)), timeout]),
    }
}

fn code_change(change: &CodeChange) -> String {
    table([("module", name(&change.module)), ("extra", inline(&change.extra))])
}

fn name(name: impl ToString) -> String {
    quoted(&name.to_string())
}

fn names(modules: &[ModuleName]) -> String {
    array(modules.iter().map(name))
}

fn array(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}
