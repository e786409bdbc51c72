//! Trials of the reverse conversion: the pre-copy converts each new state back before the upgrade
//! needs it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::kit::double::{Change, Double};
use crate::kit::words::{Do, Said, text};
use crate::kit::{Kit, SOON, child, latch, one_for_one, soon};
use crate::upgrades::{SHORT, complete, down, enlisted, picture, raise, raised, soft, up, version};
use reld_runtime::{Conversion, ConvertError, Passage, Place, Precopied, Upgrade};
use reld_wire::{Exit, Pid};

/// Pre-copies the counters, with a trial of the reverse conversion.
fn tried(
    upgrade: &mut Upgrade,
    how: Conversion,
    back: Conversion,
    limit: Duration,
) -> Result<Precopied, ConvertError> {
    upgrade.precopy(&HashMap::from([(text("counter"), Passage { how, back: Some(back) })]), limit)
}

/// A node with counters of these counts. They run version 1, or were upgraded to version 2, which
/// has this change.
fn counters(kit: &Kit, is_upgraded: bool, change: &Change, counts: &[u64]) -> Vec<Pid> {
    let pids: Vec<Pid> = counts.iter().map(|_| kit.counter(&[])).collect();
    if is_upgraded {
        complete(raised(kit, Double { change: change.clone(), ..kit.double("counter", 2) }), up());
        kit.node.purge("counter", Place::Old, soon()).expect("it is known");
    }
    for (pid, count) in pids.iter().zip(counts) {
        assert_eq!(kit.ask(*pid, Do::Add(*count)), Said::Number(*count));
    }
    pids
}

#[test]
fn every_new_state_is_converted_back_before_any_process_is_held() {
    for (to, how, back) in [(2, up(), down()), (1, down(), up())] {
        let kit = Kit::new();
        let pids = counters(&kit, to == 1, &Change::Works, &[1, 2, 3, 4]);
        let before = picture(&kit);
        let mut upgrade = enlisted(&kit, kit.double("counter", to));
        let copied = tried(&mut upgrade, how.clone(), back, SOON).expect("there is a way back");
        assert_eq!((copied.processes, copied.rounds), (4, 1));
        assert!(copied.trial > Duration::ZERO);
        assert_eq!(picture(&kit), before);
        raise(&mut upgrade, "counter");
        assert_eq!((upgrade.precopied(), upgrade.tried()), (4, 4));
        complete(upgrade, how);
        assert!(pids.iter().all(|pid| version(&kit, *pid) == to.to_string()));
        assert_eq!(kit.ask(pids[3], Do::Add(1)), Said::Number(5));
    }
}

/// Runs a trial that fails for the counter with the count 3, of five; the code of version `by`
/// refuses.
#[track_caller]
fn check_refused(to: u32, change: &Change, (how, back): (Conversion, Conversion), by: &str, exit: Exit) {
    let kit = Kit::new();
    let pids = counters(&kit, to == 1, change, &[1, 2, 3, 4, 5]);
    let before = picture(&kit);
    let change = if to == 2 { change.clone() } else { Change::Works };
    let mut upgrade = enlisted(&kit, Double { change, ..kit.double("counter", to) });
    let failed = tried(&mut upgrade, how, back, SOON).expect_err("there is no way back");
    let ConvertError::NoWayBack { from, to: old, cause } = failed else { panic!("{failed}") };
    assert_eq!((from, old), (to.to_string(), (3 - to).to_string()));
    let ConvertError::Refused { pid, version, exit: said } = *cause else { panic!("{cause}") };
    assert_eq!((version.as_str(), said), (by, exit));
    assert!(pids.contains(&pid));
    assert_eq!(upgrade.lower().processes, 0, "no process was held");
    upgrade.finish();
    assert_eq!(picture(&kit), before);
}

#[test]
fn a_state_that_cannot_be_converted_back_fails_the_pre_copy_and_changes_nothing() {
    let fails = || Box::new(Change::FailsAt(3));
    let no = || Exit::Error(text("no 3"));
    check_refused(2, &Change::Down(fails()), (up(), down()), "2", no());
    check_refused(1, &Change::Up(fails()), (down(), up()), "2", no());
    // The older code reads the newer state as it is, and does not know `count`.
    let undecodable = || Exit::Undecodable(text("missing field `n`"));
    check_refused(2, &Change::Works, (up(), soft()), "1", undecodable());
    let supervisor = || Exit::Error(text("it is not a supervisor"));
    check_refused(2, &Change::Works, (up(), Conversion::Supervisor), "1", supervisor());
}

