//! What the daemon writes, and that it reads what libraries write: the golden bytes, see `daemon/wire/golden`.

#[path = "../../wire/golden/book.rs"]
mod book;

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

use self::book::Book;
use crate::io::ets::wire as table;
use crate::io::port::wire as port;
use crate::tree::application::{EnvChange, Root, StartArgs, StartPhase};
use crate::tree::request::{self, Counts, Error, Listed, Reason};
use crate::words::child_spec::{ChildSpec, ChildType, Restart, Shutdown, SupervisorSpec};
use crate::words::exit::Exit;
use crate::words::pid::Pid;
use crate::words::term;
use crate::world::context::Entry;

const PID: Pid = Pid { slot: 3, generation: 7 };

fn bin(value: &impl Serialize) -> ByteBuf {
    ByteBuf::from(term::encode(value))
}

#[test]
fn the_daemon_writes_the_bytes_that_daemons_have_always_written() {
    let mut golden = Book::of("daemon");
    supervisors(&mut golden);
    ports(&mut golden);
    tables(&mut golden);
    applications(&mut golden);
    golden.check("pid", &term::encode(&PID));
    golden.close();
}

fn supervisors(golden: &mut Book) {
    golden.check("supervisor.ok.pid", &request::reply(&Ok(Some(PID))));
    golden.check("supervisor.ok.ignored", &request::reply(&Ok(None::<Pid>)));
    golden.check("supervisor.ok.nil", &request::reply(&Ok(())));
    let worker = ChildSpec {
        id: bin(&"a"),
        module: "m".to_owned(),
        args: bin(&(1, "x")),
        restart: Restart::Permanent,
        significant: false,
        shutdown: Shutdown::Ms(70_000),
        kind: ChildType::Worker,
    };
    golden.check("supervisor.spec", &request::reply(&Ok(worker.clone())));
    let killed = ChildSpec {
        restart: Restart::Transient,
        significant: true,
        shutdown: Shutdown::BrutalKill,
        ..worker.clone()
    };
    golden.check("supervisor.spec.significant", &request::reply(&Ok(killed)));
    let below = ChildSpec {
        restart: Restart::Temporary,
        shutdown: Shutdown::Infinity,
        kind: ChildType::Supervisor,
        ..worker
    };
    golden.check("supervisor.spec.supervisor", &request::reply(&Ok(below)));
    let listed =
        |pid, restarting, kind| Listed { id: bin(&"a"), pid, restarting, kind, module: "m".to_owned() };
    let children = vec![
        listed(Some(PID), false, ChildType::Worker),
        listed(None, true, ChildType::Supervisor),
        Listed { id: bin(&()), ..listed(None, false, ChildType::Worker) },
    ];
    golden.check("supervisor.children", &request::reply(&Ok(children)));
    let counts = Counts { specs: 3, active: 1, supervisors: 1, workers: 2 };
    golden.check("supervisor.counts", &request::reply(&Ok(counts)));
    let error = |pid, reason| Error { pid, ..Error::new(reason, "why".to_owned()) };
    for (name, pid, reason) in [
        ("already_started", Some(PID), Reason::AlreadyStarted),
        ("already_present", None, Reason::AlreadyPresent),
        ("not_found", None, Reason::NotFound),
        ("running", Some(PID), Reason::Running),
        ("restarting", None, Reason::Restarting),
        ("start_failed", None, Reason::StartFailed),
        ("bad_spec", None, Reason::BadSpec),
        ("unknown_module", None, Reason::UnknownModule),
        ("simple_one_for_one", None, Reason::SimpleOneForOne),
        ("bad_request", None, Reason::BadRequest),
    ] {
        golden.check(&format!("supervisor.error.{name}"), &request::reply::<()>(&Err(error(pid, reason))));
    }
}

