//! Tests of settling after an install, over a real root and a fake node.

use std::time::{Duration, Instant};

use crate::error::{Error, Obstacle};
use crate::event::Event;
use crate::fake::Fake;
use crate::handler::{ReleaseHandler, Watched};
use crate::interrupt::Wish;
use crate::node::{Exited, OutsiderKind};
use crate::options::InstallOptions;
use crate::order::{End, Ended, Order};
use crate::process::Pid;
use crate::report::{NotTried, Outcome, Report, Trial};
use crate::settle::{Probed, Probing, Settle, Trip};
use crate::site::{Site, Target, check, options, shop, title, vsn};

pub(crate) fn probing(fault: Option<&str>) -> Settle {
    let probed = Probed { fault: fault.map(str::to_owned), output: vec!["checked".to_owned()] };
    Settle { probe: Some(Box::new(move |_| Box::new(Finding(probed)))), ..Settle::default() }
}

/// A probe with a fixed finding.
struct Finding(Probed);

impl Probing for Finding {
    fn finding(&mut self) -> Option<Probed> {
        Some(self.0.clone())
    }
}

/// Upgrades to 1.1.0 with a counter that crashes right after the switch.
fn crashing(handler: &mut ReleaseHandler<Fake>, target: &Target) -> Report {
    let process = handler.node().process(Pid { slot: 2, generation: 1 });
    handler.node_mut().crashes = vec![Exited { process, reason: "panicked".to_owned() }];
    let settle = Settle { window: Duration::from_secs(60), ..Settle::default() };
    handler.upgrade_settled(target, options(), settle, &mut |_| ()).unwrap()
}

#[track_caller]
fn check_taken_back(handler: &ReleaseHandler<Fake>, report: &Report, fault: &str) {
    assert_eq!(report.outcome, Outcome::TakenBack, "{report}");
    assert_eq!(report.settled.as_ref().unwrap().fault.as_deref(), Some(fault));
    let way_back = report.way_back.as_ref().unwrap();
    assert_eq!((way_back.from.as_ref(), &way_back.to), (Some(&vsn(1)), &vsn(0)));
    assert_eq!((handler.running(), report.permanent), (Some(&vsn(0)), false));
    assert_eq!(
        report.to_string(),
        format!("release 1.1.0 was taken back; the node runs 1.0.0 again\n  caused by: {fault}")
    );
    let state = &handler.node().world.processes[&Pid { slot: 2, generation: 1 }].state;
    assert!(state.ends_with(", soft, soft"), "the state went there and back: {state}");
    check(handler, "1.1.0 old, 1.0.0 permanent");
}

#[test]
fn a_crash_takes_the_release_back_at_once() {
    let (_site, mut handler, targets) = shop();
    let begin = Instant::now();
    let report = crashing(&mut handler, &targets[1]);
    assert!(begin.elapsed() < Duration::from_secs(30), "the window is not waited for");
    check_taken_back(&handler, &report, "<2.1> (shop:counter) crashed: panicked");
    // The release may be tried again.
    handler.node_mut().crashes.clear();
    handler.goes(&targets[1], Outcome::Installed);
    check(&handler, "1.1.0 permanent, 1.0.0 old");
}

#[test]
fn crashes_of_other_apps_and_kills_by_the_upgrade_do_not_count() {
    let (_site, mut handler, targets) = shop();
    let orphan = handler.node_mut().spawn("counter", Some(OutsiderKind::Task));
    let mut process = handler.node().process(orphan);
    process.app = "elsewhere".parse().unwrap();
    handler.node_mut().crashes = vec![Exited { process, reason: "killed".to_owned() }];
    let settle = Settle { window: Duration::from_millis(1), ..Settle::default() };
    let report = handler.upgrade_settled(&targets[1], options(), settle, &mut |_| ()).unwrap();
    assert_eq!((report.outcome, report.permanent), (Outcome::Installed, true), "{report}");
    assert_eq!(report.settled.unwrap().crashes, []);
}

#[test]
fn a_probe_decides_and_gets_both_releases() {
    let (_site, mut handler, targets) = shop();
    let report =
        handler.upgrade_settled(&targets[1], options(), probing(Some("exit 7")), &mut |_| ()).unwrap();
    check_taken_back(&handler, &report, "exit 7");
    let trip_is = |from, to| {
        let probe = move |trip: Trip<'_>| -> Box<dyn Probing> {
            assert_eq!((trip.from, trip.to), (Some(&vsn(from)), &vsn(to)));
            Box::new(Finding(Probed { fault: None, output: vec![] }))
        };
        Settle { probe: Some(Box::new(probe)), ..Settle::default() }
    };
    // With a window, the release is polled more than once before the probe.
    let settle = Settle { window: Duration::from_millis(5), ..trip_is(0, 1) };
    let report = handler.upgrade_settled(&targets[1], options(), settle, &mut |_| ()).unwrap();
    assert!(report.permanent, "{report}");
    let probed = report.settled.unwrap().probe;
    assert_eq!(probed, Some(Probed { fault: None, output: vec![] }));
}

