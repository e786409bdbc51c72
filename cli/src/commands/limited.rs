//! `relctl limited PROGRAM …`: becomes the program, with the limits of a probe.
//!
//! Looking into a library runs foreign constructors. Limits have to be set inside the child, and setting them between
//! fork and exec would need unsafe code; so relctl starts itself, sets them, and becomes the program.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::resource::{Resource, setrlimit};

use crate::error::Failure;

/// Address space of a probe. Generous, since allocators reserve much more than they use.
const MEMORY_MAX: u64 = 8 << 30;

/// Seconds of computing.
const CPU_MAX_S: u64 = 20;

/// Sets the limits and becomes the program; returns only when that fails.
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
