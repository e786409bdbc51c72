//! Upgrades of running processes: stage, pre-copy, raise, convert, switch, lower, sweep; and the
//! undo of each of these.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::kit::double::{Change, Double};
use crate::kit::words::{Do, Said, text};
use crate::kit::{Kit, SOON, child, latch, members, name, one_for_one, soon};
use reld_runtime::{
    Answer, ChildSpec, Conversion, ConvertError, Converted, Cut, Passage, Place, Precopied, ProcessDetails,
    RequestKind, Status, SupervisorSpec, SysError, Unrest, Upgrade, term,
};
use reld_wire::spec::{Restart, Strategy};
use reld_wire::supervisor::{Reply, Request};
use reld_wire::{Exit, Pid};
use serde_bytes::ByteBuf;

pub(crate) const SHORT: Duration = Duration::from_millis(30);

pub(crate) fn up() -> Conversion {
    Conversion::Up { from: text("1"), extra: Vec::new() }
}

pub(crate) fn soft() -> Conversion {
    Conversion::Soft { cut: Cut::default() }
}

pub(crate) fn down() -> Conversion {
    Conversion::Down { to: text("1"), extra: Vec::new(), cut: Cut::default() }
}

/// Stages a version of the counter and raises the gate over all counters.
#[track_caller]
pub(crate) fn raised(kit: &Kit, new: Double) -> Upgrade {
    let mut upgrade = kit.stage(vec![new]);
    upgrade.raise(members(&["counter"], SOON, Unrest::Abort), |_, _| true).expect("all come to rest");
    upgrade
}

/// Stages new code and finds the members of one module, all at rest.
#[track_caller]
pub(crate) fn enlisted(kit: &Kit, new: Double) -> Upgrade {
    quiet(kit);
    let name = new.name.clone();
    let mut upgrade = kit.stage(vec![new]);
    upgrade.enlist([name.as_str()], |_, _| true);
    upgrade
}

/// Waits until no process runs. An answer arrives before the answering process is put back, and a
/// signal may still be on its way to it.
#[track_caller]
fn quiet(kit: &Kit) {
    let rest = |process: &reld_runtime::ProcessInfo| process.status != Status::Running;
    let looks = std::cell::Cell::new(0);
    kit.until(|| {
        let all_rest = kit.node.processes().iter().all(rest);
        looks.set(if all_rest { looks.get() + 1 } else { 0 });
        looks.get() == 20
    });
}

/// Converts the states of that module, without a trial.
fn one_way(module: &str, how: Conversion) -> HashMap<String, Passage> {
    HashMap::from([(module.to_owned(), Passage { how, back: None })])
}

/// The result of one round that converted this many members.
fn copied_once(processes: usize) -> Precopied {
    Precopied { processes, rounds: 1, trial: Duration::ZERO }
}

/// Pre-copies the members of one module.
fn precopy(upgrade: &mut Upgrade, module: &str, how: Conversion) -> Result<Precopied, ConvertError> {
    upgrade.precopy(&one_way(module, how), SOON)
}

/// Raises the gate over the members of a module, pre-copied or not.
#[track_caller]
pub(crate) fn raise(upgrade: &mut Upgrade, module: &str) {
    upgrade.raise(members(&[module], SOON, Unrest::Abort), |_, _| true).expect("all come to rest");
}

/// Completes an upgrade with a raised gate.
#[track_caller]
pub(crate) fn complete(mut upgrade: Upgrade, how: Conversion) -> Converted {
    let converted = upgrade.convert("counter", how, SOON).expect("all states are converted");
    upgrade.switch();
    upgrade.lower();
    upgrade.sweep(soon());
    upgrade.finish();
    converted
}

pub(crate) fn version(kit: &Kit, pid: Pid) -> String {
    kit.node.process(pid).expect("it lives").version
}

/// Calls without waiting; the answer is sent to the channel.
fn call(kit: &Kit, pid: Pid, what: &Do) -> std::sync::mpsc::Receiver<Said> {
    let (done, answer) = std::sync::mpsc::channel();
    let done = move |answer| done.send(Said::of(answer)).unwrap_or(());
    kit.node.call_then(RequestKind::Call, pid, term::encode(what), None, done);
    answer
}

// --- the way through
// -------------------------------------------------------------------------------------------------

#[test]
fn s56_a_caller_that_gives_up_on_a_held_process_is_counted_and_one_that_waits_is_answered() {
    let kit = Kit::new();
    kit.node.load(vec![kit.module("caller", 1)], soon()).expect("there is room");
    let (server, [hasty, patient]) = (kit.counter(&[]), [(); 2].map(|()| kit.spawn("caller", &[])));
    let upgrade = raised(&kit, kit.double("counter", 2));
    assert_eq!(kit.ask(hasty, Do::Call(server, Box::new(Do::Get), Some(1))), Said::TimedOut);
    let answer = call(&kit, patient, &Do::Call(server, Box::new(Do::Get), Some(60_000)));
    kit.until(|| kit.node.process(patient).is_some_and(|p| p.status == Status::Waiting));
    let short = Some(Duration::from_millis(1));
    assert_eq!(
        Said::of(kit.node.call(RequestKind::Call, server, term::encode(&Do::Get), short)),
        Said::TimedOut
    );
    assert_eq!(upgrade.journal().timed_out, [server; 2], "callers from outside the node count too");
    complete(upgrade, up());
    assert_eq!(answer.recv(), Ok(Said::Number(0)));
}

#[test]
fn a_state_goes_up_to_the_new_code_and_down_again() {
    let kit = Kit::new();
    let pid = kit.counter(&[Do::Add(5), Do::Register(text("it"))]);
    let converted = complete(raised(&kit, kit.double("counter", 2)), up());
    assert_eq!(converted.processes, 1);
    assert_eq!(version(&kit, pid), "2");
    assert_eq!(kit.ask(pid, Do::Add(1)), Said::Number(6));
    assert_eq!(kit.node.soft_purge("counter", Place::Old).expect("it is known").lingering, []);

    complete(raised(&kit, kit.double("counter", 1)), down());
    assert_eq!(version(&kit, pid), "1");
    assert_eq!(kit.ask(pid, Do::Add(1)), Said::Number(7));
    assert_eq!(kit.node.whereis("it"), Some(pid));
}

#[test]
fn until_the_switch_nothing_changes_and_then_everything() {
    let kit = Kit::new();
    let pid = kit.counter(&[Do::Add(5)]);
    let mut upgrade = raised(&kit, kit.double("counter", 2));
    let before = kit.node.get_state(pid, SOON);
    upgrade.convert("counter", up(), SOON).expect("all states are converted");
    assert_eq!(kit.node.get_state(pid, SOON), before);
    assert_eq!((version(&kit, pid), kit.node.current_version("counter")), (text("1"), Some(text("1"))));
    upgrade.switch();
    assert_eq!(kit.node.current_version("counter"), Some(text("2")));
    upgrade.lower();
    upgrade.sweep(soon());
    assert_ne!(kit.node.get_state(pid, SOON), before);
    assert_eq!(version(&kit, pid), "2");
}

#[test]
fn mail_of_the_window_is_handled_once_in_order_by_the_new_code() {
    let kit = Kit::new();
    let pid = kit.counter(&[]);
    let upgrade = raised(&kit, kit.double("counter", 2));
    kit.cast(pid, Do::Remember(text("cast")));
    let called = call(&kit, pid, &Do::Remember(text("call")));
    kit.info(pid, Do::Remember(text("info")));
    complete(upgrade, up());
    assert_eq!(called.recv_timeout(SOON), Ok(Said::Flag(true)));
    let log = ["cast@2", "call@2", "info@2"].map(text).to_vec();
    assert_eq!(kit.ask(pid, Do::Log), Said::Texts(log));
}

