//! Reads one instruction of an appup.
//!
//! The parts of an instruction are checked as in OTP: the checks have OTP's names (`bad_module`,
//! `bad_purge_method`, ...) and OTP's order, so that the same one of several mistakes is reported.

use reld_error_codes::ErrorCode;
use serde_json::Value;
use toml::de::DeValue;

use crate::instr::{
    Apply, Change, CodeChange, HighLevel, Instruction, LowLevel, ModType, Mode, PurgeMethod, PurgeWords,
    Suspend, SyncWith, Timeout,
};
use crate::keys::{ADVANCED, CODE_CHANGED, INSTRUCTIONS, SUSPENDED, Table, UNDO};
use crate::name::{AppName, ModuleName};
use crate::quote::Quoted;
use crate::read::{self, Fault, Fields, Node, ticked};
use crate::rel::StartType;
use crate::version::Vsn;

/// A mistake in an instruction: its code, the wrong value and its place.
#[derive(Debug)]
pub(crate) struct Bad {
    pub(crate) code: ErrorCode,
    pub(crate) value: Value,
    pub(crate) fault: Fault,
}

type Read<T> = Result<T, Bad>;

/// The instructions written as a bare keyword.
const WORDS: [(&str, LowLevel); 3] = [
    ("point_of_no_return", LowLevel::PointOfNoReturn),
    ("restart_new_daemon", LowLevel::RestartNewDaemon),
    ("restart_daemon", LowLevel::RestartDaemon),
];

/// Returns the keyword of an instruction that may have other mistakes.
pub(crate) fn word_of(node: &Node<'_>) -> Option<String> {
    match node.get_ref() {
        DeValue::String(word) => Some(word.clone().into_owned()),
        DeValue::Table(_) => table_of(&Fields::any(node.clone()).ok()?).map(|table| table.first().to_owned()),
        _ => None,
    }
}

/// Finds the instruction's keyword among its keys: no keyword is also a key of another instruction.
fn table_of(fields: &Fields<'_>) -> Option<Table> {
    fields.keys().find_map(|(key, _)| INSTRUCTIONS.into_iter().find(|table| table.first() == key))
}

/// Reads one instruction.
pub(crate) fn instruction(node: Node<'_>) -> Read<Instruction> {
    match node.get_ref() {
        DeValue::String(_) => bare_word(node).map(Instruction::Low),
        _ => table(node),
    }
}

fn bare_word(node: Node<'_>) -> Read<LowLevel> {
    let word = read::string(node.clone()).map_err(|fault| bad(ErrorCode::BadInstruction, &node, fault))?;
    if word == "mnesia_backup" {
        let fault = Fault::at(&node, "mnesia_backup is not implemented, as in OTP");
        return Err(bad(ErrorCode::NotYetImplemented, &node, fault));
    }
    let known = WORDS.into_iter().find(|(name, _)| *name == word);
    known.map(|(_, instruction)| instruction).ok_or_else(|| {
        let words = WORDS.map(|(word, _)| word);
        let fault =
            Fault::at(&node, format!("unknown instruction {:?}; allowed: {}", Quoted(&word), ticked(&words)));
        bad(ErrorCode::BadInstruction, &node, fault)
    })
}

fn table(node: Node<'_>) -> Read<Instruction> {
    let whole = |fault: Fault| bad(ErrorCode::BadInstruction, &node, fault);
    let mut fields = Fields::any(node.clone()).map_err(whole)?;
    let Some(table) = table_of(&fields) else {
        return Err(whole(unknown(&node, &fields)));
    };
    fields.only(table.keys).map_err(whole)?;
    let word = table.first();
    let mut parts = Parts { whole: &node, fields: &mut fields };
    let instruction = match high(word, &mut parts)? {
        Some(high) => Instruction::High(high),
        None => Instruction::Low(low(word, &mut parts)?),
    };
    // A sync_nodes has either nodes or a call.
    fields.only(&[]).map_err(whole)?;
    Ok(instruction)
}

