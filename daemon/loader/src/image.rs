//! A mapped library.

use std::ffi::c_void;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use libloading::os::unix::{Library as Handle, RTLD_LOCAL, RTLD_NOW};
use reld_abi as abi;

use crate::address_space;
use crate::block::{self, Block, UnloadFn};
use crate::check::Facts;
use crate::error::Refusal;
use crate::fence;
use crate::interpose;
use crate::ledger::Ledger;
use crate::output::{self, Visit};
use crate::private_copy::PrivateCopy;
use crate::residents::{Call, Residents};
use crate::routines::{Destructors, Lifetime};

/// The type [`abi::EntryFn`], declared so that an exception reaches the fence (`fence.rs`).
type EntryFn = unsafe extern "C-unwind" fn() -> *const abi::App;

/// A library in the address space, opened from a checked file. It stays mapped until it is closed
/// (`unload.rs`).
pub(crate) struct Mapping {
    handle: ManuallyDrop<Handle>,
    entry: *const c_void,
    span: Range<usize>,
    kept_by: Option<Arc<str>>,
}

// SAFETY: the handle and the entry are addresses in a mapping that all threads share.
unsafe impl Send for Mapping {}
// SAFETY: as above; the struct is immutable.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps a checked file of an app, and compares the mapped code with the file. Constructors that
    /// are still listed in the file run.
    pub(crate) fn open(app: &str, path: &Path, facts: &Facts) -> Result<Self, Refusal> {
        interpose::opening(app, || {
            let mapping = Self::open_now(path, facts)?;
            let span = mapping.span.clone();
            Ok((mapping, span))
        })
    }

    fn open_now(path: &Path, facts: &Facts) -> Result<Self, Refusal> {
        // SAFETY: to load a library means to run its constructors; the file was checked, and its
        // path was never used before.
        let handle = unsafe { Handle::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
            .map_err(|error| Refusal::Open(error_text(&error)))?;
        let handle = ManuallyDrop::new(handle);
        // SAFETY: only the address is taken here.
        let entry =
            unsafe { handle.get::<*const c_void>(abi::ENTRY_SYMBOL) }.map_err(|_| Refusal::NoEntry)?;
        let entry = entry.as_raw_ptr().cast_const();
        let base = check_build_id(entry, facts)?;
        let span = base as usize..base.saturating_add(facts.size) as usize;
        Ok(Self { handle, entry, span, kept_by: facts.stays.as_deref().map(Arc::from) })
    }

    /// Calls the library's entry function, and checks the block that it returns.
    pub(crate) fn block(&self) -> Result<Block, Refusal> {
        // SAFETY: this is the type of the symbol with that name, by the contract of the boundary.
        let entry: EntryFn = unsafe { std::mem::transmute(self.entry) };
        // SAFETY: the entry may be called on any thread at any time.
        let block = fence::cross(self.span.start, "reld_app_v1", || unsafe { entry() });
        // SAFETY: the entry has returned it, and all users of the result hold the image.
        unsafe { block::read(block) }
    }

    /// Returns the library's address range.
    pub(crate) fn span(&self) -> &Range<usize> {
        &self.span
    }

    /// Returns the reason why the library stays mapped when it is purged, if its file shows one.
    pub(crate) fn kept_by(&self) -> Option<Arc<str>> {
        self.kept_by.clone()
    }

    /// Returns the address of a symbol in the library's lookup order, which is the library itself
    /// and the libraries that it needs.
    pub(crate) fn symbol(&self, name: &str) -> Option<u64> {
        // SAFETY: only the address is used.
        let found = unsafe { self.handle.get::<*const c_void>(name) }.ok()?;
        Some(found.as_raw_ptr().addr() as u64)
    }

    /// Closes the library. Only the address space shows whether the library was unmapped.
    ///
    /// # Safety
    /// There are no more pointers into the library, and no thread runs or will run code of it.
    pub(crate) unsafe fn close(self) -> Result<(), String> {
        ManuallyDrop::into_inner(self.handle).close().map_err(|error| error_text(&error))
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping").field("handle", &self.handle).finish_non_exhaustive()
    }
}

