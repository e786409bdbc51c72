//! The door between libraries and libc: what a library would leave with a thread is kept here instead.
//!
//! Rust's standard library, which every library has a copy of, binds code to threads in two ways that outlive a
//! `dlclose`: destructors of thread-locals, which make glibc keep the library, and keys with a destructor, which glibc
//! does not count, so that the thread later jumps into nothing. Both are bound by calls of libc. The executable defines
//! these functions itself and exports them; it comes first in the system's order of lookup, so libraries call the
//! definitions below. The daemon's own calls go on to libc.
//!
//! | call of a library | here |
//! |---|---|
//! | `__cxa_thread_atexit_impl` | the destructor is noted, and run by [`flush`] or at the thread's end |
//! | `pthread_key_create` | the key is made without destructor; that is noted |
//! | `pthread_setspecific` | that this thread has a value is noted |
//! | `pthread_key_delete` | the key and its values are forgotten |
//! | `pthread_create` | the thread is counted from before its start to its very end |
//! | `sigaltstack` | that this thread has a stack of the library is noted, and what it had before |
//! | `write`, `writev` | what it prints goes into the log (`interpose/stdio.rs`) |
//!
//! One more stands before libc's for the daemon itself and is not exported: `clock_gettime`
//! (`interpose/clock.rs`).
//!
//! A library's code then runs at a thread's end only from `thread_ends`, which this crate registers with libc, so that
//! no thread can be inside a library that nothing here knows of.
//!
//! # Locks
//! Two, each held for a look at a table and never while foreign code runs: a destructor may do all of the above again.
//! They are those of the standard library, which need no thread-local of their own; another kind would come back here.
//!
//! # Limits
//! What a shared C++ library does in the name of an app's library is not told apart from what it does for itself, so a
//! `std::thread` of a library that shares libstdc++ is not counted.

mod clock;
mod stack;
mod stdio;
mod table;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ffi::{CStr, c_int, c_void};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockWriteGuard};

pub use self::clock::clock_stands;
pub(crate) use self::stdio::replace_streams;
pub(crate) use self::table::ThreadId;
use self::table::{Call, Destructor, Due, Key, Table, Whose};
use crate::error::Refusal;
use crate::output;

type Start = extern "C-unwind" fn(*mut c_void) -> *mut c_void;
type AtExitFn = unsafe extern "C" fn(Option<Destructor>, *mut c_void, *mut c_void) -> c_int;
type KeyCreateFn = unsafe extern "C" fn(*mut Key, Option<Destructor>) -> c_int;
type KeyDeleteFn = unsafe extern "C" fn(Key) -> c_int;
type SetFn = unsafe extern "C" fn(Key, *const c_void) -> c_int;
type CreateFn =
    unsafe extern "C" fn(*mut libc::pthread_t, *const libc::pthread_attr_t, Start, *mut c_void) -> c_int;

/// glibc's limits: four rounds over this many keys, then what a destructor puts in place again is left.
const KEYS_MAX: usize = 1024;
const RELEASES_MAX: usize = 4 * KEYS_MAX;

static TABLE: Mutex<Table> = Mutex::new(Table::new());
static PLACES: RwLock<Places> = RwLock::new(Places { libraries: Vec::new(), opening: None });
/// Which keys are a library's, one bit each: a look before any lock, since everybody sets values.
static KEYS: [AtomicU64; KEYS_MAX / 64] = [const { AtomicU64::new(0) }; KEYS_MAX / 64];
/// What was mapped before the first library.
static HOST: OnceLock<Vec<Range<usize>>> = OnceLock::new();
/// Libraries are opened and closed one at a time, whoever does it.
static DOOR: Mutex<()> = Mutex::new(());

/// Where libraries are.
struct Places {
    libraries: Vec<Place>,
    /// The app of a library whose place is not known yet, while its constructors run.
    opening: Option<Arc<str>>,
}

/// Where the library of an app is.
struct Place {
    app: Arc<str>,
    span: Range<usize>,
}

thread_local! {
    // Neither has a destructor: that would be registered here.
    static SELF: Cell<ThreadId> = const { Cell::new(0) };
    static HAS_HOOK: Cell<bool> = const { Cell::new(false) };
}