#[test]
fn timers_links_monitors_and_open_calls_outlive_the_upgrade() {
    let kit = Kit::new();
    let pid = kit.counter(&[Do::Trap(true), Do::After(60_000, Box::new(Do::Get))]);
    let friend = kit.counter(&[Do::Link(pid)]);
    let watched = kit.spawn("task", &[Do::Recv]);
    let Said::Number(reference) = kit.ask(pid, Do::Monitor(watched)) else { panic!("a reference") };
    let deferred = call(&kit, pid, &Do::Defer);
    kit.until(|| kit.ask(pid, Do::Get) == Said::Number(0));
    let timers = kit.timers(pid);
    complete(raised(&kit, kit.double("counter", 2)), up());
    assert_eq!(kit.timers(pid), timers);
    assert_eq!(kit.ask(pid, Do::Cancel), Said::Flag(true));
    assert_eq!(kit.ask(pid, Do::Settle(3)), Said::Flag(true));
    assert_eq!(deferred.recv_timeout(SOON), Ok(Said::Number(3)));
    kit.node.exit(watched, Exit::Killed);
    kit.expect(&format!("down {reference} {watched} killed"));
    kit.node.exit(friend, Exit::Killed);
    kit.expect(&format!("exit {friend} killed"));
}

#[test]
fn a_process_suspended_by_hand_is_converted_and_stays_suspended() {
    let kit = Kit::new();
    let pid = kit.counter(&[Do::Add(2)]);
    kit.node.suspend(pid, SOON).expect("it runs");
    let answer = call(&kit, pid, &Do::Add(1));
    complete(raised(&kit, kit.double("counter", 2)), up());
    let info = kit.node.process(pid).expect("it lives");
    assert_eq!((info.status, info.version.as_str(), info.queued), (Status::Suspended, "2", 1));
    assert!(answer.try_recv().is_err());
    kit.node.resume(pid, SOON).expect("it is suspended");
    assert_eq!(answer.recv_timeout(SOON), Ok(Said::Number(3)));
}

#[test]
fn a_soft_conversion_carries_a_state_of_the_same_shape() {
    let kit = Kit::new();
    let pid = kit.counter(&[Do::Add(5)]);
    complete(raised(&kit, kit.double("counter", 2)), up());
    kit.node.purge("counter", Place::Old, soon()).expect("it is known");
    complete(raised(&kit, kit.double("counter", 3)), soft());
    assert_eq!((version(&kit, pid), kit.ask(pid, Do::Get)), (text("3"), Said::Number(5)));
}

/// A node with counters of version 3, which has a new field in the state.
fn newest() -> Kit {
    let kit = Kit::new();
    complete(raised(&kit, kit.double("counter", 3)), up());
    kit.node.purge("counter", Place::Old, soon()).expect("it is known");
    kit
}

fn added() -> Cut {
    Cut::new(["since"])
}

#[test]
fn a_field_that_only_the_newer_state_has_is_cut_out_on_a_downgrade() {
    let kit = newest();
    let pid = kit.counter(&[Do::Add(5)]);
    // Its change_code_down returns the state unchanged.
    let lowered = |cut| Conversion::Down { to: text("3"), extra: Vec::new(), cut };
    for as_it_is in [soft(), lowered(Cut::default())] {
        let upgrade = raised(&kit, kit.double("counter", 2));
        let refused = upgrade.convert("counter", as_it_is, SOON);
        assert!(matches!(&refused, Err(ConvertError::Refused { .. })), "{refused:?}");
        drop(upgrade);
        assert_eq!(version(&kit, pid), "3");
    }
    for cut in [Conversion::Soft { cut: added() }, lowered(added())] {
        complete(raised(&kit, kit.double("counter", 2)), cut);
        assert_eq!((version(&kit, pid), kit.ask(pid, Do::Get)), (text("2"), Said::Number(5)));
        kit.node.purge("counter", Place::Old, soon()).expect("it is known");
        complete(raised(&kit, kit.double("counter", 3)), soft());
        kit.node.purge("counter", Place::Old, soon()).expect("it is known");
    }
}

#[test]
fn the_field_is_also_cut_out_of_the_state_of_a_member_left_behind() {
    let kit = newest();
    let busy = kit.counter(&[Do::Add(5)]);
    let latch = kit.block(busy);
    let mut upgrade = kit.stage(vec![kit.double("counter", 2)]);
    upgrade.raise(members(&["counter"], SHORT, Unrest::Leave), |_, _| true).expect("one may be left");
    complete(upgrade, Conversion::Soft { cut: added() });
    assert_eq!(version(&kit, busy), "3");
    latch::open(latch);
    assert_eq!(kit.ask(busy, Do::Version), Said::Number(2));
    assert_eq!(kit.ask(busy, Do::Get), Said::Number(5));
}

#[test]
fn orphans_that_are_no_members_are_not_held() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![child("a", &[])]));
    let member = kit.child(supervisor, "a").expect("it runs");
    kit.counter(&[]);
    let mut upgrade = kit.stage(vec![kit.double("counter", 2)]);
    // Like the daemon, this looks at processes; none of them is locked.
    let include = |pid: Pid, parent: Option<Pid>| kit.node.process(pid).is_some() && parent.is_some();
    upgrade.raise(members(&["counter"], SOON, Unrest::Abort), include).expect("all come to rest");
    assert_eq!(upgrade.members().collect::<Vec<_>>(), [member]);
    assert_eq!(upgrade.unconverted(&["counter"]), [member]);
    upgrade.convert("counter", up(), SOON).expect("all states are converted");
    assert_eq!(upgrade.unconverted(&["counter"]), []);
}

#[test]
fn the_pause_counts_every_member() {
    let kit = Kit::new();
    for _ in 0..10 {
        kit.counter(&[]);
    }
    let mut upgrade = raised(&kit, kit.double("counter", 2));
    upgrade.convert("counter", up(), SOON).expect("all states are converted");
    upgrade.switch();
    let pause = upgrade.lower();
    assert_eq!(pause.processes, 10);
    assert!(pause.p50 <= pause.p99 && pause.p99 <= pause.max && pause.max < SOON, "{pause:?}");
    assert_eq!(upgrade.lower(), pause, "a gate that is down says so again");
}

// --- failures
// --------------------------------------------------------------------------------------------------------

/// Everything visible of a node, except whether a process runs at that moment.
pub(crate) fn picture(kit: &Kit) -> Vec<(ProcessDetails, Option<Vec<u8>>)> {
    let see = |pid: Pid| {
        // A worker that is just putting a process back hides its inside.
        let mut seen = kit.node.details(pid);
        while seen.as_ref().is_some_and(|details| details.inside.is_none() || details.info.ties.is_none()) {
            std::thread::yield_now();
            seen = kit.node.details(pid);
        }
        let mut details = seen.expect("no process ends");
        details.info.status = Status::Idle;
        (details, kit.node.get_state(pid, SOON).ok())
    };
    kit.node.processes().into_iter().map(|info| see(info.pid)).collect()
}