fn unknown(node: &Node<'_>, fields: &Fields<'_>) -> Fault {
    let words = ticked(&INSTRUCTIONS.map(|table| table.first()));
    match fields.keys().next() {
        Some((key, span)) => {
            Fault { span, message: format!("unknown instruction `{}`; allowed: {words}", Quoted(key)) }
        }
        None => Fault::at(node, format!("expected an instruction: {words}")),
    }
}

fn high(word: &str, parts: &mut Parts<'_, '_>) -> Read<Option<HighLevel>> {
    Ok(Some(match word {
        "update" => update(parts)?,
        "load_module" => HighLevel::LoadModule {
            module: parts.of(word, module)?,
            purge: parts.purge()?,
            deps: parts.or_default("deps", modules)?,
        },
        "add_module" => {
            HighLevel::AddModule { module: parts.of(word, module)?, deps: parts.or_default("deps", modules)? }
        }
        "delete_module" => HighLevel::DeleteModule {
            module: parts.of(word, module)?,
            deps: parts.or_default("deps", modules)?,
        },
        "add_application" => HighLevel::AddApplication {
            app: parts.of(word, application)?,
            start_type: parts.or_default("type", start_type)?,
        },
        "remove_application" => HighLevel::RemoveApplication { app: parts.of(word, application)? },
        "restart_application" => HighLevel::RestartApplication { app: parts.of(word, application)? },
        _ => return Ok(None),
    }))
}

fn update(parts: &mut Parts<'_, '_>) -> Read<HighLevel> {
    let module = parts.of("update", module)?;
    let mod_type = parts.optional("mod_type", mod_type)?;
    let timeout = parts.or_default("timeout", timeout)?;
    let change = parts.or_default("change", change)?;
    let purge = parts.purge()?;
    let deps = parts.or_default("deps", modules)?;
    Ok(HighLevel::Update { module, change, mod_type, timeout, purge, deps })
}

fn low(word: &str, parts: &mut Parts<'_, '_>) -> Read<LowLevel> {
    Ok(match word {
        "load_object_code" => LowLevel::LoadObjectCode {
            app: parts.of("app", library)?,
            vsn: parts.of("vsn", library_vsn)?,
            modules: parts.of(word, modules)?,
        },
        "load" => LowLevel::Load { module: parts.of(word, module)?, purge: parts.purge()? },
        "remove" => LowLevel::Remove { module: parts.of(word, module)?, purge: parts.purge()? },
        "purge" => LowLevel::Purge { modules: parts.of(word, modules)? },
        "suspend" => LowLevel::Suspend { modules: parts.of(word, |node| each(node, suspend))? },
        "resume" => LowLevel::Resume { modules: parts.of(word, modules)? },
        "stop" => LowLevel::Stop { modules: parts.of(word, modules)? },
        "start" => LowLevel::Start { modules: parts.of(word, modules)? },
        "code_change" => {
            // OTP checks the list before the mode, and the items of the list after the mode.
            let nodes = parts.of(word, |node| part(ErrorCode::BadList, node, read::nodes))?;
            let mode = parts.or_default("mode", mode)?;
            LowLevel::CodeChange { mode, modules: nodes.into_iter().map(code_change).collect::<Read<_>>()? }
        }
        "apply" => LowLevel::Apply(apply(word, parts)?),
        _ => LowLevel::SyncNodes { id: parts.of("sync_nodes", data)?, with: sync_with(parts)? },
    })
}

fn apply(key: &str, parts: &mut Parts<'_, '_>) -> Read<Apply> {
    let (module, function) = parts.of(key, call)?;
    let args = parts.or_default("args", arguments)?;
    let undo = parts.optional("undo", undo)?.map(Box::new);
    Ok(Apply { module, function, args, undo })
}

fn undo(node: Node<'_>) -> Read<Apply> {
    let whole = |fault: Fault| bad(ErrorCode::BadInstruction, &node, fault);
    let mut fields = Fields::of(node.clone(), &UNDO).map_err(whole)?;
    apply("apply", &mut Parts { whole: &node, fields: &mut fields })
}

