//! The errors of loading a library.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reld_abi as abi;

/// The error of a library that was not loaded. No function of the library was called, unless
/// `refusal` reports a failed call.
#[derive(Debug, thiserror::Error)]
#[error("cannot load {}: {refusal}", path.display())]
pub struct LoadError {
    /// The requested file.
    pub path: PathBuf,
    /// The reason and a remedy.
    pub refusal: Refusal,
}

impl LoadError {
    pub(crate) fn new(path: &Path, refusal: Refusal) -> Self {
        Self { path: path.to_owned(), refusal }
    }
}

/// The reason why a library was not loaded, and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The file could not be read.
    #[error("the file cannot be read: {0}")]
    Read(io::Error),

    /// The private copy could not be written.
    #[error("the private copy {} cannot be written: {error}", copy.display())]
    Copy {
        /// The private copy, or the folder of the private copies.
        copy: PathBuf,
        /// The error of the system call.
        error: io::Error,
    },

    /// The file differs from the one recorded in the release.
    #[error("its sha256 is {found}, not {expected}: the file was changed; unpack the release again")]
    Digest {
        /// The recorded digest in hexadecimal digits.
        expected: String,
        /// The digest of the file in hexadecimal digits.
        found: String,
    },

    /// The file is not a complete ELF file.
    #[error("it is not a complete ELF file: {0}; build it again, or copy it again")]
    Damaged(String),

    /// The file is for another machine or of another kind.
    #[error("its {field} is {found}, this daemon needs {expected}; build a cdylib for the daemon's target")]
    Target {
        /// The field of the ELF header.
        field: &'static str,
        /// The value in the file.
        found: String,
        /// The value that the daemon needs.
        expected: String,
    },

    /// The file does not export the entry function.
    #[error(
        "it does not export {}; the app's crate needs `export_app!` and crate-type cdylib",
        abi::ENTRY_SYMBOL
    )]
    NoEntry,

    /// The file uses static TLS. An OS process has only a small reserve of it.
    #[error(
        "it uses static TLS, of which a process has only a small reserve; remove the dependency that uses it (often an allocator)"
    )]
    StaticTls,

    /// The file defines symbols that must be unique in the OS process, so glibc would never unmap
    /// the file.
    #[error(
        "it defines {symbol} as a unique symbol, which prevents unmapping; build its C++ code with -fno-gnu-unique"
    )]
    Unique {
        /// The first such symbol.
        symbol: String,
    },

    /// The file needs symbols that no library defines.
    #[error(
        "it needs symbols that neither the daemon nor the system libraries define: {symbols}; link the libraries that define them"
    )]
    Undefined {
        /// The names of the symbols, separated by commas.
        symbols: String,
    },

    /// The file's code contains relocations, so it would have to be writable while it is loaded.
    #[error("its code contains relocations and would have to be writable; build all of it with -fPIC")]
    TextRelocations,

    /// The file requires executable stacks for all threads.
    #[error("it requires executable stacks for the whole daemon; link it with -Wl,-z,noexecstack")]
    ExecutableStack,

    /// The file needs a shared library that the private copy would not find, or that another
    /// version of the app would share.
    #[error(
        "it needs the shared library {library}; link that library statically, only glibc, libgcc_s and libstdc++ may be shared"
    )]
    Needs {
        /// The name in the file's table of needed libraries.
        library: String,
    },

    /// The file has no build id.
    #[error("it has no GNU build id; link it with -Wl,--build-id")]
    NoBuildId,

    /// `dlopen` failed.
    #[error("dlopen failed: {0}")]
    Open(String),

    /// The mapped code is not the code of the file.
    #[error(
        "the mapped code is not the code of the file (build id {expected}); report this as a bug of reld"
    )]
    OtherCode {
        /// The file's build id in hexadecimal digits.
        expected: String,
    },

    /// The library was built for another version of the boundary.
    #[error(
        "{field} differs: it was built for ABI {library}, this daemon offers ABI {daemon}; build it with an SDK of ABI {daemon}"
    )]
    Abi {
        /// The member of the magic block that differs.
        field: &'static str,
        /// The library's version, as `major.minor`.
        library: String,
        /// The daemon's version, as `major.minor`.
        daemon: String,
    },

    /// The magic block violates the contract of the boundary.
    #[error(
        "its magic block is wrong: {field} {problem}; build it with `export_app!` or according to reld.h"
    )]
    Block {
        /// The invalid member.
        field: &'static str,
        /// A description of its value.
        problem: String,
    },

    /// The library was built with panic=abort, so a panic would end the daemon.
    #[error(
        "it was built with panic=abort, so a panic of the app would end the daemon; build it with panic=unwind"
    )]
    PanicAbort,

    /// The library has another app name or version than the requested one.
    #[error(
        "its {field} is {found:?}, but {asked:?} was expected: the file is in the wrong folder, or app.toml is not the one of the build"
    )]
    Identity {
        /// `name` or `vsn`.
        field: &'static str,
        /// The requested value.
        asked: String,
        /// The value in the library.
        found: String,
    },

    /// A module's table is invalid, for example because it lacks members that the behaviour needs.
    #[error("its module {module} is wrong: {problem}; build it with `export_app!` or according to reld.h")]
    Module {
        /// The name of the module, or its index in the table.
        module: String,
        /// A description of the error.
        problem: String,
    },

    /// The library's own load function failed.
    #[error(
        "its load function returned status {status}; the daemon offers ABI {}.{}",
        abi::ABI_MAJOR,
        abi::ABI_MINOR
    )]
    LoadRefused {
        /// The status that it returned.
        status: i32,
    },

    /// The time limit for loading the library has expired. If loading finishes later, the library
    /// is unloaded again.
    #[error("loading did not finish within {:?}: a constructor or load function of a library does not return", rounded(*.0))]
    Deadline(Duration),

    /// The loader panicked. The library may stay mapped.
    #[error("the loader panicked; report this as a bug of reld, with the panic message from the log")]
    Panicked,

    /// The caller abandoned the request. If loading finishes later, the library is unloaded again.
    #[error("loading was abandoned: {0}")]
    GivenUp(String),

    /// The system cannot start a thread.
    #[error("cannot start a thread to load it: {0}; raise the limit on threads")]
    NoThread(io::Error),

    /// Libraries cannot find the daemon's own symbols.
    #[error("this program does not export {symbol}; link it with -Wl,--export-dynamic-symbol={symbol}")]
    NotExported {
        /// The symbol.
        symbol: &'static str,
    },
}

/// Rounds a duration up to 10 ms. The time that is left until a deadline has nanoseconds, which
/// distract a reader.
fn rounded(time: Duration) -> Duration {
    Duration::from_millis(
        u64::try_from(time.as_micros().div_ceil(10_000)).unwrap_or(u64::MAX).saturating_mul(10),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_displayed_as_a_round_number() {
        let text = Refusal::Deadline(Duration::from_nanos(29_999_985_879)).to_string();
        assert!(text.starts_with("loading did not finish within 30s: "), "{text}");
        assert_eq!(rounded(Duration::from_millis(250)), Duration::from_millis(250));
    }
}