/// A mapped library of an app. Every pointer into the library comes with a reference to its image.
/// When the last reference is dropped, the library is purged and may be unmapped.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) app: String,
    pub(crate) version: String,
    pub(crate) build_id: String,
    mapping: ManuallyDrop<Mapping>,
    /// The library's unload function. It is set after the library's load function was called.
    unload: OnceLock<UnloadFn>,
    copy: PrivateCopy,
    residents: Residents,
}

impl Image {
    /// Maps a checked file, adds it to `residents`, and runs its constructors.
    pub(crate) fn new(
        app: String,
        version: String,
        facts: &Facts,
        copy: PrivateCopy,
        residents: &Residents,
    ) -> Result<Self, Refusal> {
        residents.add(&app, &version, copy.path());
        let mapping = {
            let _call = residents.call(copy.path(), Call::SystemLoader);
            Mapping::open(&app, copy.path(), facts)
        };
        let mapping = mapping.inspect_err(|_| residents.never_mapped(copy.path()))?;
        residents.mapped(copy.path(), &mapping);
        let (mapping, build_id) = (ManuallyDrop::new(mapping), hex(&facts.build_id));
        let residents = residents.clone();
        let image = Self { app, version, build_id, mapping, unload: OnceLock::new(), copy, residents };
        image.construct(&facts.lifetime);
        Ok(image)
    }

    fn construct(&self, Lifetime { begin, end }: &Lifetime) {
        let span = self.span();
        {
            let _call = self.call(Call::Constructors);
            // SAFETY: the library has just been mapped from a private copy, from which glibc runs
            // no constructors.
            unsafe { begin.begin(span.start) };
        }
        self.residents.begun(self.copy.path(), Destructors { span: span.clone(), routines: end.clone() });
    }

    /// Calls the library's entry function, and checks the block that it returns.
    pub(crate) fn block(&self) -> Result<Block, Refusal> {
        let _call = self.call(Call::Entry);
        self.mapping.block()
    }

    /// Records the unload function and the counters. Call this after the library's load function
    /// was called.
    pub(crate) fn loaded(&self, unload: Option<UnloadFn>, ledger: Option<Ledger>) {
        unload.map(|unload| self.unload.set(unload));
        self.residents.counts(self.copy.path(), ledger);
    }

    /// Returns the library's address range.
    pub(crate) fn span(&self) -> &Range<usize> {
        self.mapping.span()
    }

    /// Records that the calling thread is about to run code of the library.
    pub(crate) fn visit(&self) -> Visit {
        output::visit(self.span().start)
    }

    /// Records a call of the loader into the library, until the result is dropped.
    pub(crate) fn call(&self, call: Call) -> impl Drop {
        self.residents.call(self.copy.path(), call)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.copy.path().to_owned()
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // SAFETY: the image is dropped, so the field is not used again.
        let mapping = unsafe { ManuallyDrop::take(&mut self.mapping) };
        self.residents.purged(self.copy.path(), mapping, self.unload.get().copied());
    }
}

/// Returns bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Checks that the mapped code is the code of the file. If glibc takes two paths for the same
/// library, it returns the older image. Returns the base address of the image.
fn check_build_id(entry: *const c_void, facts: &Facts) -> Result<u64, Refusal> {
    let other = || Refusal::OtherCode { expected: hex(&facts.build_id) };
    let base = (entry.addr() as u64).checked_sub(facts.entry_address).ok_or_else(other)?;
    let address = base.checked_add(facts.build_id_address).ok_or_else(other)?;
    let mapped = address_space::read(address, facts.build_id.len()).map_err(|_| other())?;
    if mapped == facts.build_id { Ok(base) } else { Err(other()) }
}

fn error_text(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}
