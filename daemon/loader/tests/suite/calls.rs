//! An echo server driven through the runtime's traits: every outcome that a library may return, and
//! the illegal ones.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use reld_loader::Library;
use reld_runtime::{BodyKind, Callback, Event, From, Instance, Module, Next, Outcome, Step};
use reld_wire::application::StopCause;
use reld_wire::{Exit, Pid};

use crate::fixture::Bench;

const FROM: From = From { caller: PID, server: SERVER, reference: 5 };
const PID: Pid = Pid { slot: 4, generation: 2 };
const SERVER: Pid = Pid { slot: 6, generation: 1 };

/// The echo library's modules; the bench keeps its files.
struct Echo {
    library: Library,
    _bench: Bench,
}

impl Echo {
    fn new() -> Self {
        let bench = Bench::new();
        Self { library: bench.echo(), _bench: bench }
    }

    fn server(&self) -> &Arc<dyn Module> {
        &self.library.modules()[0]
    }

    fn supervisor(&self) -> &Arc<dyn Module> {
        &self.library.modules()[1]
    }

    fn started(&self) -> Box<dyn Instance> {
        ready(self.server().init(b"")).instance.unwrap()
    }

    /// Calls a fresh server.
    fn call(&self, body: &[u8]) -> Outcome {
        ready(self.started().callback(&Event::Call(FROM, body)))
    }

    fn waiting(&self) -> Box<dyn Callback> {
        match self.started().callback(&Event::Call(FROM, b"wait")) {
            Step::Pending(callback) => callback,
            Step::Ready(outcome) => panic!("did not wait: {outcome:?}"),
        }
    }
}

#[track_caller]
fn ready(step: Step) -> Outcome {
    match step {
        Step::Ready(outcome) => outcome,
        Step::Pending(_) => panic!("waits"),
    }
}

#[track_caller]
fn reply(outcome: &Outcome) -> &str {
    str::from_utf8(outcome.reply.as_deref().unwrap()).unwrap()
}

/// Sends a fresh server a cast that makes it violate the contract.
#[track_caller]
fn check_violation(body: &[u8], expected: &str) {
    let echo = Echo::new();
    check_broken(&ready(echo.started().callback(&Event::Cast(body))), expected);
}

#[track_caller]
fn check_broken(outcome: &Outcome, expected: &str) {
    let Next::Crash(Exit::Error(text)) = &outcome.next else { panic!("no crash: {outcome:?}") };
    assert!(text.starts_with("app echo 0.1.0, module echo"), "{text}");
    assert!(text.contains(expected), "{text:?} does not contain {expected:?}");
    assert!(outcome.instance.is_none() && outcome.reply.is_none());
}

#[test]
fn a_module_has_its_app_version_and_name() {
    let echo = Echo::new();
    let server = echo.server();
    assert_eq!((server.app(), server.version(), server.name()), ("echo", "0.1.0", "echo"));
    assert_eq!((echo.library.app(), echo.library.version()), ("echo", "0.1.0"));
}

#[test]
fn a_call_is_answered_and_the_state_is_kept() {
    let echo = Echo::new();
    let first = echo.call(b"some bytes");
    assert_eq!((reply(&first), &first.next), ("some bytes", &Next::Continue));
    let second = ready(first.instance.unwrap().callback(&Event::Call(FROM, b"calls")));
    assert_eq!(reply(&second), "2");
    assert_eq!(reply(&echo.call(b"")), "");
    assert_eq!(reply(&echo.call(b"server")), "6.1", "the event names the called process");
}

