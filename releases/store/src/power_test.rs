//! Cuts the power at every step of an order. For any subset of unsynced changes that the disk kept,
//! the node finds either the old or the new releases with all their files, and continues.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, iter};

use reld_plan::Vsn;

use crate::boots::{ATTEMPTS_MAX, Boots, GaveWay, NextBoot};
use crate::disk::power::{FATES, Fate, Forgets, PowerDisk, Record};
use crate::error::Error;
use crate::fixture::{self, Place};
use crate::lifecycle::StatusTable;
use crate::store::Store;
use crate::verify;

/// The number of random mixtures of fates that are tried at each step, besides those in which all
/// changes share one fate.
const MIXTURES: usize = 4;

type Step = fn(&Place, &mut Store) -> Result<(), Error>;

/// An order to a node that may lose its power at any time.
struct Order<'a> {
    /// The node's root, below an existing folder.
    root: &'static str,
    prepare: fn(&Place),
    /// The steps of the order. Each step is complete before the next begins.
    steps: &'a [Step],
}

/// The state that a start of the node finds.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outlook {
    table: StatusTable,
    next: NextBoot,
    /// The number of failed boot attempts.
    failed: u32,
    /// The release that has given way to the permanent one.
    gave_way: Option<GaveWay>,
    /// The last record of the history.
    history: Option<String>,
    /// The damaged files of known releases.
    damaged: BTreeSet<PathBuf>,
}

impl Outlook {
    fn of(root: &Path) -> Result<Self, Error> {
        let store = fixture::open(root)?;
        let mut damaged = BTreeSet::new();
        for release in &store.releases().releases {
            damaged
                .extend(verify::survey(store.root(), release)?.damage.into_iter().map(|damage| damage.path));
        }
        let (table, boots, history) = (store.releases().clone(), store.boots(), store.history());
        let is_of = |gave: &GaveWay| table.permanent().is_some_and(|release| release.version == gave.to);
        let last = history.numbers()?.last().copied();
        Ok(Self {
            next: boots.next(&table),
            failed: boots.failed,
            gave_way: boots.gave_way.filter(is_of),
            history: last.map(|last| history.read(last)).transpose()?.flatten(),
            table,
            damaged,
        })
    }

    /// Returns whether two states differ at most in damage.
    fn is_like(&self, other: &Self) -> bool {
        *self == Self { damaged: self.damaged.clone(), ..other.clone() }
    }
}

/// The events of an order.
struct Played {
    record: Record,
    /// The states that a start finds before the first step and after each step.
    outlooks: Vec<Outlook>,
    /// The number of events before the first step and after each step.
    ends: Vec<usize>,
}

fn play(order: &Order<'_>, place: &Place, forgets: Forgets) -> Played {
    (order.prepare)(place);
    let root = place.folder.path().join(order.root);
    let disk = Arc::new(PowerDisk::below(place.folder.path(), forgets));
    let outlook = |disk: &PowerDisk| {
        let record = disk.record();
        let folder = tempfile::tempdir().unwrap();
        record.cut(record.len(), &vec![Fate::Kept; record.pending(record.len())]).write_to(folder.path());
        Outlook::of(&folder.path().join(order.root)).unwrap()
    };
    let (mut outlooks, mut ends) = (vec![outlook(&disk)], vec![0]);
    let mut store = Store::open_on(&root, Arc::clone(&disk) as _).unwrap();
    for step in order.steps {
        step(place, &mut store).unwrap();
        outlooks.push(outlook(&disk));
        ends.push(disk.record().len());
    }
    Played { record: disk.record(), outlooks, ends }
}