#[test]
fn a_change_code_that_fails_leaves_the_node_as_it_was() {
    let kit = Kit::new();
    let pids: Vec<_> = (0..20).map(|n| kit.counter(&[Do::Add(n), Do::Register(n.to_string())])).collect();
    kit.ask(pids[3], Do::Link(pids[4]));
    kit.ask(pids[5], Do::After(60_000, Box::new(Do::Get)));
    kit.node.suspend(pids[6], SOON).expect("it runs");
    kit.cast(pids[6], Do::Add(100));
    let before = picture(&kit);
    let new = Double { change: Change::FailsAt(13), ..kit.double("counter", 2) };
    let upgrade = raised(&kit, new);
    let failed = upgrade.convert("counter", up(), SOON);
    let exit = Exit::Error(text("no 13"));
    assert_eq!(failed, Err(ConvertError::Refused { pid: pids[13], version: "2".into(), exit }));
    let entries = upgrade.finish();
    assert_eq!((entries.started, entries.died), (vec![], vec![]));
    assert_eq!(picture(&kit), before);
    assert!(kit.node.code().iter().all(|version| version.place == Place::Current));
    assert_eq!(kit.ask(pids[7], Do::Add(1)), Said::Number(8));
    // The failed upgrade does not hinder the next one.
    kit.node.resume(pids[6], SOON).expect("it is suspended");
    complete(raised(&kit, kit.double("counter", 2)), up());
    assert_eq!(kit.ask(pids[6], Do::Get), Said::Number(106));
    assert_eq!(kit.ask(pids[13], Do::Get), Said::Number(13));
}

#[test]
fn a_downgrade_that_fails_leaves_the_node_as_it_was() {
    let kit = Kit::new();
    let pid = kit.counter(&[Do::Add(5)]);
    let newer = Double { change: Change::FailsAt(6), ..kit.double("counter", 2) };
    complete(raised(&kit, newer), up());
    kit.ask(pid, Do::Add(1));
    kit.node.purge("counter", Place::Old, soon()).expect("it is known");
    let before = picture(&kit);
    let upgrade = raised(&kit, kit.double("counter", 1));
    // On a downgrade, the newer code converts.
    let failed = upgrade.convert("counter", down(), SOON);
    assert!(matches!(&failed, Err(ConvertError::Refused { version, .. }) if version == "2"), "{failed:?}");
    drop(upgrade);
    assert_eq!(picture(&kit), before);
}

#[test]
fn a_change_code_that_never_returns_is_named_and_the_node_goes_on() {
    let kit = Kit::new();
    let latch = latch::new();
    let pids: Vec<_> = (0..5).map(|n| kit.counter(&[Do::Add(n)])).collect();
    let upgrade = raised(&kit, Double { change: Change::BlocksAt(3, latch), ..kit.double("counter", 2) });
    let failed = upgrade.convert("counter", up(), SHORT);
    assert_eq!(failed, Err(ConvertError::TimedOut { pid: pids[3], version: "2".into() }));
    upgrade.finish();
    let stuck: Vec<_> = kit.node.stuck(SHORT).into_iter().map(|s| (s.pid, s.module, s.version)).collect();
    assert_eq!(stuck, [(pids[3], "counter".to_owned(), "2".to_owned())]);
    for (n, pid) in pids.iter().enumerate() {
        assert_eq!(kit.ask(*pid, Do::Get), Said::Number(n as u64));
    }
    // The conversion that returns late changes nothing.
    latch::open(latch);
    kit.until(|| kit.node.stuck(Duration::ZERO).is_empty());
    assert_eq!(kit.ask(pids[3], Do::Version), Said::Number(1));
}

#[test]
fn discarded_states_can_be_converted_anew() {
    let kit = Kit::new();
    let pid = kit.counter(&[Do::Add(5)]);
    let mut upgrade = raised(&kit, kit.double("counter", 2));
    upgrade.convert("counter", up(), SOON).expect("all states are converted");
    upgrade.discard();
    kit.until(|| upgrade.unconverted(&["counter"]) == [pid]);
    complete(upgrade, up());
    assert_eq!((version(&kit, pid), kit.ask(pid, Do::Get)), (text("2"), Said::Number(5)));
}

#[test]
fn a_dropped_upgrade_leaves_no_trace() {
    let kit = Kit::new();
    let pid = kit.counter(&[]);
    let upgrade = raised(&kit, kit.double("counter", 2));
    let answer = call(&kit, pid, &Do::Add(1));
    drop(upgrade);
    assert_eq!(answer.recv_timeout(SOON), Ok(Said::Number(1)));
    assert_eq!(kit.node.code().len(), 4);
}

// --- pre-copy
// --------------------------------------------------------------------------------------------------------

#[test]
fn only_processes_that_ran_after_the_pre_copy_are_converted_again_inside_the_gate() {
    for (version, how) in [(2, up()), (1, down())] {
        let kit = Kit::new();
        if version == 1 {
            complete(raised(&kit, kit.double("counter", 2)), up());
            kit.node.purge("counter", Place::Old, soon()).expect("it is known");
        }
        let [idle, runs] = [5, 7].map(|n| kit.counter(&[Do::Add(n)]));
        let mut upgrade = enlisted(&kit, kit.double("counter", version));
        let copied = precopy(&mut upgrade, "counter", how.clone());
        assert_eq!(copied, Ok(copied_once(2)));
        assert_eq!(kit.ask(runs, Do::Add(1)), Said::Number(8));
        raise(&mut upgrade, "counter");
        assert_eq!((upgrade.precopied(), upgrade.unconverted(&["counter"])), (1, vec![runs]));
        assert_eq!(complete(upgrade, how).processes, 1);
        let version = text(&version.to_string());
        assert_eq!([idle, runs].map(|pid| self::version(&kit, pid)), [version.clone(), version]);
        assert_eq!([idle, runs].map(|pid| kit.ask(pid, Do::Add(1))), [Said::Number(6), Said::Number(9)]);
    }
}

#[test]
fn a_state_that_changes_while_it_is_converted_is_converted_again() {
    let kit = Kit::new();
    let latch = latch::new();
    let pid = kit.counter(&[Do::Add(3)]);
    let new = Double { change: Change::BlocksAt(3, latch), ..kit.double("counter", 2) };
    let mut upgrade = enlisted(&kit, new);
    std::thread::scope(|scope| {
        let copied = scope.spawn(|| precopy(&mut upgrade, "counter", up()));
        kit.expect("converting");
        // No process waits for the conversion.
        assert_eq!(kit.ask(pid, Do::Add(10)), Said::Number(13));
        latch::open(latch);
        let copied = copied.join().expect("no panic");
        assert_eq!(copied, Ok(copied_once(0)));
    });
    raise(&mut upgrade, "counter");
    assert_eq!(complete(upgrade, up()).processes, 1);
    assert_eq!((version(&kit, pid), kit.ask(pid, Do::Get)), (text("2"), Said::Number(13)));
}

#[test]
fn a_conversion_that_fails_before_the_gate_holds_no_process() {
    let kit = Kit::new();
    let pids: Vec<_> = (0..20).map(|n| kit.counter(&[Do::Add(n)])).collect();
    kit.node.suspend(pids[6], SOON).expect("it runs");
    kit.cast(pids[6], Do::Add(100));
    let before = picture(&kit);
    let new = Double { change: Change::FailsAt(13), ..kit.double("counter", 2) };
    let mut upgrade = enlisted(&kit, new);
    let failed = precopy(&mut upgrade, "counter", up());
    let exit = Exit::Error(text("no 13"));
    assert_eq!(failed, Err(ConvertError::Refused { pid: pids[13], version: "2".into(), exit }));
    assert_eq!(upgrade.lower().processes, 0);
    upgrade.finish();
    assert_eq!(picture(&kit), before);
    kit.node.resume(pids[6], SOON).expect("it is suspended");
    let mut upgrade = enlisted(&kit, kit.double("counter", 2));
    precopy(&mut upgrade, "counter", up()).expect("all states are converted");
    raise(&mut upgrade, "counter");
    complete(upgrade, up());
    assert_eq!([pids[6], pids[13]].map(|pid| kit.ask(pid, Do::Get)), [Said::Number(106), Said::Number(13)]);
}

