//! The points to check before an upgrade.

use serde::Serialize;

use super::draft::draft;
use super::module::{InterfaceType, Need, need};
use super::{App, PackedRelease, has_other_args};
use crate::appup::{Entry, Written};
use crate::behaviours::Behaviours;
use crate::instr::{Apply, Change, HighLevel, Instruction, LowLevel, Mode};
use crate::name::{AppName, ModuleName};
use crate::release::AppupFile;

/// A point to check before an upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A keyword for programs.
    pub class: &'static str,
    /// The app.
    pub app: AppName,
    /// The module, if the finding is about one.
    pub module: Option<ModuleName>,
    /// The direction: up to the second release, or down to the first. `None` if the finding does
    /// not depend on the direction.
    pub direction: Option<Mode>,
    /// The problem and the remedy.
    pub message: String,
}

/// Reports apps with a changed library but an unchanged version: a node refuses them.
pub(super) fn same_version<'a>(
    from: &'a PackedRelease,
    to: &'a PackedRelease,
) -> impl Iterator<Item = Finding> + use<'a> {
    let is_other = move |name| matches!((from.libraries.get(name), to.libraries.get(name)), (Some(old), Some(new)) if old != new);
    let same = to.release.apps().iter().filter(move |app| {
        from.release.app(app.name()).is_some_and(|old| old.version() == app.version()) && is_other(app.name())
    });
    same.map(|app| Finding {
        class: "same_version",
        app: app.name().clone(),
        module: None,
        direction: None,
        message: format!(
            "its library changed but its version is still {}; give it a new version",
            app.version()
        ),
    })
}

/// Reports apps that do not start when the release boots.
pub(super) fn not_bootable(
    to: &PackedRelease,
    behaviours: &Behaviours,
) -> impl Iterator<Item = Finding> + use<> {
    let errors = to.release.boot_order(behaviours).err().unwrap_or_default().into_iter();
    errors.map(|error| Finding {
        class: error.code().as_str(),
        app: error.app().clone(),
        module: error.module().cloned(),
        direction: None,
        message: error.to_string(),
    })
}

/// Returns the findings of all changed apps. Each pair is the older and the newer version of an
/// app. The behaviours are those of the newer release.
pub(super) fn of_changed<'a>(
    changed: &'a [(App<'a>, App<'a>)],
    behaviours: &'a Behaviours,
) -> impl Iterator<Item = Finding> + use<'a> {
    changed.iter().flat_map(move |(old, new)| {
        let mut findings =
            Findings { old, new, all: changed, behaviours, direction: None, found: Vec::new() };
        findings.appup();
        for mode in [Mode::Up, Mode::Down] {
            findings.direction = Some(mode);
            findings.interface(mode);
        }
        findings.found
    })
}

/// Returns whether the appup of a version restarts the app.
pub(super) fn restarts(top: &App<'_>, base: &App<'_>, mode: Mode) -> bool {
    let AppupFile::Found(appup) = &top.0.docs.appup else { return false };
    let is = |instruction: &Instruction| matches!(instruction, Instruction::High(HighLevel::RestartApplication { app }) if app == top.name());
    appup.entry(mode, base.version()).is_some_and(|entry| good(entry).any(is))
}

struct Findings<'a> {
    old: &'a App<'a>,
    new: &'a App<'a>,
    all: &'a [(App<'a>, App<'a>)],
    behaviours: &'a Behaviours,
    /// The direction that is examined.
    direction: Option<Mode>,
    found: Vec<Finding>,
}

impl<'a> Findings<'a> {
    fn add(&mut self, class: &'static str, module: Option<&ModuleName>, message: String) {
        let (app, module) = (self.new.name().clone(), module.cloned());
        self.found.push(Finding { class, app, module, direction: self.direction, message });
    }

    /// Returns the source and the target version.
    const fn ends(&self, mode: Mode) -> (&'a App<'a>, &'a App<'a>) {
        match mode {
            Mode::Up => (self.old, self.new),
            Mode::Down => (self.new, self.old),
        }
    }

    /// Compares the existing appup with the draft.
    fn appup(&mut self) {
        let new = self.new.version();
        match &self.new.0.docs.appup {
            AppupFile::Missing => self.add(
                "no_appup",
                None,
                format!("{new} has no appup.toml; start from the draft, or use restart_application, which loses the state of the app"),
            ),
            AppupFile::Broken(at) => self.add("broken_appup", None, at.to_string()),
            AppupFile::Found(appup) => {
                for mode in [Mode::Up, Mode::Down] {
                    self.direction = Some(mode);
                    match appup.entry(mode, self.old.version()) {
                        Some(entry) => self.entry(entry, mode),
                        None => self.no_entry(mode),
                    }
                }
            }
        }
    }

