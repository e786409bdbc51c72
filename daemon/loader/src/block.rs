//! Checks the magic block and the module tables of a library, member by member, before any other
//! call.
//!
//! No more of a table is read than its `size` allows. The version and the size are read before the
//! members that depend on them. The result is a parsed form: a [`Table`] has all functions that its
//! behaviour needs, so later code need not check for null.

use std::collections::BTreeSet;
use std::ffi::c_void;
use std::mem::{self, MaybeUninit, offset_of};
use std::{ptr, slice};

use reld_abi as abi;
use reld_runtime::Behaviour;

use crate::error::Refusal;
use crate::ledger::Ledger;
use crate::wire;

/// The maximum number of modules. It is more than any app has, so a larger count is invalid.
const MODULES_MAX: usize = 4096;

pub(crate) type CallbackFn =
    unsafe extern "C" fn(*mut c_void, *const abi::Event, *mut abi::Outcome) -> abi::Verdict;
pub(crate) type CallbackManyFn =
    unsafe extern "C" fn(*mut c_void, *mut abi::Series, *mut abi::Outcome) -> abi::Verdict;
pub(crate) type AcceptsFn = unsafe extern "C" fn(u32, abi::Bytes, *mut abi::Exit) -> abi::Status;
pub(crate) type ExportFn = unsafe extern "C" fn(*const c_void, *mut abi::Buf, *mut abi::Exit) -> abi::Status;
pub(crate) type ImportFn = unsafe extern "C" fn(abi::Bytes, *mut *mut c_void, *mut abi::Exit) -> abi::Status;
pub(crate) type ChangeFn =
    unsafe extern "C" fn(abi::Bytes, abi::Bytes, abi::Bytes, *mut *mut c_void, *mut abi::Exit) -> abi::Status;
pub(crate) type ChangeDownFn =
    unsafe extern "C" fn(abi::Bytes, abi::Bytes, abi::Bytes, *mut abi::Buf, *mut abi::Exit) -> abi::Status;
pub(crate) type SchemaFn = unsafe extern "C" fn(*mut abi::Buf, *mut abi::Exit) -> abi::Status;
pub(crate) type FormatFn =
    unsafe extern "C" fn(u32, abi::Bytes, *mut abi::Buf, *mut abi::Exit) -> abi::Status;
pub(crate) type DropFn = unsafe extern "C" fn(*mut c_void);
/// The types of the functions that the loader calls itself. The fence handles their exceptions
/// (`fence.rs`).
pub(crate) type LoadFn = unsafe extern "C-unwind" fn(*const abi::Host) -> abi::Status;
pub(crate) type UnloadFn = unsafe extern "C-unwind" fn();

/// The beginning of the magic block in every version.
#[repr(C)]
struct Head {
    magic: [u8; 8],
    size: u32,
    abi_major: u32,
    abi_minor: u32,
}

const _: () = assert!(offset_of!(Head, size) == offset_of!(abi::App, size));
const _: () = assert!(offset_of!(Head, abi_minor) == offset_of!(abi::App, abi_minor));

/// A library's magic block after the check. Its functions may be called only while the library is
/// mapped.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) built_by: String,
    pub(crate) abi: (u32, u32),
    pub(crate) modules: Vec<Table>,
    pub(crate) load: LoadFn,
    pub(crate) unload: Option<UnloadFn>,
    /// The library's own counters of its allocations. `None` if the library does not count.
    pub(crate) ledger: Option<Ledger>,
}

/// A callback table with the functions that its behaviour needs.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) behaviour: Behaviour,
    pub(crate) callback: CallbackFn,
    /// `None` if the library takes events only one by one.
    pub(crate) callback_many: Option<CallbackManyFn>,
    pub(crate) accepts: AcceptsFn,
    /// `None` if the module has no schema, or if the library's ABI lacks this member.
    pub(crate) schema: Option<SchemaFn>,
    /// `None` if the module has no secrets to hide.
    pub(crate) format_status: Option<FormatFn>,
    /// `None` for behaviours that have no state of the app.
    pub(crate) state: Option<StateFns>,
}

/// The functions of a module that handle states.
#[derive(Debug)]
pub(crate) struct StateFns {
    pub(crate) export: ExportFn,
    pub(crate) import: ImportFn,
    pub(crate) change: ChangeFn,
    pub(crate) change_down: ChangeDownFn,
    pub(crate) drop: DropFn,
}