#[test]
fn a_conversion_that_never_returns_before_the_gate_is_named_and_its_late_result_dropped() {
    let kit = Kit::new();
    let latch = latch::new();
    let pids: Vec<_> = (0..5).map(|n| kit.counter(&[Do::Add(n)])).collect();
    let mut upgrade =
        enlisted(&kit, Double { change: Change::BlocksAt(3, latch), ..kit.double("counter", 2) });
    let failed = upgrade.precopy(&one_way("counter", up()), SHORT);
    assert_eq!(failed, Err(ConvertError::TimedOut { pid: pids[3], version: "2".into() }));
    assert_eq!(kit.ask(pids[3], Do::Add(1)), Said::Number(4));
    latch::open(latch);
    kit.until(|| kit.node.stuck(Duration::ZERO).is_empty());
    // The late conversion changes nothing, neither in this upgrade nor in the next.
    raise(&mut upgrade, "counter");
    kit.until(|| upgrade.unconverted(&["counter"]).len() == 5);
    complete(upgrade, up());
    assert_eq!((version(&kit, pids[3]), kit.ask(pids[3], Do::Get)), (text("2"), Said::Number(4)));
}

#[test]
fn processes_born_after_the_pre_copy_are_members_and_those_that_died_are_not() {
    let kit = Kit::new();
    let [stays, dies] = [1, 2].map(|n| kit.counter(&[Do::Add(n)]));
    let mut upgrade = enlisted(&kit, kit.double("counter", 2));
    precopy(&mut upgrade, "counter", up()).expect("all states are converted");
    let born = kit.counter(&[Do::Add(3)]);
    kit.node.exit(dies, Exit::Killed);
    kit.gone(dies);
    raise(&mut upgrade, "counter");
    assert_eq!((upgrade.precopied(), upgrade.newborn()), (1, &[born][..]));
    assert_eq!(upgrade.unconverted(&["counter"]), [born]);
    assert_eq!(upgrade.convert("counter", up(), SOON).map(|c| c.processes), Ok(1));
    upgrade.switch();
    assert_eq!(upgrade.lower().processes, 2);
    upgrade.sweep(soon());
    assert_eq!([stays, born].map(|pid| version(&kit, pid)), ["2", "2"]);
    assert_eq!([stays, born].map(|pid| kit.ask(pid, Do::Get)), [Said::Number(1), Said::Number(3)]);
}

#[test]
fn a_process_busy_during_the_pre_copy_is_converted_when_it_rests() {
    let kit = Kit::new();
    let [idle, computes, waits] = [1, 2, 3].map(|n| kit.counter(&[Do::Add(n)]));
    let latch = kit.block(computes);
    let answer = call(&kit, waits, &Do::Call(computes, Box::new(Do::Add(10)), None));
    kit.until(|| kit.node.process(waits).is_some_and(|p| p.status == Status::Waiting));
    kit.until(|| kit.node.process(idle).is_some_and(|p| p.status == Status::Idle));
    let mut upgrade = kit.stage(vec![kit.double("counter", 2)]);
    upgrade.enlist(["counter"], |_, _| true);
    let copied = precopy(&mut upgrade, "counter", up());
    assert_eq!(copied, Ok(copied_once(1)));
    let opener = std::thread::spawn(move || latch::open(latch));
    raise(&mut upgrade, "counter");
    opener.join().expect("no panic");
    assert_eq!(answer.recv_timeout(SOON), Ok(Said::Number(12)));
    assert_eq!(complete(upgrade, up()).processes, 2);
    let states = [idle, computes, waits].map(|pid| (version(&kit, pid), kit.ask(pid, Do::Get)));
    assert_eq!(states, [1, 12, 3].map(|n| (text("2"), Said::Number(n))));
}

#[test]
fn a_discarded_pre_copy_leaves_no_trace() {
    let kit = Kit::new();
    let pids: Vec<_> = (0..10).map(|n| kit.counter(&[Do::Add(n)])).collect();
    let before = picture(&kit);
    let mut upgrade = enlisted(&kit, kit.double("counter", 2));
    precopy(&mut upgrade, "counter", up()).expect("all states are converted");
    upgrade.discard();
    assert_eq!(picture(&kit), before);
    // The discarded pre-copy has no effect: all are converted inside the pause.
    raise(&mut upgrade, "counter");
    assert_eq!(upgrade.precopied(), 0);
    assert_eq!(upgrade.convert("counter", up(), SOON).map(|c| c.processes), Ok(10));
    drop(upgrade);
    assert_eq!(picture(&kit), before);
    assert_eq!(kit.ask(pids[4], Do::Add(1)), Said::Number(5));
}

#[test]
fn a_process_is_not_converted_by_hand_beside_a_pre_copy() {
    let kit = Kit::new();
    let pid = kit.counter(&[Do::Add(2)]);
    kit.node.suspend(pid, SOON).expect("it runs");
    let mut upgrade = enlisted(&kit, kit.double("counter", 2));
    precopy(&mut upgrade, "counter", up()).expect("all states are converted");
    let exit = Exit::Error(format!("an upgrade is converting {pid}; ask again when it is over"));
    let refused = kit.node.change_code(pid, "1", Vec::new(), SOON);
    assert_eq!(refused, Err(SysError::Refused { pid, exit }));
    kit.node.resume(pid, SOON).expect("it is suspended");
    raise(&mut upgrade, "counter");
    complete(upgrade, up());
    assert_eq!((version(&kit, pid), kit.ask(pid, Do::Get)), (text("2"), Said::Number(2)));
}

#[test]
fn members_that_were_given_up_are_held_and_not_pre_copied() {
    let kit = Kit::new();
    let [stays, doomed] = [1, 13].map(|n| kit.counter(&[Do::Add(n)]));
    let mut upgrade = enlisted(&kit, Double { change: Change::FailsAt(13), ..kit.double("counter", 2) });
    upgrade.give_up(&[doomed]);
    let copied = precopy(&mut upgrade, "counter", up());
    assert_eq!(copied, Ok(copied_once(1)));
    raise(&mut upgrade, "counter");
    let answer = call(&kit, doomed, &Do::Get);
    assert_eq!(
        (upgrade.count(), upgrade.excluded(), upgrade.unconverted(&["counter"])),
        (2, &[doomed][..], vec![])
    );
    assert!(answer.recv_timeout(SHORT).is_err(), "it is held");
    complete(upgrade, up());
    assert_eq!(version(&kit, stays), "2");
}

// --- members that do not come to rest
// --------------------------------------------------------------------------------

#[test]
fn a_member_that_does_not_come_to_rest_is_named_and_the_gate_is_down_again() {
    let kit = Kit::new();
    let (busy, idle) = (kit.counter(&[]), kit.counter(&[]));
    let latch = kit.block(busy);
    let mut upgrade = kit.stage(vec![kit.double("counter", 2)]);
    let late = upgrade.raise(members(&["counter"], SHORT, Unrest::Abort), |_, _| true);
    assert_eq!(late, Err(vec![busy]));
    assert_eq!(kit.ask(idle, Do::Add(1)), Said::Number(1));
    latch::open(latch);
    assert_eq!(kit.ask(busy, Do::Add(1)), Said::Number(1));
    // The count from then has no effect now.
    let latch = kit.block(idle);
    upgrade.raise(members(&["counter"], SHORT, Unrest::Abort), |_, _| true).expect_err("one is busy again");
    latch::open(latch);
    upgrade.raise(members(&["counter"], SOON, Unrest::Abort), |_, _| true).expect("all come to rest");
    complete(upgrade, up());
    assert_eq!([version(&kit, busy), version(&kit, idle)], ["2", "2"]);
}

