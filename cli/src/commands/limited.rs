//! `relctl limited PROGRAM …`: executes the program with the limits of a probe.
//!
//! Inspecting a library runs its constructors, so it needs limits. They must be set inside the
//! child process, but running code between fork and exec would be unsafe. Therefore relctl starts
//! itself as the child, which sets the limits and then executes the program.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::resource::{Resource, setrlimit};

use crate::error::Failure;

/// The maximum address space of a probe. It is generous, because allocators reserve much more than
/// they use.
const MEMORY_MAX: u64 = 8 << 30;

/// The CPU time of a probe, in seconds.
const CPU_MAX_S: u64 = 20;

/// Sets the limits and executes the program; returns only on failure.
pub(super) fn exec(program: &[OsString]) -> Failure {
    let limits =
        [(Resource::RLIMIT_AS, MEMORY_MAX), (Resource::RLIMIT_CPU, CPU_MAX_S), (Resource::RLIMIT_CORE, 0)];
    for (resource, limit) in limits {
        if let Err(errno) = setrlimit(resource, limit, limit) {
            return Failure::io("limit", format_args!("{resource:?}"), &io::Error::from(errno));
        }
    }
    let fault = Command::new(&program[0]).args(&program[1..]).exec();
    Failure::io("run", program[0].display(), &fault)
}