#[test]
fn a_trial_that_never_returns_is_named_and_blocks_no_process() {
    let kit = Kit::new();
    let latch = latch::new();
    let pids = counters(&kit, false, &Change::Works, &[1, 2, 3, 4, 5]);
    let change = Change::Down(Box::new(Change::BlocksAt(3, latch)));
    let mut upgrade = enlisted(&kit, Double { change, ..kit.double("counter", 2) });
    std::thread::scope(|scope| {
        let failed = scope.spawn(|| tried(&mut upgrade, up(), down(), 10 * SHORT));
        kit.expect("converting");
        assert_eq!(kit.ask(pids[2], Do::Add(10)), Said::Number(13), "no process waits for the trial");
        let cause = Box::new(ConvertError::TimedOut { pid: pids[2], version: text("2") });
        let (from, to) = (text("2"), text("1"));
        assert_eq!(failed.join().expect("no panic"), Err(ConvertError::NoWayBack { from, to, cause }));
    });
    upgrade.finish();
    let stuck: Vec<_> = kit.node.stuck(SHORT).into_iter().map(|stuck| (stuck.pid, stuck.version)).collect();
    assert_eq!(stuck, [(pids[2], text("2"))]);
    latch::open(latch);
    kit.until(|| kit.node.stuck(Duration::ZERO).is_empty());
    assert_eq!(
        (kit.ask(pids[2], Do::Version), kit.ask(pids[2], Do::Get)),
        (Said::Number(1), Said::Number(13))
    );
}

#[test]
fn a_state_that_changes_after_its_trial_is_not_tried_inside_the_pause() {
    let kit = Kit::new();
    let pids = counters(&kit, false, &Change::Works, &[1, 2]);
    let change = Change::Down(Box::new(Change::FailsAt(7)));
    let mut upgrade = enlisted(&kit, Double { change, ..kit.double("counter", 2) });
    tried(&mut upgrade, up(), down(), SOON).expect("there is a way back");
    assert_eq!(kit.ask(pids[1], Do::Add(5)), Said::Number(7));
    raise(&mut upgrade, "counter");
    assert_eq!((upgrade.precopied(), upgrade.tried()), (1, 1));
    assert_eq!(complete(upgrade, up()).processes, 1);
    assert_eq!((version(&kit, pids[1]), kit.ask(pids[1], Do::Get)), (text("2"), Said::Number(7)));
}

#[test]
fn states_without_a_trial_count_as_not_tried() {
    let kit = Kit::new();
    counters(&kit, false, &Change::Works, &[1, 2]);
    let mut upgrade = enlisted(&kit, kit.double("counter", 2));
    let passages = HashMap::from([(text("counter"), Passage { how: up(), back: None })]);
    let copied = upgrade.precopy(&passages, SOON).expect("all states are converted");
    assert_eq!((copied.processes, copied.trial), (2, Duration::ZERO));
    raise(&mut upgrade, "counter");
    assert_eq!((upgrade.precopied(), upgrade.tried()), (2, 0));
}

#[test]
fn a_trial_has_no_effect_on_the_node() {
    let kit = Kit::new();
    let pid = kit.counter(&[Do::Register(text("it"))]);
    let change = Change::Down(Box::new(Change::TriesEffects));
    // Before `enlisted`, which waits until the process rests again: `picture` makes it run, and the
    // pre-copy skips processes that run.
    let before = picture(&kit);
    let mut upgrade = enlisted(&kit, Double { change, ..kit.double("counter", 2) });
    tried(&mut upgrade, up(), down(), SOON).expect("there is a way back");
    assert_eq!(kit.note(), "given 0");
    assert_eq!(picture(&kit), before);
    raise(&mut upgrade, "counter");
    complete(upgrade, up());
    assert_eq!((kit.node.whereis("taken"), kit.node.processes().len()), (None, 1));
    assert_eq!(kit.ask(pid, Do::Get), Said::Number(0));
    assert_eq!(kit.notes(), Vec::<String>::new());
}

#[test]
fn the_trial_of_a_supervisor_calls_the_init_of_the_running_version() {
    static IS_BROKEN: AtomicBool = AtomicBool::new(false);
    let kit = Kit::new();
    let old = Double {
        respec: |mut spec| {
            let again = spec.children.clone();
            spec.children.extend(again.into_iter().filter(|_| IS_BROKEN.load(Ordering::Relaxed)));
            spec
        },
        ..kit.double("warden", 1)
    };
    let old = Double { behaviour: reld_runtime::Behaviour::Supervisor, ..old };
    kit.node.load(vec![std::sync::Arc::new(old.clone())], soon()).expect("there is room");
    let args = reld_runtime::term::encode(&one_for_one(vec![child("a", &[])]));
    let warden = kit.node.spawn("warden", args, SOON).expect("it starts").expect("it does not ignore");
    let tried = |back| {
        let mut upgrade = enlisted(&kit, Double { version: 2, respec: |spec| spec, ..old.clone() });
        let passage = Passage { how: Conversion::Supervisor, back: Some(back) };
        let copied = upgrade.precopy(&HashMap::from([(text("warden"), passage)]), SOON)?;
        raise(&mut upgrade, "warden");
        assert_eq!((copied.processes, upgrade.tried()), (1, 1));
        Ok(())
    };
    assert_eq!(tried(Conversion::Supervisor), Ok(()));
    IS_BROKEN.store(true, Ordering::Relaxed);
    let failed = tried(Conversion::Supervisor);
    let Err(ConvertError::NoWayBack { cause, .. }) = failed else { panic!("{failed:?}") };
    assert!(
        matches!(&*cause, ConvertError::Refused { pid, version, .. } if *pid == warden && version == "1")
    );
    assert_eq!(tried(soft()), Ok(()), "its init is not asked, and its state is the daemon's");
}
