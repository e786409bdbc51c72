//! Checks that the types read and write the golden bytes with the codecs of both sides.

use std::collections::BTreeMap;

use reld_wire::application::{EnvChange, PrepStop, Root, StartArgs, StartPhase, StartType, StopCause};
use reld_wire::port::{self, Addresses, PortId};
use reld_wire::spec::{ChildSpec, ChildType, Restart, Shutdown, SupervisorSpec};
use reld_wire::supervisor::{self, Child, Counts};
use reld_wire::table::{self, TableId};
use reld_wire::task::Entry;
use reld_wire::told::Told;
use reld_wire::{Exit, Pid, Reply};
use rmp_serde::config::BytesMode;
use rmpv::Value;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

use crate::book::Book;

const PID: Pid = Pid { slot: 3, generation: 7 };

/// Encodes a value like the daemon.
fn encode(value: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(value).expect("it can be written")
}

/// Encodes a value like the SDK.
fn encode_in_library(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let serializer = rmp_serde::Serializer::new(&mut bytes).with_bytes(BytesMode::ForceAll);
    value.serialize(&mut serializer.with_struct_map().with_human_readable()).expect("it can be written");
    bytes
}

/// Reads an entry with the codec of each side, and checks that writing gives the same bytes.
#[track_caller]
fn same<T: DeserializeOwned + Serialize>(book: &Book, name: &str) {
    let bytes = book.bytes(name);
    let read: T = rmp_serde::from_slice(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(encode(&read), bytes, "{name}, by the daemon");
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
    let read = T::deserialize(&mut reader).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(encode_in_library(&read), bytes, "{name}, by a library");
}

#[test]
fn every_golden_entry_of_libraries_is_read_completely() {
    let golden = Book::of("library");
    for name in golden.names() {
        match name.split('.').next().unwrap_or_default() {
            "init" => same::<SupervisorSpec>(&golden, name),
            "root" => same::<Option<Root>>(&golden, name),
            "supervisor" => same::<supervisor::Request>(&golden, name),
            "port" => same::<port::Request>(&golden, name),
            "table" => same::<table::Request>(&golden, name),
            "stop" => same::<Exit>(&golden, name),
            "task" => same::<Entry>(&golden, name),
            _ => panic!("no type for {name}"),
        }
    }
}

/// Encodes a value like the daemon, compares it with an entry, and reads the entry.
#[track_caller]
fn check<T: Serialize + DeserializeOwned>(golden: &mut Book, name: &str, value: &T) {
    golden.check(name, &encode(value));
    same::<T>(golden, name);
}

#[test]
fn every_golden_entry_of_daemons_is_written_and_read() {
    let mut golden = Book::of("daemon");
    check(&mut golden, "pid", &PID);
    supervisors(&mut golden);
    ports(&mut golden);
    tables(&mut golden);
    applications(&mut golden);
    golden.close();
}

fn bin(value: &impl Serialize) -> ByteBuf {
    ByteBuf::from(encode(value))
}

fn supervisors(golden: &mut Book) {
    type Answer<T> = Reply<T, supervisor::Error>;
    check(golden, "supervisor.ok.pid", &Answer::Ok(Some(PID)));
    check(golden, "supervisor.ok.ignored", &Answer::Ok(None::<Pid>));
    check(golden, "supervisor.ok.nil", &Answer::Ok(()));
    let worker = ChildSpec {
        id: bin(&"a"),
        module: "m".to_owned(),
        args: Some(bin(&(1, "x"))),
        restart: Some(Restart::Permanent),
        significant: Some(false),
        shutdown: Some(Shutdown::Ms(70_000)),
        child_type: Some(ChildType::Worker),
    };
    check(golden, "supervisor.spec", &Answer::Ok(worker.clone()));
    let killed = ChildSpec {
        restart: Some(Restart::Transient),
        significant: Some(true),
        shutdown: Some(Shutdown::BrutalKill),
        ..worker.clone()
    };
    check(golden, "supervisor.spec.significant", &Answer::Ok(killed));
    let below = ChildSpec {
        restart: Some(Restart::Temporary),
        shutdown: Some(Shutdown::Infinity),
        child_type: Some(ChildType::Supervisor),
        ..worker
    };
    check(golden, "supervisor.spec.supervisor", &Answer::Ok(below));
    let listed = |pid, restarting, child_type| Child {
        id: bin(&"a"),
        pid,
        restarting,
        child_type,
        module: "m".to_owned(),
    };
    let children = vec![
        listed(Some(PID), false, ChildType::Worker),
        listed(None, true, ChildType::Supervisor),
        Child { id: bin(&()), ..listed(None, false, ChildType::Worker) },
    ];
    check(golden, "supervisor.children", &Answer::Ok(children));
    let counts = Counts { specs: 3, active: 1, supervisors: 1, workers: 2 };
    check(golden, "supervisor.counts", &Answer::Ok(counts));
    use supervisor::Reason;
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
        let error = supervisor::Error { reason, pid, text: "why".to_owned() };
        check(golden, &format!("supervisor.error.{name}"), &Answer::<()>::Error(error));
        assert_eq!(reason.to_string(), name);
    }
}