fn ports(golden: &mut Book) {
    use port::{Addresses, PortError, PortEvent, PortId, Reason, reply};
    let (listener, connection) = (PortId(8), PortId(9));
    let accepted = || PortEvent::Accepted { listener, connection, peer: "127.0.0.1:70".to_owned() };
    let data = || PortEvent::Data { connection, bytes: ByteBuf::from(b"hi\n") };
    let writable = || PortEvent::Writable { connection };
    golden.check("port.ok.port", &reply(Ok(connection)));
    golden.check("port.ok.nil", &reply(Ok(())));
    golden.check("port.ok.accepted", &reply(Ok(Some(accepted()))));
    golden.check("port.ok.data", &reply(Ok(Some(data()))));
    golden.check("port.ok.writable", &reply(Ok(Some(writable()))));
    let local = || "127.0.0.1:80".to_owned();
    golden.check("port.ok.address", &reply(Ok(Addresses { local: local(), peer: Some(local()) })));
    golden.check("port.ok.address.listener", &reply(Ok(Addresses { local: local(), peer: None })));
    for (name, reason) in [
        ("closed", Reason::Closed),
        ("busy", Reason::Busy),
        ("not_owner", Reason::NotOwner),
        ("no_process", Reason::NoProcess),
        ("wrong_kind", Reason::WrongKind),
        ("too_long", Reason::TooLong),
        ("address_in_use", Reason::AddressInUse),
        ("bad_address", Reason::BadAddress),
        ("permission_denied", Reason::PermissionDenied),
        ("connection_refused", Reason::ConnectionRefused),
        ("timed_out", Reason::TimedOut),
        ("bad_request", Reason::BadRequest),
        ("io", Reason::Io),
    ] {
        let refused = reply::<()>(Err(PortError::new(reason, "why")));
        golden.check(&format!("port.error.{name}"), &refused);
    }
    let mut told = |name: &str, event: &PortEvent| {
        golden.check(&format!("told.port.{name}"), &event.told());
    };
    told("accepted", &accepted());
    told("connected", &PortEvent::Connected { connection });
    told("data", &data());
    told("writable", &writable());
    told("closed", &PortEvent::Closed { port: connection, error: PortError::new(Reason::Closed, "why") });
}

fn tables(golden: &mut Book) {
    use table::{Reason, TableError, TableEvent, TableId, reply};
    golden.check("table.ok.table", &reply(Ok(TableId(5))));
    golden.check("table.ok.nil", &reply(Ok(())));
    golden.check("table.ok.found", &reply(Ok(Some(TableId(5)))));
    golden.check("table.ok.none", &reply(Ok(None::<TableId>)));
    golden.check("table.ok.bool", &reply(Ok(true)));
    golden.check("table.ok.value", &reply(Ok(Some(bin(&300)))));
    golden.check("table.ok.sum", &reply(Ok(-3_i64)));
    golden.check("table.ok.number", &reply(Ok(70_000_usize)));
    golden.check("table.ok.rows", &reply(Ok(vec![(bin(&("a", 1)), bin(&300)), (bin(&("a", 2)), bin(&-1))])));
    for (name, reason) in [
        ("no_table", Reason::NoTable),
        ("no_access", Reason::NoAccess),
        ("name_taken", Reason::NameTaken),
        ("not_owner", Reason::NotOwner),
        ("no_process", Reason::NoProcess),
        ("no_row", Reason::NoRow),
        ("not_a_number", Reason::NotANumber),
        ("not_ordered", Reason::NotOrdered),
        ("bad_request", Reason::BadRequest),
    ] {
        let refused = reply::<()>(Err(TableError::new(reason, "why")));
        golden.check(&format!("table.error.{name}"), &refused);
    }
    let transferred = TableEvent::Transferred { table: TableId(5), from: PID, data: bin(&"yours") };
    golden.check("told.table.transferred", &transferred.told());
}

fn applications(golden: &mut Book) {
    let env = |pairs: &[(&str, u32)]| -> BTreeMap<String, rmpv::Value> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect()
    };
    let start = StartArgs { r#type: "normal", env: env(&[("port", 80)]) };
    golden.check("application.init", &term::encode(&start));
    let arg = term::encode(&(1, "x"));
    let phase = StartPhase { phase: "open", r#type: "normal", arg: serde_bytes::Bytes::new(&arg) };
    golden.check("application.start_phase", &term::encode(&phase));
    let change = EnvChange {
        changed: env(&[("port", 81)]),
        new: env(&[("host", 1)]),
        removed: vec!["old".to_owned()],
    };
    golden.check("application.config_change", &term::encode(&change));
}

#[test]
fn the_daemon_reads_what_libraries_have_always_written() {
    let golden = Book::of("library");
    for name in golden.names() {
        let group = name.split('.').next().unwrap_or_default();
        match group {
            "init" => drop(read::<SupervisorSpec>(&golden, name)),
            "root" => drop(read::<Option<Root>>(&golden, name)),
            "supervisor" => drop(read::<request::Request>(&golden, name)),
            "port" => same::<port::Request>(&golden, name),
            "table" => same::<table::Request>(&golden, name),
            "stop" => same::<Exit>(&golden, name),
            "task" => drop(read::<Entry>(&golden, name)),
            _ => panic!("who reads {name}?"),
        }
    }
}

#[track_caller]
fn read<T: DeserializeOwned>(golden: &Book, name: &str) -> T {
    term::decode(golden.bytes(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Reads what has nothing that may be left out: it is written as it was read.
#[track_caller]
fn same<T: DeserializeOwned + Serialize>(golden: &Book, name: &str) {
    assert_eq!(term::encode(&read::<T>(golden, name)), golden.bytes(name), "{name}");
}
