//! Implements [`Host`] by the daemon's table of functions.
#![expect(unsafe_code, reason = "calls through the daemon's function pointers")]

use reld_abi::Host as Table;

use crate::body::Body;
use crate::bytes::{give_exit, lend, read_exit, take};
use crate::codec;
use crate::exit::Exit;
use crate::host::{Closed, Host, Mail, Refused, RequestKind, SendKind, Tie};
use crate::job::{self, Job};
use crate::names::{From, MonitorRef, Pid, Timer};

impl Host for Table {
    fn self_pid(&self) -> Option<Pid> {
        // SAFETY: a function of the daemon's table; it may be called on any thread.
        read_pid(unsafe { (self.self_pid)() })
    }

    fn send(&self, kind: SendKind, to: Pid, body: Body) -> Result<(), Refused> {
        let kind = match kind {
            SendKind::Cast => reld_abi::EVENT_CAST,
            SendKind::Info => reld_abi::EVENT_INFO,
        };
        // SAFETY: as above; the body changes owner.
        ok(unsafe { (self.send)(kind, give_pid(to), body.give()) })
    }

    fn continue_with(&self, body: Body) -> Result<(), Refused> {
        let me = give_pid(Host::self_pid(self).ok_or(Refused)?);
        // SAFETY: as above; the body changes owner.
        ok(unsafe { (self.send)(reld_abi::EVENT_CONTINUE, me, body.give()) })
    }

    fn bound_mailbox(&self, messages: u64) -> Result<(), Refused> {
        // SAFETY: as above.
        ok(unsafe { (self.bound_mailbox)(messages) })
    }

    fn receive_timeout(&self, after_ms: u64) -> Result<(), Refused> {
        let me = give_pid(Host::self_pid(self).ok_or(Refused)?);
        let body = codec::body(&after_ms).map_err(|_| Refused)?;
        // SAFETY: as above; the body changes owner.
        ok(unsafe { (self.send)(reld_abi::EVENT_TIMEOUT, me, body.give()) })
    }

    fn call(&self, kind: RequestKind, to: Pid, body: Body, timeout_ms: u64) -> Result<u64, Refused> {
        let kind = match kind {
            RequestKind::Call => reld_abi::REQUEST_CALL,
            RequestKind::Supervisor => reld_abi::REQUEST_SUPERVISOR,
            RequestKind::Stop => reld_abi::REQUEST_STOP,
            RequestKind::Port => reld_abi::REQUEST_PORT,
            RequestKind::Table => reld_abi::REQUEST_TABLE,
        };
        // SAFETY: as above; the body changes owner.
        opened(unsafe { (self.call)(kind, give_pid(to), body.give(), timeout_ms) })
    }

    fn take(&self, reference: u64) -> Result<Option<Closed>, Refused> {
        let mut answer = reld_abi::Answer {
            kind: 0,
            reserved: 0,
            reply: reld_abi::Buf::EMPTY,
            exit: reld_abi::Exit { kind: 0, text: reld_abi::Buf::EMPTY },
        };
        // SAFETY: as above; `answer` is writable for the call.
        let status = unsafe { (self.take)(reference, &raw mut answer) };
        if status == reld_abi::PENDING {
            return Ok(None);
        }
        ok(status)?;
        Ok(Some(read_answer(answer)))
    }

    fn forget(&self, reference: u64) {
        // SAFETY: as above.
        unsafe { (self.forget)(reference) }
    }

    fn reply(&self, to: From, body: Body) -> Result<(), Refused> {
        let to = reld_abi::From {
            caller: give_pid(to.caller),
            server: give_pid(to.server),
            reference: to.reference,
        };
        // SAFETY: as above; the body changes owner.
        ok(unsafe { (self.reply)(to, body.give()) })
    }

    fn send_after(&self, to: Pid, after_ms: u64, body: Body) -> Result<Timer, Refused> {
        // SAFETY: as above; the body changes owner.
        let timer = unsafe { (self.send_after)(give_pid(to), after_ms, body.give()) };
        if timer.id == 0 { Err(Refused) } else { Ok(Timer { id: timer.id, at_ns: timer.at_ns }) }
    }