#[test]
fn a_module_with_format_status_in_its_table_decides_how_states_and_messages_are_displayed() {
    let bench = Bench::new();
    let module = |flags: &[&str]| Arc::clone(&bench.open(&bench.build(flags)).unwrap().modules()[0]);
    let hides = module(&["-DFORMAT_STATUS=shown"]);
    assert!(hides.hides());
    let kinds = [BodyKind::State, BodyKind::Call, BodyKind::Cast, BodyKind::Info];
    let shown = kinds.map(|kind| hides.format_status(kind, b"a secret"));
    assert_eq!(shown, ["32", "1", "2", "3"].map(|kind| Ok(kind.as_bytes().to_vec())));
    assert_eq!(hides.format_status(BodyKind::Call, b"plain"), Ok(b"plain".to_vec()));
    let failed = hides.format_status(BodyKind::Call, b"strange");
    assert_eq!(failed, Err(Exit::Error("cannot be shown".into())));
    // The table of ABI 1.4 ends before that member.
    for flags in [&["-DFORMAT_STATUS=shown", "-DMINOR=4", "-DMODULE_GROWTH=-16"][..], &[]] {
        let open = module(flags);
        assert!(!open.hides());
        assert_eq!(open.format_status(BodyKind::State, b"a secret"), Ok(b"a secret".to_vec()));
    }
}

#[test]
fn an_init_may_stop_or_ignore_but_not_continue_without_a_state() {
    let echo = Echo::new();
    let stopped = ready(echo.server().init(b"stop"));
    assert_eq!(stopped.next, Next::Stop(Exit::Error("not today".into())));
    assert!(stopped.instance.is_none());
    assert_eq!(ready(echo.server().init(b"ignore")).next, Next::Ignore);
    check_broken(&ready(echo.server().init(b"no state")), "a null state for a process that continues");
}

#[test]
fn a_process_that_stops_keeps_its_state_for_terminate() {
    let stopping = Echo::new().call(b"stop");
    assert_eq!(stopping.next, Next::Stop(Exit::Shutdown("enough".into())));
    assert_eq!(reply(&stopping), "stop");
    let ended = ready(stopping.instance.unwrap().callback(&Event::Terminate(&Exit::shutdown())));
    assert_eq!(ended.next, Next::Continue);
    assert!(ended.instance.is_none());
}

#[test]
fn s85_a_crash_gives_the_exit_as_the_library_wrote_it() {
    let crashed = Echo::new().call(b"crash");
    assert_eq!(crashed.next, Next::Crash(Exit::Panic("as asked".into())));
    assert!(crashed.instance.is_none());
}

#[test]
fn every_kind_of_event_arrives_in_the_form_of_the_boundary() {
    let echo = Echo::new();
    let check = |event: &Event<'_>, expected: &[u8]| {
        assert_eq!(ready(echo.started().callback(event)).reply.as_deref(), Some(expected));
    };
    check(&Event::Info(b"tick"), b"3 0.0 0 0 tick");
    check(&Event::Exit(PID, &Exit::Error("oh".into())), b"4 4.2 0 4 oh");
    check(&Event::Down(9, PID, &Exit::Killed), b"5 4.2 9 2 ");
    let prep_stop = b"7 0.0 0 0 \x82\xa4root\xc0\xa5cause\xa7by_hand";
    check(&Event::PrepStop(None, StopCause::ByHand), prep_stop);
    check(&Event::StartPhase(b"open"), b"11 0.0 0 0 open");
    check(&Event::ConfigChange(b"new"), b"8 0.0 0 0 new");
}

#[test]
fn a_library_of_an_older_abi_receives_only_the_events_of_that_abi() {
    let started = |minor: &str| {
        let bench = Bench::new();
        let library = bench.open(&bench.build(&[&format!("-DMINOR={minor}")])).unwrap();
        let instance = ready(library.modules()[0].init(b"")).instance.unwrap();
        (instance, library, bench)
    };
    let seen = |minor, event: &Event<'_>| {
        let (instance, _library, _bench) = started(minor);
        let outcome = ready(instance.callback(event));
        (outcome.reply.unwrap_or_default(), outcome.next)
    };
    let nothing = (Vec::new(), Next::Continue);
    // ABI 1.2 had only the root as the body.
    let before = (b"7 0.0 0 0 \xc0".to_vec(), Next::Continue);
    assert_eq!(seen("2", &Event::PrepStop(None, StopCause::NodeStops)), before);
    // The library has no start phases, and a start without them would not be the one in app.toml.
    let (_, next) = seen("2", &Event::StartPhase(b"open"));
    assert!(matches!(&next, Next::Crash(Exit::Error(text)) if text.contains("start phases")), "{next:?}");
    assert_eq!(seen("2", &Event::ConfigChange(b"new")).0, b"8 0.0 0 0 new");
    // ABI 1.1 had no events of ports and tables, ABI 1.0 no change of the environment.
    assert_eq!(seen("1", &Event::Told(b"port")), nothing);
    assert_eq!(seen("1", &Event::ConfigChange(b"new")).0, b"8 0.0 0 0 new");
    assert_eq!(seen("0", &Event::ConfigChange(b"new")), nothing);
}