fn ports(golden: &mut Book) {
    use port::{Event, Reason};
    type Answer<T> = Reply<T, port::Error>;
    let (listener, connection) = (PortId(8), PortId(9));
    let accepted = Event::Accepted { listener, connection, peer: "127.0.0.1:70".to_owned() };
    let data = Event::Data { connection, bytes: ByteBuf::from(b"hi\n") };
    let writable = Event::Writable { connection };
    check(golden, "port.ok.port", &Answer::Ok(connection));
    check(golden, "port.ok.nil", &Answer::Ok(()));
    check(golden, "port.ok.accepted", &Answer::Ok(Some(accepted.clone())));
    check(golden, "port.ok.data", &Answer::Ok(Some(data.clone())));
    check(golden, "port.ok.writable", &Answer::Ok(Some(writable.clone())));
    let local = || "127.0.0.1:80".to_owned();
    let both = Addresses { local: local(), peer: Some(local()) };
    check(golden, "port.ok.address", &Answer::Ok(both));
    check(golden, "port.ok.address.listener", &Answer::Ok(Addresses { local: local(), peer: None }));
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
        let error = port::Error::new(reason, "why");
        check(golden, &format!("port.error.{name}"), &Answer::<()>::Error(error));
    }
    let mut told = |name: &str, event: Event| {
        check(golden, &format!("told.port.{name}"), &Told::<Event>::Port(event));
    };
    told("accepted", accepted);
    told("connected", Event::Connected { connection });
    told("data", data);
    told("writable", writable);
    told("closed", Event::Closed { port: connection, error: port::Error::new(Reason::Closed, "why") });
}

fn tables(golden: &mut Book) {
    use table::{Event, Reason};
    type Answer<T> = Reply<T, table::Error>;
    check(golden, "table.ok.table", &Answer::Ok(TableId(5)));
    check(golden, "table.ok.nil", &Answer::Ok(()));
    check(golden, "table.ok.found", &Answer::Ok(Some(TableId(5))));
    check(golden, "table.ok.none", &Answer::Ok(None::<TableId>));
    check(golden, "table.ok.bool", &Answer::Ok(true));
    check(golden, "table.ok.value", &Answer::Ok(Some(bin(&300))));
    check(golden, "table.ok.sum", &Answer::Ok(-3_i64));
    check(golden, "table.ok.number", &Answer::Ok(70_000_usize));
    let rows = vec![(bin(&("a", 1)), bin(&300)), (bin(&("a", 2)), bin(&-1))];
    check(golden, "table.ok.rows", &Answer::Ok(rows));
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
        let error = table::Error::new(reason, "why");
        check(golden, &format!("table.error.{name}"), &Answer::<()>::Error(error));
    }
    let transferred = Event::Transferred { table: TableId(5), from: PID, data: bin(&"yours") };
    check(golden, "told.table.transferred", &Told::<port::Event>::Table(transferred));
}

fn applications(golden: &mut Book) {
    let start_type = StartType::Normal;
    let env = |pairs: &[(&str, u32)]| -> BTreeMap<String, Value> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect()
    };
    check(golden, "application.init", &StartArgs { start_type, env: env(&[("port", 80)]) });
    let phase = StartPhase { phase: "open".to_owned(), start_type, arg: bin(&(1, "x")) };
    check(golden, "application.start_phase", &phase);
    let (changed, new) = (env(&[("port", 81)]), env(&[("host", 1)]));
    check(golden, "application.config_change", &EnvChange { changed, new, removed: vec!["old".to_owned()] });
}

#[test]
fn prep_stop_is_written_as_the_loader_has_always_written_it() {
    let mut golden = Book::of("loader");
    let root = Some(PID);
    for (name, root, cause) in [
        ("by_hand", root, StopCause::ByHand),
        ("node_stops", root, StopCause::NodeStops),
        ("node_restarts", root, StopCause::NodeRestarts),
        ("upgrade", root, StopCause::Upgrade),
        ("tree_ended", None, StopCause::TreeEnded),
    ] {
        check(&mut golden, &format!("application.prep_stop.{name}"), &PrepStop { root, cause });
    }
    check(&mut golden, "application.prep_stop.before_1_3", &root);
    golden.close();
}
