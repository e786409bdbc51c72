//! Constructors and destructors of a library, which the loader runs itself.
//!
//! glibc would run them in `dlopen` and `dlclose` while it holds its own lock. A thread that needs
//! that lock would wait until they return, and a constructor that does not return would block all
//! opening and closing. So they are removed from the private copy, and run on a thread that can be
//! replaced (`loader_thread.rs`).
//!
//! | entries | run when | order |
//! |---|---|---|
//! | `DT_INIT`, `DT_INIT_ARRAY` | the library is mapped | as listed here, from the first to the last |
//! | `DT_FINI_ARRAY`, `DT_FINI` | there is no obstacle to unmapping the library, or the daemon ends | as listed here, each from the last to the first; then the library's `atexit` functions |
//!
//! They are called as glibc calls them: constructors with the program's arguments and environment,
//! destructors without arguments.
//!
//! An exception that leaves one of them ends the daemon, with a line in the log: C++ requires this,
//! and Rust cannot catch the exception. An exception in a constructor first ends the child process
//! in which the library is probed, before the daemon loads it.

use std::ffi::{CString, OsString, c_char, c_int};
use std::ops::Range;
use std::os::unix::ffi::OsStringExt;
use std::sync::OnceLock;
use std::{env, ptr, slice};

use object::elf;
use object::endian::LittleEndian;
use object::read::elf::{Dyn, DynamicTable};

use crate::check::{self, Header};
use crate::error::Refusal;
use crate::fence;
use crate::interpose;

type BeginFn = unsafe extern "C-unwind" fn(c_int, *const *const c_char, *const *const c_char);
type EndFn = unsafe extern "C-unwind" fn();

const WORD: u64 = size_of::<usize>() as u64;

/// An offset that is added to the tags of the entries in a private copy, so that glibc ignores the
/// entries.
const TAKEN_OUT: i64 = 0x6000_1000;

/// Functions of a library, as offsets from its base.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Routines {
    single: Option<u64>,
    /// The range of the array of function addresses.
    array: Range<u64>,
}

/// The constructors and destructors of a library.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lifetime {
    pub(crate) begin: Routines,
    pub(crate) end: Routines,
}

impl Lifetime {
    /// Reads the addresses of the routines of a library with this size.
    pub(crate) fn read(dynamic: &DynamicTable<'_, Header>, size: u64) -> Result<Self, Refusal> {
        // If a tag occurs several times, the last entry counts, as in glibc.
        let value = |tag| dynamic.iter().filter(|entry| entry.tag == tag).last().map(|entry| entry.val);
        let routines = |[single, array, bytes]: [elf::DynamicTag; 3]| {
            let start = value(array).unwrap_or_default();
            let end = start.checked_add(value(bytes).unwrap_or_default()).filter(|end| *end <= size);
            let end = end.filter(|_| start.is_multiple_of(WORD))?;
            let single = value(single).filter(|at| *at != 0);
            single.is_none_or(|at| at < size).then_some(Routines { single, array: start..end })
        };
        let damaged = || Refusal::Damaged("its constructors or destructors lie outside the image".into());
        Ok(Self { begin: routines(BEGIN).ok_or_else(damaged)?, end: routines(END).ok_or_else(damaged)? })
    }
}

const BEGIN: [elf::DynamicTag; 3] = [elf::DT_INIT, elf::DT_INIT_ARRAY, elf::DT_INIT_ARRAYSZ];
const END: [elf::DynamicTag; 3] = [elf::DT_FINI, elf::DT_FINI_ARRAY, elf::DT_FINI_ARRAYSZ];

/// Changes the tags of the routines in checked bytes, so that glibc does not find them.
pub(crate) fn take_out(bytes: &mut [u8]) -> Result<(), Refusal> {
    let is_one = |tag| BEGIN.contains(&tag) || END.contains(&tag);
    let found: Vec<(usize, i64)> = check::dynamic(bytes)?
        .dynamics()
        .iter()
        .take_while(|entry| entry.tag(LittleEndian) != elf::DT_NULL)
        .filter(|entry| is_one(entry.tag(LittleEndian)))
        .map(|entry| (check::offset_in(bytes, ptr::from_ref(&entry.d_tag).cast()), entry.tag(LittleEndian).0))
        .map(|(at, tag)| (at as usize, tag + TAKEN_OUT))
        .collect();
    for (at, tag) in found {
        bytes[at..][..size_of_val(&tag)].copy_from_slice(&tag.to_le_bytes());
    }
    Ok(())
}