/// A function of libc behind one of the same name here.
struct Real {
    name: &'static CStr,
    address: AtomicPtr<c_void>,
}

impl Real {
    const fn new(name: &'static CStr) -> Self {
        Self { name, address: AtomicPtr::new(ptr::null_mut()) }
    }

    fn address(&self) -> *mut c_void {
        let known = self.address.load(Ordering::Relaxed);
        if !known.is_null() {
            return known;
        }
        // SAFETY: a look-up by a name that is a C string.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
        if found.is_null() {
            // libc without it is none that this program was linked with.
            std::process::abort();
        }
        self.address.store(found, Ordering::Relaxed);
        found
    }
}

static AT_EXIT: Real = Real::new(c"__cxa_thread_atexit_impl");
static KEY_CREATE: Real = Real::new(c"pthread_key_create");
static OTHER_KEY_CREATE: Real = Real::new(c"__pthread_key_create");
static KEY_DELETE: Real = Real::new(c"pthread_key_delete");
static SET: Real = Real::new(c"pthread_setspecific");
static CREATE: Real = Real::new(c"pthread_create");

/// Says whether libraries really call the functions of this file. To be called once, before the first library is opened.
///
/// # Errors
/// [`Refusal::NotExported`]: the program was linked without its exports. What libraries leave with threads is not known
/// then, and none must be unmapped.
pub(crate) fn verify() -> Result<(), Refusal> {
    HOST.get_or_init(host);
    for (symbol, real, ours) in [
        ("__cxa_thread_atexit_impl", &AT_EXIT, __cxa_thread_atexit_impl as *const c_void),
        ("pthread_key_create", &KEY_CREATE, pthread_key_create as *const c_void),
        ("__pthread_key_create", &OTHER_KEY_CREATE, __pthread_key_create as *const c_void),
        ("pthread_key_delete", &KEY_DELETE, pthread_key_delete as *const c_void),
        ("pthread_setspecific", &SET, pthread_setspecific as *const c_void),
        ("pthread_create", &CREATE, pthread_create as *const c_void),
    ] {
        if !is_ours(real, ours) {
            return Err(Refusal::NotExported { symbol });
        }
    }
    match stdio::passed_by().or_else(stack::passed_by) {
        Some(symbol) => Err(Refusal::NotExported { symbol }),
        None => Ok(()),
    }
}

/// Says whether libraries find this function when they look for libc's.
fn is_ours(real: &Real, ours: *const c_void) -> bool {
    // SAFETY: a look-up by a name that is a C string, in the order in which libraries look.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, real.name.as_ptr()) }.cast_const() == ours
}

/// Runs what libraries that are to go have left with the calling thread. To be called on a thread that is inside no
/// library, when the loader has asked for it; quick where there is nothing.
pub fn flush() {
    run(Whose::Condemned);
}

/// Opens a library of an app by `open`, which says where it is. What its constructors leave with threads is noted, and what
/// they print is the app's.
pub(crate) fn opening<T>(
    app: &str,
    open: impl FnOnce() -> Result<(T, Range<usize>), Refusal>,
) -> Result<T, Refusal> {
    let _door = DOOR.lock().unwrap_or_else(PoisonError::into_inner);
    HOST.get_or_init(host);
    let app: Arc<str> = app.into();
    places_mut().opening = Some(Arc::clone(&app));
    let opened = {
        let _visit = output::visit(SOMEWHERE);
        open()
    };
    // At once, for threads of it may run already.
    let mut places = places_mut();
    places.opening = None;
    let (opened, span) = opened?;
    places.libraries.push(Place { app, span });
    Ok(opened)
}

/// An address that is not the program's: that of a library of which no other one is known yet.
const SOMEWHERE: usize = usize::MAX;

fn places_mut() -> RwLockWriteGuard<'static, Places> {
    PLACES.write().unwrap_or_else(PoisonError::into_inner)
}

/// Closes the library in `span` by `close`, which says whether it is gone. Nothing may hold it: [`threads`] and
/// [`holders`] were asked.
pub(crate) fn closing<T>(span: &Range<usize>, close: impl FnOnce() -> (T, bool)) -> T {
    let _door = DOOR.lock().unwrap_or_else(PoisonError::into_inner);
    let keys = table().keys(span);
    keys.into_iter().for_each(delete_key);
    let (answer, is_gone) = close();
    if is_gone {
        // What its last code has left meanwhile would be called in nothing.
        table().forget(span);
        places_mut().libraries.retain(|known| known.span != *span);
    }
    answer
}