#[test]
fn a_way_back_that_fails_leaves_the_release_running_uncommitted() {
    let (site, mut handler, targets) = shop();
    let calls = handler.node().calls.len();
    // The upgrade makes six fallible calls: load, stage, precopy, trial, raise, convert. The way
    // back begins with its load.
    handler.node_mut().failing = [calls + 6].into();
    let report = crashing(&mut handler, &targets[1]);
    assert_eq!(report.outcome, Outcome::NotTakenBack, "{report}");
    let text = report.to_string();
    assert!(text.starts_with("release 1.1.0 was not taken back; it keeps running, uncommitted"), "{text}");
    assert!(report.not_undone[0].contains("no such file"), "{report}");
    check(&handler, "1.1.0 current, 1.0.0 permanent");
    assert_eq!(handler.running(), Some(&vsn(1)));
    assert!(handler.trouble().is_some_and(|trouble| trouble.contains("no such file")));
    // The operator may try again, or keep the release.
    handler.node_mut().crashes.clear();
    handler.goes(&Target::Version(vsn(0)), Outcome::Installed);
    assert_eq!(handler.trouble(), None);
    drop(handler);
    let mut handler = site.handler();
    assert_eq!(handler.boot(&mut |_| ()).unwrap().unwrap().to, vsn(0));
}

#[test]
fn a_way_back_with_a_failed_rollback_needs_a_restart() {
    let (_site, mut handler, targets) = shop();
    let calls = handler.node().calls.len();
    // The convert of the way back fails, and then an undo of the way back.
    handler.node_mut().failing = [calls + 9, calls + 10].into();
    let report = crashing(&mut handler, &targets[1]);
    assert_eq!(report.outcome, Outcome::NeedsRestart, "{report}");
    assert!(matches!(handler.check_install(&vsn(0), options()), Err(Error::NeedsRestart)));
}

#[test]
fn a_first_release_that_does_not_settle_keeps_running_uncommitted() {
    let site = Site::new();
    let [first, ..] = site.three();
    let mut handler = site.handler();
    let report = handler.upgrade_settled(&first, options(), probing(Some("exit 1")), &mut |_| ()).unwrap();
    assert_eq!((report.outcome, report.permanent), (Outcome::NotTakenBack, false), "{report}");
    assert_eq!(report.not_undone, ["downgrade: no release ran before"]);
    assert_eq!(handler.running(), Some(&vsn(0)));
}

/// Upgrades to 1.1.0 with a settling window of one minute.
fn settling(handler: &mut ReleaseHandler<Fake>, target: &Target) {
    let to = handler.unpacks(target).release.version;
    let settle = Settle { window: Duration::from_secs(60), ..Settle::default() };
    let order = Order::Upgrade { to, options: options(), end: End::Commit(settle) };
    assert!(matches!(handler.carry_out(order, &mut |_| ()), Ok(Ended::Settles)));
    assert!(handler.settling().is_some());
    assert!(matches!(handler.watch(&mut |_| ()), Some(Watched::Again(_))));
}

fn down() -> Order {
    Order::Downgrade { to: None, options: options(), end: End::Commit(Settle::default()) }
}

#[test]
fn a_commit_ends_a_settling_and_keeps_the_release() {
    let (_site, mut handler, targets) = shop();
    settling(&mut handler, &targets[1]);
    let ended = handler.carry_out(Order::Commit { vsn: None }, &mut |_| ()).unwrap();
    let Ended::Committed { vsn: committed, before, .. } = ended else { panic!("{ended:?}") };
    assert_eq!((committed, before), (vsn(1), Some(vsn(0))));
    let report = handler.settles(&mut |_| ()).unwrap();
    assert_eq!((report.outcome, report.permanent), (Outcome::Installed, true), "{report}");
    assert_eq!(report.settled.and_then(|settled| settled.fault), None);
    check(&handler, "1.1.0 permanent, 1.0.0 old");
    assert!(handler.settling().is_none() && handler.watch(&mut |_| ()).is_none());
}

