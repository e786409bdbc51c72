//! The check of a library's file, without running any of it.
//!
//! Refuses what would fail late, or silently: another target, static TLS, libraries that the private copy would not
//! find. Works on the bytes that become the private copy, so that nobody can change the file in between.

use std::ptr;

use object::elf;
use object::endian::LittleEndian;
use object::read::elf::{Dyn, DynamicTable, ElfFile64, FileHeader, ProgramHeader};
use object::{Object, ObjectSymbol};

use reld_abi as abi;

use crate::error::Refusal;

type File<'data> = ElfFile64<'data, LittleEndian>;
type Header = elf::FileHeader64<LittleEndian>;

#[cfg(target_arch = "x86_64")]
const MACHINE: elf::Machine = elf::EM_X86_64;
#[cfg(target_arch = "aarch64")]
const MACHINE: elf::Machine = elf::EM_AARCH64;

/// What every process of the daemon's kind has mapped once, under one name.
const SHARED: [&str; 9] = [
    "libc.so.6",
    "libm.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
    "libgcc_s.so.1",
    "libstdc++.so.6",
];

/// What the file says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The GNU build id.
    pub(crate) build_id: Vec<u8>,
    /// Where the build id stands, relative to the image's base.
    pub(crate) build_id_address: u64,
    /// Where the entry stands, relative to the image's base.
    pub(crate) entry_address: u64,
    /// How much address space the image takes, from its base.
    pub(crate) size: u64,
    /// The libraries that it needs.
    pub(crate) needed: Vec<String>,
}

/// Checks a library's bytes.
pub(crate) fn check(bytes: &[u8]) -> Result<Facts, Refusal> {
    check_kind(bytes)?;
    let file = File::parse(bytes).map_err(damaged)?;
    check_target(&file)?;
    check_segments(&file)?;
    let dynamic = file.elf_dynamic_table().map_err(damaged)?;
    check_flags(&dynamic)?;
    let (build_id, build_id_address) = build_id(&file)?.ok_or(Refusal::NoBuildId)?;
    Ok(Facts {
        build_id,
        build_id_address,
        entry_address: entry(&file)?,
        size: size(&file),
        needed: needed(&dynamic)?,
    })
}

/// Clears the wish never to be unmapped in checked bytes: whether code stays is the daemon's decision.
pub(crate) fn clear_nodelete(bytes: &mut [u8]) -> Result<(), Refusal> {
    let Some(at) = flags_1_at(bytes)? else { return Ok(()) };
    // Little endian: the flag is in the value's lowest byte.
    bytes[at] &= !(elf::DF_1_NODELETE.0 as u8);
    Ok(())
}

/// Looks at the header's first bytes, which say how to read the others.
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
    equal("machine", header.e_machine(LittleEndian).0, MACHINE.0)?;
    equal("type", header.e_type(LittleEndian).0, elf::ET_DYN.0)
}

fn equal<T: PartialEq + ToString>(field: &'static str, found: T, expected: T) -> Result<(), Refusal> {
    if found == expected {
        return Ok(());
    }
    Err(Refusal::Target { field, found: found.to_string(), expected: expected.to_string() })
}

/// Sees that all that is to be mapped is there: touching what is mapped beyond a file's end is a SIGBUS.
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
    if dynamic.iter().any(|entry| entry.tag == elf::DT_FLAGS && entry.val & elf::DF_STATIC_TLS.0 != 0) {
        return Err(Refusal::StaticTls);
    }
    Ok(())
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

/// Returns the GNU build id and its place in memory. Only notes that are mapped count.
fn build_id(file: &File<'_>) -> Result<Option<(Vec<u8>, u64)>, Refusal> {
    for segment in file.elf_program_headers() {
        let Some(mut notes) = segment.notes(LittleEndian, file.data()).map_err(damaged)? else { continue };
        while let Some(note) = notes.next().map_err(damaged)? {
            if note.name() == elf::ELF_NOTE_GNU && note.n_type(LittleEndian) == elf::NT_GNU_BUILD_ID {
                let offset = offset_in(file.data(), note.desc().as_ptr());
                let address = segment.p_vaddr(LittleEndian) + offset - segment.p_offset(LittleEndian);
                return Ok(Some((note.desc().to_vec(), address)));
            }
        }
    }
    Ok(None)
}

/// Returns where in the file the value of DT_FLAGS_1 stands.
fn flags_1_at(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    let file = File::parse(bytes).map_err(damaged)?;
    let dynamic = file.elf_dynamic_table().map_err(damaged)?;
    let entry = dynamic.dynamics().iter().find(|entry| entry.tag(LittleEndian) == elf::DT_FLAGS_1);
    Ok(entry.map(|entry| offset_in(bytes, ptr::from_ref(&entry.d_val).cast()) as usize))
}

/// Returns how far into `bytes` a pointer into them points.
fn offset_in(bytes: &[u8], pointer: *const u8) -> u64 {
    (pointer.addr() - bytes.as_ptr().addr()) as u64
}

fn damaged(error: object::Error) -> Refusal {
    Refusal::Damaged(error.to_string())
}
