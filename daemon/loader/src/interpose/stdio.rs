//! Interposes the functions and streams by which libraries print, and passes the text to
//! `output.rs`.
//!
//! | a library prints by | caught by |
//! |---|---|
//! | `write`, `writev` (all of Rust's standard library) | the functions with these names below |
//! | libc's `stdout` and `stderr` (`printf`, `puts`, `perror`) | streams that call the `write` below |
//!
//! libc's streams write by a function inside libc that cannot be interposed, so the streams
//! themselves are replaced. The new streams have no buffer, since a buffer would mix the output of
//! several threads. They have no descriptor either, so a library sees that they are not terminals.
//! Output by other functions, such as `dprintf`, and wide characters are not caught.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use super::{Interposed, Real};
use crate::output::{self, Stream};

type WriteFn = unsafe extern "C" fn(c_int, *const c_void, usize) -> isize;
type WriteVectorFn = unsafe extern "C" fn(c_int, *const libc::iovec, c_int) -> isize;

static WRITE: Real = Real::new(c"write");
static WRITE_VECTOR: Real = Real::new(c"writev");

/// libc's `cookie_io_functions_t`.
#[repr(C)]
struct Functions {
    read: Option<unsafe extern "C" fn(*mut c_void, *mut c_char, usize) -> isize>,
    write: Option<unsafe extern "C" fn(*mut c_void, *const c_char, usize) -> isize>,
    seek: Option<unsafe extern "C" fn(*mut c_void, *mut i64, c_int) -> c_int>,
    close: Option<unsafe extern "C" fn(*mut c_void) -> c_int>,
}

unsafe extern "C" {
    static mut stdout: *mut libc::FILE;
    static mut stderr: *mut libc::FILE;

    fn fopencookie(cookie: *mut c_void, mode: *const c_char, functions: Functions) -> *mut libc::FILE;
}

pub(super) fn interposed() -> [Interposed; 2] {
    [(&WRITE, write as *const c_void), (&WRITE_VECTOR, writev as *const c_void)]
}

/// Replaces libc's own streams by ones that print like [`write`]. If there is no memory for them, C
/// code prints as before.
pub(crate) fn replace_streams() {
    if let Some(stream) = stream(libc::STDOUT_FILENO) {
        // SAFETY: a variable of libc, and no library that might read it is open yet.
        unsafe { stdout = stream };
    }
    if let Some(stream) = stream(libc::STDERR_FILENO) {
        // SAFETY: as above.
        unsafe { stderr = stream };
    }
}

/// Creates a stream, which is never closed.
fn stream(descriptor: c_int) -> Option<*mut libc::FILE> {
    let functions = Functions { read: None, write: Some(write_cookie), seek: None, close: None };
    let cookie = ptr::without_provenance_mut(descriptor.unsigned_abs() as usize);
    // SAFETY: the cookie is a number, and the functions treat it as one; the mode is a C string.
    let stream = unsafe { fopencookie(cookie, c"w".as_ptr(), functions) };
    if stream.is_null() {
        return None;
    }
    // SAFETY: the stream was just opened, and no buffer is passed.
    unsafe { libc::setvbuf(stream, ptr::null_mut(), libc::_IONBF, 0) };
    Some(stream)
}

unsafe extern "C" fn write_cookie(cookie: *mut c_void, text: *const c_char, length: usize) -> isize {
    // SAFETY: libc lends the text for this call.
    unsafe { write(cookie.addr() as c_int, text.cast(), length) }
}

fn stream_of(descriptor: c_int) -> Option<Stream> {
    match descriptor {
        libc::STDOUT_FILENO => Some(Stream::Stdout),
        libc::STDERR_FILENO => Some(Stream::Stderr),
        _ => None,
    }
}

/// Logs the text if a library has printed it.
///
/// # Safety
/// The text is readable for this call, or null.
unsafe fn print(stream: Stream, text: *const c_void, length: usize) -> bool {
    if text.is_null() || length == 0 {
        return false;
    }
    // SAFETY: the caller's promise.
    output::print(stream, unsafe { std::slice::from_raw_parts(text.cast(), length) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn write(descriptor: c_int, text: *const c_void, length: usize) -> isize {
    if let Some(stream) = stream_of(descriptor)
        // SAFETY: the caller's promise.
        && unsafe { print(stream, text, length) }
    {
        return length.cast_signed();
    }
    // SAFETY: this is the type of the function with that name.
    let real: WriteFn = unsafe { std::mem::transmute(WRITE.address()) };
    // SAFETY: the caller's promise.
    unsafe { real(descriptor, text, length) }
}

/// Prints the parts one after the other. Like libc's, it may return that only some were written.
#[unsafe(no_mangle)]
unsafe extern "C" fn writev(descriptor: c_int, parts: *const libc::iovec, count: c_int) -> isize {
    if let Some(stream) = stream_of(descriptor)
        && !parts.is_null()
    {
        // SAFETY: the caller's promise: there are that many.
        let parts = unsafe { std::slice::from_raw_parts(parts, usize::try_from(count).unwrap_or(0)) };
        let parts = parts.iter().filter(|part| part.iov_len > 0);
        // SAFETY: the caller's promise: each is readable.
        let printed = parts.take_while(|part| unsafe { print(stream, part.iov_base, part.iov_len) });
        let length: usize = printed.map(|part| part.iov_len).sum();
        if length > 0 {
            return length.cast_signed();
        }
    }
    // SAFETY: this is the type of the function with that name.
    let real: WriteVectorFn = unsafe { std::mem::transmute(WRITE_VECTOR.address()) };
    // SAFETY: the caller's promise.
    unsafe { real(descriptor, parts, count) }
}