#[test]
fn a_callback_that_waits_continues_when_its_answer_is_there() {
    let echo = Echo::new();
    let mut callback = echo.waiting();
    assert!(callback.poll(&[]).is_none());
    assert!(callback.poll(&[]).is_none());
    let done = callback.poll(&[77, 78]).unwrap();
    drop(callback);
    assert_eq!((reply(&done), &done.next), ("77", &Next::Continue));
    let after = ready(done.instance.unwrap().callback(&Event::Call(FROM, b"dropped futures")));
    assert_eq!(reply(&after), "0");
}

#[test]
fn s85_a_crash_while_waiting_is_an_exit_and_frees_the_future_once() {
    let echo = Echo::new();
    let mut callback = echo.waiting();
    let crashed = callback.poll(&[666]).unwrap();
    drop(callback);
    assert_eq!(crashed.next, Next::Crash(Exit::Panic("panicked while it waited".into())));
    assert_eq!(reply(&echo.call(b"dropped futures")), "0");
}

#[test]
fn dropping_a_callback_that_waits_ends_it_there() {
    let echo = Echo::new();
    drop(echo.waiting());
    assert_eq!(reply(&echo.call(b"dropped futures")), "1");
}

#[test]
fn dropping_an_instance_drops_the_state_once_and_a_used_up_state_never() {
    let echo = Echo::new();
    drop(echo.started());
    drop(echo.call(b"x").instance);
    drop(echo.call(b"crash"));
    drop(echo.waiting());
    drop(ready(echo.started().callback(&Event::Terminate(&Exit::Normal))));
    assert_eq!(reply(&echo.call(b"dropped states")), "2");
}

#[test]
fn outcomes_that_the_boundary_does_not_define_end_the_process_with_the_name_of_the_module() {
    check_violation(b"unknown verdict", "returned the verdict 99, which ABI 1 does not define");
    check_violation(b"unknown next", "returned the next step 99");
    check_violation(b"unknown exit", "returned the exit kind 99");
    check_violation(b"ignore", "returned the next step 2");
    check_violation(b"no buffer", "returned a buffer of 3 bytes in 0 at 0x0");
    check_violation(b"no state", "a null state for a process that continues");
    check_violation(b"no poll", "a future without poll or drop");
}

/// Sends casts to a fresh server in one series. Returns the server's outcome, and how many casts it
/// has begun.
fn series(flags: &[&str], casts: &[&[u8]], stop: [bool; 3]) -> (Step, usize) {
    let bench = Bench::new();
    let library = bench.open(&bench.build(flags)).unwrap();
    let instance = ready(library.modules()[0].init(b"")).instance.unwrap();
    let events: Vec<_> = casts.iter().map(|cast| Event::Cast(cast)).collect();
    let stop = stop.map(AtomicBool::new);
    instance.callbacks(&events, stop.each_ref())
}

const MANY: &str = "-DCALLBACK_MANY=callback_many";

#[test]
fn a_series_ends_after_its_last_event_or_when_it_has_to_stop() {
    // The table of ABI 1.6 ends before the function: the daemon calls event by event.
    for flags in [&[MANY][..], &["-DMINOR=6", "-DMODULE_GROWTH=-8"]] {
        let one = |flag| [0, 1, 2].map(|at| at == flag);
        for (stop, begun) in [([false; 3], 3), (one(0), 1), (one(1), 1), (one(2), 1)] {
            let (step, handled) = series(flags, &[b"a", b"b", b"c"], stop);
            let outcome = ready(step);
            assert_eq!((handled, outcome.next), (begun, Next::Continue));
            assert_eq!(outcome.instance.unwrap().export(), Ok(begun.to_string().into_bytes()));
        }
        let (step, handled) = series(flags, &[b"a", b"unknown next", b"c"], [false; 3]);
        check_broken(&ready(step), "returned the next step 99");
        assert_eq!(handled, 2);
    }
}