/// Has [`flush`] run what the library in `span` left, from now on.
pub(crate) fn condemn(span: &Range<usize>) {
    table().condemn(span);
}

/// Returns how many threads that the library in `span` started still run.
pub(crate) fn threads(span: &Range<usize>) -> usize {
    table().threads(span)
}

/// Returns the threads with which the library in `span` has left something.
pub(crate) fn holders(span: &Range<usize>) -> BTreeSet<ThreadId> {
    table().holders(span)
}

/// Returns a signal whose handler is in `span`.
pub(crate) fn signal_handled_in(span: &Range<usize>) -> Option<c_int> {
    (1..=libc::SIGRTMAX()).find(|number| {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: it only asks; a number that is no signal is refused, and the struct stays zeroed.
        unsafe { libc::sigaction(*number, ptr::null(), action.as_mut_ptr()) };
        // SAFETY: it is of numbers only, all of which may be zero.
        span.contains(&unsafe { action.assume_init() }.sa_sigaction)
    })
}

fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn this_thread() -> ThreadId {
    if SELF.get() == 0 {
        // SAFETY: it only answers.
        SELF.set(unsafe { libc::gettid() });
    }
    SELF.get()
}

/// Says whether an address is in a library.
fn is_in_library(address: usize) -> bool {
    app_at(address).is_some()
}

/// Returns the app whose library is at an address.
pub(crate) fn app_at(address: usize) -> Option<Arc<str>> {
    let places = PLACES.read().unwrap_or_else(PoisonError::into_inner);
    let known = places.libraries.iter().find(|place| place.span.contains(&address)).map(|place| &place.app);
    let opening = || places.opening.as_ref().filter(|_| address != 0 && !is_in_host(address));
    known.or_else(opening).cloned()
}

fn is_in_host(address: usize) -> bool {
    HOST.get().is_some_and(|spans| spans.iter().any(|span| span.contains(&address)))
}

/// Returns where the program and its own libraries are.
fn host() -> Vec<Range<usize>> {
    unsafe extern "C" fn add(info: *mut libc::dl_phdr_info, _: usize, spans: *mut c_void) -> c_int {
        // SAFETY: the caller lends it for this call.
        let info = unsafe { &*info };
        // SAFETY: it is what `dl_iterate_phdr` was called with, and nobody else has it meanwhile.
        let spans = unsafe { &mut *spans.cast::<Vec<Range<usize>>>() };
        // SAFETY: there are that many headers.
        let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
        for header in headers {
            if header.p_type == libc::PT_LOAD {
                let start = info.dlpi_addr as usize + header.p_vaddr as usize;
                spans.push(start..start + header.p_memsz as usize);
            }
        }
        0
    }
    let mut spans: Vec<Range<usize>> = Vec::new();
    // SAFETY: `add` gets the vector that outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(add), (&raw mut spans).cast()) };
    spans
}

/// Runs duties of the calling thread, those included that come up meanwhile.
fn run(whose: Whose) {
    let thread = this_thread();
    let mut releases = 0;
    while releases < RELEASES_MAX {
        let Some(Due { id, owner, call }) = table().next(thread, whose) else { return };
        // What a thread prints at its end is not to be logged any more.
        let _visit = (whose == Whose::Condemned).then(|| output::visit(owner));
        match call {
            // SAFETY: the library registered it for this thread with this object; it is mapped while the entry is there.
            Call::Destroy(run, object) => unsafe { run(ptr::with_exposed_provenance_mut(object)) },
            Call::Release(key, run) => {
                releases += 1;
                release(key, run);
            }
            Call::Restore(before) => stack::restore(before),
        }
        table().done(id);
    }
}

/// Takes the calling thread's value of a key and has it destroyed.
fn release(key: Key, run: Option<Destructor>) {
    // SAFETY: any key may be asked for.
    let value = unsafe { libc::pthread_getspecific(key) };
    if value.is_null() {
        return;
    }
    // SAFETY: any key may be set; the library's own destructor expects to find it empty.
    unsafe { set(key, ptr::null()) };
    if let Some(run) = run {
        // SAFETY: the library gave the destructor for values of this key; it is mapped while the entry is there.
        unsafe { run(value) }
    }
}

