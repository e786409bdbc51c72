//! Checks the golden bytes: the bytes that a library writes through the functions that apps call,
//! see

#[path = "../../wire/golden/book.rs"]
mod book;
mod recorder;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use reld_wire::told::Told;

use self::book::Book;
use self::recorder::Recorder;
use crate::behaviour::Behaviour;
use crate::body::Body;
use crate::callback::Callback;
use crate::ets::{self, Table};
use crate::exit::Exit;
use crate::host::{Closed, Host, with_harness};
use crate::names::Pid;
use crate::port::{self, Connection, Listener};
use crate::supervisor::{self, SupervisorError, Tree};
use crate::{
    AutoShutdown, ChildSpec, ChildType, EnvChange, Restart, Root, Shutdown, StartArgs, StartPhase, StopCause,
    Stopping, Supervisor, SupervisorSpec, Value, codec, stop, task, waker,
};

/// Runs `work` with a daemon that gives this answer to every request. Returns the first request,
/// and the result of `work`.
fn run<R>(answer: Closed, work: impl Future<Output = R>) -> (Vec<u8>, R) {
    let recorder = Rc::new(Recorder::default());
    recorder.answers.borrow_mut().push_back(answer);
    let host: Rc<dyn Host> = Rc::<Recorder>::clone(&recorder);
    let ended = with_harness(host, || {
        let mut work = pin!(work);
        // The first poll of a request to another process only opens the request.
        (0..2).find_map(|_| match work.as_mut().poll(&mut Context::from_waker(waker::root())) {
            Poll::Ready(ended) => Some(ended),
            Poll::Pending => None,
        })
    });
    let asked = recorder.asked.borrow().first().cloned().expect("it asked");
    (asked, ended.expect("it came to its end"))
}

/// Returns the first request that `work` makes, and ignores its result.
fn asked<R>(work: impl Future<Output = R>) -> Vec<u8> {
    run(Closed::Timeout, work).0
}

/// Returns the result of `work` when the daemon answers with that entry.
fn answered<R>(daemon: &Book, name: &str, work: impl Future<Output = R>) -> R {
    run(Closed::Reply(Body::from(daemon.bytes(name))), work).1
}

fn pid() -> Pid {
    Pid::new(3, 7)
}

/// Returns a connection with that number, as a stored state contains it.
fn connection() -> Connection {
    Connection::of(9)
}

fn listener() -> Listener {
    codec::decode(&[8]).expect("a number")
}

fn table() -> Table<(String, u32), i64> {
    codec::decode(&[5]).expect("a number")
}

struct Tall;

impl Supervisor for Tall {
    type Args = u8;

    fn init(which: u8) -> SupervisorSpec {
        let worker = |id: u8| ChildSpec::worker(id, "m", (id, "x"));
        match which {
            0 => SupervisorSpec::one_for_one()
                .intensity(3, Duration::from_secs(1))
                .child(
                    worker(1)
                        .restart(Restart::Permanent)
                        .shutdown(Shutdown::Within(Duration::from_millis(70_000))),
                )
                .child(worker(2).restart(Restart::Transient).shutdown(Shutdown::BrutalKill))
                .child(worker(3).restart(Restart::Temporary).shutdown(Shutdown::Infinity))
                .child(ChildSpec::supervisor("below", "s", ())),
            1 => SupervisorSpec::one_for_all(),
            2 => SupervisorSpec::rest_for_one(),
            3 => SupervisorSpec::simple_one_for_one(worker(4)),
            4 => SupervisorSpec::rest_for_one()
                .auto_shutdown(AutoShutdown::AnySignificant)
                .child(worker(5).restart(Restart::Transient).significant()),
            5 => SupervisorSpec::one_for_one().auto_shutdown(AutoShutdown::AllSignificant),
            _ => SupervisorSpec::one_for_one().named("sup"),
        }
    }
}