#[test]
fn a_member_left_behind_moves_when_its_callback_returns() {
    let kit = Kit::new();
    let (busy, idle) = (kit.counter(&[]), kit.counter(&[]));
    complete(raised(&kit, kit.double("counter", 2)), up());
    kit.node.purge("counter", Place::Old, soon()).expect("it is known");
    let latch = kit.block(busy);
    let mut upgrade = kit.stage(vec![kit.double("counter", 3)]);
    upgrade.raise(members(&["counter"], SHORT, Unrest::Leave), |_, _| true).expect("one may be left");
    assert_eq!(upgrade.excluded(), [busy]);
    complete(upgrade, soft());
    assert_eq!([version(&kit, busy), version(&kit, idle)], ["2", "3"]);
    latch::open(latch);
    assert_eq!(kit.ask(busy, Do::Version), Said::Number(3));
}

#[test]
fn a_member_that_is_to_be_killed_is_not_converted() {
    let kit = Kit::new();
    let busy = kit.counter(&[]);
    kit.cast(busy, Do::Hang);
    kit.until(|| kit.node.process(busy).is_some_and(|p| p.status == Status::Waiting));
    let mut upgrade = kit.stage(vec![kit.double("counter", 2)]);
    upgrade.raise(members(&["counter"], SHORT, Unrest::Kill), |_, _| true).expect("it may be killed");
    assert_eq!(upgrade.excluded(), [busy]);
    assert_eq!(upgrade.convert("counter", up(), SOON).map(|c| c.processes), Ok(0));
    upgrade.switch();
    upgrade.lower();
    kit.node.kill(&[busy], soon());
    upgrade.sweep(soon());
    assert_eq!(kit.node.process(busy), None);
    assert_eq!(upgrade.finish().died.len(), 1);
}

#[test]
fn members_that_wait_for_each_other_come_to_rest() {
    let kit = Kit::new();
    let last = kit.counter(&[]);
    let middle = kit.counter(&[]);
    let first = kit.counter(&[]);
    // The last one is in a callback, so first and middle wait; the call of the middle one is queued
    // behind it.
    let latch = kit.block(last);
    let through = Do::Call(middle, Box::new(Do::Call(last, Box::new(Do::Add(1)), None)), None);
    let answer = call(&kit, first, &through);
    kit.until(|| kit.node.process(middle).is_some_and(|p| p.status == Status::Waiting));
    kit.cast(last, Do::Remember(text("later")));
    let (node, idle) = (kit.node.clone(), kit.counter(&[]));
    let mut upgrade = kit.stage(vec![kit.double("counter", 2)]);
    let opener = std::thread::spawn(move || {
        let patience = Some(Duration::from_millis(200));
        let ask = || node.call(RequestKind::Call, idle, term::encode(&Do::Get), patience);
        // The gate is up once an idle member no longer answers.
        while ask() != Answer::Timeout {}
        latch::open(latch)
    });
    upgrade.raise(members(&["counter"], SOON, Unrest::Abort), |_, _| true).expect("all come to rest");
    assert_eq!(answer.recv_timeout(SOON), Ok(Said::Number(1)));
    complete(upgrade, up());
    opener.join().expect("no panic");
    // The message that no member waited for was handled by new code.
    assert_eq!(kit.ask(last, Do::Log), Said::Texts(vec![text("later@2")]));
}

#[test]
fn a_member_that_waits_for_the_birth_of_another_comes_to_rest() {
    let kit = Kit::new();
    let starter = kit.counter(&[]);
    let latch = latch::new();
    let spawn = Do::Spawn(text("counter"), vec![Do::Add(4)], false);
    let answer = call(&kit, starter, &Do::All(vec![Do::Block(latch), spawn]));
    kit.expect("blocked");
    let mut upgrade = kit.stage(vec![kit.double("counter", 2)]);
    let raise = std::thread::scope(|scope| {
        let raise = scope.spawn(|| upgrade.raise(members(&["counter"], SOON, Unrest::Abort), |_, _| true));
        latch::open(latch);
        raise.join().expect("no panic")
    });
    assert_eq!(raise, Ok(()));
    let Ok(Said::Pid(Some(born))) = answer.recv_timeout(SOON) else { panic!("it was born") };
    complete(upgrade, up());
    assert_eq!((version(&kit, born), kit.ask(born, Do::Get)), (text("2"), Said::Number(4)));
}

// --- events in the window
// ---------------------------------------------------------------------------------------------

#[test]
fn a_process_that_is_killed_in_the_window_is_gone_and_its_supervisor_restarts_it_afterwards() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![child("a", &[Do::Add(1)])]));
    let killed = kit.child(supervisor, "a").expect("it runs");
    let mut upgrade = raised(&kit, kit.double("counter", 2));
    kit.node.exit(killed, Exit::Killed);
    kit.gone(killed);
    assert_eq!(upgrade.convert("counter", up(), SOON).map(|c| c.processes), Ok(0));
    assert_eq!(kit.child(supervisor, "a"), Some(killed), "its supervisor is held");
    upgrade.switch();
    upgrade.lower();
    upgrade.sweep(soon());
    kit.until(|| kit.child(supervisor, "a").is_some_and(|pid| pid != killed));
    let reborn = kit.child(supervisor, "a").expect("it was restarted");
    assert_eq!(kit.ask(reborn, Do::Version), Said::Number(2));
    let entries = upgrade.finish();
    assert_eq!(entries.died.iter().map(|death| death.pid).collect::<Vec<_>>(), [killed]);
    assert_eq!(entries.started, [reborn]);
}

#[test]
fn a_process_that_is_born_in_the_window_starts_in_the_new_code() {
    let kit = Kit::new();
    let starter = kit.spawn("task", &[Do::Recv, Do::Recv]);
    let upgrade = raised(&kit, kit.double("counter", 2));
    let answer =
        call(&kit, starter, &Do::Spawn(text("counter"), vec![Do::Add(1), Do::Remember(text("born"))], false));
    kit.until(|| kit.node.processes().len() == 2);
    assert!(answer.try_recv().is_err());
    complete(upgrade, up());
    let Ok(Said::Pid(Some(born))) = answer.recv_timeout(SOON) else { panic!("it is born after the window") };
    assert_eq!(kit.ask(born, Do::Log), Said::Texts(vec![text("born@2")]));
}

#[test]
fn a_process_of_a_module_that_the_release_brings_can_be_started_in_the_window() {
    let kit = Kit::new();
    let starter = kit.spawn("task", &[Do::Recv]);
    let upgrade = kit.stage(vec![kit.double("fresh", 2)]);
    let Said::Pid(Some(born)) = kit.ask(starter, Do::Spawn(text("fresh"), vec![], false)) else {
        panic!("it is born")
    };
    assert_eq!(kit.ask(born, Do::Version), Said::Number(2));
    drop(upgrade);
}

/// Stages version 2 of the counter, which new processes use at once.
fn at_once(kit: &Kit) -> Upgrade {
    kit.node.stage(vec![kit.module("counter", 2)], &[], &[text("counter")])
}

#[test]
fn a_module_that_is_taken_at_once_starts_new_processes_before_the_switch() {
    let kit = Kit::new();
    let old = kit.counter(&[Do::Add(1)]);
    let mut upgrade = at_once(&kit);
    let new = kit.counter(&[Do::Add(2)]);
    assert_eq!((kit.ask(old, Do::Version), kit.ask(new, Do::Version)), (Said::Number(1), Said::Number(2)));
    upgrade.raise(members(&["counter"], SOON, Unrest::Abort), |_, _| true).expect("all come to rest");
    assert_eq!(upgrade.unconverted(&["counter"]), [old]);
    assert_eq!(complete(upgrade, up()).processes, 1, "the new one has nothing to change");
    assert_eq!((kit.ask(old, Do::Version), kit.ask(new, Do::Version)), (Said::Number(2), Said::Number(2)));
    assert_eq!((kit.ask(old, Do::Get), kit.ask(new, Do::Get)), (Said::Number(1), Said::Number(2)));
}