#[test]
fn a_downgrade_ends_a_settling_and_takes_the_release_back_once() {
    let (_site, mut handler, targets) = shop();
    settling(&mut handler, &targets[1]);
    let back = handler.moves(down(), &mut |_| ()).unwrap();
    assert_eq!((back.outcome, &back.to, back.permanent), (Outcome::Installed, &vsn(0), true), "{back}");
    let report = handler.settles(&mut |_| ()).unwrap();
    check_taken_back(&handler, &report, "downgraded by the operator");
    // There is no earlier release for a second downgrade.
    assert!(matches!(handler.carry_out(down(), &mut |_| ()), Err(Error::NoPrevious { .. })));
}

#[test]
fn a_downgrade_that_cannot_take_a_settling_release_back_reports_that_it_keeps_running() {
    let (_site, mut handler, targets) = shop();
    settling(&mut handler, &targets[1]);
    let calls = handler.node().calls.len();
    handler.node_mut().failing = [calls].into();
    let answer = handler.moves(down(), &mut |_| ()).unwrap();
    assert_eq!((answer.outcome, &answer.to), (Outcome::NotTakenBack, &vsn(1)), "{answer}");
    assert_eq!(handler.settles(&mut |_| ()).unwrap(), answer);
    check(&handler, "1.1.0 current, 1.0.0 permanent");
}

#[test]
fn other_orders_are_refused_while_a_release_settles_and_queries_are_answered() {
    let (_site, mut handler, targets) = shop();
    settling(&mut handler, &targets[1]);
    handler.unpacks(&targets[2]);
    let orders = [
        Order::Install { to: vsn(2), options: options() },
        Order::Upgrade { to: vsn(2), options: options(), end: End::Current },
        Order::Upgrade { to: vsn(2), options: options(), end: End::Restart },
        Order::Remove { vsn: vsn(0) },
        Order::RebootOld { vsn: vsn(0) },
        Order::Commit { vsn: Some(vsn(0)) },
    ];
    for order in orders {
        let refused = handler.carry_out(order, &mut |_| ());
        assert!(matches!(&refused, Err(Error::Settles { vsn: it }) if *it == vsn(1)), "{refused:?}");
    }
    assert_eq!(handler.check_install(&vsn(0), options()).unwrap().obstacles, []);
    handler.removes(&vsn(2));
    assert!(matches!(handler.watch(&mut |_| ()), Some(Watched::Again(_))));
}

#[test]
fn a_probe_is_started_once_and_ended_with_the_settling() {
    /// A probe that never ends. The reference count is the number of running probes.
    struct Endless {
        _lives: std::sync::Arc<()>,
    }
    impl Probing for Endless {
        fn finding(&mut self) -> Option<Probed> {
            None
        }
    }
    let (_site, mut handler, targets) = shop();
    let lives = std::sync::Arc::new(());
    let probe = lives.clone();
    let settle =
        Settle { probe: Some(Box::new(move |_| Box::new(Endless { _lives: probe }))), ..Settle::default() };
    let to = handler.unpacks(&targets[1]).release.version;
    let order = Order::Upgrade { to, options: options(), end: End::Commit(settle) };
    handler.carry_out(order, &mut |_| ()).unwrap();
    for _ in 0..3 {
        assert!(matches!(handler.watch(&mut |_| ()), Some(Watched::Again(_))));
        assert_eq!(std::sync::Arc::strong_count(&lives), 2);
    }
    handler.interrupt().ask(Wish::Abort);
    let report = handler.settles(&mut |_| ()).unwrap();
    check_taken_back(&handler, &report, "aborted by the operator");
    assert_eq!(std::sync::Arc::strong_count(&lives), 1, "the probe was ended");
}

#[test]
fn an_abort_takes_back_an_upgrade_that_runs_or_settles_and_a_stop_leaves_it() {
    let (_site, mut handler, targets) = shop();
    let interrupt = handler.interrupt();
    let settle = || Settle { window: Duration::from_secs(60), ..Settle::default() };
    let mut at = |wish, at: &'static str| {
        let interrupt = interrupt.clone();
        let mut ask = move |event: Event<'_>| {
            if title(&event) == Some(at) {
                interrupt.ask(wish);
            }
        };
        handler.interrupt().begin();
        handler.upgrade_settled(&targets[1], options(), settle(), &mut ask).unwrap()
    };
    let report = at(Wish::Abort, "load [counter]");
    assert_eq!(report.outcome, Outcome::RolledBack);
    let failure = report.failure.unwrap();
    assert_eq!(
        (failure.title.as_str(), failure.cause.as_str()),
        ("precopy [counter], and back", "aborted by the operator")
    );

    let report = at(Wish::Abort, "settle for 60s");
    check_taken_back(&handler, &report, "aborted by the operator");

    interrupt.begin();
    let mut at_end = |event: Event<'_>| {
        if title(&event) == Some("settle for 60s") {
            interrupt.ask(Wish::Stop);
        }
    };
    let report = handler.upgrade_settled(&targets[1], options(), settle(), &mut at_end).unwrap();
    assert_eq!((report.outcome, report.permanent), (Outcome::Installed, false));
    assert_eq!(report.commit_error.as_deref(), Some("the daemon stops before the release has settled"));
    check(&handler, "1.1.0 current, 1.0.0 permanent");
}

