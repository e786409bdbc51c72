//! Applications: start, prep_stop, stop, and applications that end by themselves.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::kit::words::{Do, Said, text};
use crate::kit::{Kit, child, one_for_one, soon};
use reld_runtime::{AppError, AppSpec, AppStatus, ChildSpec, StartType, SupervisorSpec, term};
use reld_wire::application::StopCause;
use reld_wire::spec::Restart;
use reld_wire::{Exit, Pid};
use serde_bytes::ByteBuf;

#[derive(serde::Serialize)]
struct Root {
    module: String,
    args: ByteBuf,
}

/// An application `a` with this root.
pub(crate) fn app(root: Option<&SupervisorSpec>) -> AppSpec {
    let root = root.map(|spec| Root { module: text("sup"), args: ByteBuf::from(term::encode(spec)) });
    let env = BTreeMap::from([(text("root"), term::encode(&root))]);
    AppSpec { name: text("a"), version: text("1"), start: Some(text("app")), env, ..AppSpec::default() }
}

fn status(kit: &Kit, name: &str) -> AppStatus {
    let apps = kit.node.applications();
    apps.into_iter().find(|(spec, _)| spec.name == name).expect("it is loaded").1
}

#[track_caller]
pub(crate) fn start(kit: &Kit, app: AppSpec) -> Pid {
    let name = app.name.clone();
    kit.node.load_application(app);
    kit.node.start_application(&name, soon()).expect("it starts");
    match status(kit, &name) {
        AppStatus::Running { root: Some(root), .. } => root,
        other => panic!("{other:?}"),
    }
}

/// The environment of `a`, without its root.
fn environment(values: &[(&str, u64)]) -> BTreeMap<String, Vec<u8>> {
    let root = (text("root"), term::encode(&None::<Root>));
    let values = values.iter().map(|(key, value)| ((*key).to_owned(), term::encode(value)));
    values.chain([root]).collect()
}

#[test]
fn config_change_is_called_only_if_the_environment_changed() {
    let kit = Kit::new();
    let before = environment(&[("speed", 1), ("left_over", 7)]);
    let spec = AppSpec { env: before.clone(), ..app(None) };
    kit.node.load_application(spec.clone());
    kit.node.start_application("a", soon()).expect("it starts");
    kit.expect("start");
    assert_eq!(kit.node.config_change("a", &before, soon()), Ok(false));
    kit.node.load_application(AppSpec { env: environment(&[("speed", 2), ("fresh", 3)]), ..spec });
    assert_eq!(kit.node.config_change("a", &before, soon()), Ok(true));
    let told = r#"config_change {"changed": {"speed": 2}, "new": {"fresh": 3}, "removed": ["left_over"]}"#;
    assert_eq!(kit.notes(), [told]);
    kit.node.stop_application("a", StopCause::ByHand, soon()).expect("it stops");
    assert_eq!(kit.node.config_change("a", &before, soon()), Ok(false), "who does not run is not told");
}

#[test]
fn a_crash_in_config_change_names_the_application_and_the_reason() {
    let kit = Kit::new();
    let before = environment(&[("speed", 1)]);
    let spec = AppSpec { env: before.clone(), ..app(None) };
    kit.node.load_application(spec.clone());
    kit.node.start_application("a", soon()).expect("it starts");
    let mut env = environment(&[("speed", 2)]);
    env.insert(text("config_change"), term::encode(&Do::Crash(text("no"))));
    kit.node.load_application(AppSpec { env, ..spec });
    let crashed = AppError::ConfigChange { app: text("a"), exit: Exit::Panic(text("no")) };
    assert_eq!(kit.node.config_change("a", &before, soon()), Err(crashed));
}

#[test]
fn an_application_starts_its_tree_and_stops_it_between_prep_stop_and_stop() {
    let kit = Kit::new();
    let children = vec![child("x", &[Do::Trap(true), Do::Add(1)]), child("y", &[Do::Trap(true), Do::Add(2)])];
    let root = start(&kit, app(Some(&one_for_one(children))));
    assert_eq!(kit.node.which_children(root).expect("a supervisor").len(), 2);
    assert_eq!(kit.node.stop_application("a", StopCause::ByHand, soon()), Ok(()));
    let expected = [
        "start",
        "prep_stop true ByHand",
        "terminate shutdown at 2",
        "terminate shutdown at 1",
        "terminate shutdown at 0",
    ];
    assert_eq!(kit.notes(), expected);
    assert_eq!(status(&kit, "a"), AppStatus::Stopped(None));
    assert!(kit.node.processes().is_empty());
    kit.node.start_application("a", soon()).expect("it starts again");
}

