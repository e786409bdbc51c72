//! Drafts of an appup's entries.
//!
//! The instructions have the order of OTP's appup cookbook in both directions: new modules,
//! terminations and renames of children, modules with changed states, supervisors (each followed by
//! the starts of its new children), and last the removed modules. Modules without an instruction
//! are replaced with their library.

use serde_json::{Value, json};

use super::App;
use super::module::{ChildChange, ChildChangeKind, Need, child_modules, is_simple, need};
use crate::appup::TODO;
use crate::instr::{Apply, Change, HighLevel, Instruction, LowLevel, ModType, Mode, PurgeWords, Timeout};
use crate::instr_print;
use crate::name::ModuleName;
use crate::print::quoted;

/// One entry under construction.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) lines: Vec<Line>,
}

/// A line of an entry: an instruction with a remark, or a remark alone.
#[derive(Debug)]
pub(super) struct Line {
    /// The reason for the instruction, printed as a remark for the reviewer.
    pub(super) note: Option<String>,
    pub(super) instruction: Option<Instruction>,
    /// Whether an existing appup must have an equivalent instruction.
    pub(super) is_needed: bool,
}

/// Drafts the instructions that lead from one version of an app to another.
pub(super) fn draft(left: &App<'_>, to: &App<'_>, mode: Mode) -> Draft {
    let drafter = Drafter { left, to, mode };
    let mut draft = Draft::default();
    for module in to.modules().filter(|module| !left.has(module)) {
        draft.optional(HighLevel::AddModule { module: module.clone(), deps: Vec::new() });
    }
    let both = || to.modules().filter(|module| left.has(module));
    let needs: Vec<_> = both().map(|module| (module, drafter.need(module))).collect();
    for (module, need) in &needs {
        if let Need::Specs(changes) = need {
            drafter.end_children(&mut draft, module, changes);
        }
    }
    for (module, need) in &needs {
        drafter.state(&mut draft, module, need);
    }
    for (module, need) in &needs {
        drafter.supervisor(&mut draft, module, need);
    }
    for module in left.modules().filter(|module| !to.has(module)) {
        draft.needed(
            None,
            Instruction::High(HighLevel::DeleteModule { module: module.clone(), deps: Vec::new() }),
        );
    }
    draft
}

struct Drafter<'a> {
    left: &'a App<'a>,
    to: &'a App<'a>,
    mode: Mode,
}

