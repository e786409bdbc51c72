//! Processes found by pid, by name, and by path.

use reld_runtime::{AppSpec, ChildSpec, SupervisorSpec, term};
use reld_wire::spec::{ChildType, Restart, Strategy};
use reld_wire::supervisor::Request;
use reld_wire::{Exit, Pid};
use serde::Serialize;
use serde_bytes::ByteBuf;

use crate::applications::{app, start};
use crate::kit::words::{Do, Said, text};
use crate::kit::{Kit, SOON, child, name, one_for_one, soon};

/// A child with an id of any type.
fn with_id(id: &impl Serialize) -> ChildSpec {
    ChildSpec { id: ByteBuf::from(term::encode(id)), ..child("", &[]) }
}

/// A child supervisor with these children.
fn below(id: &str, spec: &SupervisorSpec) -> ChildSpec {
    let args = ByteBuf::from(term::encode(spec));
    ChildSpec { module: text("sup"), child_type: ChildType::Supervisor, args, ..child(id, &[]) }
}

#[track_caller]
fn missing(kit: &Kit, place: &str, reason: &str) {
    let error = kit.node.find(place).expect_err("no process is there");
    assert_eq!(error.to_string(), format!("cannot find {place}: {reason}"));
}

/// Starts the app `a`: a root with the worker `door` and the supervisor `tills`, which has these
/// children.
#[track_caller]
fn shop(kit: &Kit, tills: Vec<ChildSpec>) -> Pid {
    let children = vec![child("door", &[]), below("tills", &one_for_one(tills))];
    start(kit, app(Some(&one_for_one(children))))
}

