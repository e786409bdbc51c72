//! `relctl tied PROGRAM …`: executes a program that the kernel ends when its parent ends.
//!
//! A temporary node must not outlive the relctl that started it, not even if relctl is killed. The
//! setting must be made inside the child process, as in [`limited`](super::limited).

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

use crate::error::Failure;

/// Makes the setting and executes the program; returns only on failure.
pub(super) fn exec(program: &[OsString]) -> Failure {
    if let Err(errno) = set_pdeathsig(Signal::SIGTERM) {
        return Failure::io("tie", program[0].display(), &io::Error::from(errno));
    }
    let fault = Command::new(&program[0]).args(&program[1..]).exec();
    Failure::io("run", program[0].display(), &fault)
}