impl Routines {
    /// Returns the functions of a mapped library in their order.
    ///
    /// # Safety
    /// The library is mapped at `base`, and these are its routines.
    unsafe fn functions(&self, base: usize) -> impl DoubleEndedIterator<Item = usize> {
        let start = ptr::with_exposed_provenance::<usize>(base + self.array.start as usize);
        let count = ((self.array.end - self.array.start) / WORD) as usize;
        // SAFETY: the caller's promise; `Lifetime::read` has checked that the array lies in the
        // library.
        let array = unsafe { slice::from_raw_parts(start, count) }.to_vec();
        // Old linkers mark the ends of the arrays with these values.
        array.into_iter().filter(|function| ![0, usize::MAX].contains(function))
    }

    /// Runs the constructors of the library at `base`.
    ///
    /// # Safety
    /// The library is mapped there, these are its routines, and none has run yet.
    pub(crate) unsafe fn begin(&self, base: usize) {
        let arguments = Arguments::get();
        // SAFETY: the caller's promise.
        let array = unsafe { self.functions(base) };
        for function in self.single.map(|at| base + at as usize).into_iter().chain(array) {
            // SAFETY: this is the type of such a function, by the contract of ELF files on Linux.
            let function: BeginFn = unsafe { std::mem::transmute(function) };
            // SAFETY: a variable of libc that every program may read.
            let environment = unsafe { environ };
            fence::cross(base, "a constructor", || {
                // SAFETY: to load a library means to run its constructors.
                unsafe { function(arguments.count(), arguments.pointers.as_ptr(), environment) }
            });
        }
    }
}

unsafe extern "C" {
    static environ: *const *const c_char;
}

/// The arguments of the program, in C's form.
struct Arguments {
    _texts: Vec<CString>,
    /// The pointers to the texts, followed by a null pointer.
    pointers: Vec<*const c_char>,
}

// SAFETY: the addresses are those of texts that the struct owns.
unsafe impl Send for Arguments {}
// SAFETY: as above; the struct is immutable.
unsafe impl Sync for Arguments {}

impl Arguments {
    fn get() -> &'static Self {
        static ARGUMENTS: OnceLock<Arguments> = OnceLock::new();
        ARGUMENTS.get_or_init(|| {
            let text = |text: OsString| CString::new(text.into_vec()).unwrap_or_default();
            let texts: Vec<CString> = env::args_os().map(text).collect();
            let pointers = texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect();
            Self { _texts: texts, pointers }
        })
    }

    fn count(&self) -> c_int {
        c_int::try_from(self.pointers.len() - 1).unwrap_or(c_int::MAX)
    }
}

/// The destructors of a library whose constructors have run. They run only once.
#[derive(Debug)]
pub(crate) struct Destructors {
    pub(crate) span: Range<usize>,
    pub(crate) routines: Routines,
}

impl Destructors {
    /// Runs the library's destructors and `atexit` functions.
    ///
    /// # Safety
    /// The library is mapped, and its destructors may run now.
    pub(crate) unsafe fn run(self) {
        let base = self.span.start;
        // SAFETY: the caller's promise.
        let array = unsafe { self.routines.functions(base) };
        for function in array.rev().chain(self.routines.single.map(|at| base + at as usize)) {
            // SAFETY: this is the type of such a function, by the contract of ELF files on Linux.
            let function: EndFn = unsafe { std::mem::transmute(function) };
            // SAFETY: the caller's promise, and `self` is consumed.
            fence::cross(base, "a destructor", || unsafe { function() });
        }
        // SAFETY: the caller's promise.
        fence::cross(base, "a destructor", || unsafe { interpose::run_exit_handlers(&self.span) });
    }
}