#[test]
fn a_library_application_runs_without_processes() {
    let kit = Kit::new();
    kit.node.load_application(AppSpec { start: None, ..app(None) });
    assert_eq!(kit.node.start_application("a", soon()), Ok(()));
    assert_eq!(status(&kit, "a"), AppStatus::Running { process: None, root: None });
    assert_eq!(kit.node.stop_application("a", StopCause::ByHand, soon()), Ok(()));
}

#[test]
fn an_application_without_a_tree_stops_too() {
    let kit = Kit::new();
    kit.node.load_application(app(None));
    kit.node.start_application("a", soon()).expect("it starts");
    assert_eq!(kit.node.stop_application("a", StopCause::ByHand, soon()), Ok(()));
    assert_eq!(kit.notes(), ["start", "prep_stop false ByHand", "terminate shutdown at 0"]);
}

#[test]
fn an_application_is_refused_until_its_dependencies_run() {
    let kit = Kit::new();
    let needs = AppSpec { name: text("b"), applications: vec![text("a")], start: None, ..app(None) };
    kit.node.load_application(needs);
    let refused = AppError::Needs { app: text("b"), needs: text("a") };
    assert_eq!(kit.node.start_application("b", soon()), Err(refused));
    start(&kit, app(Some(&one_for_one(vec![]))));
    assert_eq!(kit.node.start_application("b", soon()), Ok(()));
}

#[test]
fn dependencies_are_started_before_an_application() {
    let kit = Kit::new();
    for (name, needs) in [("x", vec!["y", "z"]), ("y", vec!["z"]), ("z", vec![])] {
        let applications = needs.into_iter().map(text).collect();
        kit.node.load_application(AppSpec { name: text(name), applications, ..app(None) });
    }
    kit.node.start_application("z", soon()).expect("it starts");
    assert_eq!(kit.node.ensure_all_started("x", soon()), Ok(vec![text("y"), text("x")]));
    assert_eq!(kit.node.ensure_all_started("x", soon()), Ok(vec![]));
    let ring = |name, needs| AppSpec { name: text(name), applications: vec![text(needs)], ..app(None) };
    kit.node.load_application(ring("r", "s"));
    kit.node.load_application(ring("s", "r"));
    assert_eq!(kit.node.ensure_all_started("r", soon()), Err(AppError::Busy(text("r"))));
    let lost = AppError::Unknown(text("nowhere"));
    kit.node.load_application(ring("t", "nowhere"));
    assert_eq!(kit.node.ensure_all_started("t", soon()), Err(lost));
}

#[test]
fn all_applications_stop_in_reverse_start_order() {
    let kit = Kit::new();
    // Ordered by name, they would stop in another order.
    for (name, n) in [("y", 1), ("z", 2), ("x", 3)] {
        let root = one_for_one(vec![child("c", &[Do::Trap(true), Do::Add(n)])]);
        kit.node.load_application(AppSpec { name: text(name), ..app(Some(&root)) });
        kit.node.start_application(name, soon()).expect("it starts");
    }
    kit.node.load_application(AppSpec { name: text("never_started"), ..app(None) });
    assert_eq!(kit.node.stop_all_applications(StopCause::NodeStops, soon()), []);
    let ends: Vec<String> = kit.notes().into_iter().filter(|note| note.starts_with("terminate")).collect();
    let child = |n| format!("terminate shutdown at {n}");
    assert_eq!(ends, [3, 0, 2, 0, 1, 0].map(child));
    assert!(kit.node.processes().is_empty());
}

#[test]
fn h2_the_start_type_decides_whether_the_end_of_an_application_ends_the_node() {
    let kit = Kit::new();
    let (tell, told) = std::sync::mpsc::channel();
    kit.node.on_node_down(move |app| tell.send(app.to_owned()).expect("the test listens"));
    let ends = |start_type, exit: Exit| {
        let root = one_for_one(vec![]);
        kit.node.load_application(AppSpec { start_type, ..app(Some(&root)) });
        kit.node.start_application("a", soon()).expect("it starts");
        let AppStatus::Running { process: Some(process), .. } = status(&kit, "a") else { panic!("it runs") };
        kit.node.exit(process, exit);
        kit.until(|| matches!(status(&kit, "a"), AppStatus::Stopped(Some(_))));
        kit.gone(process);
        let down = kit.node.took_node_down("a").is_some();
        assert_eq!(told.try_iter().collect::<Vec<_>>(), vec![text("a"); usize::from(down)]);
        down
    };
    let matrix = [StartType::Permanent, StartType::Transient, StartType::Temporary]
        .map(|start_type| [Exit::shutdown(), Exit::Killed].map(|exit| ends(start_type, exit)));
    assert_eq!(matrix, [[true, true], [true, true], [false, false]]);
    assert!(StartType::Permanent.takes_node_down(&Exit::Normal));
    assert!(!StartType::Transient.takes_node_down(&Exit::Normal));

    kit.node.load_application(AppSpec { start_type: StartType::Permanent, ..app(None) });
    kit.node.start_application("a", soon()).expect("it starts");
    kit.node.stop_application("a", StopCause::ByHand, soon()).expect("it stops");
    assert_eq!(kit.node.took_node_down("a"), None, "a stop is no end");
    assert!(told.try_recv().is_err());
}