#[test]
fn an_uncommitted_release_allows_only_the_way_back_unless_it_is_superseded() {
    let (_site, mut handler, targets) = shop();
    handler.unpacks(&targets[1]);
    handler.unpacks(&targets[2]);
    handler.install(&vsn(1), options(), &mut |_| ()).unwrap();
    let found = handler.check_install(&vsn(2), options()).unwrap().obstacles;
    assert_eq!(found, [Obstacle::Unconfirmed { running: vsn(1), boots: Some(vsn(0)) }]);
    assert_eq!(handler.refuses(&vsn(2)), found);
    let superseding = crate::options::InstallOptions { supersede: true, ..options() };
    let report = handler.install(&vsn(2), superseding, &mut |_| ()).unwrap();
    assert_eq!(report.outcome, Outcome::Installed);
    check(&handler, "1.2.0 current, 1.1.0 old, 1.0.0 permanent");
    // Back to 1.1.0, which is current again, and from there to the permanent 1.0.0.
    handler.install(&vsn(1), options(), &mut |_| ()).unwrap();
    handler.install(&vsn(0), options(), &mut |_| ()).unwrap();
    check(&handler, "1.2.0 old, 1.1.0 old, 1.0.0 permanent");
}

/// Settles with a probe that finds no fault.
fn settled(handler: &mut ReleaseHandler<Fake>, target: &Target, one_way: bool) -> Result<Report, Error> {
    let options = InstallOptions { one_way, ..options() };
    handler.upgrade_settled(target, options, probing(None), &mut |_| ())
}

#[test]
fn settling_needs_states_that_can_go_back_unless_the_upgrade_is_one_way() {
    let (_site, mut handler, targets) = shop();
    let calls = handler.node().calls.len();
    // The calls are load, stage, precopy, trial.
    handler.node_mut().failing = [calls + 3].into();
    let report = settled(&mut handler, &targets[1], false).unwrap();
    assert_eq!((report.outcome, report.settled), (Outcome::RolledBack, None));
    let failure = report.failure.unwrap();
    assert!(failure.cause.contains("no way back from 0.1.1 to 0.1.0"), "{}", failure.cause);
    check(&handler, "1.1.0 unpacked, 1.0.0 permanent");

    let report = settled(&mut handler, &targets[1], true).unwrap();
    let not_tried = vec![NotTried { processes: 2, why: "the upgrade is one-way".to_owned() }];
    assert_eq!(report.trial, Some(Trial { tried: 0, not_tried, duration_us: 0 }));
    assert!(report.permanent, "{report}");
    assert_eq!(handler.node().calls.iter().filter(|call| **call == "trial").count(), 1);
}

#[test]
fn an_upgrade_is_tried_on_the_way_back_but_the_way_back_itself_is_not() {
    let (_site, mut handler, targets) = shop();
    let report = crashing(&mut handler, &targets[1]);
    assert_eq!((report.outcome, report.trial.unwrap().tried), (Outcome::TakenBack, 2));
    assert_eq!(report.way_back.unwrap().trial, None);
    assert_eq!(handler.node().calls.iter().filter(|call| **call == "trial").count(), 1);
}

#[test]
fn without_a_way_back_settling_needs_one_way_and_other_upgrades_get_a_warning() {
    let site = Site::new();
    let only_up = "[[up]]\nfrom = \"0.1.0\"\ninstructions = [{ update = \"counter\" }]\n";
    let [first, second] =
        [(0, ""), (1, only_up)].map(|(minor, up)| site.pack_modules(minor, &["counter"], up));
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    match settled(&mut handler, &second, false) {
        Err(Error::Refused { obstacles, .. }) => assert_eq!(obstacles[0].code().as_str(), "no_way_back"),
        other => panic!("not refused: {other:?}"),
    }
    let warns = |report: &Report| report.warnings[0].starts_with("there is no way back: no appup leads shop");
    let report = settled(&mut handler, &second, true).unwrap();
    assert!(report.permanent && warns(&report) && report.trial.is_some(), "{report}");

    let site = Site::new();
    let [first, second] =
        [(0, ""), (1, only_up)].map(|(minor, up)| site.pack_modules(minor, &["counter"], up));
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    let report = handler.goes(&second, Outcome::Installed);
    assert!(report.permanent && warns(&report) && report.trial.is_none(), "{report}");
}