/// Cuts the power at every step of an order. Returns the number of different disks, or the first
/// violation.
fn cut_everywhere(order: &Order<'_>, forgets: Forgets) -> Result<usize, String> {
    let place = Place::new();
    let played = play(order, &place, forgets);
    let (mut random, mut tried) = (Random(1), HashSet::new());
    for at in (0..=played.record.len()).rev() {
        let done = played.ends.iter().rposition(|end| *end <= at).unwrap_or(0);
        let pending = played.record.pending(at);
        let all = FATES.map(|fate| vec![fate; pending]);
        let mixtures = iter::repeat_with(|| iter::repeat_with(|| random.fate()).take(pending).collect());
        for fates in all.into_iter().chain(mixtures.take(MIXTURES)) {
            let found = played.record.cut(at, &fates);
            if tried.insert((done, found.clone())) {
                let folder = tempfile::tempdir().unwrap();
                found.write_to(folder.path());
                start(order, &place, &folder.path().join(order.root), &played, done)
                    .map_err(|broken| format!("cut at {at}, {fates:?}: {broken}"))?;
            }
        }
    }
    Ok(tried.len())
}

/// Starts a node on the disk after a cut, when `done` steps were complete, and executes the rest.
fn start(order: &Order<'_>, place: &Place, root: &Path, played: &Played, done: usize) -> Result<(), String> {
    let words = |error: Error| format!("{error:?}");
    let found = Outlook::of(root).map_err(words)?;
    let (from, to) =
        (&played.outlooks[done], played.outlooks.get(done + 1).unwrap_or(&played.outlooks[done]));
    if !(found.is_like(from) || found.is_like(to)) || !found.damaged.is_subset(&from.damaged) {
        return Err(format!("a start found {found:#?}\nbetween {from:#?}\nand {to:#?}"));
    }
    let done = if found.is_like(from) { done } else { done + 1 };
    let mut store = fixture::open(root).map_err(words)?;
    order.steps[done..].iter().try_for_each(|step| step(place, &mut store)).map_err(words)?;
    drop(store);
    let ended = Outlook::of(root).map_err(words)?;
    let last = played.outlooks.last().expect("there is one before the first step");
    if ended == *last { Ok(()) } else { Err(format!("it ended with {ended:#?}\ninstead of {last:#?}")) }
}

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn fate(&mut self) -> Fate {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // Most changes are kept or lost.
        match self.0 >> 60 {
            0..=6 => Fate::Kept,
            7..=13 => Fate::Lost,
            14 => Fate::Half,
            _ => Fate::Zeros,
        }
    }
}

#[track_caller]
fn check(order: &Order<'_>) {
    let disks = cut_everywhere(order, Forgets::Nothing).unwrap();
    assert!(disks > 10, "only {disks} disks were seen");
}

fn vsn(text: &str) -> Vsn {
    text.parse().unwrap()
}

fn with_old(place: &Place) {
    place.with_old();
}

fn with_both(place: &Place) {
    place.with_old().unpack(&place.new, &fixture::platform()).unwrap();
}

/// Sets up a root in which 1.1.0 runs, and 1.0.0 ran before it.
fn moved(place: &Place) {
    let mut store = place.with_old();
    store.unpack(&place.new, &fixture::platform()).unwrap();
    store.install(&vsn("1.1.0")).unwrap();
    store.make_permanent(&vsn("1.1.0")).unwrap();
}

/// Sets up a root in which 1.1.0 is permanent and has used up its boot attempts.
fn failed(place: &Place) {
    moved(place);
    let failed = Boots { release: Some(vsn("1.1.0")), failed: ATTEMPTS_MAX, ..Boots::default() };
    place.open().note_boots(&failed).unwrap();
}

/// Sets up a root in which files of 1.0.0 are lost or changed. One of these files also belongs to
/// 1.1.0.
fn damaged(place: &Place) {
    with_both(place);
    fs::remove_dir_all(place.root().join("lib/counter-0.1.0/priv")).unwrap();
    fs::write(place.root().join("lib/counter-0.1.0/counter.so"), "code X").unwrap();
    fs::remove_file(place.root().join("lib/regis-1.0.0/regis.so")).unwrap();
}

