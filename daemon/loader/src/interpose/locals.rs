//! Thread-locals with destructors, which the compiler registers, or which a library creates as
//! keys.
//!
//! The daemon's own thread-locals are recorded here as well. libc would take the lock of its loader
//! for each of them, so a thread would have to wait while a library is opened or closed.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use super::table::{Destructor, Key};
use super::threads::{hook_thread, this_thread};
use super::{Interposed, Real, is_in_library, table};

type KeyCreateFn = unsafe extern "C" fn(*mut Key, Option<Destructor>) -> c_int;
type KeyDeleteFn = unsafe extern "C" fn(Key) -> c_int;
type SetFn = unsafe extern "C" fn(Key, *const c_void) -> c_int;

/// The limits of glibc: at the end of a thread, destructors run in four rounds over all keys.
/// Values that destructors set after the last round are leaked.
const KEYS_MAX: usize = 1024;
pub(super) const RELEASES_MAX: usize = 4 * KEYS_MAX;

/// The keys of libraries, one bit for each key. They are checked without a lock, because values are
/// set often.
static KEYS: [AtomicU64; KEYS_MAX / 64] = [const { AtomicU64::new(0) }; KEYS_MAX / 64];

pub(super) static AT_EXIT: Real = Real::new(c"__cxa_thread_atexit_impl");
static KEY_CREATE: Real = Real::new(c"pthread_key_create");
static OTHER_KEY_CREATE: Real = Real::new(c"__pthread_key_create");
static KEY_DELETE: Real = Real::new(c"pthread_key_delete");
static SET: Real = Real::new(c"pthread_setspecific");

pub(super) fn interposed() -> [Interposed; 5] {
    [
        (&AT_EXIT, __cxa_thread_atexit_impl as *const c_void),
        (&KEY_CREATE, pthread_key_create as *const c_void),
        (&OTHER_KEY_CREATE, __pthread_key_create as *const c_void),
        (&KEY_DELETE, pthread_key_delete as *const c_void),
        (&SET, pthread_setspecific as *const c_void),
    ]
}

/// Removes the calling thread's value of a key, and runs the destructor on the value.
pub(super) fn release(key: Key, run: Option<Destructor>) {
    // SAFETY: the function accepts any key.
    let value = unsafe { libc::pthread_getspecific(key) };
    if value.is_null() {
        return;
    }
    // SAFETY: any key may be set; the library's destructor expects an empty value.
    unsafe { set(key, ptr::null()) };
    if let Some(run) = run {
        // SAFETY: the library registered the destructor for values of this key; the library stays
        // mapped as long as the entry exists.
        unsafe { run(value) }
    }
}

/// Deletes a key that a library has created, before the library is closed.
pub(super) fn delete_key(key: Key) {
    forget_key(key);
    // SAFETY: only the library used the key.
    unsafe { key_delete(key) };
}

fn bit(key: Key) -> Option<(&'static AtomicU64, u64)> {
    KEYS.get(key as usize / 64).map(|word| (word, 1 << (key % 64)))
}

fn is_library_key(key: Key) -> bool {
    bit(key).is_some_and(|(word, bit)| word.load(Ordering::Acquire) & bit != 0)
}

fn forget_key(key: Key) {
    if let Some((word, bit)) = bit(key)
        && word.fetch_and(!bit, Ordering::AcqRel) & bit != 0
    {
        table().remove_key(key);
    }
}

/// # Safety
/// As for `pthread_setspecific`.
unsafe fn set(key: Key, value: *const c_void) -> c_int {
    // SAFETY: this is the type of the function with that name.
    let real: SetFn = unsafe { std::mem::transmute(SET.address()) };
    // SAFETY: the caller's promise.
    unsafe { real(key, value) }
}

/// # Safety
/// As for `pthread_key_delete`.
unsafe fn key_delete(key: Key) -> c_int {
    // SAFETY: this is the type of the function with that name.
    let real: KeyDeleteFn = unsafe { std::mem::transmute(KEY_DELETE.address()) };
    // SAFETY: the caller's promise.
    unsafe { real(key) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __cxa_thread_atexit_impl(
    run: Option<Destructor>,
    object: *mut c_void,
    dso: *mut c_void,
) -> c_int {
    let code = run.map_or(0, |run| run as usize);
    let owner = [dso.addr(), code].into_iter().find(|address| is_in_library(*address));
    if let Some(run) = run {
        table().destroy_later(this_thread(), owner.unwrap_or(code), run, object.expose_provenance());
        hook_thread();
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_key_create(key: *mut Key, run: Option<Destructor>) -> c_int {
    let code = run.map_or(0, |run| run as usize);
    // The destructor is often libc's `free`. In this case the key identifies the library, because
    // it is usually stored in a static of the library.
    let owner = [code, key.addr()].into_iter().find(|address| is_in_library(*address));
    // SAFETY: this is the type of the function with that name.
    let real: KeyCreateFn = unsafe { std::mem::transmute(KEY_CREATE.address()) };
    // SAFETY: the caller's promise. A destructor of a library is recorded below instead.
    let status = unsafe { real(key, if owner.is_some() { None } else { run }) };
    if let (0, Some(owner)) = (status, owner) {
        // SAFETY: libc has just written it.
        let key = unsafe { *key };
        table().add_key(key, owner, run);
        if let Some((word, bit)) = bit(key) {
            word.fetch_or(bit, Ordering::AcqRel);
        }
    }
    status
}

/// The name of `pthread_key_create` in C++ code of older compilers.
#[unsafe(no_mangle)]
unsafe extern "C" fn __pthread_key_create(key: *mut Key, run: Option<Destructor>) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { pthread_key_create(key, run) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_key_delete(key: Key) -> c_int {
    forget_key(key);
    // SAFETY: the caller's promise.
    unsafe { key_delete(key) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_setspecific(key: Key, value: *const c_void) -> c_int {
    if !value.is_null() && is_library_key(key) {
        table().release_later(this_thread(), key);
        hook_thread();
    }
    // SAFETY: the caller's promise.
    unsafe { set(key, value) }
}
