//! System messages to one process. OTP: sys.

use std::time::Duration;

use super::Runtime;
use crate::look::sys::{self, SysStatus};
use crate::look::trace::Tracing;
use crate::process::debug::{Logged, Statistics};
use crate::process::system::SysError;
use crate::words::code::Bytes;
use crate::words::exit::Exit;
use crate::words::pid::Pid;
use crate::world::trace::{Only, Traced};

impl Runtime {
    /// Suspends a process. Waits. OTP: `sys:suspend/2`.
    ///
    /// # Errors
    /// See [`SysError`].
    pub fn suspend(&self, pid: Pid, timeout: Duration) -> Result<(), SysError> {
        sys::suspend(&self.world, pid, timeout)
    }

    /// Resumes a process. Waits. OTP: `sys:resume/2`.
    ///
    /// # Errors
    /// See [`SysError`].
    pub fn resume(&self, pid: Pid, timeout: Duration) -> Result<(), SysError> {
        sys::resume(&self.world, pid, timeout)
    }

    /// Converts a suspended process to its module's current code. Waits. OTP: `sys:change_code/5`.
    ///
    /// # Errors
    /// See [`SysError`].
    pub fn change_code(&self, pid: Pid, from: &str, extra: Bytes, timeout: Duration) -> Result<(), SysError> {
        sys::change_code(&self.world, pid, from.to_owned(), extra, timeout)
    }

    /// Returns the state of a process as MessagePack. Waits. OTP: `sys:get_state/2`.
    ///
    /// # Errors
    /// See [`SysError`].
    pub fn get_state(&self, pid: Pid, timeout: Duration) -> Result<Bytes, SysError> {
        sys::get_state(&self.world, pid, timeout)
    }

    /// Replaces the state of a process. The process's code decodes the new state from these bytes.
    /// Waits. OTP: `sys:replace_state/3`.
    ///
    /// # Errors
    /// See [`SysError`]; after an error the old state stays.
    pub fn replace_state(&self, pid: Pid, state: Bytes, timeout: Duration) -> Result<(), SysError> {
        sys::replace_state(&self.world, pid, state, timeout)
    }

    /// Ends a process, suspended or not, through its terminate callback. Waits until the process
    /// has begun to terminate. OTP: `sys:terminate/3`.
    ///
    /// # Errors
    /// See [`SysError`].
    pub fn terminate(&self, pid: Pid, reason: Exit, timeout: Duration) -> Result<(), SysError> {
        sys::terminate(&self.world, pid, reason, timeout)
    }

    /// Turns the statistics of a process on, starting from 0, or off. Waits. OTP:
    /// `sys:statistics/3`.
    ///
    /// # Errors
    /// See [`SysError`].
    pub fn count(&self, pid: Pid, on: bool, timeout: Duration) -> Result<(), SysError> {
        sys::count(&self.world, pid, on, timeout)
    }

    /// Returns the statistics of a process; `None` when they are off. Waits.
    ///
    /// # Errors
    /// See [`SysError`].
    pub fn statistics(&self, pid: Pid, timeout: Duration) -> Result<Option<Statistics>, SysError> {
        sys::statistics(&self.world, pid, timeout)
    }

    /// Makes a process keep a log of its last `max` messages; `None` turns the log off. Waits. OTP:
    /// `sys:log/3`.
    ///
    /// # Errors
    /// See [`SysError`].
    pub fn keep_log(&self, pid: Pid, max: Option<usize>, timeout: Duration) -> Result<(), SysError> {
        sys::keep_log(&self.world, pid, max, timeout)
    }

    /// Returns the messages in a process's log, oldest first; `None` when the process keeps no log.
    /// Waits.
    ///
    /// # Errors
    /// See [`SysError`].
    pub fn log(&self, pid: Pid, timeout: Duration) -> Result<Option<Vec<Logged>>, SysError> {
        sys::log(&self.world, pid, timeout)
    }

    /// Returns the status of a process. Waits. OTP: `sys:get_status/2`.
    ///
    /// # Errors
    /// See [`SysError`].
    pub fn sys_status(&self, pid: Pid, timeout: Duration) -> Result<SysStatus, SysError> {
        sys::get_status(&self.world, pid, timeout)
    }

    /// Turns off statistics and log of a process. Waits. OTP: `sys:no_debug/2`.
    ///
    /// # Errors
    /// See [`SysError`].
    pub fn no_debug(&self, pid: Pid, timeout: Duration) -> Result<(), SysError> {
        sys::no_debug(&self.world, pid, timeout)
    }

    /// Calls `tell` for each traced event, until the returned value is dropped. `tell` is called on
    /// threads of the pool and must not wait. Returns `None` while another trace runs. OTP:
    /// `erlang:trace/3`.
    pub fn trace(&self, only: Only, tell: impl Fn(Traced) + Send + Sync + 'static) -> Option<Tracing> {
        Tracing::start(&self.world, only, tell)
    }
}
