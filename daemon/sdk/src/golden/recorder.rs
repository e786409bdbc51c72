//! A fake daemon for the tests of the golden bytes.

use std::cell::RefCell;
use std::collections::VecDeque;

use crate::body::Body;
use crate::exit::Exit;
use crate::host::{Closed, Host, Mail, Refused, RequestKind, SendKind, Tie};
use crate::job::Job;
use crate::names::{From, MonitorRef, Pid, Timer};

/// A daemon that records requests, and gives the same answer to all of them.
#[derive(Default)]
pub(super) struct Recorder {
    pub(super) asked: RefCell<Vec<Vec<u8>>>,
    pub(super) answers: RefCell<VecDeque<Closed>>,
}

impl Host for Recorder {
    fn call(&self, _: RequestKind, _: Pid, body: Body, _: u64) -> Result<u64, Refused> {
        self.asked.borrow_mut().push(body.to_vec());
        Ok(1)
    }

    fn continue_with(&self, body: Body) -> Result<(), Refused> {
        self.asked.borrow_mut().push(body.to_vec());
        Ok(())
    }

    fn take(&self, _: u64) -> Result<Option<Closed>, Refused> {
        Ok(self.answers.borrow_mut().pop_front())
    }

    fn self_pid(&self) -> Option<Pid> {
        None
    }

    fn send(&self, _: SendKind, _: Pid, _: Body) -> Result<(), Refused> {
        Err(Refused)
    }

    fn bound_mailbox(&self, _: u64) -> Result<(), Refused> {
        Err(Refused)
    }

    fn receive_timeout(&self, _: u64) -> Result<(), Refused> {
        Err(Refused)
    }

    fn forget(&self, _: u64) {}

    fn reply(&self, _: From, _: Body) -> Result<(), Refused> {
        Err(Refused)
    }

    fn send_after(&self, _: Pid, _: u64, _: Body) -> Result<Timer, Refused> {
        Err(Refused)
    }

    fn send_interval(&self, _: Pid, _: u64, _: Body) -> Result<Timer, Refused> {
        Err(Refused)
    }

    fn read_timer(&self, _: Timer) -> Option<u64> {
        None
    }

    fn cancel_timer(&self, _: Timer) -> bool {
        false
    }

    fn blocking(&self, _: Job) -> Result<u64, Refused> {
        Err(Refused)
    }

    fn sleep(&self, _: u64) -> Result<u64, Refused> {
        Err(Refused)
    }

    fn recv(&self) -> Result<Option<Mail>, Refused> {
        Err(Refused)
    }

    fn spawn(&self, _: &str, _: Body, _: Tie) -> Result<u64, Refused> {
        Err(Refused)
    }

    fn register(&self, _: &str) -> Result<(), Refused> {
        Err(Refused)
    }

    fn unregister(&self, _: &str) -> Result<(), Refused> {
        Err(Refused)
    }

    fn whereis(&self, _: &str) -> Option<Pid> {
        None
    }

    fn find(&self, _: &str, _: bool) -> Result<Result<Pid, String>, Refused> {
        Err(Refused)
    }

    fn link(&self, _: Pid) -> Result<(), Refused> {
        Err(Refused)
    }

    fn unlink(&self, _: Pid) -> Result<(), Refused> {
        Err(Refused)
    }

    fn monitor(&self, _: Pid) -> Result<MonitorRef, Refused> {
        Err(Refused)
    }

    fn demonitor(&self, _: MonitorRef) -> Result<(), Refused> {
        Err(Refused)
    }

    fn exit(&self, _: Pid, _: Exit) -> Result<(), Refused> {
        Err(Refused)
    }

    fn trap_exit(&self, _: bool) -> Result<(), Refused> {
        Err(Refused)
    }

    fn env(&self, _: &str) -> Option<Vec<u8>> {
        None
    }

    fn log(&self, _: log::Level, _: &str, _: &str) {}
}