#[test]
fn h3_start_phases_run_in_order_and_a_failed_phase_fails_the_start() {
    let kit = Kit::new();
    let root = one_for_one(vec![child("c", &[Do::Trap(true)])]);
    let start_phases = vec![(text("open"), term::encode(&1)), (text("serve"), term::encode(&"now"))];
    let mut spec = AppSpec { start_phases, ..app(Some(&root)) };
    start(&kit, spec.clone());
    let phases: Vec<String> =
        kit.notes().into_iter().filter(|note| note.starts_with("start_phase")).collect();
    assert_eq!(phases, [text("start_phase open 1"), text("start_phase serve \"now\"")]);
    kit.node.stop_application("a", StopCause::Upgrade, soon()).expect("it stops");
    assert!(kit.notes().contains(&text("prep_stop true Upgrade")));

    spec.env.insert(text("start_phase"), term::encode(&Do::Crash(text("no"))));
    kit.node.load_application(spec);
    let failed = AppError::Failed { app: text("a"), exit: Exit::Panic(text("no")) };
    assert_eq!(kit.node.start_application("a", soon()), Err(failed));
    assert_eq!(status(&kit, "a"), AppStatus::Stopped(None));
    assert!(kit.node.processes().is_empty(), "its tree is gone with it");
}

#[test]
fn starts_and_stops_out_of_order_are_refused_with_the_reason() {
    let kit = Kit::new();
    let unknown = || Err(AppError::Unknown(text("a")));
    assert_eq!(kit.node.start_application("a", soon()), unknown());
    assert_eq!(kit.node.stop_application("a", StopCause::ByHand, soon()), unknown());
    kit.node.load_application(app(None));
    assert_eq!(
        kit.node.stop_application("a", StopCause::ByHand, soon()),
        Err(AppError::NotStarted(text("a")))
    );
    kit.node.start_application("a", soon()).expect("it starts");
    assert_eq!(kit.node.start_application("a", soon()), Err(AppError::AlreadyStarted(text("a"))));
    kit.node.unload_application("a");
    assert!(matches!(status(&kit, "a"), AppStatus::Running { .. }));
    let missing = AppSpec { name: text("m"), start: Some(text("missing")), ..app(None) };
    kit.node.load_application(missing);
    let refused = AppError::NoModule { app: text("m"), module: text("missing") };
    assert_eq!(kit.node.start_application("m", soon()), Err(refused));
    kit.node.unload_application("m");
    assert_eq!(kit.node.start_application("m", soon()), Err(AppError::Unknown(text("m"))));
}

#[test]
fn a_root_that_does_not_start_stops_the_application_again() {
    let kit = Kit::new();
    let spec = one_for_one(vec![child("x", &[Do::Crash(text("no"))])]);
    kit.node.load_application(app(Some(&spec)));
    let exit = Exit::Shutdown(text("failed_to_start_child \"x\": panic: no"));
    assert_eq!(kit.node.start_application("a", soon()), Err(AppError::Failed { app: text("a"), exit }));
    assert!(kit.node.processes().is_empty());
    // Its stop callback gets the reason.
    let why = "terminate shutdown: failed_to_start_child \"x\": panic: no at 0";
    assert_eq!(kit.notes(), ["start", why]);
    assert_eq!(status(&kit, "a"), AppStatus::Stopped(None));
}

#[test]
fn a_start_that_takes_too_long_is_given_up() {
    let kit = Kit::new();
    kit.node.load_application(app(Some(&one_for_one(vec![child("x", &[Do::Hang])]))));
    let deadline = Instant::now() + Duration::from_millis(20);
    let late = AppError::TimedOut { app: text("a"), what: "start" };
    assert_eq!(kit.node.start_application("a", deadline), Err(late));
    kit.until(|| kit.node.processes().is_empty());
}