#[test]
fn a_library_writes_the_recorded_bytes() {
    let mut golden = Book::of("library");
    for (which, name) in (0_u8..).zip([
        "init.one_for_one",
        "init.one_for_all",
        "init.rest_for_one",
        "init.simple_one_for_one",
        "init.any_significant",
        "init.all_significant",
        "init.named",
    ]) {
        golden.check(name, &init::<Tree<Tall>>(&which).expect("it has a spec"));
    }
    golden.check("root.none", &codec::encode(&Root::none()).expect("encodes"));
    golden.check("root", &codec::encode(&Root::new("s", &7).expect("encodes")).expect("encodes"));

    let child = || ChildSpec::worker("a", "m", 1).restart(Restart::Transient);
    golden.check("supervisor.start_child", &asked(supervisor::start_child(pid(), child())));
    let significant = child().significant();
    golden.check("supervisor.start_child.significant", &asked(supervisor::start_child(pid(), significant)));
    golden.check("supervisor.start_child_args", &asked(supervisor::start_child_of(pid(), &(1, "x"))));
    golden.check("supervisor.terminate_child", &asked(supervisor::terminate_child(pid(), &"a")));
    golden.check(
        "supervisor.terminate_pid",
        &asked(supervisor::terminate_child_pid(pid(), Pid::new(4, 70_000))),
    );
    golden.check("supervisor.restart_child", &asked(supervisor::restart_child(pid(), &10_000)));
    golden.check("supervisor.delete_child", &asked(supervisor::delete_child(pid(), &"a")));
    golden.check("supervisor.get_childspec", &asked(supervisor::get_childspec(pid(), &"a")));
    golden.check("supervisor.get_childspec_of", &asked(supervisor::get_childspec_of(pid(), pid())));
    golden.check("supervisor.which_children", &asked(supervisor::which_children(pid())));
    golden.check("supervisor.count_children", &asked(supervisor::count_children(pid())));

    let options = port::Options::new;
    let all = options().line(80).buffer(4096).delay().backlog(7).half_open().supervisor();
    let address = "127.0.0.1:0";
    let second = Duration::from_secs(1);
    golden.check("port.listen", &asked(async { options().listen(address) }));
    golden.check("port.listen.options", &asked(async { all.listen("unix:/run/x.sock") }));
    golden.check("port.connect", &asked(options().packet(4).connect(address, second)));
    golden.check("port.connect.tell", &asked(async { options().request_connect(address) }));
    golden.check("port.accept.tell", &asked(async { listener().request_accept() }));
    golden.check("port.accept.wait", &asked(listener().accept(second)));
    golden.check("port.read.tell", &asked(async { connection().request_read() }));
    golden.check("port.read.wait", &asked(connection().read(second)));
    golden.check("port.write", &asked(async { connection().send(b"hi\n") }));
    golden.check("port.writable.tell", &asked(async { connection().request_writable() }));
    golden.check("port.writable.wait", &asked(connection().writable(second)));
    golden.check("port.close", &asked(async { connection().close() }));
    golden.check("port.give", &asked(async { connection().controlling_process(pid()) }));
    golden.check("port.address", &asked(async { connection().peer() }));

    let key = ("a".to_owned(), 1);
    let new = ets::Options::new;
    let full = || new().ordered().public().named("seats").heir(pid(), &"yours");
    golden.check("table.new", &asked(async { new().create::<u8, u8>() }));
    golden.check("table.new.private", &asked(async { new().private().create::<u8, u8>() }));
    golden.check("table.new.options", &asked(async { full().and_then(ets::Options::create::<u8, u8>) }));
    golden.check("table.whereis", &asked(async { ets::whereis::<u8, u8>("seats") }));
    golden.check("table.insert", &asked(async { table().insert(&key, &300) }));
    golden.check("table.insert_new", &asked(async { table().insert_new(&key, &-1) }));
    golden.check("table.lookup", &asked(async { table().get(&key) }));
    golden.check("table.take", &asked(async { table().take(&key) }));
    golden.check("table.replace", &asked(async { table().replace(&key, &1, &2) }));
    golden.check("table.update_counter", &asked(async { table().update_counter(&key, -3, None) }));
    golden.check("table.update_counter.initial", &asked(async { table().update_counter(&key, 3, Some(4)) }));
    golden.check("table.select", &asked(async { table().rows() }));
    golden.check("table.select.range", &asked(async { table().range(&key, &("b".to_owned(), 2)) }));
    golden.check("table.select.prefix", &asked(async { table().prefix(&("a",)) }));
    golden.check("table.select.page", &asked(async { table().page(Some(&key), 20) }));
    golden.check("table.clear", &asked(async { table().clear() }));
    golden.check("table.size", &asked(async { table().size() }));
    golden.check("table.drop", &asked(async { table().delete() }));
    golden.check("table.give_away", &asked(async { table().give_away(pid(), &"yours") }));
    golden.check("table.set_heir", &asked(async { table().set_heir(pid(), &()) }));

    for exit in exits() {
        let name = format!("stop.{}", exit.to_string().split(':').next().unwrap_or_default());
        golden.check(&name, &asked(stop(pid(), exit, second)));
    }
    golden.check("stop.shutdown.bare", &asked(stop(pid(), Exit::shutdown(), second)));
    golden.check("task.entry", &asked(async { task::continue_with("looper", &7) }));
    golden.close();
}