#[test]
fn no_process_stays_in_code_taken_at_once_when_the_upgrade_is_given_up() {
    let kit = Kit::new();
    let upgrade = at_once(&kit);
    let new = kit.counter(&[Do::Add(2)]);
    let (ended, reason) = std::sync::mpsc::channel();
    kit.node.on_exit(new, move |exit| ended.send(exit).unwrap_or(()));
    drop(upgrade);
    // Version 1 cannot read the state of version 2, so the process ends; a supervisor would restart
    // it. The background sweep may end it before the call arrives: then the answer is noproc.
    let answer = kit.ask(new, Do::Get);
    assert!(matches!(answer, Said::Ended(Exit::Undecodable(_) | Exit::Noproc)), "{answer:?}");
    assert_eq!(reason.recv_timeout(SOON), Ok(Exit::Undecodable(text("missing field `n`"))));
    assert_eq!(kit.ask(kit.counter(&[]), Do::Version), Said::Number(1));
    assert_eq!(kit.node.current_version("counter").as_deref(), Some("1"));
}

#[test]
fn a_removed_module_is_old_after_the_switch_and_cannot_be_started() {
    let kit = Kit::new();
    let pid = kit.counter(&[Do::Add(1)]);
    let mut upgrade = kit.node.stage(Vec::new(), &[text("counter")], &[]);
    assert!(kit.node.spawn("counter", term::encode(&Vec::<Do>::new()), SOON).is_ok());
    upgrade.switch();
    upgrade.sweep(soon());
    upgrade.finish();
    let refused = kit.node.spawn("counter", term::encode(&Vec::<Do>::new()), SOON);
    assert_eq!(refused, Err(Exit::Error(text("module counter is not loaded"))));
    assert_eq!(kit.ask(pid, Do::Get), Said::Number(1));
    assert_eq!(kit.node.purge("counter", Place::Old, soon()).expect("it is known").killed.len(), 2);
    assert_eq!(kit.node.current_version("counter"), None);
}

// --- supervisors
// -----------------------------------------------------------------------------------------------------

fn respec(spec: SupervisorSpec) -> SupervisorSpec {
    SupervisorSpec {
        intensity: 9,
        children: vec![child("c", &[Do::Add(9)]), child("b", &[Do::Add(8)])],
        ..spec
    }
}

#[test]
fn an_updated_supervisor_merges_its_rows_by_id_and_touches_no_child() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![child("a", &[Do::Add(1)]), child("b", &[Do::Add(2)])]));
    let (a, b) = (kit.child(supervisor, "a"), kit.child(supervisor, "b"));
    let mut upgrade = kit.stage(vec![Double { respec, ..kit.double("sup", 2) }]);
    upgrade.raise(members(&["sup"], SOON, Unrest::Abort), |_, _| true).expect("it rests");
    let converted = upgrade.convert("sup", Conversion::Supervisor, SOON).expect("its init answers");
    let (changed, change) = &converted.children[0];
    assert_eq!(
        (*changed, &change.vanished, &change.added),
        (supervisor, &vec![name("a").into_vec()], &vec![name("c").into_vec()])
    );
    upgrade.switch();
    upgrade.lower();
    upgrade.sweep(soon());
    upgrade.finish();
    let rows = kit.node.which_children(supervisor).expect("it lives");
    let ids: Vec<_> = rows.iter().map(|row| (row.id.clone(), row.pid)).collect();
    // Latest first: rows that the new init no longer names come after its own.
    assert_eq!(ids, [(name("a"), a), (name("b"), b), (name("c"), None)]);
    // Children keep their state, and are restarted by their new spec.
    let b = b.expect("it runs");
    assert_eq!(kit.ask(b, Do::Get), Said::Number(2));
    kit.node.exit(b, Exit::Killed);
    kit.until(|| kit.child(supervisor, "b").is_some_and(|pid| pid != b));
    assert_eq!(kit.ask(kit.child(supervisor, "b").expect("it runs"), Do::Get), Said::Number(8));
    let started: Reply<Option<Pid>> = kit.request(supervisor, &Request::RestartChild(name("c")));
    assert!(matches!(started, Reply::Ok(Some(_))));
}

#[test]
fn the_result_of_a_supervisor_code_change_is_predicted_without_changing_anything() {
    let kit = Kit::new();
    let children = vec![child("a", &[Do::Add(1)]), child("b", &[Do::Add(2)])];
    let supervisor = kit.supervisor(&one_for_one(children));
    let supervised = || kit.node.supervised(&["sup", "counter"]).0;
    kit.until(|| !supervised().is_empty());
    let found = supervised();
    let wanted = respec(one_for_one(Vec::new()));
    let prospect = found[0].prospect(&wanted, 1).expect("the strategy stays");
    assert_eq!((found.len(), found[0].pid), (1, supervisor));
    let id = |text: &str| name(text).into_vec();
    assert_eq!((prospect.change.vanished, prospect.change.added), (vec![id("a")], vec![id("c")]));
    assert_eq!(prospect.differing, [id("b")]);
    let kept: Vec<_> = prospect.kept.iter().map(|kept| (kept.id.clone(), kept.module.as_str())).collect();
    assert_eq!((kept, prospect.has_more), (vec![(id("a"), "counter")], false));
    let simple =
        SupervisorSpec { strategy: Strategy::SimpleOneForOne, children: vec![child("t", &[])], ..wanted };
    let refused = found[0].prospect(&simple, 1).expect_err("children have ids").to_string();
    assert!(refused.contains("the strategy cannot change"), "{refused}");
    let rows = kit.node.which_children(supervisor).expect("it lives");
    assert_eq!(rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>(), [name("b"), name("a")]);
}

#[test]
fn the_state_of_a_resting_process_is_read_without_a_message() {
    let kit = Kit::new();
    let pid = kit.counter(&[Do::Add(5)]);
    kit.node.suspend(pid, SOON).expect("it rests");
    // The process is put back shortly after it has answered that it is suspended.
    kit.until(|| kit.node.resting_state(pid, SOON).is_some());
    assert_eq!(kit.node.resting_state(pid, SOON), kit.node.get_state(pid, SOON).ok());
    kit.node.exit(pid, Exit::Killed);
    kit.until(|| kit.node.process(pid).is_none());
    assert_eq!(kit.node.resting_state(pid, SOON), None);
}

#[test]
fn an_update_is_refused_if_the_new_code_refuses_the_arguments_of_a_child_added_at_run_time() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![child("b", &[Do::Add(2)])]));
    let added =
        kit.request::<Option<Pid>>(supervisor, &Request::StartChild(child("z", &[Do::Add(3)]).into()));
    assert!(matches!(added, Reply::Ok(Some(_))));
    let stage = |change, leaving: &[(Pid, &str)]| {
        let counter = Double { change, ..kit.double("counter", 2) };
        let mut upgrade = kit.stage(vec![counter, kit.double("sup", 2)]);
        upgrade.expect_deleted(leaving.iter().map(|(of, id)| (*of, name(id).into_vec())).collect());
        upgrade.raise(members(&["sup"], SOON, Unrest::Abort), |_, _| true).expect("it rests");
        upgrade.convert("sup", Conversion::Supervisor, SOON)
    };
    let refuses = |leaving: &[(Pid, &str)]| stage(Change::RefusesArgs, leaving);
    let Err(ConvertError::Refused { pid, exit, .. }) = refuses(&[]) else { panic!("taken") };
    assert_eq!(pid, supervisor);
    let said = exit.to_string();
    assert!(said.contains("child \"z\" could not be started again: module counter 2"), "{said}");
    assert!(said.contains("interval_ms"), "{said}");
    refuses(&[(supervisor, "z")]).expect("it is started no more");
    for other in [(supervisor, "b"), (Pid { slot: 0, generation: 0 }, "z")] {
        refuses(&[other]).expect_err("that is another child");
    }
    let taken = stage(Change::Works, &[]).expect("the same arguments will do");
    assert_eq!(taken.children[0].1.vanished, Vec::<Vec<u8>>::new(), "it was never in an init");
}

