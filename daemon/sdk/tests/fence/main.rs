//! The fence, from the daemon's side: calls every entry of the generated tables with valid
//! arguments, and with arguments that it must survive. Also to be run under valgrind.
#![expect(unsafe_code, reason = "the tables are called as the daemon calls them")]

mod app;
mod daemon;

use std::ffi::c_void;
use std::ptr::null_mut;

use app::{Request, Response, Start, dropped};
use daemon::{Parked, Table, Turn, event, table, world};
use reld_abi::*;
use serde::Serialize;
use serde_json::json;

/// Encodes a value as the daemon would: MessagePack with field names.
fn bytes(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map().with_human_readable();
    value.serialize(&mut serializer).expect("writes");
    bytes
}

/// Shows MessagePack as text; byte strings as lists of numbers.
fn shown(bytes: &[u8]) -> String {
    rmpv::decode::read_value(&mut &*bytes).expect("reads").to_string()
}

fn probe(n: u64) -> (Table, *mut c_void) {
    let table = table("probe");
    (table, ready(table.init(&bytes(&Start::At(n)))).0)
}

/// Returns the state of a new probe.
fn fresh() -> *mut c_void {
    probe(1).1
}

/// Calls a new probe.
fn call(request: &Request) -> Turn {
    let (table, state) = probe(1);
    table.callback(state, &event(EVENT_CALL, &bytes(request)))
}

#[track_caller]
fn ready(turn: Turn) -> (*mut c_void, u32, Option<String>) {
    let Turn::Ready { state, next, reply, .. } = turn else { panic!("not ready: {turn:?}") };
    (state, next, reply.as_deref().map(shown))
}

#[track_caller]
fn pending(turn: Turn) -> Parked {
    let Turn::Pending(parked) = turn else { panic!("not pending: {turn:?}") };
    parked
}

#[track_caller]
fn crashed(turn: Turn, kind: u32, expected: &str) {
    let Turn::Crashed(got, text) = turn else { panic!("not crashed: {turn:?}") };
    is_exit(&(got, text), kind, expected);
}

#[track_caller]
fn fails<T: std::fmt::Debug>(result: Result<T, (u32, String)>, kind: u32, expected: &str) {
    is_exit(&result.expect_err("must fail"), kind, expected);
}

#[track_caller]
fn is_exit((kind, text): &(u32, String), expected_kind: u32, expected: &str) {
    assert_eq!(*kind, expected_kind, "{text}");
    assert!(text.contains(expected), "`{text}` does not contain `{expected}`");
}

/// Makes the daemon answer a reference.
fn answer(reference: u64, number: u64) {
    world(|world| world.answers.insert(reference, bytes(&number)));
}

#[track_caller]
fn check_reply(turn: Turn, expected: &Response) {
    let (state, next, reply) = ready(turn);
    assert_eq!((next, reply), (NEXT_CONTINUE, Some(shown(&bytes(expected)))));
    table("probe").drop_state(state);
}

#[test]
fn a_table_of_an_older_or_another_daemon_is_refused_and_both_versions_are_logged_where_it_can_log() {
    let app = daemon::app();
    let logged = |host: &Host| {
        assert_eq!(daemon::load(app, host), FAILED);
        world(|world| std::mem::take(&mut world.log))
    };
    let size = size_of::<Host>();
    assert_eq!(daemon::load(app, std::ptr::null()), FAILED);
    assert_eq!(
        logged(&daemon::other_host(ABI_MAJOR + 1, 0, size)),
        [""; 0],
        "no function of another major version is called"
    );
    let before_1_4 = std::mem::offset_of!(Host, bound_mailbox);
    let versions = format!(
        "built for ABI 1.{ABI_MINOR} (a table of {size} bytes); the daemon offers ABI 1.3 (one of {before_1_4})"
    );
    assert_eq!(logged(&daemon::other_host(ABI_MAJOR, 3, before_1_4)), [versions]);
    let before_log = std::mem::offset_of!(Host, log);
    assert_eq!(logged(&daemon::other_host(ABI_MAJOR, 0, before_log)), [""; 0]);
}

#[test]
fn a_table_of_a_newer_daemon_is_taken_and_used_as_far_as_it_is_known() {
    assert_eq!(daemon::load(daemon::app(), &daemon::NEWER.known), OK);
    check_reply(call(&Request::Add(2)), &Response::Number(3));
    let asked = pending(call(&Request::Sum(three_pids())));
    assert_eq!(world(|world| world.calls.len()), 3, "by functions of its table");
    asked.drop();
}