fn exits() -> [Exit; 8] {
    let text = || "why".to_owned();
    [
        Exit::Normal,
        Exit::Shutdown(text()),
        Exit::Killed,
        Exit::Noproc,
        Exit::Error(text()),
        Exit::Panic(text()),
        Exit::Undecodable(text()),
        Exit::Overloaded,
    ]
}

/// Runs an init, and returns its reply.
fn init<B: Behaviour>(args: &impl serde::Serialize) -> Option<Vec<u8>> {
    let args = codec::encode(args).expect("encodes");
    let mut callback = Callback::new(B::init(&args).expect("it reads its argument"));
    let mut polled = Poll::Pending;
    callback.poll(&[], &mut polled);
    let Poll::Ready(Ok(done)) = polled else { panic!("init does not wait") };
    done.reply.map(|reply| reply.to_vec())
}

/// Decodes an entry that is the body of an event.
#[track_caller]
fn body<T: serde::de::DeserializeOwned>(daemon: &Book, name: &str) -> T {
    codec::decode(daemon.bytes(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn a_library_reads_the_recorded_answers_of_supervisors() {
    let daemon = Book::of("daemon");
    let child = || ChildSpec::worker("a", "m", 1);
    let started = |name: &str| answered(&daemon, name, supervisor::start_child(pid(), child()));
    assert_eq!(started("supervisor.ok.pid"), Ok(Some(pid())));
    assert_eq!(started("supervisor.ok.ignored"), Ok(None));
    assert_eq!(answered(&daemon, "supervisor.ok.nil", supervisor::terminate_child(pid(), &"a")), Ok(()));

    let spec = |name: &str| answered(&daemon, name, supervisor::get_childspec(pid(), &"a"));
    let worker = || ChildSpec::worker("a", "m", (1, "x")).shutdown(Shutdown::Within(Duration::from_secs(70)));
    assert_eq!(spec("supervisor.spec"), Ok(worker()));
    let significant = worker().restart(Restart::Transient).shutdown(Shutdown::BrutalKill).significant();
    assert_eq!(spec("supervisor.spec.significant"), Ok(significant));
    let below = ChildSpec::supervisor("a", "m", (1, "x")).restart(Restart::Temporary);
    assert_eq!(spec("supervisor.spec.supervisor"), Ok(below));

    let listed = |pid, restarting, child_type| supervisor::Child {
        id: Value::write(&"a").expect("encodes"),
        pid,
        restarting,
        child_type,
        module: "m".to_owned(),
    };
    let children = vec![
        listed(Some(pid()), false, ChildType::Worker),
        listed(None, true, ChildType::Supervisor),
        supervisor::Child { id: Value::nothing(), ..listed(None, false, ChildType::Worker) },
    ];
    let which = supervisor::which_children(pid());
    assert_eq!(answered(&daemon, "supervisor.children", which), Ok(children));
    let counts = supervisor::Counts { specs: 3, active: 1, supervisors: 1, workers: 2 };
    let count = supervisor::count_children(pid());
    assert_eq!(answered(&daemon, "supervisor.counts", count), Ok(counts));

    let why = || "why".to_owned();
    for (name, error) in [
        ("already_started", SupervisorError::AlreadyStarted(pid())),
        ("already_present", SupervisorError::AlreadyPresent),
        ("not_found", SupervisorError::NotFound),
        ("running", SupervisorError::Running),
        ("restarting", SupervisorError::Restarting),
        ("start_failed", SupervisorError::StartFailed(why())),
        ("bad_spec", SupervisorError::BadSpec(why())),
        ("unknown_module", SupervisorError::UnknownModule(why())),
        ("simple_one_for_one", SupervisorError::Other("simple_one_for_one: why".to_owned())),
        ("bad_request", SupervisorError::Other("bad_request: why".to_owned())),
    ] {
        assert_eq!(started(&format!("supervisor.error.{name}")), Err(error));
    }
}

#[test]
fn a_library_reads_the_recorded_answers_of_ports() {
    let daemon = Book::of("daemon");
    let second = Duration::from_secs(1);
    let opened = answered(&daemon, "port.ok.port", async { port::Options::new().request_connect("a") });
    assert_eq!(opened, Ok(connection()));
    let closed = |name: &str| answered(&daemon, name, async { connection().close() });
    assert_eq!(closed("port.ok.nil"), Ok(()));
    assert_eq!(answered(&daemon, "port.ok.accepted", listener().accept(second)), Ok(connection()));
    assert_eq!(answered(&daemon, "port.ok.data", connection().read(second)), Ok(b"hi\n".to_vec()));
    assert_eq!(answered(&daemon, "port.ok.writable", connection().writable(second)), Ok(()));
    let peer = |name: &str| answered(&daemon, name, async { connection().peer() });
    assert_eq!(peer("port.ok.address").as_deref(), Ok("127.0.0.1:80"));
    assert_eq!(peer("port.ok.address.listener").as_deref(), Ok(""));
    for (name, reason) in [
        ("closed", port::Reason::Closed),
        ("busy", port::Reason::Busy),
        ("not_owner", port::Reason::NotOwner),
        ("no_process", port::Reason::NoProcess),
        ("wrong_kind", port::Reason::Io),
        ("too_long", port::Reason::TooLong),
        ("address_in_use", port::Reason::AddressInUse),
        ("bad_address", port::Reason::BadAddress),
        ("permission_denied", port::Reason::PermissionDenied),
        ("connection_refused", port::Reason::ConnectionRefused),
        ("timed_out", port::Reason::TimedOut),
        ("bad_request", port::Reason::Io),
        ("io", port::Reason::Io),
    ] {
        let error = closed(&format!("port.error.{name}")).expect_err("it is refused");
        assert_eq!((error.reason(), error.to_string().as_str()), (reason, "why"), "{name}");
    }
}

#[test]
fn a_library_reads_the_recorded_answers_of_tables() {
    let daemon = Book::of("daemon");
    let key = ("a".to_owned(), 1);
    let created = answered(&daemon, "table.ok.table", async { ets::Options::new().create() });
    assert_eq!(created, Ok(table()));
    let found = |name: &str| answered(&daemon, name, async { ets::whereis("seats") });
    assert_eq!(found("table.ok.found"), Ok(Some(table())));
    assert_eq!(found("table.ok.none"), Ok(None));
    let deleted = |name: &str| answered(&daemon, name, async { table().delete() });
    assert_eq!(deleted("table.ok.nil"), Ok(()));
    assert_eq!(answered(&daemon, "table.ok.bool", async { table().insert_new(&key, &1) }), Ok(true));
    assert_eq!(answered(&daemon, "table.ok.value", async { table().get(&key) }), Ok(Some(300)));
    let sum = async { table().update_counter(&key, 1, None) };
    assert_eq!(answered(&daemon, "table.ok.sum", sum), Ok(-3));
    assert_eq!(answered(&daemon, "table.ok.number", async { table().size() }), Ok(70_000));
    let rows = vec![(key.clone(), 300), (("a".to_owned(), 2), -1)];
    assert_eq!(answered(&daemon, "table.ok.rows", async { table().rows() }), Ok(rows));
    for (name, reason) in [
        ("no_table", ets::Reason::NoTable),
        ("no_access", ets::Reason::NoAccess),
        ("name_taken", ets::Reason::NameTaken),
        ("not_owner", ets::Reason::NotOwner),
        ("no_process", ets::Reason::NoProcess),
        ("no_row", ets::Reason::NoRow),
        ("not_a_number", ets::Reason::NotANumber),
        ("not_ordered", ets::Reason::NotOrdered),
        ("bad_request", ets::Reason::Other),
    ] {
        let error = deleted(&format!("table.error.{name}")).expect_err("it is refused");
        assert_eq!((error.reason(), error.to_string().as_str()), (reason, "why"), "{name}");
    }
}

#[test]
fn a_library_reads_the_recorded_events_of_the_node() {
    let daemon = Book::of("daemon");
    let told = |name: &str| match body::<Told>(&daemon, &format!("told.port.{name}")) {
        Told::Port(event) => port::Event::from(event),
        told @ Told::Table(_) => panic!("{told:?}"),
    };
    let (listener, connection) = (listener(), connection());
    let peer = "127.0.0.1:70".to_owned();
    assert_eq!(told("accepted"), port::Event::Accepted { listener, connection, peer });
    assert_eq!(told("connected"), port::Event::Connected { connection });
    assert_eq!(told("data"), port::Event::Data { connection, bytes: b"hi\n".to_vec() });
    assert_eq!(told("writable"), port::Event::Writable { connection });
    let port::Event::Closed { port: 9, error } = told("closed") else { panic!("it is of port 9") };
    assert_eq!((error.reason(), error.to_string().as_str()), (port::Reason::Closed, "why"));
    let Told::Table(event) = body::<Told>(&daemon, "told.table.transferred") else {
        panic!("it is of a table")
    };
    let data = Value::write(&"yours").expect("encodes");
    assert_eq!(ets::Event::from(event), ets::Event::Transferred { table: 5, from: pid(), data });
    assert_eq!(body::<Pid>(&daemon, "pid"), pid());
}

#[test]
fn an_application_reads_its_recorded_arguments() {
    let daemon = Book::of("daemon");
    let args = StartArgs::parse(daemon.bytes("application.init")).expect("it can be read");
    assert_eq!(args.env(), Ok(BTreeMap::from([("port".to_owned(), 80)])));
    let phase: StartPhase = body(&daemon, "application.start_phase");
    assert_eq!((phase.name.as_str(), phase.start_type), ("open", args.start_type()));
    assert_eq!(phase.arg, Value::write(&(1, "x")).expect("encodes"));
    let change: EnvChange = body(&daemon, "application.config_change");
    let keys = [change.changed, change.new, change.removed];
    assert_eq!(keys, [["port"], ["host"], ["old"]]);
    let loader = Book::of("loader");
    for (name, root, cause) in [
        ("by_hand", Some(pid()), StopCause::ByHand),
        ("node_stops", Some(pid()), StopCause::NodeStops),
        ("node_restarts", Some(pid()), StopCause::NodeRestarts),
        ("upgrade", Some(pid()), StopCause::Upgrade),
        ("tree_ended", None, StopCause::TreeEnded),
    ] {
        let stopping: Stopping = body(&loader, &format!("application.prep_stop.{name}"));
        assert_eq!((stopping.root, stopping.cause), (root, cause));
    }
}