#[test]
fn a_library_that_handles_no_event_or_too_many_is_broken() {
    for (begun, counted) in [("0", 1), ("4", 3)] {
        let (step, handled) = series(&[MANY, &format!("-DBEGUN={begun}")], &[b"a", b"b", b"c"], [false; 3]);
        check_broken(&ready(step), &format!("the library handled {begun} of 3 messages"));
        assert_eq!(handled, counted);
    }
}

#[test]
fn a_broken_answer_with_a_state_drops_that_state() {
    let echo = Echo::new();
    drop(echo.started().callback(&Event::Cast(b"unknown next")));
    assert_eq!(reply(&echo.call(b"dropped states")), "1");
}

#[test]
fn a_state_is_exported_to_bytes_and_imported_again() {
    let echo = Echo::new();
    let state = echo.server().import(b"41").unwrap();
    assert_eq!(state.export(), Ok(b"41".to_vec()));
    let after = ready(state.callback(&Event::Call(FROM, b"calls")));
    assert_eq!(reply(&after), "42");
    let thirteen = echo.server().import(b"13").unwrap();
    assert_eq!(thirteen.export(), Err(Exit::Panic("13 cannot be written".into())));
}

#[test]
fn a_state_that_does_not_decode_is_refused_with_the_reason() {
    let echo = Echo::new();
    let check = |state: &[u8], expected: Exit| {
        assert_eq!(echo.server().import(state).map(drop), Err(expected.clone()));
        assert_eq!(echo.server().accepts(BodyKind::State, state), Err(expected));
    };
    let broken = |problem: &str| Exit::Error(format!("app echo 0.1.0, module echo: the library {problem}"));
    check(b"x", Exit::Undecodable("field calls: no number".into()));
    check(b"silent", broken("failed without a reason"));
    check(b"null", broken("returned a null state"));
    check(b"unknown", broken("returned the status 99, which ABI 1 does not define"));
}

#[test]
fn change_code_up_makes_a_state_and_down_makes_bytes() {
    let echo = Echo::new();
    let server = echo.server();
    let exported = |from| server.change_code(from, b"1", b"").unwrap().export();
    assert_eq!(exported("0.0.9"), Ok(b"1001".to_vec()));
    assert_eq!(exported("0.0.8"), Ok(b"1".to_vec()));
    assert_eq!(server.change_code_down("0.0.9", b"1", b""), Ok(b"1 for 0.0.9".to_vec()));
    let failed = Exit::Error("asked to fail".into());
    assert_eq!(server.change_code("0.0.9", b"1", b"fail").map(drop), Err(failed.clone()));
    assert_eq!(server.change_code_down("0.0.9", b"1", b"fail"), Err(failed));
}

#[test]
fn accepts_passes_the_kind_of_the_event() {
    let echo = Echo::new();
    let check = |kind, number| {
        let expected = Exit::Undecodable(format!("kind {number}: strange"));
        assert_eq!(echo.server().accepts(kind, b"strange"), Err(expected));
        assert_eq!(echo.server().accepts(kind, b"usual"), Ok(()));
    };
    check(BodyKind::Init, 0);
    check(BodyKind::Call, 1);
    check(BodyKind::Cast, 2);
    check(BodyKind::Info, 3);
}

#[test]
fn a_supervisor_returns_its_spec_and_has_no_state() {
    let echo = Echo::new();
    let spec = ready(echo.supervisor().init(b""));
    assert_eq!((reply(&spec), spec.instance.is_none()), ("spec", true));
    check_broken(&ready(echo.supervisor().init(b"state")), "returned a state, but its behaviour keeps none");
    let Err(Exit::Error(text)) = echo.supervisor().import(b"1") else { panic!("a supervisor took a state") };
    assert!(text.contains("keeps no state"), "{text}");
}

#[test]
fn instances_and_callbacks_keep_their_image_mapped() {
    let echo = Echo::new();
    let (state, callback) = (echo.started(), echo.waiting());
    drop(echo);
    assert_eq!(reply(&ready(state.callback(&Event::Call(FROM, b"still here")))), "still here");
    drop(callback);
}