/// Checks a library's block against this daemon, and parses it.
///
/// # Safety
/// `block` is null, or was returned by the entry function of a library that stays mapped while the
/// result is used.
pub(crate) unsafe fn read(block: *const abi::App) -> Result<Block, Refusal> {
    if block.is_null() || !block.is_aligned() {
        return Err(wrong("address", format!("is {block:p}")));
    }
    // SAFETY: the caller's promise.
    let size = unsafe { check_head(block) }?;
    // SAFETY: the head, which was checked, has the size of the block.
    let app: abi::App = unsafe { read_table(block, size) };
    if app.flags & abi::FLAG_PANIC_UNWIND == 0 {
        return Err(Refusal::PanicAbort);
    }
    Ok(Block {
        // SAFETY: the caller's promise.
        name: unsafe { text("name", app.name) }?,
        // SAFETY: the caller's promise.
        version: unsafe { text("vsn", app.vsn) }?,
        // SAFETY: the caller's promise.
        built_by: unsafe { text("built_by", app.built_by) }?,
        abi: (app.abi_major, app.abi_minor),
        // SAFETY: the caller's promise.
        modules: unsafe { tables(app.modules, app.module_count) }?,
        load: app.load.map(unwinding_load).ok_or_else(|| wrong("load", "is null".into()))?,
        unload: app.unload.map(unwinding_unload),
        ledger: Ledger::new(app.usage, app.usage_count)?,
    })
}

fn unwinding_load(load: unsafe extern "C" fn(*const abi::Host) -> abi::Status) -> LoadFn {
    // SAFETY: the types differ only in the treatment of exceptions.
    unsafe { mem::transmute::<unsafe extern "C" fn(*const abi::Host) -> abi::Status, LoadFn>(load) }
}

fn unwinding_unload(unload: unsafe extern "C" fn()) -> UnloadFn {
    // SAFETY: as above.
    unsafe { mem::transmute::<unsafe extern "C" fn(), UnloadFn>(unload) }
}

/// Checks the members that define the format of the other members, in their order. Returns the size
/// of the block.
///
/// # Safety
/// As for [`read`]; `block` is not null.
unsafe fn check_head(block: *const abi::App) -> Result<u32, Refusal> {
    // SAFETY: a block of any version begins with these members.
    let Head { magic, size, abi_major, abi_minor } = unsafe { block.cast::<Head>().read() };
    if magic != abi::MAGIC {
        return Err(wrong("magic", format!("is {:?}", String::from_utf8_lossy(&magic))));
    }
    check_version(abi_major, abi_minor)?;
    check_size(size, APP_SIZE_LEAST).map_err(|problem| wrong("size", problem))?;
    Ok(size)
}

/// Refuses another major version. Also refuses a newer minor version, because the library may call
/// functions that this daemon does not offer.
fn check_version(major: u32, minor: u32) -> Result<(), Refusal> {
    let field = match (major, minor) {
        (abi::ABI_MAJOR, ..=abi::ABI_MINOR) => return Ok(()),
        (abi::ABI_MAJOR, _) => "abi_minor",
        _ => "abi_major",
    };
    let daemon = format!("{}.{}", abi::ABI_MAJOR, abi::ABI_MINOR);
    Err(Refusal::Abi { field, library: format!("{major}.{minor}"), daemon })
}

/// The size of the block in ABI 1.0.
const APP_SIZE_LEAST: usize = offset_of!(abi::App, usage);

/// The size of a module's table in ABI 1.0.
const MODULE_SIZE_LEAST: usize = offset_of!(abi::Module, schema);

/// Refuses a table that is smaller than in ABI 1.0. A table may be larger than the daemon's, whose
/// reader skips the further members.
fn check_size(size: u32, least: usize) -> Result<(), String> {
    if size as usize >= least { Ok(()) } else { Err(format!("is {size}, less than the {least} of ABI 1.0")) }
}

/// # Safety
/// As for [`read`]; `bytes` is a member of the library's block.
unsafe fn text(field: &'static str, bytes: abi::Bytes) -> Result<String, Refusal> {
    // SAFETY: the caller's promise.
    let text = unsafe { wire::borrow_str(bytes) }.map_err(|problem| wrong(field, format!("is {problem}")))?;
    Ok(text.to_owned())
}