/// Runs at the end of every thread that holds something, from libc's list of the thread's destructors.
unsafe extern "C" fn thread_ends(_: *mut c_void) {
    output::thread_ends();
    run(Whose::All);
    table().thread_ended(this_thread());
    HAS_HOOK.set(false);
}

/// Sees that [`thread_ends`] runs at the end of the calling thread.
fn hook_thread() {
    if !HAS_HOOK.replace(true) {
        // Something of the program, which glibc then takes the function to be of. It has no answer for null.
        let program = (&raw const TABLE).cast_mut().cast();
        // SAFETY: the function and the program stay.
        unsafe { at_exit(Some(thread_ends), ptr::null_mut(), program) };
    }
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

fn delete_key(key: Key) {
    forget_key(key);
    // SAFETY: the library that made it is about to go.
    unsafe { key_delete(key) };
}

/// # Safety
/// As for `__cxa_thread_atexit_impl`.
unsafe fn at_exit(run: Option<Destructor>, object: *mut c_void, dso: *mut c_void) -> c_int {
    // SAFETY: this is the type of the function with that name.
    let real: AtExitFn = unsafe { std::mem::transmute(AT_EXIT.address()) };
    // SAFETY: the caller's promise.
    unsafe { real(run, object, dso) }
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

// --- what libraries call ---------------------------------------------------------------------------------------------

// SAFETY of the names: each stands for libc's function and keeps its contract.

#[unsafe(no_mangle)]
unsafe extern "C" fn __cxa_thread_atexit_impl(
    run: Option<Destructor>,
    object: *mut c_void,
    dso: *mut c_void,
) -> c_int {
    let code = run.map_or(0, |run| run as usize);
    let owner = [dso.addr(), code].into_iter().find(|address| is_in_library(*address));
    let (Some(owner), Some(run)) = (owner, run) else {
        // SAFETY: the caller's promise.
        return unsafe { at_exit(run, object, dso) };
    };
    table().destroy_later(this_thread(), owner, run, object.expose_provenance());
    hook_thread();
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_key_create(key: *mut Key, run: Option<Destructor>) -> c_int {
    let code = run.map_or(0, |run| run as usize);
    // A key is often destroyed by libc's `free`, and mostly kept in a static.
    let owner = [code, key.addr()].into_iter().find(|address| is_in_library(*address));
    // SAFETY: this is the type of the function with that name.
    let real: KeyCreateFn = unsafe { std::mem::transmute(KEY_CREATE.address()) };
    // SAFETY: the caller's promise. A destructor of a library is noted below instead.
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

/// What C++ code of older compilers calls it.
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

/// What a thread of a library begins with.
struct Birth {
    id: u64,
    start: Start,
    argument: *mut c_void,
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    start: Start,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: this is the type of the function with that name.
    let real: CreateFn = unsafe { std::mem::transmute(CREATE.address()) };
    if !is_in_library(start as usize) {
        // SAFETY: the caller's promise.
        return unsafe { real(thread, attributes, start, argument) };
    }
    let id = table().thread_starts(start as usize);
    let birth = Box::into_raw(Box::new(Birth { id, start, argument }));
    // SAFETY: the caller's promise; `begin` takes the box over.
    let status = unsafe { real(thread, attributes, begin, birth.cast()) };
    if status != 0 {
        table().done(id);
        // SAFETY: no thread was started that would have taken it over.
        drop(unsafe { Box::from_raw(birth) });
    }
    status
}

/// Runs a thread of a library. Owns nothing while it does, since a thread may be unwound from its inside.
extern "C-unwind" fn begin(birth: *mut c_void) -> *mut c_void {
    // SAFETY: it was boxed for this thread.
    let Birth { id, start, argument } = *unsafe { Box::from_raw(birth.cast::<Birth>()) };
    table().thread_runs(id, this_thread());
    hook_thread();
    output::thread_begins(start as usize);
    let answer = start(argument);
    output::thread_returns();
    answer
}