    fn send_interval(&self, to: Pid, every_ms: u64, body: Body) -> Result<Timer, Refused> {
        // SAFETY: as above; the body changes owner.
        let timer = unsafe { (self.send_interval)(give_pid(to), every_ms, body.give()) };
        if timer.id == 0 { Err(Refused) } else { Ok(Timer { id: timer.id, at_ns: timer.at_ns }) }
    }

    fn read_timer(&self, timer: Timer) -> Option<u64> {
        let timer = reld_abi::Timer { id: timer.id, at_ns: timer.at_ns };
        // SAFETY: as above.
        let left_ms = unsafe { (self.read_timer)(timer) };
        (left_ms != reld_abi::INFINITY).then_some(left_ms)
    }

    fn cancel_timer(&self, timer: Timer) -> bool {
        let timer = reld_abi::Timer { id: timer.id, at_ns: timer.at_ns };
        // SAFETY: as above.
        ok(unsafe { (self.cancel_timer)(timer) }).is_ok()
    }

    fn blocking(&self, job: Job) -> Result<u64, Refused> {
        let data_app = job::give(job);
        // SAFETY: as above; the job changes owner unless it is refused.
        opened(unsafe { (self.blocking)(job::run, data_app) }).inspect_err(|_| {
            // SAFETY: refused, so it is still ours.
            unsafe { job::take_back(data_app) }
        })
    }

    fn sleep(&self, after_ms: u64) -> Result<u64, Refused> {
        // SAFETY: as above.
        opened(unsafe { (self.sleep)(after_ms) })
    }

    fn recv(&self) -> Result<Option<Mail>, Refused> {
        let none = reld_abi::Pid { slot: 0, generation: 0 };
        let mut message =
            reld_abi::Message { kind: 0, exit_kind: 0, from: none, reference: 0, body: reld_abi::Buf::EMPTY };
        // SAFETY: as above; `message` is writable for the call.
        let status = unsafe { (self.recv)(&raw mut message) };
        if status == reld_abi::PENDING {
            return Ok(None);
        }
        ok(status)?;
        read_message(self, message).map(Some)
    }

    fn spawn(&self, module: &str, args: Body, tie: Tie) -> Result<u64, Refused> {
        let link = match tie {
            Tie::None => 0,
            Tie::Link => 1,
            Tie::Child => 2,
        };
        // SAFETY: as above; the name is lent, the arguments change owner.
        opened(unsafe { (self.spawn)(lend(module.as_bytes()), args.give(), link) })
    }

    fn register(&self, name: &str) -> Result<(), Refused> {
        // SAFETY: as above; the name is lent.
        ok(unsafe { (self.register)(lend(name.as_bytes())) })
    }

    fn unregister(&self, name: &str) -> Result<(), Refused> {
        // SAFETY: as above; the name is lent.
        ok(unsafe { (self.unregister)(lend(name.as_bytes())) })
    }

    fn whereis(&self, name: &str) -> Option<Pid> {
        // SAFETY: as above; the name is lent.
        read_pid(unsafe { (self.whereis)(lend(name.as_bytes())) })
    }

    fn find(&self, place: &str, explain: bool) -> Result<Result<Pid, String>, Refused> {
        let (mut pid, mut why) = (give_pid(Pid::NONE), reld_abi::Buf::EMPTY);
        let reason = if explain { &raw mut why } else { std::ptr::null_mut() };
        // SAFETY: as above; the place is lent, `pid` and `why` are writable for the call.
        let status = unsafe { (self.find)(lend(place.as_bytes()), &raw mut pid, reason) };
        // SAFETY: the daemon left it empty or gave us an allocation of its allocator.
        let why = unsafe { take(why) };
        match (status, read_pid(pid)) {
            (reld_abi::OK, Some(pid)) => Ok(Ok(pid)),
            (reld_abi::FAILED, _) => Ok(Err(String::from_utf8_lossy(&why).into_owned())),
            _ => Err(Refused),
        }
    }

