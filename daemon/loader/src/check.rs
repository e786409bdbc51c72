//! Checks a library's file without running any of its code.
//!
//! Files are refused if they would fail late or silently, or would change the whole OS process.
//! Reasons are another target, static TLS, libraries that the private copy would not find,
//! undefined symbols, writable code, and executable stacks. The check reads the bytes that become
//! the private copy, so the file cannot change between the check and the copy.

use std::ffi::CString;
use std::ptr;

use libloading::os::unix::{Library as Handle, RTLD_LAZY, RTLD_LOCAL};
use object::elf;
use object::endian::LittleEndian;
use object::read::elf::{Dyn, DynamicTable, ElfFile64, FileHeader, ProgramHeader};
use object::{Object, ObjectSymbol};

use reld_abi as abi;

use crate::error::Refusal;
use crate::keepers::keepers;
use crate::routines::Lifetime;

type File<'data> = ElfFile64<'data, LittleEndian>;
pub(crate) type Header = elf::FileHeader64<LittleEndian>;
type ElfSymbol<'data> = object::read::elf::ElfSymbol64<'data, 'data, LittleEndian>;

/// The machine of the libraries. No file is for `EM_NONE`, so a daemon for an unknown machine
/// refuses all libraries.
const MACHINE: elf::Machine = if cfg!(target_arch = "x86_64") {
    elf::EM_X86_64
} else if cfg!(target_arch = "aarch64") {
    elf::EM_AARCH64
} else {
    elf::EM_NONE
};

/// The libraries that every OS process maps only once, under one name. They are all parts of glibc,
/// and the runtime libraries of compilers.
const SHARED: [&str; 13] = [
    "libc.so.6",
    "libm.so.6",
    "libmvec.so.1",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libutil.so.1",
    "libresolv.so.2",
    "libanl.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
    "libgcc_s.so.1",
    "libstdc++.so.6",
];

/// The facts that the check has read from the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The GNU build id.
    pub(crate) build_id: Vec<u8>,
    /// The address of the build id, relative to the image's base.
    pub(crate) build_id_address: u64,
    /// The address of the entry function, relative to the image's base.
    pub(crate) entry_address: u64,
    /// The size of the image in the address space, from its base.
    pub(crate) size: u64,
    /// The names of the libraries that it needs.
    pub(crate) needed: Vec<String>,
    /// Whether the file imports the function that raises panics. Rust code that was built with
    /// panic=abort does not import it.
    pub(crate) raises: bool,
    /// Its constructors and destructors.
    pub(crate) lifetime: Lifetime,
    /// The reason why the library stays mapped when it is purged, if the file shows one.
    pub(crate) stays: Option<String>,
}

/// Checks a library's file without running any of its code. Every load begins with this check.
///
/// # Errors
/// All [`Refusal`]s that depend only on the file.
pub fn check_file(bytes: &[u8]) -> Result<(), Refusal> {
    check(bytes).map(drop)
}

/// Returns the reason why a library will stay mapped when it is purged, if its file shows one.
///
/// # Errors
/// [`Refusal::Damaged`].
pub fn stays_mapped(bytes: &[u8]) -> Result<Option<String>, Refusal> {
    Ok(stays(&File::parse(bytes).map_err(damaged)?))
}

/// Checks a library's bytes.
pub(crate) fn check(bytes: &[u8]) -> Result<Facts, Refusal> {
    check_kind(bytes)?;
    let file = File::parse(bytes).map_err(damaged)?;
    check_target(&file)?;
    check_segments(&file)?;
    check_stack(&file)?;
    let dynamic = file.elf_dynamic_table().map_err(damaged)?;
    check_flags(&dynamic)?;
    check_unique(&file)?;
    let needed = needed(&dynamic)?;
    check_undefined(&file, &needed)?;
    let (build_id, build_id_address) = build_id(&file)?.ok_or(Refusal::NoBuildId)?;
    let size = size(&file);
    Ok(Facts {
        build_id,
        build_id_address,
        entry_address: entry(&file)?,
        size,
        needed,
        raises: undefined(&file).contains(&"_Unwind_RaiseException"),
        lifetime: Lifetime::read(&dynamic, size)?,
        stays: stays(&file),
    })
}

/// Clears the flag `DF_1_NODELETE` in checked bytes, because the daemon decides whether a library
/// stays mapped.
pub(crate) fn clear_nodelete(bytes: &mut [u8]) -> Result<(), Refusal> {
    let Some(at) = flags_1_at(bytes)? else { return Ok(()) };
    // Little endian: the flag is in the value's lowest byte.
    bytes[at] &= !(elf::DF_1_NODELETE.0 as u8);
    Ok(())
}

/// Checks the first bytes of the header, which define the format of all other bytes.
fn check_kind(bytes: &[u8]) -> Result<(), Refusal> {
    let ident =
        bytes.get(..elf::ELFMAG.len() + 2).ok_or_else(|| Refusal::Damaged("it is too short".into()))?;
    if !ident.starts_with(&elf::ELFMAG) {
        return Err(Refusal::Damaged("it does not begin with the ELF magic".into()));
    }
    equal("class", ident[4], elf::ELFCLASS64.0)?;
    equal("byte order", ident[5], elf::ELFDATA2LSB.0)
}