#[test]
fn when_its_root_gives_up_the_application_ends_with_that_reason_and_others_go_on() {
    let kit = Kit::new();
    let spec = SupervisorSpec { intensity: 0, ..one_for_one(vec![child("x", &[])]) };
    let root = start(&kit, app(Some(&spec)));
    let other = kit.counter(&[]);
    kit.node.exit(kit.child(root, "x").expect("it runs"), Exit::Killed);
    let why = Exit::Shutdown(text("reached_max_restart_intensity"));
    kit.until(|| status(&kit, "a") == AppStatus::Stopped(Some(why.clone())));
    // Unlike in OTP, prep_stop runs, and gets no root.
    let told = ["prep_stop false TreeEnded", "terminate shutdown: reached_max_restart_intensity at 0"];
    told.iter().for_each(|note| kit.expect(note));
    assert_eq!(kit.ask(other, Do::Get), Said::Number(0));
    assert_eq!(
        kit.node.stop_application("a", StopCause::ByHand, soon()),
        Err(AppError::NotStarted(text("a")))
    );
}

#[test]
fn children_that_end_normally_in_prep_stop_stay_down_when_they_are_transient() {
    let kit = Kit::new();
    let transient = |name: &str| ChildSpec {
        restart: Restart::Transient,
        ..child(name, &[Do::Trap(true), Do::Register(text(name))])
    };
    let mut spec = app(Some(&one_for_one(vec![transient("x"), transient("y")])));
    spec.env.insert(text("prep_stop"), term::encode(&Do::StopNamed(vec![text("x"), text("y")])));
    start(&kit, spec);
    assert_eq!(kit.node.stop_application("a", StopCause::ByHand, soon()), Ok(()));
    let notes = kit.notes();
    assert_eq!(notes.iter().filter(|note| *note == "terminate normal at 0").count(), 2, "{notes:?}");
    assert_eq!(notes.last().map(String::as_str), Some("terminate shutdown at 0"));
}

#[test]
fn an_application_whose_prep_stop_never_ends_is_stopped_all_the_same() {
    let kit = Kit::new();
    let mut spec = app(Some(&one_for_one(vec![child("x", &[Do::Trap(true)])])));
    spec.env.insert(text("prep_stop"), term::encode(&Do::Hang));
    start(&kit, spec);
    // prep_stop gets half of the time, the tree the rest.
    assert_eq!(
        kit.node.stop_application("a", StopCause::ByHand, Instant::now() + Duration::from_secs(4)),
        Ok(())
    );
    let expected = ["start", "prep_stop", "terminate shutdown at 0", "dropped None"];
    assert_eq!(kit.notes(), expected);
    assert!(kit.node.processes().is_empty());
}

/// Kills the root of an application with that prep_stop; returns the notes.
fn without_a_tree(prep_stop: Do) -> Vec<String> {
    let kit = Kit::new();
    let mut spec = app(Some(&one_for_one(vec![])));
    spec.env.insert(text("prep_stop"), term::encode(&prep_stop));
    let root = start(&kit, spec);
    assert!(kit.node.exit(root, Exit::Killed));
    // The exit reason is that of the tree, independent of prep_stop.
    kit.until(|| status(&kit, "a") == AppStatus::Stopped(Some(Exit::Killed)));
    assert!(kit.node.processes().is_empty());
    kit.notes()
}

#[test]
fn s38_a_prep_stop_without_a_tree_that_crashes_or_waits_for_ever_does_not_hold_up_the_end() {
    assert_eq!(without_a_tree(Do::Get), ["start", "prep_stop", "terminate killed at 0"]);
    assert_eq!(without_a_tree(Do::Crash(text("no children"))), ["start", "prep_stop"]);
    assert_eq!(without_a_tree(Do::Hang), ["start", "prep_stop", "dropped None"]);
}

#[test]
fn a_tree_that_does_not_stop_by_the_deadline_is_killed() {
    let kit = Kit::new();
    let init = [Do::Trap(true), Do::AtTerminate(Box::new(Do::Hang))];
    start(&kit, app(Some(&one_for_one(vec![child("x", &init)]))));
    let deadline = Instant::now() + Duration::from_millis(30);
    let late = AppError::TimedOut { app: text("a"), what: "stop" };
    assert_eq!(kit.node.stop_application("a", StopCause::ByHand, deadline), Err(late));
    assert_eq!(status(&kit, "a"), AppStatus::Stopped(Some(Exit::Killed)));
}

#[test]
fn processes_read_the_environment_of_their_application_as_it_is_now() {
    let kit = Kit::new();
    let mut spec = app(Some(&one_for_one(vec![child("x", &[])])));
    let root = start(&kit, spec.clone());
    let pid = kit.child(root, "x").expect("it runs");
    assert_eq!(kit.ask(pid, Do::Env(text("key"))), Said::Flag(false));
    spec.env.insert(text("key"), term::encode(&1));
    kit.node.load_application(spec.clone());
    assert_eq!(kit.ask(pid, Do::Env(text("key"))), Said::Flag(true));
    assert_eq!(kit.node.environment("a"), Some(spec.env));
}
