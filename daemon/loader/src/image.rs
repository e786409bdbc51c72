//! One mapped library.

use std::ffi::c_void;
use std::fmt;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use libloading::os::unix::{Library as Handle, RTLD_LOCAL, RTLD_NOW};
use reld_abi as abi;

use crate::address_space;
use crate::block::{self, Block};
use crate::check::Facts;
use crate::error::Refusal;
use crate::private_copy::PrivateCopy;

/// A library in the address space, opened from a checked file.
///
/// It is never closed. A library leaves things behind that glibc does not know it owns (the thread-exit keys of Rust's
/// standard library, for one), and a thread that ends after the unmapping would jump into nothing. Unmapping needs
/// these to be intercepted first; until then a purged library is unreachable and stays, see [`crate::Resident`].
pub(crate) struct Mapping {
    handle: ManuallyDrop<Handle>,
    entry: *const c_void,
}

// SAFETY: the handle and the entry are addresses in a mapping that all threads share.
unsafe impl Send for Mapping {}
// SAFETY: as above; nothing of it changes.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps a checked file and compares what was mapped with it. Runs the library's constructors.
    pub(crate) fn open(path: &Path, facts: &Facts) -> Result<Self, Refusal> {
        // SAFETY: running foreign constructors is what loading means; the file was checked, and its path is new.
        let handle = unsafe { Handle::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
            .map_err(|error| Refusal::Open(error_text(&error)))?;
        let handle = ManuallyDrop::new(handle);
        // SAFETY: only the address is taken here.
        let entry =
            unsafe { handle.get::<*const c_void>(abi::ENTRY_SYMBOL) }.map_err(|_| Refusal::NoEntry)?;
        let entry = entry.as_raw_ptr().cast_const();
        check_build_id(entry, facts)?;
        Ok(Self { handle, entry })
    }

    /// Calls the entry and compares the block that it returns.
    pub(crate) fn block(&self) -> Result<Block, Refusal> {
        // SAFETY: this is the type of the symbol with that name, by the contract of the boundary.
        let entry: abi::EntryFn = unsafe { std::mem::transmute(self.entry) };
        // SAFETY: the entry may be called by anyone at any time.
        let block = unsafe { entry() };
        // SAFETY: it is what the entry returned, and a mapping is never closed.
        unsafe { block::read(block) }
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping").field("handle", &self.handle).finish_non_exhaustive()
    }
}

/// A mapped library of an app. Whatever points into the library holds one of these.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) app: String,
    pub(crate) version: String,
    pub(crate) build_id: String,
    pub(crate) mapping: Mapping,
    copy: PrivateCopy,
}

impl Image {
    pub(crate) fn new(
        app: String,
        version: String,
        facts: &Facts,
        copy: PrivateCopy,
    ) -> Result<Self, Refusal> {
        let mapping = Mapping::open(copy.path(), facts)?;
        Ok(Self { app, version, build_id: hex(&facts.build_id), mapping, copy })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.copy.path().to_owned()
    }
}

/// Returns bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Sees that the code in memory is that of the file: the system's loader answers with an older image when it takes
/// two paths for one.
fn check_build_id(entry: *const c_void, facts: &Facts) -> Result<(), Refusal> {
    let other = || Refusal::OtherCode { expected: hex(&facts.build_id) };
    let base = (entry.addr() as u64).checked_sub(facts.entry_address).ok_or_else(other)?;
    let address = base.checked_add(facts.build_id_address).ok_or_else(other)?;
    let mapped = address_space::read(address, facts.build_id.len()).map_err(|_| other())?;
    if mapped == facts.build_id { Ok(()) } else { Err(other()) }
}

fn error_text(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}