#[test]
fn a_supervisor_with_an_unchanged_spec_keeps_its_children_and_starts_and_restarts_others() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![child("a", &[Do::Add(1)])]));
    let start = |id: &str, number| {
        let reply = kit
            .request::<Option<Pid>>(supervisor, &Request::StartChild(child(id, &[Do::Add(number)]).into()));
        let Reply::Ok(Some(pid)) = reply else { panic!("{id} starts") };
        pid
    };
    let (x, y) = (start("x", 2), start("y", 3));
    kit.until(|| !kit.node.supervised(&["sup"]).0.is_empty());
    let found = kit.node.supervised(&["sup"]).0;
    let wanted = one_for_one(vec![child("a", &[Do::Add(1)])]);
    let prospect = found[0].prospect(&wanted, 1).expect("the strategy stays");
    assert_eq!((prospect.kept.len(), prospect.has_more), (1, true));
    let mut upgrade = kit.stage(vec![kit.double("sup", 2)]);
    upgrade.raise(members(&["sup"], SOON, Unrest::Abort), |_, _| true).expect("it rests");
    let converted = upgrade.convert("sup", Conversion::Supervisor, SOON).expect("its init answers");
    let (_, change) = &converted.children[0];
    assert!(change.vanished.is_empty() && change.added.is_empty(), "{change:?}");
    upgrade.switch();
    upgrade.lower();
    upgrade.sweep(soon());
    upgrade.finish();
    let z = start("z", 4);
    kit.node.exit(x, Exit::Killed);
    kit.until(|| kit.child(supervisor, "x").is_some_and(|pid| pid != x));
    let rows = kit.node.which_children(supervisor).expect("it lives");
    let ids: Vec<_> = rows.iter().map(|row| row.id.clone()).collect();
    assert_eq!(ids, ["z", "y", "x", "a"].map(name));
    assert_eq!((kit.child(supervisor, "y"), kit.child(supervisor, "z")), (Some(y), Some(z)));
}

#[test]
fn an_update_keeps_the_children_of_a_simple_one_for_one() {
    fn retemplate(spec: SupervisorSpec) -> SupervisorSpec {
        let template = ChildSpec { restart: Restart::Temporary, ..spec.children[0].clone() };
        SupervisorSpec { children: vec![template], ..spec }
    }
    let kit = Kit::new();
    let strategy = reld_wire::spec::Strategy::SimpleOneForOne;
    let supervisor = kit.supervisor(&SupervisorSpec { strategy, ..one_for_one(vec![child("t", &[])]) });
    let start = Request::StartChildArgs(ByteBuf::from(term::encode(&vec![Do::Add(4)])));
    let Reply::Ok(Some(pid)) = kit.request::<Option<Pid>>(supervisor, &start) else { panic!("it starts") };
    let mut upgrade = kit.stage(vec![Double { respec: retemplate, ..kit.double("sup", 2) }]);
    upgrade.raise(members(&["sup"], SOON, Unrest::Abort), |_, _| true).expect("it rests");
    upgrade.convert("sup", Conversion::Supervisor, SOON).expect("its init answers");
    upgrade.switch();
    upgrade.lower();
    upgrade.sweep(soon());
    upgrade.finish();
    assert_eq!(kit.ask(pid, Do::Get), Said::Number(4));
    kit.node.exit(pid, Exit::Killed);
    kit.until(|| kit.node.which_children(supervisor).is_some_and(|rows| rows.is_empty()));
}

#[test]
fn rows_that_change_after_the_pre_copy_of_their_supervisor_are_not_lost() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![child("a", &[Do::Add(1)]), child("b", &[Do::Add(2)])]));
    let quiet = kit.supervisor(&one_for_one(vec![child("a", &[])]));
    let mut upgrade = enlisted(&kit, Double { respec, ..kit.double("sup", 2) });
    let copied = precopy(&mut upgrade, "sup", Conversion::Supervisor);
    assert_eq!(copied, Ok(copied_once(2)));
    let started: Reply<Option<Pid>> =
        kit.request(supervisor, &Request::StartChild(child("x", &[Do::Add(7)]).into()));
    let Reply::Ok(Some(x)) = started else { panic!("it starts") };
    let b = kit.child(supervisor, "b").expect("it runs");
    kit.node.exit(b, Exit::Killed);
    kit.until(|| kit.child(supervisor, "b").is_some_and(|pid| pid != b));
    let b = kit.child(supervisor, "b");
    raise(&mut upgrade, "sup");
    let converted = upgrade.convert("sup", Conversion::Supervisor, SOON).expect("its init answers");
    assert_eq!(converted.processes, 1);
    let ids = |ids: &[&str]| ids.iter().map(|id| name(id).into_vec()).collect::<Vec<_>>();
    let changes: HashMap<Pid, _> = converted.children.into_iter().collect();
    assert_eq!((&changes[&supervisor].vanished, &changes[&supervisor].added), (&ids(&["a"]), &ids(&["c"])));
    // A child added at run time was never in an init, so it stays.
    // The shadow of the quiet supervisor is from the pre-copy, and so are the changes of its
    // children.
    assert_eq!((&changes[&quiet].vanished, &changes[&quiet].added), (&ids(&["a"]), &ids(&["c", "b"])));
    upgrade.switch();
    upgrade.lower();
    upgrade.sweep(soon());
    upgrade.finish();
    let rows = kit.node.which_children(supervisor).expect("it lives");
    let ids: Vec<_> = rows.iter().map(|row| (row.id.clone(), row.pid)).collect();
    let a = kit.child(supervisor, "a");
    assert_eq!(ids, [(name("x"), Some(x)), (name("a"), a), (name("b"), b), (name("c"), None)]);
    assert_eq!([supervisor, quiet].map(|pid| version(&kit, pid)), ["2", "2"]);
}

#[test]
fn a_supervisor_of_members_is_held_with_them_and_its_start_after_the_pre_copy_counts() {
    let kit = Kit::new();
    let strategy = reld_wire::spec::Strategy::SimpleOneForOne;
    let supervisor = kit.supervisor(&SupervisorSpec { strategy, ..one_for_one(vec![child("t", &[])]) });
    let start = |n| {
        let args = ByteBuf::from(term::encode(&vec![Do::Add(n)]));
        match kit.request::<Option<Pid>>(supervisor, &Request::StartChildArgs(args)) {
            Reply::Ok(Some(pid)) => pid,
            other => panic!("{other:?}"),
        }
    };
    let first = start(1);
    let mut upgrade = enlisted(&kit, kit.double("counter", 2));
    precopy(&mut upgrade, "counter", up()).expect("all states are converted");
    let second = start(2);
    raise(&mut upgrade, "counter");
    assert_eq!(upgrade.members().collect::<Vec<_>>(), [first, second]);
    assert_eq!(upgrade.convert("counter", up(), SOON).map(|c| c.processes), Ok(1));
    upgrade.switch();
    // The supervisor is held too.
    assert_eq!(upgrade.lower().processes, 3);
    upgrade.sweep(soon());
    assert_eq!([first, second].map(|pid| kit.ask(pid, Do::Get)), [Said::Number(1), Said::Number(2)]);
}