    fn link(&self, with: Pid) -> Result<(), Refused> {
        // SAFETY: as above.
        ok(unsafe { (self.link)(give_pid(with)) })
    }

    fn unlink(&self, with: Pid) -> Result<(), Refused> {
        // SAFETY: as above.
        ok(unsafe { (self.unlink)(give_pid(with)) })
    }

    fn monitor(&self, pid: Pid) -> Result<MonitorRef, Refused> {
        // SAFETY: as above.
        opened(unsafe { (self.monitor)(give_pid(pid)) }).map(MonitorRef)
    }

    fn demonitor(&self, monitor: MonitorRef) -> Result<(), Refused> {
        // SAFETY: as above.
        ok(unsafe { (self.demonitor)(monitor.0) })
    }

    fn exit(&self, to: Pid, exit: Exit) -> Result<(), Refused> {
        // SAFETY: as above; the reason changes owner.
        ok(unsafe { (self.exit)(give_pid(to), give_exit(exit)) })
    }

    fn trap_exit(&self, on: bool) -> Result<(), Refused> {
        // SAFETY: as above.
        ok(unsafe { (self.trap_exit)(u32::from(on)) })
    }

    fn env(&self, key: &str) -> Option<Vec<u8>> {
        let mut value = reld_abi::Buf::EMPTY;
        // SAFETY: as above; the key is lent, `value` is writable for the call.
        let status = unsafe { (self.get_env)(lend(key.as_bytes()), &raw mut value) };
        // SAFETY: the daemon left it empty or gave us an allocation of its allocator.
        ok(status).is_ok().then(|| unsafe { take(value) })
    }

    fn log(&self, level: log::Level, target: &str, message: &str) {
        // SAFETY: as above; both strings are lent.
        unsafe { (self.log)(level as u32, lend(target.as_bytes()), lend(message.as_bytes())) }
    }
}

fn ok(status: reld_abi::Status) -> Result<(), Refused> {
    if status == reld_abi::OK { Ok(()) } else { Err(Refused) }
}

/// Converts a reference; 0 means refused.
fn opened(reference: u64) -> Result<u64, Refused> {
    if reference == 0 { Err(Refused) } else { Ok(reference) }
}

fn give_pid(pid: Pid) -> reld_abi::Pid {
    reld_abi::Pid { slot: pid.slot(), generation: pid.generation() }
}

/// Converts a pid that may be none.
fn read_pid(pid: reld_abi::Pid) -> Option<Pid> {
    let pid = Pid::new(pid.slot, pid.generation);
    (pid != Pid::NONE).then_some(pid)
}

fn read_answer(answer: reld_abi::Answer) -> Closed {
    // SAFETY: the daemon gave us the answer's buffers.
    let reply = unsafe { Body::take(answer.reply) };
    // SAFETY: as above.
    let text = unsafe { take(answer.exit.text) };
    match answer.kind {
        reld_abi::ANSWER_REPLY => Closed::Reply(reply),
        reld_abi::ANSWER_TIMEOUT => Closed::Timeout,
        _ => Closed::Exit(read_exit(answer.exit.kind, &text)),
    }
}

fn read_message(host: &Table, message: reld_abi::Message) -> Result<Mail, Refused> {
    // SAFETY: the daemon gave us the message's buffer.
    let body = unsafe { Body::take(message.body) };
    let from = Pid::new(message.from.slot, message.from.generation);
    Ok(match message.kind {
        reld_abi::EVENT_CALL => {
            let server = host.self_pid().unwrap_or(Pid::NONE);
            Mail::Call(From { caller: from, server, reference: message.reference }, body)
        }
        reld_abi::EVENT_CAST => Mail::Cast(from, body),
        reld_abi::EVENT_INFO => Mail::Info(from, body),
        reld_abi::EVENT_TOLD => Mail::Told(body),
        reld_abi::EVENT_EXIT => Mail::Exit(from, read_exit(message.exit_kind, &body)),
        reld_abi::EVENT_DOWN => {
            Mail::Down(MonitorRef(message.reference), from, read_exit(message.exit_kind, &body))
        }
        _ => return Err(Refused),
    })
}