fn sync_with(parts: &mut Parts<'_, '_>) -> Read<SyncWith> {
    match parts.fields.take("nodes") {
        Some(node) => each(node, node_name).map(SyncWith::Nodes),
        None => apply("from", parts).map(SyncWith::From),
    }
}

/// The parts of one instruction, to be read in order.
struct Parts<'p, 'a> {
    whole: &'p Node<'a>,
    fields: &'p mut Fields<'a>,
}

impl<'a> Parts<'_, 'a> {
    fn of<T>(&mut self, key: &str, read: impl FnOnce(Node<'a>) -> Read<T>) -> Read<T> {
        let node = self.fields.take_required(key);
        read(node.map_err(|fault| bad(ErrorCode::BadInstruction, self.whole, fault))?)
    }

    fn optional<T>(&mut self, key: &str, read: impl FnOnce(Node<'a>) -> Read<T>) -> Read<Option<T>> {
        self.fields.take(key).map(read).transpose()
    }

    fn or_default<T: Default>(&mut self, key: &str, read: impl FnOnce(Node<'a>) -> Read<T>) -> Read<T> {
        Ok(self.optional(key, read)?.unwrap_or_default())
    }

    fn purge(&mut self) -> Read<PurgeWords> {
        let pre = self.optional("pre_purge", purge_method)?;
        let post = self.optional("post_purge", purge_method)?;
        Ok(PurgeWords { pre, post })
    }
}

fn bad(code: ErrorCode, node: &Node<'_>, fault: Fault) -> Bad {
    // A value without a JSON form (a number beyond 64 bits) becomes null; the message quotes it.
    let value = read::data(node.clone()).unwrap_or_default();
    Bad { code, value, fault }
}

/// Reads a part; all its mistakes have the same code.
fn part<'a, T>(code: ErrorCode, node: Node<'a>, read: impl FnOnce(Node<'a>) -> Result<T, Fault>) -> Read<T> {
    read(node.clone()).map_err(|fault| bad(code, &node, fault))
}

fn each<'a, T>(node: Node<'a>, read: impl Fn(Node<'a>) -> Read<T>) -> Read<Vec<T>> {
    part(ErrorCode::BadList, node, read::nodes)?.into_iter().map(read).collect()
}

fn module(node: Node<'_>) -> Read<ModuleName> {
    part(ErrorCode::BadModule, node, ModuleName::read)
}

fn modules(node: Node<'_>) -> Read<Vec<ModuleName>> {
    each(node, module)
}

fn application(node: Node<'_>) -> Read<AppName> {
    part(ErrorCode::BadApplication, node, AppName::read)
}

fn library(node: Node<'_>) -> Read<AppName> {
    part(ErrorCode::BadLib, node, AppName::read)
}

fn library_vsn(node: Node<'_>) -> Read<Vsn> {
    part(ErrorCode::BadLibVsn, node, Vsn::read)
}

fn node_name(node: Node<'_>) -> Read<String> {
    part(ErrorCode::BadNode, node, read::string)
}

fn data(node: Node<'_>) -> Read<Value> {
    part(ErrorCode::BadInstruction, node, read::data)
}

fn arguments(node: Node<'_>) -> Read<Vec<Value>> {
    part(ErrorCode::BadArgsList, node, read::list(read::data))
}

fn start_type(node: Node<'_>) -> Read<StartType> {
    part(ErrorCode::BadStartType, node, read::word(&StartType::WORDS))
}

fn mod_type(node: Node<'_>) -> Read<ModType> {
    part(ErrorCode::BadModType, node, read::word(&ModType::WORDS))
}

fn purge_method(node: Node<'_>) -> Read<PurgeMethod> {
    part(ErrorCode::BadPurgeMethod, node, read::word(&PurgeMethod::WORDS))
}

fn mode(node: Node<'_>) -> Read<Mode> {
    part(ErrorCode::BadMode, node, read::word(&Mode::WORDS))
}

fn timeout(node: Node<'_>) -> Read<Timeout> {
    part(ErrorCode::BadTimeout, node, read_timeout)
}

fn read_timeout(node: Node<'_>) -> Result<Timeout, Fault> {
    let ms = match node.get_ref() {
        DeValue::Integer(int) => {
            i64::from_str_radix(int.as_str(), int.radix()).ok().and_then(|ms| ms.try_into().ok())
        }
        DeValue::String(text) if text == "default" => return Ok(Timeout::Default),
        DeValue::String(text) if text == "infinity" => return Ok(Timeout::Infinity),
        DeValue::String(text) => duration_ms(text),
        _ => None,
    };
    let allowed = "a time-out is milliseconds above 0, \"100ms\", \"5s\", \"infinity\" or \"default\"";
    ms.filter(|ms| *ms > 0).map(Timeout::Ms).ok_or_else(|| Fault::at(&node, allowed))
}

fn duration_ms(text: &str) -> Option<u64> {
    let (digits, unit_ms) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 1),
        None => (text.strip_suffix('s')?, 1000),
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse::<u64>().ok().filter(|_| plain)?.checked_mul(unit_ms)
}

fn change(node: Node<'_>) -> Read<Change> {
    part(ErrorCode::BadChange, node, read_change)
}

fn read_change(node: Node<'_>) -> Result<Change, Fault> {
    let allowed = "\"soft\", \"supervisor\" or { advanced = DATA }";
    match node.get_ref() {
        DeValue::String(word) if word == "soft" => Ok(Change::Soft),
        DeValue::String(word) if word == "supervisor" => Ok(Change::Supervisor),
        DeValue::String(word) => {
            Err(Fault::at(&node, format!("unknown word {:?}; allowed: {allowed}", Quoted(word))))
        }
        DeValue::Table(_) => {
            Fields::of(node, &ADVANCED)?.required("advanced", read::data).map(Change::Advanced)
        }
        _ => Err(Fault::at(&node, format!("expected {allowed}"))),
    }
}

fn suspend(node: Node<'_>) -> Read<Suspend> {
    if matches!(node.get_ref(), DeValue::String(_)) {
        return Ok(Suspend { module: module(node)?, timeout: Timeout::Default });
    }
    let mut fields = part(ErrorCode::BadModule, node.clone(), |node| Fields::of(node, &SUSPENDED))?;
    let named = part(ErrorCode::BadModule, node, |_| fields.take_required("module"))?;
    let module = module(named)?;
    let timeout = fields.take("timeout").map(timeout).transpose()?.unwrap_or_default();
    Ok(Suspend { module, timeout })
}

fn code_change(node: Node<'_>) -> Read<CodeChange> {
    part(ErrorCode::BadCodeChange, node.clone(), pair)?;
    let mut fields = part(ErrorCode::BadCodeChange, node.clone(), Fields::any)?;
    let mut parts = Parts { whole: &node, fields: &mut fields };
    Ok(CodeChange { module: parts.of("module", module)?, extra: parts.of("extra", data)? })
}

/// Checks that an element of a code_change has exactly its two parts.
fn pair(node: Node<'_>) -> Result<(), Fault> {
    let mut fields = Fields::of(node, &CODE_CHANGED)?;
    fields.take_required("module")?;
    fields.take_required("extra")?;
    Ok(())
}

fn call(node: Node<'_>) -> Read<(ModuleName, String)> {
    let text = part(ErrorCode::BadFunc, node.clone(), read::string)?;
    let form =
        || bad(ErrorCode::BadFunc, &node, Fault::at(&node, "a function is written \"module:function\""));
    let (module, function) = text.split_once(':').ok_or_else(form)?;
    let module = ModuleName::new(module)
        .map_err(|error| bad(ErrorCode::BadModule, &node, Fault::at(&node, error.to_string())))?;
    if is_function(function) { Ok((module, function.to_owned())) } else { Err(form()) }
}

fn is_function(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