fn check_target(file: &File<'_>) -> Result<(), Refusal> {
    let header = file.elf_header();
    equal("machine", machine(header.e_machine(LittleEndian)), machine(MACHINE))?;
    equal("type", header.e_type(LittleEndian).0, elf::ET_DYN.0)
}

fn machine(machine: elf::Machine) -> String {
    match machine {
        elf::EM_X86_64 => "x86-64".to_owned(),
        elf::EM_AARCH64 => "aarch64".to_owned(),
        elf::Machine(number) => number.to_string(),
    }
}

fn equal<T: PartialEq + ToString>(field: &'static str, found: T, expected: T) -> Result<(), Refusal> {
    if found == expected {
        return Ok(());
    }
    Err(Refusal::Target { field, found: found.to_string(), expected: expected.to_string() })
}

/// Checks that the file contains all its segments. Accessing a page that is mapped beyond the end
/// of a file would raise SIGBUS.
fn check_segments(file: &File<'_>) -> Result<(), Refusal> {
    for segment in file.elf_program_headers() {
        segment
            .data(LittleEndian, file.data())
            .map_err(|()| Refusal::Damaged("a segment lies beyond the end of the file".into()))?;
    }
    Ok(())
}

fn size(file: &File<'_>) -> u64 {
    let mapped =
        file.elf_program_headers().iter().filter(|header| header.p_type(LittleEndian) == elf::PT_LOAD);
    let ends = mapped.map(|header| header.p_vaddr(LittleEndian).saturating_add(header.p_memsz(LittleEndian)));
    ends.max().unwrap_or_default()
}

fn check_flags(dynamic: &DynamicTable<'_, Header>) -> Result<(), Refusal> {
    let has_flag = |flag| dynamic.iter().any(|entry| entry.tag == elf::DT_FLAGS && entry.val & flag != 0);
    if has_flag(elf::DF_STATIC_TLS.0) {
        return Err(Refusal::StaticTls);
    }
    if has_flag(elf::DF_TEXTREL.0) || dynamic.iter().any(|entry| entry.tag == elf::DT_TEXTREL) {
        return Err(Refusal::TextRelocations);
    }
    Ok(())
}

/// Refuses executable stacks. A file without the header for stacks gets executable stacks.
fn check_stack(file: &File<'_>) -> Result<(), Refusal> {
    let stack =
        file.elf_program_headers().iter().find(|header| header.p_type(LittleEndian) == elf::PT_GNU_STACK);
    let executable = stack.is_none_or(|stack| stack.p_flags(LittleEndian).0 & elf::PF_X.0 != 0);
    if executable { Err(Refusal::ExecutableStack) } else { Ok(()) }
}

fn check_unique(file: &File<'_>) -> Result<(), Refusal> {
    let is_unique = |symbol: &ElfSymbol<'_>| symbol.elf_symbol().st_bind() == elf::STB_GNU_UNIQUE;
    let unique = file.dynamic_symbols().find(|symbol| symbol.is_definition() && is_unique(symbol));
    match unique {
        Some(symbol) => Err(Refusal::Unique { symbol: symbol.name().unwrap_or_default().to_owned() }),
        None => Ok(()),
    }
}

/// Lists all missing symbols, because `dlopen` would report only the first one.
fn check_undefined(file: &File<'_>, needed: &[String]) -> Result<(), Refusal> {
    // SAFETY: these are libraries of the system, opened by name; most are mapped already.
    let open = |name: &String| unsafe { Handle::open(Some(name), RTLD_LAZY | RTLD_LOCAL) }.ok();
    let mut places: Vec<Handle> = vec![Handle::this()];
    places.extend(needed.iter().filter_map(open));
    let is_there = |name: &&str| {
        let Ok(name) = CString::new(*name) else { return false };
        // SAFETY: the address is not used.
        places.iter().any(|place| unsafe { place.get::<*const ()>(name.as_bytes_with_nul()) }.is_ok())
    };
    let missing: Vec<&str> = undefined(file).into_iter().filter(|name| !is_there(name)).collect();
    if missing.is_empty() { Ok(()) } else { Err(Refusal::Undefined { symbols: missing.join(", ") }) }
}

/// Returns the names of the symbols that other libraries must define.
fn undefined<'data>(file: &File<'data>) -> Vec<&'data str> {
    imports(file, |symbol| !symbol.is_weak())
}

