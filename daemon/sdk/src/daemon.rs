//! The daemon that loaded this library, reached through its table of functions.
#![expect(unsafe_code, reason = "reads the daemon's table")]

use std::mem::offset_of;
use std::sync::atomic::{AtomicPtr, Ordering};

use reld_abi::Host as Table;

use crate::bytes::lend;

/// Null until [`load`]. Written only once, because a library is loaded once.
static DAEMON: AtomicPtr<Table> = AtomicPtr::new(std::ptr::null_mut());

/// Returns the daemon's table, if this library runs in a daemon.
pub(crate) fn table() -> Option<&'static Table> {
    let table = DAEMON.load(Ordering::Acquire);
    // SAFETY: null, or the table that `load` took, which the daemon keeps for its life.
    unsafe { table.as_ref() }
}

/// The first fields of every table, in any version.
#[repr(C)]
#[derive(Clone, Copy)]
struct Head {
    size: u32,
    abi_major: u32,
    abi_minor: u32,
}

const _: () = assert!(offset_of!(Head, abi_minor) == offset_of!(Table, abi_minor));

/// Stores the daemon's table. Refuses a table of another major version, and a table that lacks a
/// function that this SDK needs. A newer table has more functions, which are ignored.
///
/// # Safety
/// `table` is null or points to a daemon's table that stays for the life of the process.
pub(crate) unsafe fn load(table: *const Table) -> bool {
    if table.is_null() {
        return false;
    }
    // SAFETY: the caller's promise; no more than this is there in every version.
    let head = unsafe { table.cast::<Head>().read() };
    let is_known = head.abi_major == reld_abi::ABI_MAJOR;
    let fits = is_known && head.size as usize >= size_of::<Table>();
    if fits {
        DAEMON.store(table.cast_mut(), Ordering::Release);
    } else if is_known && head.size as usize >= offset_of!(Table, log) + size_of::<usize>() {
        // SAFETY: the caller's promise; the size says that the member is there.
        let log = unsafe { (*table).log };
        let text = format!(
            "built for ABI {}.{} (a table of {} bytes); the daemon offers ABI {}.{} (one of {})",
            reld_abi::ABI_MAJOR,
            reld_abi::ABI_MINOR,
            size_of::<Table>(),
            head.abi_major,
            head.abi_minor,
            head.size
        );
        // SAFETY: a function of the daemon's table; it may be called on any thread, and both
        // strings are lent.
        unsafe { log(log::Level::Error as u32, lend(b"reld_sdk"), lend(text.as_bytes())) };
    }
    fits
}
