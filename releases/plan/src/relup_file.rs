//! `relup.toml`: scripts from one release to others and back, written or reviewed by a person
//! (OTP's `relup`).
//!
//! It is stored with the newer release and serves both directions. If it has an entry for a pair of
//! releases, that entry is the plan, and the appups are ignored.

use crate::doc_error::DocError;
use crate::instr::{Apply, Instruction, LowLevel, Mode};
use crate::instr_print;
use crate::instr_read;
use crate::keys::{self, Table};
use crate::name::{AppName, ModuleName};
use crate::print::Printer;
use crate::read::{self, Fault, Fields, Node};
use crate::rel::StartType;
use crate::relup::Relup;
use crate::version::Vsn;

/// The scripts of one release.
#[derive(Debug, Clone, PartialEq)]
pub struct RelupFile {
    /// The version of the release with this file.
    pub version: Vsn,
    /// Scripts for upgrades from other releases.
    pub up: Vec<RelupEntry>,
    /// Scripts for downgrades to other releases.
    pub down: Vec<RelupEntry>,
}

/// The script for one other release.
#[derive(Debug, Clone, PartialEq)]
pub struct RelupEntry {
    /// The other release: `from` of an up entry, `to` of a down entry.
    pub other: Vsn,
    /// The instructions, in order.
    pub instructions: Vec<LowLevel>,
    /// Modules that stay on the old library although no instruction names them.
    pub keep: Vec<ModuleName>,
}

impl RelupFile {
    /// Parses a `relup.toml`. `path` is only shown in errors.
    ///
    /// # Errors
    /// The first mistake, with its place. An instruction that is not low-level is a mistake too.
    pub fn parse(path: &str, text: &str) -> Result<Self, DocError> {
        read_file(text).map_err(|fault| DocError::new(path, text, &fault))
    }

    /// Returns the script for an upgrade from another release or a downgrade to it.
    pub fn entry(&self, mode: Mode, other: &Vsn) -> Option<&RelupEntry> {
        let entries = match mode {
            Mode::Up => &self.up,
            Mode::Down => &self.down,
        };
        entries.iter().find(|entry| entry.other == *other)
    }

    /// Prints the scripts as a `relup.toml` that parses back to the same value.
    pub fn to_toml(&self) -> String {
        let mut printer = Printer::default();
        printer.field("version", self.version.to_string());
        for entry in &self.up {
            print_entry(&mut printer, "[[up]]", "from", entry);
        }
        for entry in &self.down {
            print_entry(&mut printer, "[[down]]", "to", entry);
        }
        printer.finish()
    }
}

impl From<Relup> for RelupEntry {
    /// Converts the translated appups, without their reasons. The kind of an `update` is lost, but
    /// the code change of a supervisor calls its init in any case.
    fn from(relup: Relup) -> Self {
        let other = match relup.mode {
            Mode::Up => relup.from,
            Mode::Down => relup.to,
        };
        let instructions = relup.lines.into_iter().map(|line| line.instruction).collect();
        Self { other, instructions, keep: relup.keep }
    }
}

fn print_entry(printer: &mut Printer, header: &str, key: &str, entry: &RelupEntry) {
    printer.header(header).field(key, entry.other.to_string()).names("keep", &entry.keep);
    printer.line("instructions = [");
    for instruction in &entry.instructions {
        printer.line(&format!("  {},", instr_print::low_level(instruction)));
    }
    printer.line("]");
}

fn read_file(text: &str) -> Result<RelupFile, Fault> {
    let mut fields = Fields::document(text, &keys::RELUP)?;
    Ok(RelupFile {
        version: fields.required("version", Vsn::read)?,
        up: fields.or_default("up", read::list(|node| read_entry(node, &keys::RELUP_UP)))?,
        down: fields.or_default("down", read::list(|node| read_entry(node, &keys::RELUP_DOWN)))?,
    })
}

fn read_entry(node: Node<'_>, table: &Table) -> Result<RelupEntry, Fault> {
    let mut fields = Fields::of(node, table)?;
    Ok(RelupEntry {
        other: fields.required(table.first(), Vsn::read)?,
        instructions: fields.required("instructions", read_instructions)?,
        keep: fields.or_default("keep", read::list(ModuleName::read))?,
    })
}

/// Reads the instructions, with restarts only at their places. OTP: a restart elsewhere is an
/// `illegal_instruction_after_point_of_no_return`.
fn read_instructions(node: Node<'_>) -> Result<Vec<LowLevel>, Fault> {
    let at = node.clone();
    let instructions = read::list(read_instruction)(node)?;
    let last = instructions.len().saturating_sub(1);
    let place = |(number, instruction): (usize, &LowLevel)| match instruction {
        LowLevel::RestartNewDaemon if number > 0 => Some("`restart_new_daemon` can only be the first"),
        LowLevel::RestartDaemon if number < last => Some("`restart_daemon` can only be the last"),
        _ => None,
    };
    match instructions.iter().enumerate().find_map(place) {
        Some(rule) => Err(Fault::at(&at, format!("{rule} instruction of a relup"))),
        None => Ok(instructions),
    }
}

fn read_instruction(node: Node<'_>) -> Result<LowLevel, Fault> {
    let at = node.clone();
    match instr_read::instruction(node).map_err(|bad| bad.fault)? {
        Instruction::Low(LowLevel::Apply(call)) => Ok(generated(call)),
        Instruction::Low(instruction) => Ok(instruction),
        Instruction::High(instruction) => {
            let word = instruction.word();
            let message = format!(
                "`{word}` is for an appup; a relup needs its translation, as printed by `relctl plan --relup`"
            );
            Err(Fault::at(&at, message))
        }
    }
}

/// Converts a call of `application` into the low-level instruction that is printed as this call. In
/// OTP, both are the same term.
fn generated(call: Apply) -> LowLevel {
    let app = |at: usize| call.args.get(at)?.as_str().and_then(|name| AppName::new(name).ok());
    let start_type = || {
        let word = call.args.get(1)?.as_str()?;
        StartType::WORDS.iter().find(|(name, _)| *name == word).map(|(_, start_type)| *start_type)
    };
    let instruction = match (call.module.as_str(), call.function.as_str(), call.args.len()) {
        ("application", "start", 2) => {
            app(0).zip(start_type()).map(|(app, start_type)| LowLevel::StartApplication { app, start_type })
        }
        ("application", "load", 1) => app(0).map(|app| LowLevel::LoadApplication { app }),
        ("application", "stop", 1) => app(0).map(|app| LowLevel::StopApplication { app }),
        ("application", "unload", 1) => app(0).map(|app| LowLevel::UnloadApplication { app }),
        _ => None,
    };
    instruction.unwrap_or(LowLevel::Apply(call))
}