/// Returns the names of the undefined symbols for which `is_wanted` returns true.
fn imports<'data>(file: &File<'data>, is_wanted: impl Fn(&ElfSymbol<'_>) -> bool) -> Vec<&'data str> {
    let imported = file.dynamic_symbols().filter(|symbol| symbol.is_undefined() && is_wanted(symbol));
    imported.filter_map(|symbol| symbol.name().ok()).filter(|name| !name.is_empty()).collect()
}

/// Returns the reason why a library stays mapped. Weak symbols count, because the library calls
/// them if they exist.
fn stays(file: &File<'_>) -> Option<String> {
    keepers(imports(file, |_| true))
}

fn entry(file: &File<'_>) -> Result<u64, Refusal> {
    file.dynamic_symbols()
        .find(|symbol| symbol.is_definition() && symbol.name() == Ok(abi::ENTRY_SYMBOL))
        .map(|symbol| symbol.address())
        .ok_or(Refusal::NoEntry)
}

fn needed(dynamic: &DynamicTable<'_, Header>) -> Result<Vec<String>, Refusal> {
    let entries = dynamic.iter().filter(|entry| entry.tag == elf::DT_NEEDED);
    entries.map(|entry| dynamic.string(entry).map_err(damaged).and_then(shared)).collect()
}

fn shared(library: &[u8]) -> Result<String, Refusal> {
    let library = String::from_utf8_lossy(library).into_owned();
    if SHARED.contains(&library.as_str()) { Ok(library) } else { Err(Refusal::Needs { library }) }
}

/// Returns the GNU build id and its address. Notes outside the mapped segments are ignored.
fn build_id(file: &File<'_>) -> Result<Option<(Vec<u8>, u64)>, Refusal> {
    for segment in file.elf_program_headers() {
        let Some(mut notes) = segment.notes(LittleEndian, file.data()).map_err(damaged)? else { continue };
        while let Some(note) = notes.next().map_err(damaged)? {
            if note.name() == elf::ELF_NOTE_GNU && note.n_type(LittleEndian) == elf::NT_GNU_BUILD_ID {
                let offset = offset_in(file.data(), note.desc().as_ptr()) - segment.p_offset(LittleEndian);
                let address = segment.p_vaddr(LittleEndian).checked_add(offset);
                let address =
                    address.ok_or_else(|| Refusal::Damaged("its build id has no address".into()))?;
                return Ok(Some((note.desc().to_vec(), address)));
            }
        }
    }
    Ok(None)
}

/// Returns the offset of the value of DT_FLAGS_1 in the file.
fn flags_1_at(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    let dynamic = dynamic(bytes)?;
    let entry = dynamic.dynamics().iter().find(|entry| entry.tag(LittleEndian) == elf::DT_FLAGS_1);
    Ok(entry.map(|entry| offset_in(bytes, ptr::from_ref(&entry.d_val).cast()) as usize))
}

/// Returns the dynamic section.
pub(crate) fn dynamic(bytes: &[u8]) -> Result<DynamicTable<'_, Header>, Refusal> {
    File::parse(bytes).and_then(|file| file.elf_dynamic_table()).map_err(damaged)
}

/// Returns the offset in `bytes` of a pointer into them.
pub(crate) fn offset_in(bytes: &[u8], pointer: *const u8) -> u64 {
    (pointer.addr() - bytes.as_ptr().addr()) as u64
}

fn damaged(error: object::Error) -> Refusal {
    Refusal::Damaged(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    use std::sync::OnceLock;

    use proptest::prelude::*;

    use super::*;

    /// A small library for this machine that passes the check.
    fn library() -> &'static [u8] {
        static LIBRARY: OnceLock<Vec<u8>> = OnceLock::new();
        LIBRARY.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("library.so");
            let mut cc = Command::new("cc");
            cc.args(["-shared", "-fPIC", "-Wl,--build-id", "-x", "c", "-", "-o"]).arg(&file);
            let mut cc = cc.stdin(Stdio::piped()).spawn().expect("a C compiler");
            let source =
                format!("#include <stdio.h>\nint {}(void) {{ return puts(\"\"); }}\n", abi::ENTRY_SYMBOL);
            cc.stdin.take().expect("it is piped").write_all(source.as_bytes()).unwrap();
            assert!(cc.wait().unwrap().success());
            fs::read(file).unwrap()
        })
    }

    /// Random bytes to write into a file, into its headers more often than elsewhere.
    fn scratches(len: usize) -> impl Strategy<Value = Vec<(usize, u8)>> {
        let place = prop_oneof![0..1024_usize.min(len), 0..len];
        let byte = prop_oneof![Just(0), Just(0xff), any::<u8>()];
        prop::collection::vec((place, byte), 1..12)
    }

    #[test]
    fn an_intact_library_passes() {
        let facts = check(library()).unwrap();
        assert_eq!((facts.build_id.len(), facts.needed), (20, vec!["libc.so.6".to_owned()]));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_096, ..ProptestConfig::default() })]

        #[test]
        fn a_damaged_library_passes_or_is_refused_but_never_panics(
            scratches in scratches(library().len()),
            kept in prop_oneof![3 => Just(usize::MAX), 1 => 0..library().len()],
        ) {
            let mut bytes = library().to_vec();
            for (place, byte) in scratches {
                bytes[place] = byte;
            }
            bytes.truncate(kept);
            if let Err(refusal) = check(&bytes) {
                prop_assert!(!refusal.to_string().is_empty());
            }
            let _ = flags_1_at(&bytes);
        }
    }
}