impl Drafter<'_> {
    fn need(&self, module: &ModuleName) -> Need {
        match (self.left.schema(module), self.to.schema(module)) {
            (Some(left), Some(to)) => need(left, to, self.mode),
            _ => Need::ByHand("a version was packed without schemas".to_owned()),
        }
    }

    fn is_supervisor(&self, module: &ModuleName) -> bool {
        self.behaves_as(module, "supervisor")
    }

    /// Returns whether at least one version declares this behaviour for the module, and neither
    /// version declares another one.
    fn behaves_as(&self, module: &ModuleName, behaviour: &str) -> bool {
        let mut known = [self.left, self.to].into_iter().filter_map(|app| app.schema(module)).peekable();
        known.peek().is_some() && known.all(|schema| schema.behaviour == behaviour)
    }

    fn state(&self, draft: &mut Draft, module: &ModuleName, need: &Need) {
        match need {
            _ if self.is_supervisor(module) => {}
            Need::Nothing if self.behaves_as(module, "task") => {
                draft.remark(format!("{module}: a task stays on its version until it ends"));
            }
            Need::Nothing | Need::Specs(_) => {
                draft.remark(format!("{module}: its state is unchanged; it is replaced with its library"));
            }
            Need::Soft(why) => draft.update(module, &why.join("; "), Change::Soft, Vec::new()),
            Need::LeaveOut(why) if self.mode == Mode::Down => {
                let (left, to) = (self.left.version(), self.to.version());
                let work =
                    format!("change_code_down of {left} must leave out fields that {to} does not read");
                let note = format!("{}; {work}", why.join("; "));
                draft.update(module, &note, Change::Advanced(json!({})), Vec::new());
            }
            Need::LeaveOut(why) | Need::Code(why) => {
                draft.update(module, &why.join("; "), Change::Advanced(self.extra()), Vec::new());
            }
            Need::ByHand(why) => {
                draft.update(module, why, Change::Advanced(self.comparison()), Vec::new());
            }
        }
    }

    /// Returns the placeholder for `extra`, the data that a conversion gets besides the state.
    fn extra(&self) -> Value {
        let (left, to) = (self.left.version(), self.to.version());
        todo_value(&match self.mode {
            Mode::Up => {
                format!("extra data for change_code of {to} to convert the state of {left}, {{}} if none")
            }
            Mode::Down => {
                format!("extra data for change_code_down of {left} to write a state of {to}, {{}} if none")
            }
        })
    }

    /// Returns the placeholder for a decision that only a person can make.
    fn comparison(&self) -> Value {
        let (left, to) = (self.left.version(), self.to.version());
        todo_value(&format!("compare {left} and {to} by hand; no change, or extra data for the conversion"))
    }

    fn supervisor(&self, draft: &mut Draft, module: &ModuleName, need: &Need) {
        if !self.is_supervisor(module) {
            return;
        }
        match need {
            Need::Specs(changes) => {
                draft.update(module, &shown(changes), Change::Supervisor, self.deps(draft, module));
                for child in changes.iter().filter(|child| child.kind == ChildChangeKind::Added) {
                    self.child(draft, module, "restart_child", &[&child.id], None);
                }
            }
            Need::ByHand(why) => {
                let note = format!("{why}; new and removed children need instructions of their own");
                draft.update(module, &note, Change::Supervisor, self.deps(draft, module));
            }
            _ => draft
                .remark(format!("{module}: its child specs are unchanged; it is replaced with its library")),
        }
    }

    /// Returns the modules of the children that have an instruction of their own. In an upgrade,
    /// these modules are loaded before the supervisor.
    fn deps(&self, draft: &Draft, module: &ModuleName) -> Vec<ModuleName> {
        let children =
            [self.left, self.to].into_iter().filter_map(|app| app.schema(module)).flat_map(child_modules);
        let mut deps: Vec<_> = children.filter(|child| child != module && draft.has(child)).collect();
        deps.sort();
        deps.dedup();
        deps
    }

    fn end_children(&self, draft: &mut Draft, supervisor: &ModuleName, changes: &[ChildChange]) {
        for child in changes {
            match &child.kind {
                ChildChangeKind::Removed => {
                    self.child(draft, supervisor, "terminate_child", &[&child.id], None);
                    self.child(draft, supervisor, "delete_child", &[&child.id], None);
                }
                ChildChangeKind::Renamed(new) => {
                    let note = format!(
                        "{} looks like {new} under another id, and keeps running; if it is another child, terminate the old one and start the new one",
                        child.id
                    );
                    self.child(draft, supervisor, "rename_child", &[&child.id, new], Some(note));
                }
                ChildChangeKind::Added | ChildChangeKind::Changed(_) => {}
            }
        }
    }

    fn child(
        &self,
        draft: &mut Draft,
        supervisor: &ModuleName,
        function: &str,
        ids: &[&Value],
        note: Option<String>,
    ) {
        // The template of a simple_one_for_one supervisor is not a child.
        if [self.left, self.to].into_iter().filter_map(|app| app.schema(supervisor)).any(is_simple) {
            return;
        }
        let ids = ids.iter().map(|id| (*id).clone());
        let args = [self.address(supervisor)].into_iter().chain(ids).collect();
        let module = ModuleName::new("supervisor").expect("it is a name");
        let call = Apply { module, function: function.to_owned(), args, undo: None };
        draft.needed(note, Instruction::Low(LowLevel::Apply(call)));
    }

    /// Returns the address of a supervisor in a call: its registered name, or its path in the tree
    /// of the app. Both must be the same in both versions, since a call may come after the switch.
    fn address(&self, supervisor: &ModuleName) -> Value {
        let [left, to] = [self.left, self.to].map(|app| app.all().address(supervisor));
        let address = left.filter(|left| to.is_none_or(|to| *left == to));
        let todo = || format!("the registered name or the tree path of the supervisor {supervisor}");
        address.map_or_else(|| todo_value(&todo()), Value::from)
    }
}