    fn no_entry(&mut self, mode: Mode) {
        let word = preposition(mode);
        let message =
            format!("the appup of {} has no entry {word} {}", self.new.version(), self.old.version());
        self.add("no_entry", None, message);
    }

    fn entry(&mut self, entry: &Entry, mode: Mode) {
        for written in &entry.instructions {
            let problem = match written {
                Written::Wrong(wrong) => Some(wrong.error.to_string()),
                Written::Good(instruction) => self.behaviours.misfit(instruction),
            };
            if let Some(problem) = problem {
                self.add("wrong_instruction", None, problem);
            }
        }
        if restarts(self.new, self.old, mode) {
            return;
        }
        let (left, to) = self.ends(mode);
        let drafted = draft(left, to, mode);
        for instruction in drafted.needed_instructions() {
            self.instruction(entry, mode, instruction, left, to);
        }
    }

    /// Looks for an instruction equivalent to a drafted one. A module without one comes with its
    /// library, and its states are read as by a soft update. `keep` leaves it in old code.
    fn instruction(
        &mut self,
        entry: &Entry,
        mode: Mode,
        drafted: &Instruction,
        left: &App<'_>,
        to: &App<'_>,
    ) {
        let place = format!("the entry {} {}", preposition(mode), self.old.version());
        match drafted {
            Instruction::High(HighLevel::Update { module, change, .. }) => {
                let need = left.schema(module).zip(to.schema(module)).map(|(left, to)| need(left, to, mode));
                let by_hand = matches!(need, None | Some(Need::ByHand(_)));
                if !good(entry).any(|written| names(written, module)) {
                    if *change == Change::Soft || entry.keep.contains(module) {
                        return;
                    }
                    let why = why(change, need.as_ref());
                    let message = format!("{place} has no instruction for {module}, {why}");
                    self.add(
                        if by_hand { "compare_by_hand" } else { "no_instruction" },
                        Some(module),
                        message,
                    );
                } else if !by_hand && !good(entry).any(|written| is_change(written, module, change)) {
                    let message = format!(
                        "{place} has an instruction for {module}, but no {}: {}",
                        wanted(change),
                        why(change, need.as_ref())
                    );
                    self.add("other_change", Some(module), message);
                }
            }
            Instruction::High(HighLevel::DeleteModule { module, .. })
                if !good(entry).any(|written| names(written, module)) =>
            {
                let message = format!(
                    "{place} has no delete_module for {module}, which is gone: its library stays mapped"
                );
                self.add("no_instruction", Some(module), message);
            }
            Instruction::Low(LowLevel::Apply(call))
                if !good(entry).any(|written| is_about(written, call)) =>
            {
                let id = call.args.get(1).map(ToString::to_string).unwrap_or_default();
                let message = format!("{place} has no supervisor:{} for child {id}", call.function);
                self.add("no_child_instruction", None, message);
            }
            _ => {}
        }
    }

    /// Reports messages, start arguments and replies that are incompatible between the two
    /// versions.
    fn interface(&mut self, mode: Mode) {
        let (from, gone_to) = self.ends(mode);
        let (was, is) = (from.version(), gone_to.version());
        for module in self.new.modules() {
            let Some((left, to)) = from.schema(module).zip(gone_to.schema(module)) else { continue };
            for kind in InterfaceType::MESSAGES {
                for why in kind.not_read(left, to) {
                    let word = kind.word();
                    let message = match mode {
                        Mode::Up => format!(
                            "{is} no longer accepts a {word} of {was}: {why}; keep reading the old form for one release"
                        ),
                        Mode::Down => format!(
                            "{is} does not accept a {word} of {was}: {why}; a waiting one crashes its receiver, unless the \
                             previous release already reads it"
                        ),
                    };
                    self.add("message_not_taken", Some(module), message);
                }
            }
            for why in InterfaceType::Reply.not_read(left, to) {
                let message = format!("callers built with {was} cannot read the replies of {is}: {why}");
                self.add("reply_changed", Some(module), message);
            }
            let args = InterfaceType::Args.not_read(left, to);
            if !args.is_empty() && !self.is_started_otherwise(module, mode) {
                let message = format!(
                    "its start argument changed ({}), but no known child spec did: supervisors start it with the \
                     argument of {was}",
                    args.join("; "),
                );
                self.add("args_changed", Some(module), message);
            }
        }
    }

