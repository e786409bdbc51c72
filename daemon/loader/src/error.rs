//! Why a library was not loaded.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reld_abi as abi;

/// A library that was not loaded: which file, and why. Nothing of it was called unless the refusal says so.
#[derive(Debug, thiserror::Error)]
#[error("{} was not loaded: {refusal}", path.display())]
pub struct LoadError {
    /// The file that was asked for.
    pub path: PathBuf,
    /// What is wrong with it, and the remedy.
    pub refusal: Refusal,
}

impl LoadError {
    pub(crate) fn new(path: &Path, refusal: Refusal) -> Self {
        Self { path: path.to_owned(), refusal }
    }
}

/// What is wrong with a library, and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The file could not be read.
    #[error("it cannot be read: {0}")]
    Read(io::Error),

    /// The private copy could not be written.
    #[error("its private copy {} cannot be written: {error}", copy.display())]
    Copy {
        /// The copy, or the folder of the copies.
        copy: PathBuf,
        /// What the system answered.
        error: io::Error,
    },

    /// The file is not the one that the release names.
    #[error("its sha256 is {found}, not {expected}: the file was changed; unpack the release again")]
    Digest {
        /// In hexadecimal digits.
        expected: String,
        /// In hexadecimal digits.
        found: String,
    },

    /// The file is no whole ELF file.
    #[error("it is no whole ELF file: {0}; build it again, or copy it again")]
    Damaged(String),

    /// The file is for another machine or of another kind.
    #[error("its {field} is {found}, this daemon needs {expected}: build a cdylib for the daemon's target")]
    Target {
        /// The field of the ELF header.
        field: &'static str,
        /// What the file says.
        found: String,
        /// What it has to say.
        expected: String,
    },

    /// The file exports no entry.
    #[error(
        "it does not export {}: the app's crate needs `export_app!` and crate-type cdylib",
        abi::ENTRY_SYMBOL
    )]
    NoEntry,

    /// The file wants thread-local storage that the process can give only a few times.
    #[error(
        "it uses static TLS, of which a process has only a little: leave out what brings it (often an own allocator)"
    )]
    StaticTls,

    /// The file has symbols of which a process may have only one, so the system's loader would never unmap it.
    #[error(
        "it defines {symbol} as a unique symbol, which forbids unmapping: build its C++ with -fno-gnu-unique"
    )]
    Unique {
        /// The first such symbol.
        symbol: String,
    },

    /// The file calls what nobody has.
    #[error(
        "it needs symbols that neither the daemon nor its system libraries have: {symbols}; link what defines them"
    )]
    Undefined {
        /// Their names, separated by commas.
        symbols: String,
    },

    /// The file's code would have to be written to when it is loaded.
    #[error(
        "its code has relocations in it and would have to be writable: build every part of it with -fPIC"
    )]
    TextRelocations,

    /// The file wants the stacks of all threads to be executable.
    #[error("it wants executable stacks, for the whole daemon: link it with -Wl,-z,noexecstack")]
    ExecutableStack,

    /// The file wants a library that a private copy would not find, or would share with another version.
    #[error("it needs {library}: link that statically; only glibc, libgcc_s and libstdc++ may be shared")]
    Needs {
        /// The name in the file's table of needed libraries.
        library: String,
    },

    /// Nothing in the file names the build.
    #[error("it has no GNU build id: link it with -Wl,--build-id")]
    NoBuildId,

    /// The system's loader refused.
    #[error("dlopen refused it: {0}")]
    Open(String),

    /// The code in memory is not that of the file.
    #[error("the code in memory is not that of the file (build id {expected}); report this as a bug of reld")]
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

    /// The magic block is not what the boundary says.
    #[error("its magic block is wrong: {field} {problem}; build it with `export_app!` or by reld.h")]
    Block {
        /// The member that is wrong.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },

    /// A panic would end the daemon.
    #[error(
        "it was built with panic=abort, so a panic of the app would end the daemon: build it with panic=unwind"
    )]
    PanicAbort,

    /// The library is another app, or another version of it, than its place says.
    #[error(
        "its {field} is {found:?}, but {asked:?} was asked for: the file lies in the wrong folder, or app.toml is not that of the build"
    )]
    Identity {
        /// `name` or `vsn`.
        field: &'static str,
        /// What was asked for.
        asked: String,
        /// What the library says.
        found: String,
    },

    /// A module's table is not what its behaviour needs.
    #[error("its module {module} is wrong: {problem}; build it with `export_app!` or by reld.h")]
    Module {
        /// The module's name, or its place in the table.
        module: String,
        /// What is wrong with it.
        problem: String,
    },

    /// The library's own load function said no.
    #[error(
        "its load function answered status {status}; the daemon offers ABI {}.{}",
        abi::ABI_MAJOR,
        abi::ABI_MINOR
    )]
    LoadRefused {
        /// What it answered.
        status: i32,
    },

    /// It was not loaded in time. What is still loaded is thrown away when it comes.
    #[error("it was not loaded within {:?}: a constructor or load function of a library does not return", rounded(*.0))]
    Deadline(Duration),

    /// The loader panicked. The library may stay mapped.
    #[error("the loader panicked, which is a bug of reld: the log says where")]
    Panicked,

    /// Whoever asked for it has changed their mind. What is still loaded is thrown away when it
    /// comes.
    #[error("it was not loaded: {0}")]
    GivenUp(String),

    /// The system gives no thread.
    #[error("there is no thread to load it on: {0}; raise the limit of threads")]
    NoThread(io::Error),

    /// The daemon's own symbols cannot be found by libraries.
    #[error("this program does not export {symbol}: link it with -Wl,--export-dynamic-symbol={symbol}")]
    NotExported {
        /// The symbol.
        symbol: &'static str,
    },
}

/// Returns a time as people read it: what is left of a deadline has nanoseconds.
fn rounded(time: Duration) -> Duration {
    Duration::from_millis(
        u64::try_from(time.as_micros().div_ceil(10_000)).unwrap_or(u64::MAX).saturating_mul(10),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_told_without_what_of_it_had_passed_before() {
        let told = Refusal::Deadline(Duration::from_nanos(29_999_985_879)).to_string();
        assert!(told.starts_with("it was not loaded within 30s: "), "{told}");
        assert_eq!(rounded(Duration::from_millis(250)), Duration::from_millis(250));
    }
}