impl Draft {
    fn remark(&mut self, note: String) {
        self.lines.push(Line { note: Some(note), instruction: None, is_needed: false });
    }

    fn optional(&mut self, instruction: HighLevel) {
        self.lines.push(Line {
            note: None,
            instruction: Some(Instruction::High(instruction)),
            is_needed: false,
        });
    }

    fn needed(&mut self, note: Option<String>, instruction: Instruction) {
        self.lines.push(Line { note, instruction: Some(instruction), is_needed: true });
    }

    fn update(&mut self, module: &ModuleName, note: &str, change: Change, deps: Vec<ModuleName>) {
        let (module, mod_type) = (module.clone(), None::<ModType>);
        let (timeout, purge) = (Timeout::Default, PurgeWords::default());
        let note = format!("{module}: {note}");
        let update = HighLevel::Update { module, change, mod_type, timeout, purge, deps };
        self.needed(Some(note), Instruction::High(update));
    }

    /// Returns the drafted instructions that an existing appup is compared with.
    pub(super) fn needed_instructions(&self) -> impl Iterator<Item = &Instruction> {
        self.lines.iter().filter(|line| line.is_needed).filter_map(|line| line.instruction.as_ref())
    }

    fn has(&self, module: &ModuleName) -> bool {
        self.lines.iter().filter_map(|line| line.instruction.as_ref()).any(|instruction| match instruction {
            Instruction::High(
                HighLevel::Update { module: named, .. }
                | HighLevel::AddModule { module: named, .. }
                | HighLevel::DeleteModule { module: named, .. },
            ) => named == module,
            _ => false,
        })
    }

    /// Prints the entry, with its remarks.
    fn print(&self, header: &str, key: &str, version: &str) -> String {
        let mut text = format!("\n{header}\n{key} = {}\ninstructions = [\n", quoted(version));
        for line in &self.lines {
            if let Some(note) = &line.note {
                // A comment ends with its line, and TOML allows no other control characters in it.
                text += &format!("  # {}\n", note.replace(char::is_control, " "));
            }
            if let Some(instruction) = &line.instruction {
                text += &format!("  {},\n", instr_print::instruction(instruction));
            }
        }
        text + "]\n"
    }
}

/// Prints a whole appup for two drafts.
pub(super) fn appup(top: &App<'_>, base: &App<'_>, up: &Draft, down: &Draft) -> String {
    let (app, version, other) = (top.name(), top.version().to_string(), base.version().to_string());
    let todo = quoted(&format!("{TODO}: ..."));
    let head = format!(
        "# A draft: review it, and replace each placeholder {todo}.\napp = {}\nversion = {}\n",
        quoted(app.as_str()),
        quoted(&version),
    );
    head + &up.print("[[up]]", "from", &other) + &down.print("[[down]]", "to", &other)
}

fn todo_value(what: &str) -> Value {
    Value::from(format!("{TODO}: {what}"))
}

/// Describes the changes of children.
pub(super) fn shown(changes: &[ChildChange]) -> String {
    if changes.is_empty() {
        return "the flags of the supervisor or the order of its children changed".to_owned();
    }
    let one = |child: &ChildChange| match &child.kind {
        ChildChangeKind::Added => format!("child {} is new", child.id),
        ChildChangeKind::Removed => format!("child {} is gone", child.id),
        ChildChangeKind::Renamed(new) => format!("child {} is {new} now", child.id),
        ChildChangeKind::Changed(parts) => format!("child {} changed in {}", child.id, parts.join(", ")),
    };
    changes.iter().map(one).collect::<Vec<_>>().join("; ")
}