/// # Safety
/// As for [`read`]; `tables` and `count` are the members `modules` and `module_count` of the block.
unsafe fn tables(tables: *const *const abi::Module, count: usize) -> Result<Vec<Table>, Refusal> {
    if count > MODULES_MAX || (count > 0 && (tables.is_null() || !tables.is_aligned())) {
        return Err(wrong("modules", format!("are {count} at {tables:p}")));
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the block declares `count` pointers, which is a plausible number.
    let tables = unsafe { slice::from_raw_parts(tables, count) };
    let mut names = BTreeSet::new();
    let mut parsed = Vec::with_capacity(count);
    for (index, &table) in tables.iter().enumerate() {
        // SAFETY: the caller's promise.
        let table = unsafe { self::table(index, table) }?;
        if !names.insert(table.name.clone()) {
            return Err(bad(&table.name, "another module of the library has that name"));
        }
        parsed.push(table);
    }
    Ok(parsed)
}

/// # Safety
/// As for [`read`]; `table` is one of the library's.
unsafe fn table(index: usize, table: *const abi::Module) -> Result<Table, Refusal> {
    let place = format!("number {index}");
    if table.is_null() || !table.is_aligned() {
        return Err(bad(&place, &format!("its table is at {table:p}")));
    }
    // SAFETY: every table of every version begins with its size.
    let size = unsafe { (*table).size };
    check_size(size, MODULE_SIZE_LEAST).map_err(|problem| bad(&place, &format!("its size {problem}")))?;
    // SAFETY: the table has that size.
    let table: abi::Module = unsafe { read_table(table, size) };
    // SAFETY: the caller's promise.
    let name = unsafe { wire::borrow_str(table.name) }
        .map_err(|problem| bad(&place, &format!("its name is {problem}")))?;
    parse(name, &table)
}

/// A table that may be larger or smaller than the daemon's version of it.
///
/// # Safety
/// Every member is a number, a pointer or an optional function, all of which may be zero.
unsafe trait Grows: Sized {}

// SAFETY: see its members.
unsafe impl Grows for abi::App {}
// SAFETY: see its members.
unsafe impl Grows for abi::Module {}

/// Reads the part of a table that exists. The remaining members are zero.
///
/// # Safety
/// There are `size` bytes at `table`, and they are a table of some version.
unsafe fn read_table<T: Grows>(table: *const T, size: u32) -> T {
    let mut read = MaybeUninit::<T>::zeroed();
    let size = (size as usize).min(size_of::<T>());
    // SAFETY: the caller's promise, and no more than fits.
    unsafe { ptr::copy_nonoverlapping(table.cast::<u8>(), read.as_mut_ptr().cast::<u8>(), size) };
    // SAFETY: the remaining bytes are zero, which `Grows` allows.
    unsafe { read.assume_init() }
}

fn parse(name: &str, table: &abi::Module) -> Result<Table, Refusal> {
    let behaviour = behaviour(table.behaviour)
        .ok_or_else(|| bad(name, &format!("{} is not a behaviour", table.behaviour)))?;
    let state = match behaviour {
        Behaviour::Supervisor | Behaviour::Task => None,
        _ => Some(state_fns(name, table)?),
    };
    Ok(Table {
        name: name.to_owned(),
        behaviour,
        callback: needed(name, "callback", table.callback)?,
        callback_many: table.callback_many,
        accepts: needed(name, "accepts", table.accepts)?,
        schema: table.schema,
        format_status: table.format_status,
        state,
    })
}

fn state_fns(name: &str, table: &abi::Module) -> Result<StateFns, Refusal> {
    Ok(StateFns {
        export: needed(name, "export_state", table.export_state)?,
        import: needed(name, "import_state", table.import_state)?,
        change: needed(name, "change_code", table.change_code)?,
        change_down: needed(name, "change_code_down", table.change_code_down)?,
        drop: needed(name, "drop_state", table.drop_state)?,
    })
}

fn behaviour(number: u32) -> Option<Behaviour> {
    match number {
        abi::BEHAVIOUR_GEN_SERVER => Some(Behaviour::GenServer),
        abi::BEHAVIOUR_SUPERVISOR => Some(Behaviour::Supervisor),
        abi::BEHAVIOUR_APPLICATION => Some(Behaviour::Application),
        abi::BEHAVIOUR_TASK => Some(Behaviour::Task),
        abi::BEHAVIOUR_GEN_STATEM => Some(Behaviour::GenStatem),
        abi::BEHAVIOUR_GEN_EVENT => Some(Behaviour::GenEvent),
        abi::BEHAVIOUR_EVENT_HANDLER => Some(Behaviour::EventHandler),
        _ => None,
    }
}

fn needed<F>(module: &str, member: &str, function: Option<F>) -> Result<F, Refusal> {
    function.ok_or_else(|| bad(module, &format!("its {member} is null")))
}

fn wrong(field: &'static str, problem: String) -> Refusal {
    Refusal::Block { field, problem }
}

fn bad(module: &str, problem: &str) -> Refusal {
    Refusal::Module { module: module.to_owned(), problem: problem.to_owned() }
}
