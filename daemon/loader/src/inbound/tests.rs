use super::*;

/// Calls every function of the table outside a callback, with arguments that would be legal in
/// a callback. Returns for each function whether it refused.
fn outside() -> Vec<(&'static str, bool)> {
    let host = host();
    let pid = abi::Pid { slot: 1, generation: 1 };
    let from = abi::From { caller: pid, server: pid, reference: 1 };
    let timer = abi::Timer { id: 1, at_ns: 1 };
    let body = || wire::give_buf(b"\xc0".to_vec());
    let name = wire::lend(b"name");
    let (mut got, mut mail, mut value) = (answer(Answer::Timeout), empty(), abi::Buf::EMPTY);
    let mut found = NO_PID;
    // SAFETY: every argument keeps the contract of the table.
    #[expect(clippy::multiple_unsafe_ops_per_block, reason = "one list of calls")]
    unsafe {
        vec![
            ("self_pid", (host.self_pid)() == NO_PID),
            ("send", (host.send)(abi::EVENT_CAST, pid, body()) == abi::REFUSED),
            ("call", (host.call)(abi::REQUEST_CALL, pid, body(), abi::INFINITY) == 0),
            ("port", (host.call)(abi::REQUEST_PORT, NO_PID, body(), abi::INFINITY) == 0),
            ("table", (host.call)(abi::REQUEST_TABLE, NO_PID, body(), abi::INFINITY) == 0),
            ("blocking", (host.blocking)(never, std::ptr::null_mut()) == 0),
            ("bound_mailbox", (host.bound_mailbox)(1) == abi::REFUSED),
            ("take", (host.take)(1, &raw mut got) == abi::REFUSED),
            ("reply", (host.reply)(from, body()) == abi::REFUSED),
            ("send_after", (host.send_after)(pid, 1, body()).id == 0),
            ("send_interval", (host.send_interval)(pid, 1, body()).id == 0),
            ("read_timer", (host.read_timer)(timer) == abi::INFINITY),
            ("cancel_timer", (host.cancel_timer)(timer) == abi::REFUSED),
            ("sleep", (host.sleep)(1) == 0),
            ("recv", (host.recv)(&raw mut mail) == abi::REFUSED),
            ("spawn", (host.spawn)(name, body(), 1) == 0),
            ("register", (host.register)(name) == abi::REFUSED),
            ("unregister", (host.unregister)(name) == abi::REFUSED),
            ("whereis", (host.whereis)(name) == NO_PID),
            ("find", (host.find)(name, &raw mut found, &raw mut value) == abi::REFUSED),
            ("link", (host.link)(pid) == abi::REFUSED),
            ("unlink", (host.unlink)(pid) == abi::REFUSED),
            ("monitor", (host.monitor)(pid) == 0),
            ("demonitor", (host.demonitor)(1) == abi::REFUSED),
            ("exit", (host.exit)(pid, wire::give_exit(Exit::Killed)) == abi::REFUSED),
            ("trap_exit", (host.trap_exit)(1) == abi::REFUSED),
            ("get_env", (host.get_env)(name, &raw mut value) == abi::REFUSED),
        ]
    }
}

unsafe extern "C" fn never(_: *mut std::ffi::c_void) {
    panic!("refused work is never run");
}

fn empty() -> abi::Message {
    message(Message::Info(wire::pid_in(NO_PID), Vec::new()))
}

#[test]
fn outside_a_callback_every_function_refuses() {
    let accepted: Vec<_> = outside().into_iter().filter(|(_, refused)| !refused).collect();
    assert_eq!(accepted, []);
}

#[test]
fn a_panic_of_the_daemon_becomes_a_refusal() {
    let result = enter(|| -> Result<(), Rejected> { std::panic::resume_unwind(Box::new("a bug")) });
    assert_eq!(status(result), abi::REFUSED);
}

#[test]
fn a_null_out_parameter_is_refused() {
    // SAFETY: a null out parameter is never written.
    assert_eq!(unsafe { (host().take)(1, std::ptr::null_mut()) }, abi::REFUSED);
    // SAFETY: as above.
    assert_eq!(unsafe { (host().recv)(std::ptr::null_mut()) }, abi::REFUSED);
    // SAFETY: as above; the name is lent.
    let found = unsafe { (host().find)(wire::lend(b"x"), std::ptr::null_mut(), std::ptr::null_mut()) };
    assert_eq!(found, abi::REFUSED);
}

#[track_caller]
fn check(taken: Message, kind: u32, exit_kind: u32, reference: u64, body: &[u8]) {
    let sent = message(taken);
    assert_eq!((sent.kind, sent.exit_kind, sent.reference), (kind, exit_kind, reference));
    assert_eq!(wire::take_buf(sent.body).unwrap(), body);
}

#[test]
fn a_task_receives_each_kind_of_message_in_the_form_of_the_boundary() {
    let pid = reld_wire::Pid { slot: 4, generation: 2 };
    let from = reld_runtime::From { caller: pid, server: pid, reference: 9 };
    check(Message::Call(from, b"a".to_vec()), abi::EVENT_CALL, 0, 9, b"a");
    check(Message::Cast(pid, b"b".to_vec()), abi::EVENT_CAST, 0, 0, b"b");
    check(Message::Info(pid, b"c".to_vec()), abi::EVENT_INFO, 0, 0, b"c");
    check(Message::Exit(pid, Exit::Error("d".into())), abi::EVENT_EXIT, abi::EXIT_ERROR, 0, b"d");
    check(Message::Down(3, pid, Exit::Noproc), abi::EVENT_DOWN, abi::EXIT_NOPROC, 3, b"");
}
