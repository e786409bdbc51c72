//! `appup.toml`: the instructions for moving an app between other versions and its own (OTP's
//! `.appup`).

use reld_error_codes::ErrorCode;
use toml::de::DeValue;

use crate::doc_error::DocError;
use crate::instr::{Instruction, Mode};
use crate::instr_print;
use crate::instr_read::{self, Bad};
use crate::keys::{self, Table};
use crate::name::{AppName, ModuleName};
use crate::print::Printer;
use crate::quote::Quoted;
use crate::read::{self, Fault, Fields, Node};
use crate::syntax::InstructionError;
use crate::version::{Vsn, VsnMatch};

/// The prefix of a placeholder that a person must replace: drafts contain placeholders, plans
/// refuse them.
pub(crate) const TODO: &str = "TODO";

/// The appup of one app version. It is stored with the newer version and serves both directions.
#[derive(Debug, Clone, PartialEq)]
pub struct Appup {
    /// The app.
    pub app: AppName,
    /// The app's version according to the appup. A mismatch with the app's own version is a
    /// warning, as in OTP.
    pub version: Vsn,
    /// Entries for upgrades from other versions.
    pub up: Vec<Entry>,
    /// Entries for downgrades to other versions.
    pub down: Vec<Entry>,
}

/// The instructions for some other versions.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The versions: `from` of an up entry, `to` of a down entry.
    pub versions: VsnMatch,
    /// The instructions in the author's order.
    pub instructions: Vec<Written>,
    /// Modules that stay on the old library although no instruction names them; all other modules
    /// of a replaced library are loaded implicitly.
    pub keep: Vec<ModuleName>,
}

/// One instruction as written in a file.
///
/// A wrong instruction is kept as a value. OTP reports it only if its entry is used, and reports
/// mistakes of earlier translation passes first. [`Appup::mistakes`] lists all wrong instructions.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// An instruction that can be planned.
    Good(Instruction),
    /// An instruction that cannot be planned.
    Wrong(WrongInstruction),
}

/// An instruction that cannot be planned.
#[derive(Debug, Clone, PartialEq)]
pub struct WrongInstruction {
    pub(crate) word: Option<String>,
    text: String,
    pub(crate) error: InstructionError,
}

impl Appup {
    /// Parses an `appup.toml`. `path` is only shown in errors.
    ///
    /// # Errors
    /// A mistake outside of the instructions, with its place. Wrong instructions are kept, see
    /// [`Written`].
    pub fn parse(path: &str, text: &str) -> Result<Self, DocError> {
        let file = File { path, text };
        file.read().map_err(|fault| DocError::new(path, text, &fault))
    }

    /// Returns the first entry for an upgrade from a version or a downgrade to it.
    pub fn entry(&self, mode: Mode, other: &Vsn) -> Option<&Entry> {
        let entries = match mode {
            Mode::Up => &self.up,
            Mode::Down => &self.down,
        };
        entries.iter().find(|entry| entry.versions.matches(other))
    }

    /// Returns the mistakes of all instructions, in file order. A packer must refuse them.
    pub fn mistakes(&self) -> impl Iterator<Item = &InstructionError> {
        let written = self.up.iter().chain(&self.down).flat_map(|entry| &entry.instructions);
        written.filter_map(|written| match written {
            Written::Good(_) => None,
            Written::Wrong(wrong) => Some(&wrong.error),
        })
    }

    /// Prints the appup as an `appup.toml` that parses back to the same value. Wrong instructions
    /// are printed verbatim.
    pub fn to_toml(&self) -> String {
        let mut printer = Printer::default();
        printer.field("app", self.app.as_str()).field("version", self.version.to_string());
        for entry in &self.up {
            print_entry(&mut printer, "[[up]]", "from", entry);
        }
        for entry in &self.down {
            print_entry(&mut printer, "[[down]]", "to", entry);
        }
        printer.finish()
    }
}

impl Written {
    /// Returns the keyword of the instruction, known or not, if it has one.
    pub(crate) fn word(&self) -> Option<&str> {
        match self {
            Self::Good(instruction) => Some(instruction.word()),
            Self::Wrong(wrong) => wrong.word.as_deref(),
        }
    }

    fn to_toml(&self) -> String {
        match self {
            Self::Good(instruction) => instr_print::instruction(instruction),
            Self::Wrong(wrong) => wrong.text.clone(),
        }
    }
}

impl From<Instruction> for Written {
    fn from(instruction: Instruction) -> Self {
        Self::Good(instruction)
    }
}

fn print_entry(printer: &mut Printer, header: &str, key: &str, entry: &Entry) {
    printer.header(header).field(key, entry.versions.to_string()).names("keep", &entry.keep);
    printer.line("instructions = [");
    for written in &entry.instructions {
        printer.line(&format!("  {},", written.to_toml()));
    }
    printer.line("]");
}

/// Finds a placeholder of a draft.
fn todo(node: &Node<'_>, place: &str) -> Option<Bad> {
    match node.get_ref() {
        DeValue::String(text) if text.starts_with(TODO) => {
            let message = format!("{place}: replace the placeholder {:?}", Quoted(text));
            Some(Bad { code: ErrorCode::Todo, value: text.as_ref().into(), fault: Fault::at(node, message) })
        }
        DeValue::Array(items) => items.iter().find_map(|item| todo(item, place)),
        DeValue::Table(table) => table.iter().find_map(|(_, item)| todo(item, place)),
        _ => None,
    }
}

/// The file that is read. Errors of wrong instructions quote its text.
struct File<'a> {
    path: &'a str,
    text: &'a str,
}

impl<'a> File<'a> {
    fn read(&self) -> Result<Appup, Fault> {
        let mut fields = Fields::document(self.text, &keys::APPUP)?;
        let app = fields.required("app", AppName::read)?;
        Ok(Appup {
            version: fields.required("version", Vsn::read)?,
            up: fields.or_default("up", read::list(|node| self.entry(node, &app, "up", &keys::APPUP_UP)))?,
            down: fields
                .or_default("down", read::list(|node| self.entry(node, &app, "down", &keys::APPUP_DOWN)))?,
            app,
        })
    }

    fn entry(&self, node: Node<'a>, app: &AppName, header: &str, table: &Table) -> Result<Entry, Fault> {
        let mut fields = Fields::of(node, table)?;
        let key = table.first();
        let versions = fields.required(key, VsnMatch::read)?;
        let place = format!("{app}, {header} {key} {versions}");
        Ok(Entry {
            instructions: fields
                .required("instructions", read::list(|node| Ok(self.written(node, &place))))?,
            keep: fields.or_default("keep", read::list(ModuleName::read))?,
            versions,
        })
    }

    fn written(&self, node: Node<'a>, place: &str) -> Written {
        match todo(&node, place).map_or_else(|| instr_read::instruction(node.clone()), Err) {
            Ok(instruction) => Written::Good(instruction),
            Err(bad) => Written::Wrong(self.wrong(&node, &bad)),
        }
    }

    fn wrong(&self, node: &Node<'a>, bad: &Bad) -> WrongInstruction {
        let Bad { code, value, fault } = bad;
        WrongInstruction {
            word: instr_read::word_of(node),
            text: self.text[node.span()].to_owned(),
            error: InstructionError {
                code: *code,
                value: value.clone(),
                at: DocError::new(self.path, self.text, fault),
            },
        }
    }
}