const UNPACK: Step = |place, store| store.unpack(&place.new, &fixture::platform()).map(drop);
const COMMIT: Step = |_, store| {
    store.install(&vsn("1.1.0"))?;
    store.make_permanent(&vsn("1.1.0")).map(drop)
};
const BOOT_BEGINS: Step = |_, store| store.note_boots(&store.boots().begun(&vsn("1.1.0")));
const BOOT_SUCCEEDS: Step = |_, store| store.note_boots(&store.boots().succeeded());

const UPGRADE: Order<'_> = Order {
    root: "root",
    prepare: with_old,
    steps: &[
        |_, store| store.history().begin("under way").map(drop),
        UNPACK,
        COMMIT,
        |_, store| store.history().write(1, "installed"),
    ],
};

#[test]
fn a_power_cut_at_any_step_of_the_first_unpack_leaves_an_empty_root_or_the_release() {
    check(&Order { root: "not/yet/there", prepare: |_| (), steps: &[UNPACK] });
}

#[test]
fn a_power_cut_at_any_step_of_an_upgrade_leaves_the_old_or_the_new_releases_and_record() {
    check(&UPGRADE);
}

#[test]
fn a_power_cut_at_any_step_of_a_remove_leaves_the_release_complete_or_removed() {
    let remove: Step = |_, store| store.remove(&vsn("1.1.0"));
    check(&Order { root: "root", prepare: with_both, steps: &[remove, UNPACK] });
}

#[test]
fn a_power_cut_at_any_step_of_a_prune_leaves_the_release_complete_or_removed() {
    let prepare = |place: &Place| {
        moved(place);
        let mut store = place.open();
        // 1.2.0 makes 1.1.0 an old release that ran in between.
        let apps = [("counter", "0.2.0", "code 3"), ("regis", "1.0.0", "regis code")];
        let newest = fixture::tarball(place.folder.path(), "1.2.0", &apps);
        store.unpack(&newest, &fixture::platform()).unwrap();
        store.install(&vsn("1.2.0")).unwrap();
        store.make_permanent(&vsn("1.2.0")).unwrap();
    };
    check(&Order { root: "root", prepare, steps: &[|_, store| store.prune(0).map(drop)] });
}

#[test]
fn a_power_cut_at_any_step_of_a_repair_damages_no_intact_file() {
    let repair: Step = |place, store| store.unpack(&place.old, &fixture::platform()).map(drop);
    check(&Order { root: "root", prepare: damaged, steps: &[repair] });
}

#[test]
fn a_power_cut_at_any_step_of_a_restart_into_a_release_boots_one_of_the_two_and_keeps_a_successful_one() {
    let trial: Step = |_, store| store.note_boots(&store.boots().trial(vsn("1.1.0"), vsn("1.0.0")));
    let into: Step = |_, store| store.reboot_into(&vsn("1.1.0"));
    let steps = &[trial, into, BOOT_BEGINS, BOOT_SUCCEEDS];
    check(&Order { root: "root", prepare: with_both, steps });
}

#[test]
fn a_successful_boot_is_not_counted_as_failed_after_a_power_cut() {
    let steps = &[BOOT_BEGINS, BOOT_SUCCEEDS, BOOT_BEGINS, BOOT_SUCCEEDS];
    check(&Order { root: "root", prepare: moved, steps });
}

#[test]
fn a_power_cut_at_any_step_of_giving_way_never_loses_the_reason() {
    let gives_way: Step = |_, store| match store.boots().next(store.releases()) {
        NextBoot::GiveWay(gave_way) => store.give_way(gave_way).map(drop),
        other => panic!("{other:?}"),
    };
    check(&Order { root: "root", prepare: failed, steps: &[gives_way] });
}

#[test]
fn a_forgotten_sync_is_detected() {
    for forgets in [Forgets::Files, Forgets::Folders, Forgets::Filesystem] {
        let found = cut_everywhere(&UPGRADE, forgets);
        assert!(found.is_err(), "{forgets:?}: nothing was found on {found:?} disks");
    }
}