#[test]
fn a_supervisor_whose_new_init_fails_refuses_the_upgrade() {
    fn broken(spec: SupervisorSpec) -> SupervisorSpec {
        SupervisorSpec { period_ms: 0, ..spec }
    }
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![child("a", &[])]));
    let before = picture(&kit);
    let mut upgrade = kit.stage(vec![Double { respec: broken, ..kit.double("sup", 2) }]);
    upgrade.raise(members(&["sup"], SOON, Unrest::Abort), |_, _| true).expect("it rests");
    let refused = upgrade.convert("sup", Conversion::Supervisor, SOON);
    let exit = Exit::Error(text("supervisor sup: period_ms is 0; it must be greater"));
    assert_eq!(refused, Err(ConvertError::Refused { pid: supervisor, version: "2".into(), exit }));
    drop(upgrade);
    assert_eq!(picture(&kit), before);
}

#[test]
fn a_row_that_waits_for_its_restart_is_restarted_after_an_update_of_its_supervisor() {
    fn reversed(spec: SupervisorSpec) -> SupervisorSpec {
        SupervisorSpec { children: spec.children.into_iter().rev().collect(), ..spec }
    }
    let kit = Kit::new();
    // It starts once; each restart fails until the name is free.
    let holder = kit.counter(&[]);
    let claim = child("claim", &[Do::Claim(text("n"))]);
    let supervisor = kit
        .supervisor(&SupervisorSpec { intensity: 100_000_000, ..one_for_one(vec![child("z", &[]), claim]) });
    let first = kit.child(supervisor, "claim").expect("it runs");
    kit.cast(
        first,
        Do::All(vec![
            Do::Unregister(text("n")),
            Do::Call(holder, Box::new(Do::Register(text("n"))), None),
            Do::Crash(text("x")),
        ]),
    );
    kit.until(|| kit.node.which_children(supervisor).is_some_and(|rows| rows[0].restarting));
    let mut upgrade = kit.stage(vec![Double { respec: reversed, ..kit.double("sup", 2) }]);
    upgrade.raise(members(&["sup"], SOON, Unrest::Abort), |_, _| true).expect("it rests");
    upgrade.convert("sup", Conversion::Supervisor, SOON).expect("its init answers");
    upgrade.switch();
    upgrade.lower();
    upgrade.sweep(soon());
    upgrade.finish();
    kit.ask(holder, Do::Unregister(text("n")));
    kit.until(|| kit.child(supervisor, "claim").is_some_and(|pid| kit.node.whereis("n") == Some(pid)));
}

// --- traffic
// ---------------------------------------------------------------------------------------------------------

#[test]
fn no_call_is_lost_or_answered_twice_under_traffic_up_and_down() {
    let kit = Kit::new();
    let servers: Vec<_> = (0..8).map(|_| kit.counter(&[])).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicU64::new(0));
    let drive = |from: usize| {
        let (node, stop, asked, servers) =
            (kit.node.clone(), Arc::clone(&stop), Arc::clone(&asked), servers.clone());
        std::thread::spawn(move || {
            let mut at = from;
            while !stop.load(Ordering::Relaxed) {
                // Members call members, but never in a cycle.
                let [from, to] = [at % 8, (at * 3 + 1) % 8];
                let (one, two) = (servers[from.min(to)], servers[from.max(to)]);
                let what = if one == two { Do::Add(1) } else { Do::Call(two, Box::new(Do::Add(1)), None) };
                let answer = node.call(RequestKind::Call, one, term::encode(&what), Some(SOON));
                assert!(matches!(answer, Answer::Reply(_)), "{answer:?}");
                asked.fetch_add(1, Ordering::Relaxed);
                at += 1;
            }
        })
    };
    let drivers: Vec<_> = (0..3).map(drive).collect();
    for round in 0..6 {
        let before = asked.load(Ordering::Relaxed);
        kit.until(|| asked.load(Ordering::Relaxed) > before + 50);
        let (version, how) = if round % 2 == 0 { (2, up()) } else { (1, down()) };
        let mut upgrade = kit.stage(vec![kit.double("counter", version)]);
        if round < 4 {
            upgrade.enlist(["counter"], |_, _| true);
            precopy(&mut upgrade, "counter", how.clone()).expect("all states are converted");
        }
        raise(&mut upgrade, "counter");
        complete(upgrade, how);
        kit.until(|| {
            kit.node
                .purge("counter", Place::Old, soon())
                .is_ok_and(|purge| purge == reld_runtime::Purge::default())
        });
    }
    stop.store(true, Ordering::Relaxed);
    drivers.into_iter().for_each(|driver| driver.join().expect("every call was answered"));
    let total: u64 = servers
        .iter()
        .map(|pid| match kit.ask(*pid, Do::Get) {
            Said::Number(count) => count,
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(total, asked.load(Ordering::Relaxed));
}

/// A spec with this name and no children.
fn named(name: Option<&str>) -> SupervisorSpec {
    SupervisorSpec { name: name.map(text), ..one_for_one(Vec::new()) }
}

/// Stages a supervisor module whose init returns `respec`, and converts the supervisors.
fn renamed(kit: &Kit, respec: fn(SupervisorSpec) -> SupervisorSpec) -> (Upgrade, Result<(), ConvertError>) {
    let mut upgrade = kit.stage(vec![Double { respec, ..kit.double("sup", 2) }]);
    upgrade.raise(members(&["sup"], SOON, Unrest::Abort), |_, _| true).expect("it rests");
    let converted = upgrade.convert("sup", Conversion::Supervisor, SOON).map(drop);
    (upgrade, converted)
}

#[test]
fn the_name_of_a_supervisor_changes_at_the_switch_and_goes_with_its_spec() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&named(Some("old")));
    let (mut upgrade, converted) = renamed(&kit, |_| named(Some("new")));
    converted.expect("the name is free");
    assert_eq!([kit.node.whereis("old"), kit.node.whereis("new")], [Some(supervisor), None]);
    upgrade.switch();
    assert_eq!([kit.node.whereis("old"), kit.node.whereis("new")], [None, Some(supervisor)]);
    upgrade.lower();
    upgrade.finish();
    let (mut upgrade, converted) = renamed(&kit, |_| named(None));
    converted.expect("no name is free");
    upgrade.switch();
    assert_eq!(kit.node.whereis("new"), None);
}

#[test]
fn an_upgrade_that_is_given_up_leaves_the_old_name_and_frees_the_new_one() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&named(Some("old")));
    let (upgrade, converted) = renamed(&kit, |_| named(Some("new")));
    converted.expect("the name is free");
    upgrade.finish();
    assert_eq!([kit.node.whereis("old"), kit.node.whereis("new")], [Some(supervisor), None]);
    let other = kit.supervisor(&named(Some("new")));
    assert_eq!(kit.node.whereis("new"), Some(other));
}

#[test]
fn a_supervisor_whose_new_name_another_process_has_is_not_converted() {
    let kit = Kit::new();
    let owner = kit.supervisor(&named(Some("taken")));
    let supervisor = kit.supervisor(&named(Some("old")));
    let (_, converted) = renamed(&kit, |_| named(Some("taken")));
    let why = converted.expect_err("the name is taken").to_string();
    let reason = format!("cannot have the name taken: already_started: {owner} has it");
    assert!(why.contains(&reason), "{why}");
    assert_eq!(kit.node.whereis("old"), Some(supervisor));
}

#[test]
fn a_suspended_supervisor_gets_its_new_name_by_hand() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&named(Some("old")));
    let new = Double { respec: |_| named(Some("new")), ..kit.double("sup", 2) };
    kit.node.suspend(supervisor, SOON).expect("it rests");
    let mut upgrade = kit.stage(vec![new]);
    upgrade.switch();
    upgrade.finish();
    kit.node.change_code(supervisor, "1", Vec::new(), SOON).expect("the name is free");
    assert_eq!([kit.node.whereis("old"), kit.node.whereis("new")], [None, Some(supervisor)]);
}