#[test]
fn a_process_is_found_by_pid_with_and_without_brackets_by_name_and_by_path() {
    let kit = Kit::new();
    let root = shop(&kit, vec![child("first", &[Do::Register(text("till"))]), with_id(&7)]);
    let tills = kit.child(root, "tills").expect("it runs");
    let first = kit.child(tills, "first").expect("it runs");
    let bare = first.to_string().replace(['<', '>'], "");
    for place in [first.to_string(), bare, text("till"), text("a/tills/first"), text(r#"a/tills/"first""#)] {
        assert_eq!(kit.node.find(&place), Ok(first), "{place}");
        assert_eq!(kit.ask(first, Do::Find(place)), Said::Pid(Some(first)), "in a callback");
    }
    assert_eq!(kit.node.find("a"), Ok(root));
    assert_eq!(kit.node.find_supervisor("a/tills"), Ok(tills));
    assert_ne!(kit.node.find("a/tills/7"), Ok(first));
    kit.node.exit(first, Exit::Killed);
    kit.until(|| kit.node.find("a/tills/first").is_ok_and(|pid| pid != first));
}

#[test]
fn the_missing_part_of_a_place_is_named_with_the_nearest_existing_ones() {
    let kit = Kit::new();
    let ids: Vec<ChildSpec> = (0..10).map(|n| with_id(&n)).collect();
    let root = shop(&kit, ids);
    kit.node.load_application(AppSpec { name: text("idle"), ..app(None) });
    kit.node.load_application(AppSpec { name: text("tools"), start: None, ..app(None) });
    kit.node.start_application("tools", soon()).expect("it starts");
    kit.counter(&[Do::Register(text("sessions"))]);
    missing(&kit, "a/tils", "a has no child tils; its children are door, tills; the nearest is tills");
    missing(&kit, "a/tils/7", "a has no child tils; its children are door, tills; the nearest is tills");
    let ten = "its children are 0, 1, 2, 3, 4, 5, 6, 7 and 2 more";
    missing(&kit, "a/tills/x", &format!("a/tills has no child x; {ten}"));
    missing(&kit, "a/door/x", "a/door is no supervisor, and has no children");
    let unknown = "no process is registered as sesions, and no app is called sesions";
    missing(&kit, "sesions", &format!("{unknown}; the nearest is sessions"));
    missing(&kit, "sesions/1", &format!("{unknown}; the nearest is sessions"));
    missing(&kit, "idle", "the app idle does not run; `relctl app start idle` starts it");
    missing(&kit, "tools/x", "the app tools has no processes");
    missing(&kit, "<999.1>", "no process has this pid; it has ended, or never existed");
    let reply = kit.request::<()>(root, &Request::TerminateChild(name("door")));
    assert_eq!(Result::from(reply), Ok(()));
    missing(&kit, "a/door", "the child door of a does not run");
}

#[test]
fn a_callback_learns_which_part_of_a_path_is_missing() {
    let kit = Kit::new();
    let root = shop(&kit, Vec::new());
    let door = kit.child(root, "door").expect("it runs");
    let reason = "cannot find a/tills/1: a/tills has no child 1; it has no children";
    assert_eq!(kit.ask(door, Do::Find(text("a/tills/1"))), Said::Text(text(reason)));
}

#[test]
fn ids_of_every_form_have_a_path_and_two_that_read_alike_are_told_apart_by_quotes() {
    let kit = Kit::new();
    let odd = [with_id(&"a/b"), with_id(&"two words"), with_id(&("room", 3)), with_id(&7), with_id(&"7")];
    let root = shop(&kit, odd.to_vec());
    let rows = || kit.node.which_children(kit.child(root, "tills").expect("it runs")).expect("a supervisor");
    let expected: Vec<Pid> = rows().iter().rev().filter_map(|row| row.pid).collect();
    let paths = [r#"a/tills/"a/b""#, "a/tills/two words", r#"a/tills/["room",3]"#, r#"a/tills/"7""#];
    let found = paths.map(|path| kit.node.find(path).expect("it is found"));
    assert_eq!(found, [expected[0], expected[1], expected[2], expected[4]]);
    let (number, word) = (expected[3], expected[4]);
    let twice =
        format!(r#"a/tills has two such children, "7" ({word}) and 7 ({number}); use quotes, or a pid"#);
    missing(&kit, "a/tills/7", &twice);
    let listed = r#"a/tills has no child 8; its children are "a/b", two words, ["room",3], 7, "7""#;
    missing(&kit, "a/tills/8", listed);
}

#[test]
fn the_children_of_a_simple_one_for_one_are_found_by_pid_only() {
    let kit = Kit::new();
    let template = ChildSpec { restart: Restart::Temporary, ..child("seat", &[]) };
    let seats = SupervisorSpec { strategy: Strategy::SimpleOneForOne, ..one_for_one(vec![template]) };
    start(&kit, app(Some(&one_for_one(vec![below("seats", &seats)]))));
    let reason = "the children of a/seats, a simple_one_for_one, have no ids; use a pid";
    missing(&kit, "a/seats/seat", reason);
}

#[test]
fn a_server_that_has_the_name_of_its_app_is_found_where_no_supervisor_is_wanted() {
    let kit = Kit::new();
    let root = start(&kit, app(Some(&one_for_one(vec![child("server", &[Do::Register(text("a"))])]))));
    let server = kit.child(root, "server").expect("it runs");
    assert_eq!((kit.node.find("a"), kit.node.find_supervisor("a")), (Ok(server), Ok(root)));
    assert_eq!(kit.node.find("a/server"), Ok(server));
    let worker = kit.node.find_supervisor("a/server").expect_err("a worker");
    assert_eq!(worker.to_string(), format!("cannot find a/server: {server} is no supervisor"));
}

#[test]
fn a_path_begins_with_a_registered_supervisor_too() {
    let kit = Kit::new();
    let named = SupervisorSpec { name: Some(text("loose")), ..one_for_one(vec![child("x", &[])]) };
    let supervisor = kit.supervisor(&named);
    assert_eq!(kit.node.find("loose/x").ok(), kit.child(supervisor, "x"));
}

#[test]
fn a_name_that_looks_like_a_path_or_a_pid_is_refused() {
    let kit = Kit::new();
    let pid = kit.counter(&[]);
    for bad in ["a/b", "4.1", ""] {
        assert_eq!(kit.ask(pid, Do::Register(text(bad))), Said::Flag(false), "{bad:?}");
        let spec = SupervisorSpec { name: Some(text(bad)), ..one_for_one(Vec::new()) };
        let refused = kit.node.spawn("sup", term::encode(&spec), SOON).expect_err("it is refused");
        let rule = "it must not be empty, contain `/`, or look like a pid";
        assert_eq!(refused, Exit::Error(format!("supervisor sup: its name is {bad:?}; {rule}")));
    }
}