    /// Returns whether a supervisor of the release passes another start argument to the module than
    /// before.
    fn is_started_otherwise(&self, module: &ModuleName, mode: Mode) -> bool {
        self.all.iter().any(|(old, new)| {
            let (from, gone_to) = if mode == Mode::Up { (old, new) } else { (new, old) };
            new.modules().any(|supervisor| match from.schema(supervisor).zip(gone_to.schema(supervisor)) {
                Some((left, to)) => {
                    matches!(need(left, to, mode), Need::Specs(changes) if has_other_args(&changes, module))
                }
                None => false,
            })
        })
    }
}

const fn preposition(mode: Mode) -> &'static str {
    match mode {
        Mode::Up => "up from",
        Mode::Down => "down to",
    }
}

fn why(change: &Change, need: Option<&Need>) -> String {
    match (change, need) {
        (Change::Soft, Some(Need::Soft(why))) => {
            format!("whose state changed ({}): it would be read unconverted", why.join("; "))
        }
        (Change::Advanced(_), Some(Need::LeaveOut(why) | Need::Code(why))) => {
            format!("whose state needs a conversion: {}", why.join("; "))
        }
        (Change::Supervisor, Some(Need::Specs(_))) => "whose child specs changed".to_owned(),
        _ => "which a version does not describe completely: compare it by hand".to_owned(),
    }
}

const fn wanted(change: &Change) -> &'static str {
    match change {
        Change::Soft => "update or load_module",
        Change::Advanced(_) => "advanced change",
        Change::Supervisor => "supervisor change",
    }
}

fn good(entry: &Entry) -> impl Iterator<Item = &Instruction> {
    entry.instructions.iter().filter_map(|written| match written {
        Written::Good(instruction) => Some(instruction),
        Written::Wrong(_) => None,
    })
}

/// Returns whether an instruction names a module.
fn names(instruction: &Instruction, module: &ModuleName) -> bool {
    match instruction {
        Instruction::High(
            HighLevel::Update { module: named, .. }
            | HighLevel::LoadModule { module: named, .. }
            | HighLevel::AddModule { module: named, .. }
            | HighLevel::DeleteModule { module: named, .. },
        )
        | Instruction::Low(LowLevel::Load { module: named, .. } | LowLevel::Remove { module: named, .. }) => {
            named == module
        }
        Instruction::Low(LowLevel::CodeChange { modules, .. }) => {
            modules.iter().any(|change| change.module == *module)
        }
        // A restart of the daemon replaces all modules.
        Instruction::Low(LowLevel::RestartDaemon | LowLevel::RestartNewDaemon) => true,
        _ => false,
    }
}

/// Returns whether an instruction changes a module as wanted. A low-level instruction always
/// counts, because its author takes care of the change.
fn is_change(instruction: &Instruction, module: &ModuleName, wanted: &Change) -> bool {
    match (instruction, wanted) {
        (Instruction::High(HighLevel::Update { module: named, change, .. }), wanted) if named == module => {
            matches!(
                (change, wanted),
                (Change::Advanced(_), Change::Advanced(_) | Change::Soft)
                    | (Change::Soft, Change::Soft)
                    | (Change::Supervisor, Change::Supervisor)
            )
        }
        (Instruction::High(HighLevel::LoadModule { module: named, .. }), Change::Soft) => named == module,
        (Instruction::Low(_), _) => names(instruction, module),
        _ => false,
    }
}

/// Returns whether an instruction is an acceptable form of the wanted call for the same child. A
/// new child may also be started with its own spec, and a child that only looks renamed may be
/// deleted.
fn is_about(instruction: &Instruction, wanted: &Apply) -> bool {
    let Instruction::Low(LowLevel::Apply(call)) = instruction else { return false };
    let is_same_child = call.args.get(1) == wanted.args.get(1);
    call.module == wanted.module
        && match (wanted.function.as_str(), call.function.as_str()) {
            ("restart_child", "start_child") => true,
            ("rename_child", "delete_child") => is_same_child,
            (wanted, written) => wanted == written && is_same_child,
        }
}