#[test]
fn the_block_names_app_version_and_modules() {
    let app = daemon::app();
    assert_eq!((app.magic, app.abi_major, app.size), (MAGIC, ABI_MAJOR, size_of::<App>() as u32));
    assert_eq!((app.module_count, app.flags), (4, FLAG_PANIC_UNWIND));
    let kinds = ["probe", "sup", "root", "adder"].map(|name| table(name).0.behaviour);
    assert_eq!(kinds, [BEHAVIOUR_GEN_SERVER, BEHAVIOUR_SUPERVISOR, BEHAVIOUR_APPLICATION, BEHAVIOUR_TASK]);
}

#[test]
fn init_answers_ignores_fails_or_panics() {
    let probe = table("probe");
    let (state, next, _) = ready(probe.init(&bytes(&Start::At(1))));
    assert_eq!(next, NEXT_CONTINUE);
    probe.drop_state(state);
    assert_eq!(ready(probe.init(&bytes(&Start::Ignore))), (null_mut(), NEXT_IGNORE, None));
    assert_eq!(ready(probe.init(&bytes(&Start::Fail))), (null_mut(), NEXT_STOP, None));
    crashed(probe.init(&bytes(&Start::Panic)), EXIT_PANIC, "in init");
}

#[test]
fn a_callback_changes_the_state_and_replies() {
    check_reply(call(&Request::Add(4)), &Response::Number(5));
    let (state, next, reply) = ready(call(&Request::Stop));
    assert_eq!((next, reply), (NEXT_STOP, Some(r#"{"Number": 1}"#.to_owned())));
    table("probe").drop_state(state);
    let (state, _, reply) = ready(call(&Request::Later));
    assert_eq!(reply, None);
    table("probe").drop_state(state);
}

#[test]
fn casts_infos_exits_downs_and_terminate_reach_their_callbacks() {
    let (probe, state) = probe(1);
    let (state, ..) = ready(probe.callback(state, &event(EVENT_CAST, &bytes(&4_u64))));
    assert_eq!(probe.export(state).map(|state| shown(&state)), Ok(r#"{"n": 5}"#.to_owned()));
    assert_eq!(world(|world| world.log.pop()).as_deref(), Some("cast 4"));
    let (state, next, _) = ready(probe.callback(state, &event(EVENT_INFO, &bytes(&"stop"))));
    assert_eq!(next, NEXT_STOP);
    for kind in [EVENT_EXIT, EVENT_DOWN] {
        let event = Event { exit_kind: EXIT_SHUTDOWN, ..event(kind, b"why") };
        let state = fresh();
        let Turn::Ready { state, next, exit, .. } = probe.callback(state, &event) else {
            panic!("not ready")
        };
        assert_eq!((next, exit), (NEXT_STOP, (EXIT_SHUTDOWN, "why".to_owned())));
        probe.drop_state(state);
    }
    let (state, ..) = ready(probe.callback(state, &event(EVENT_TERMINATE, b"")));
    probe.drop_state(state);
}

/// Sends a new probe, at 1, casts of these bodies in one series.
fn series(casts: &[Vec<u8>], stop: bool) -> (Turn, usize) {
    let (probe, state) = probe(1);
    let events: Vec<_> = casts.iter().map(|cast| event(EVENT_CAST, cast)).collect();
    probe.callback_many(state, &events, stop)
}

#[test]
fn a_series_hands_the_state_on_from_event_to_event() {
    let casts = [4_u64, 5, 6].map(|n| bytes(&n));
    for (stop, begun, n) in [(false, 3, 16), (true, 1, 5)] {
        let (turn, handled) = series(&casts, stop);
        let (state, next, reply) = ready(turn);
        assert_eq!((handled, next, reply), (begun, NEXT_CONTINUE, None));
        assert_eq!(table("probe").export(state).map(|state| shown(&state)), Ok(format!(r#"{{"n": {n}}}"#)));
        table("probe").drop_state(state);
    }
}

#[test]
fn a_series_ends_at_a_callback_that_crashes() {
    let garbage = vec![0xc1];
    let (turn, handled) = series(&[bytes(&4), garbage, bytes(&5)], false);
    crashed(turn, EXIT_UNDECODABLE, "probe 2.0.0: cast:");
    assert_eq!(handled, 2);
    let (probe, state) = probe(1);
    let events = [(EVENT_CAST, bytes(&4)), (EVENT_INFO, bytes(&"stop")), (EVENT_CAST, bytes(&5))];
    let events: Vec<_> = events.iter().map(|(kind, body)| event(*kind, body)).collect();
    let (turn, handled) = probe.callback_many(state, &events, false);
    let (state, next, _) = ready(turn);
    assert_eq!((handled, next), (2, NEXT_STOP));
    probe.drop_state(state);
    let Turn::Crashed(..) = probe.callback_many(null_mut(), &events, false).0 else { panic!("no crash") };
}

#[test]
fn a_panic_names_its_place() {
    crashed(call(&Request::Panic), EXIT_PANIC, "in a call at 1, daemon/sdk/tests/fence/app.rs:");
    crashed(call(&Request::PanicWithBomb), EXIT_PANIC, "a value without text");
    let (probe, state) = probe(1);
    let event = Event { exit_kind: EXIT_ERROR, ..event(EVENT_TERMINATE, b"panic") };
    crashed(probe.callback(state, &event), EXIT_PANIC, "in terminate");
    crashed(table("sup").init(&bytes(&0)), EXIT_PANIC, "in a supervisor's init");
}

#[test]
fn a_panic_after_a_wait_is_a_crash_too() {
    let parked = pending(call(&Request::WaitThenPanic));
    let (reference, _) = world(|world| world.sleeps[0]);
    world(|world| world.answers.insert(reference, Vec::new()));
    crashed(parked.poll(&[reference]), EXIT_PANIC, "after a wait");
}

#[test]
fn the_codecs_of_the_app_may_panic() {
    let (probe, state) = probe(app::UNWRITABLE);
    fails(probe.export(state), EXIT_PANIC, "unwritable");
    probe.drop_state(state);
    let unreadable = bytes(&json!({"n": app::UNREADABLE}));
    fails(probe.import(&unreadable), EXIT_PANIC, "unreadable");
    fails(probe.change_code(b"1.0.0", &unreadable, &bytes(&"")), EXIT_PANIC, "unreadable");
    fails(probe.change_code_down(b"1.0.0", &unreadable, &bytes(&"")), EXIT_PANIC, "unreadable");
}

#[test]
fn a_state_that_panics_when_dropped_is_logged() {
    let (probe, state) = probe(app::UNDROPPABLE);
    probe.drop_state(state);
    let log = world(|world| world.log.pop()).unwrap_or_default();
    assert!(log.contains("undroppable"), "{log}");
}

#[test]
fn garbage_is_refused_by_name() {
    let (probe, state) = probe(1);
    crashed(probe.callback(state, &event(EVENT_CALL, &[0xc1])), EXIT_UNDECODABLE, "probe 2.0.0: call:");
    crashed(probe.init(&[]), EXIT_UNDECODABLE, "probe 2.0.0: start argument:");
    let state = fresh();
    crashed(probe.callback(state, &event(EVENT_PREP_STOP, &[])), EXIT_ERROR, "no callback for PrepStop");
    let state = fresh();
    crashed(probe.callback(state, &event(99, &[])), EXIT_ERROR, "event kind 99");
    let state = fresh();
    crashed(probe.callback(state, std::ptr::null()), EXIT_ERROR, "unknown");
    let state = fresh();
    crashed(probe.callback(state, &event(EVENT_INIT, &bytes(&Start::At(1)))), EXIT_ERROR, "has a state");
    crashed(probe.callback(null_mut(), &event(EVENT_CAST, &bytes(&1))), EXIT_ERROR, "without a state");
    fails(probe.export(std::ptr::null()), EXIT_ERROR, "no state was given");
    probe.drop_state(null_mut());
}

#[test]
fn accepts_decodes_and_runs_nothing() {
    let probe = table("probe");
    assert_eq!(probe.accepts(EVENT_INIT, &bytes(&Start::Panic)), Ok(()));
    assert_eq!(probe.accepts(EVENT_CALL, &bytes(&Request::Panic)), Ok(()));
    assert_eq!(probe.accepts(EVENT_CAST, &bytes(&1)), Ok(()));
    assert_eq!(probe.accepts(EVENT_INFO, &bytes(&"text")), Ok(()));
    fails(probe.accepts(EVENT_INIT, &bytes(&7)), EXIT_UNDECODABLE, "probe 2.0.0: start argument:");
    fails(probe.accepts(EVENT_INFO, &bytes(&7)), EXIT_UNDECODABLE, "probe 2.0.0: message:");
    fails(probe.accepts(EVENT_DOWN, &[]), EXIT_ERROR, "event kind 5");
    fails(table("sup").accepts(EVENT_CALL, &[]), EXIT_ERROR, "only an init");
}

#[test]
fn a_state_is_read_whole_or_not_at_all() {
    let probe = table("probe");
    let state = probe.import(&bytes(&json!({"n": 4}))).expect("reads");
    assert_eq!(probe.export(state).map(|state| shown(&state)), Ok(r#"{"n": 4}"#.to_owned()));
    probe.drop_state(state);
    let declared = probe.import(&bytes(&json!({"n": 4, "forgotten": true}))).expect("is declared dropped");
    probe.drop_state(declared);
    let renamed = bytes(&json!({"n": 4, "total": 9}));
    fails(probe.import(&renamed), EXIT_UNDECODABLE, "probe 2.0.0: state: unread fields");
    fails(probe.change_code(b"1.0.0", &renamed, &bytes(&"")), EXIT_UNDECODABLE, "`total`");
    fails(probe.import(&bytes(&json!({"m": 4}))), EXIT_UNDECODABLE, "missing field `n`");
    fails(probe.import(&bytes(&json!({"n": "four"}))), EXIT_UNDECODABLE, "field `n`");
}

#[test]
fn change_code_converts_refuses_or_panics() {
    let probe = table("probe");
    let state = bytes(&json!({"n": 4}));
    let changed = probe.change_code(b"1.0.0", &state, &bytes(&"")).expect("converts");
    assert_eq!(probe.export(changed).as_ref(), Ok(&state));
    probe.drop_state(changed);
    fails(probe.change_code(b"1.0.0", &state, &bytes(&"panic")), EXIT_PANIC, "in change_code from 1.0.0");
    fails(probe.change_code(b"1.0.0", &state, &bytes(&"refuse")), EXIT_ERROR, "not from there");
    fails(probe.change_code(&[0xff], &state, &bytes(&"")), EXIT_ERROR, "not UTF-8");
    fails(probe.change_code(b"1.0.0", &state, &[]), EXIT_UNDECODABLE, "probe 2.0.0");
    assert_eq!(probe.change_code_down(b"1.0.0", &state, &bytes(&"")).as_ref(), Ok(&state));
    fails(
        probe.change_code_down(b"1.0.0", &state, &bytes(&"panic")),
        EXIT_PANIC,
        "in change_code_down to 1.0.0",
    );
}

fn three_pids() -> Vec<reld_sdk::Pid> {
    let pid = |slot: u32| serde_json::from_value(json!({"slot": slot, "generation": 1})).expect("a pid");
    [1, 2, 3].map(pid).to_vec()
}

#[test]
fn joined_calls_are_open_together_and_answered_in_any_order() {
    let parked = pending(call(&Request::Sum(three_pids())));
    let calls = world(|world| world.calls.clone());
    assert_eq!(calls.len(), 3);
    answer(calls[2], 30);
    let parked = pending(parked.poll(&calls[2..]));
    answer(calls[0], 10);
    answer(calls[1], 20);
    check_reply(parked.poll(&calls[..2]), &Response::Number(61));
    assert_eq!(world(|world| world.forgotten.clone()), [0; 0]);
}

#[test]
fn unordered_calls_are_polled_by_their_own_wakers() {
    let parked = pending(call(&Request::Order(three_pids())));
    let calls = world(|world| world.calls.clone());
    answer(calls[1], 2);
    let parked = pending(parked.poll(&[calls[1]]));
    answer(calls[2], 3);
    let parked = pending(parked.poll(&[calls[2]]));
    answer(calls[0], 1);
    check_reply(parked.poll(&[calls[0]]), &Response::Numbers(vec![2, 3, 1]));
}

#[test]
fn the_loser_of_a_race_is_forgotten() {
    let parked = pending(call(&Request::Race(three_pids()[0])));
    let (slow, after_ms) = world(|world| world.sleeps[0]);
    assert_eq!(after_ms, INFINITY);
    world(|world| world.answers.insert(slow, Vec::new()));
    check_reply(parked.poll(&[slow]), &Response::Slow);
    assert_eq!(world(|world| world.forgotten.clone()), world(|world| world.calls.clone()));
}

#[test]
fn a_future_that_wakes_itself_is_polled_again_and_lets_others_go_first() {
    check_reply(call(&Request::Yield(3)), &Response::Number(1));
    assert_eq!(world(|world| world.sleeps.len()), 0);
    let mut turn = call(&Request::Yield(40));
    let mut waits = 0;
    while let Turn::Pending(parked) = turn {
        let (reference, after_ms) = world(|world| world.sleeps[waits]);
        assert_eq!(after_ms, 0);
        turn = parked.poll(&[reference]);
        waits += 1;
    }
    assert_eq!(waits, 2);
    check_reply(turn, &Response::Number(1));
}

#[test]
fn dropping_a_callback_where_it_waits_runs_the_destructors() {
    let parked = pending(call(&Request::Sum(three_pids())));
    let before = dropped();
    parked.drop();
    assert_eq!(dropped() - before, 4, "the callback's guard and one for each call");
}

#[test]
fn a_supervisor_answers_its_spec() {
    let (state, next, reply) = ready(table("sup").init(&bytes(&5)));
    assert_eq!((state, next), (null_mut(), NEXT_CONTINUE));
    let reply = reply.expect("a spec");
    assert!(reply.starts_with(r#"{"strategy": "one_for_one""#), "{reply}");
    assert!(reply.contains(r#"{"id": [5], "module": "probe""#), "{reply}");
}

#[derive(serde::Serialize)]
struct Phase<'a> {
    phase: &'a str,
    r#type: &'a str,
    arg: serde_bytes::ByteBuf,
}

#[test]
fn an_application_reads_its_environment_and_remembers_its_root() {
    let root = table("root");
    let args = bytes(&json!({"type": "normal", "env": {"first": 5, "other": []}}));
    let (state, _, reply) = ready(root.init(&args));
    assert_eq!(reply.as_deref(), Some(r#"{"module": "sup", "args": [5]}"#));
    let pid = json!({"slot": 3, "generation": 4});
    let phase = |phase: &str| {
        let arg = serde_bytes::ByteBuf::from(bytes(&7));
        bytes(&Phase { phase, r#type: "normal", arg })
    };
    let (state, ..) = ready(root.callback(state, &event(EVENT_START_PHASE, &phase("open"))));
    let stopping = bytes(&json!({"root": pid, "cause": "node_restarts"}));
    let (state, ..) = ready(root.callback(state, &event(EVENT_PREP_STOP, &stopping)));
    let exported = root.export(state).expect("its state can be written");
    let exported: serde_json::Value = rmp_serde::from_slice(&exported).expect("a state is MessagePack");
    assert_eq!(exported, json!({"root": pid, "cause": "NodeRestarts", "phases": ["open 7"]}));
    let (state, ..) = ready(root.callback(state, &event(EVENT_TERMINATE, &[])));
    root.drop_state(state);
    let (state, ..) = ready(root.init(&args));
    let failed = root.callback(state, &event(EVENT_START_PHASE, &phase("fail")));
    crashed(failed, EXIT_ERROR, "as its argument asks");
    fails(root.accepts(EVENT_INIT, &bytes(&json!({"env": {}}))), EXIT_UNDECODABLE, "missing field `type`");
    let no_first = bytes(&json!({"type": "normal", "env": {}}));
    let Turn::Ready { next, exit, .. } = root.init(&no_first) else { panic!("not ready") };
    assert_eq!(next, NEXT_STOP);
    is_exit(&exit, EXIT_UNDECODABLE, "root 2.0.0: field `env`: missing field `first`");
}

#[test]
fn a_task_takes_its_mail_until_it_ends() {
    let adder = table("adder");
    let parked = pending(adder.init(&bytes(&1)));
    world(|world| world.mail.extend([(EVENT_CAST, bytes(&2)), (EVENT_INFO, bytes(&3))]));
    let parked = pending(parked.poll(&[]));
    world(|world| world.mail.push_back((EVENT_CALL, bytes(&0))));
    let (state, next, _) = ready(parked.poll(&[]));
    assert_eq!((state, next), (null_mut(), NEXT_STOP));
    let (to, sum) = world(|world| world.casts.remove(0));
    assert_eq!((to.slot, shown(&sum).as_str()), (9, "6"));
}

#[test]
fn a_task_ends_with_the_reason_that_it_returns() {
    let parked = pending(table("adder").init(&bytes(&1)));
    world(|world| world.mail.push_back((EVENT_EXIT, b"why".to_vec())));
    let Turn::Ready { next, exit, .. } = parked.poll(&[]) else { panic!("not ready") };
    assert_eq!((next, exit), (NEXT_STOP, (EXIT_SHUTDOWN, "why".to_owned())));
    let parked = pending(table("adder").init(&bytes(&1)));
    world(|world| world.mail.push_back((EVENT_CAST, vec![0xc1])));
    let Turn::Ready { exit, .. } = parked.poll(&[]) else { panic!("not ready") };
    is_exit(&exit, EXIT_UNDECODABLE, "adder 2.0.0: cast:");
}
