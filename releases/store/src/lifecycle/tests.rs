use super::*;

fn vsn(minor: u32) -> Vsn {
    format!("1.{minor}.0").parse().unwrap()
}

fn release(minor: u32, status: Status) -> KnownRelease {
    KnownRelease {
        name: "shop".parse().unwrap(),
        version: vsn(minor),
        status,
        identity: Digest::of(&minor.to_be_bytes()),
        previous: None,
        tried: status == Status::Current,
        unconfirmed: false,
        provenance: Default::default(),
        apps: vec![],
    }
}

/// Parses a table such as `2 unpacked, 1 permanent`: 2 is release 1.2.0.
fn table(text: &str) -> StatusTable {
    let entry = |part: &str| {
        let (minor, status) = part.split_once(' ').unwrap();
        let status = [Status::Unpacked, Status::Current, Status::Permanent, Status::Old]
            .into_iter()
            .find(|known| known.to_string() == status)
            .unwrap();
        release(minor.parse().unwrap(), status)
    };
    let releases = text.split(", ").filter(|part| !part.is_empty()).map(entry).collect();
    StatusTable { releases, ..StatusTable::default() }
}

fn print(table: &StatusTable) -> String {
    let entries: Vec<String> = table
        .releases
        .iter()
        .map(|release| {
            let minor = (0..9).find(|minor| vsn(*minor) == release.version).unwrap();
            format!("{minor} {}", release.status)
        })
        .collect();
    entries.join(", ")
}

/// Checks the next table, or the code of the refusal.
#[track_caller]
fn check(before: &str, action: Action, expected: &str) {
    let answer = match next(&table(before), &action) {
        Ok(after) => print(&after),
        Err(refusal) => refusal.code().to_string(),
    };
    assert_eq!(answer, expected, "{action:?} in {before}");
}

#[test]
fn unpack_adds_a_version_once_and_first() {
    let unpack = || Action::Unpack(Box::new(release(1, Status::Old)));
    check("", unpack(), "1 unpacked");
    check("2 current, 0 permanent", unpack(), "1 unpacked, 2 current, 0 permanent");
    for status in ["unpacked", "current", "permanent", "old"] {
        check(&format!("1 {status}"), unpack(), "existing_release");
    }
}

#[test]
fn install_makes_a_release_current_unless_it_runs() {
    let install = || Action::Install(vsn(1));
    check("", install(), "no_such_release");
    check("1 unpacked", install(), "1 current");
    check("1 unpacked, 0 permanent", install(), "1 current, 0 permanent");
    check("2 current, 1 unpacked, 0 permanent", install(), "2 old, 1 current, 0 permanent");
    check("1 current, 0 permanent", install(), "already_installed");
    check("1 permanent", install(), "already_installed");
    check("2 current, 1 permanent", install(), "2 old, 1 permanent");
    check("2 permanent, 1 old", install(), "2 permanent, 1 current");
    check("3 current, 2 permanent, 1 old", install(), "3 old, 2 permanent, 1 current");
}

#[test]
fn make_permanent_accepts_only_the_running_or_the_permanent_release() {
    let make_permanent = || Action::MakePermanent(vsn(1));
    check("", make_permanent(), "no_such_release");
    check("1 unpacked", make_permanent(), "bad_status");
    check("1 current", make_permanent(), "1 permanent");
    check("1 current, 0 permanent", make_permanent(), "1 permanent, 0 old");
    check("1 permanent, 0 old", make_permanent(), "1 permanent, 0 old");
    check("2 current, 1 permanent", make_permanent(), "2 current, 1 permanent");
    check("2 permanent, 1 old", make_permanent(), "bad_status");
}

#[test]
fn reboot_old_accepts_only_old_releases() {
    let reboot_old = || Action::RebootOld(vsn(1));
    check("", reboot_old(), "no_such_release");
    check("1 unpacked", reboot_old(), "bad_status");
    check("1 current, 0 permanent", reboot_old(), "bad_status");
    check("1 permanent", reboot_old(), "bad_status");
    check("2 permanent, 1 old", reboot_old(), "2 old, 1 permanent");
    check("3 current, 2 permanent, 1 old", reboot_old(), "3 current, 2 old, 1 permanent");
}

#[test]
fn reboot_into_accepts_every_known_release() {
    let reboot_into = || Action::RebootInto(vsn(1));
    check("", reboot_into(), "no_such_release");
    check("1 unpacked", reboot_into(), "1 permanent");
    check("1 unpacked, 0 permanent", reboot_into(), "1 permanent, 0 old");
    check("1 current, 0 permanent", reboot_into(), "1 permanent, 0 old");
    check("2 current, 1 permanent", reboot_into(), "2 current, 1 permanent");
    check("2 permanent, 1 old", reboot_into(), "2 old, 1 permanent");
    let to = |minor| [Action::Install(vsn(minor)), Action::MakePermanent(vsn(minor))];
    assert_eq!(came(&[&to(1)[..], &[Action::RebootInto(vsn(2))]].concat()), "3 2<1 1");
    let into_current = [&to(1)[..], &[Action::Install(vsn(2)), Action::RebootInto(vsn(2))]].concat();
    assert_eq!(came(&into_current), "3 2<1 1");
}

#[test]
fn remove_refuses_the_running_and_the_permanent_release() {
    let remove = || Action::Remove(vsn(1));
    check("", remove(), "no_such_release");
    check("1 unpacked, 0 permanent", remove(), "0 permanent");
    check("1 current, 0 permanent", remove(), "current");
    check("1 permanent", remove(), "permanent");
    check("2 current, 1 permanent", remove(), "permanent");
    check("2 permanent, 1 old", remove(), "2 permanent");
}

/// Applies actions and returns the previous release of each: `2<1 1` for 1.2.0 that came from
/// 1.1.0.
#[track_caller]
fn came(moves: &[Action]) -> String {
    let mut now = table("3 unpacked, 2 unpacked, 1 unpacked");
    for action in moves {
        now = next(&now, action).unwrap();
    }
    let minor = |vsn: &Vsn| vsn.to_string()[2..3].to_owned();
    let one = |release: &KnownRelease| match &release.previous {
        Some(previous) => format!("{}<{}", minor(&release.version), minor(previous)),
        None => minor(&release.version),
    };
    now.releases.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_way_back_follows_the_previous_releases() {
    let to = |minor| [Action::Install(vsn(minor)), Action::MakePermanent(vsn(minor))];
    let road = |minors: &[u32]| minors.iter().flat_map(|minor| to(*minor)).collect::<Vec<_>>();
    assert_eq!(came(&road(&[1])), "3 2 1");
    assert_eq!(came(&road(&[1, 2, 3])), "3<2 2<1 1");
    // Going back changes no links, and 1 has no previous release.
    assert_eq!(came(&road(&[1, 2, 3, 2, 1])), "3<2 2<1 1");
    assert_eq!(came(&road(&[1, 2, 1, 3])), "3<1 2<1 1");
    assert_eq!(came(&road(&[1, 3, 1, 2, 3])), "3<2 2<1 1");
    let mut removed = road(&[1, 2, 3]);
    removed.push(Action::Remove(vsn(2)));
    assert_eq!(came(&removed), "3<1 1");
    let mut rebooted = road(&[1, 2, 3]);
    rebooted.push(Action::RebootOld(vsn(1)));
    assert_eq!(came(&rebooted), "3<2 2<1 1");
}

#[test]
fn a_restart_takes_the_node_back_to_the_permanent_release() {
    check("", Action::Restart, "");
    check(
        "3 unpacked, 2 current, 1 permanent, 0 old",
        Action::Restart,
        "3 unpacked, 2 unpacked, 1 permanent, 0 old",
    );
}

#[test]
fn a_release_that_was_permanent_stays_one_after_a_crash_beside_its_return() {
    let to = |minor| [Action::Install(vsn(minor)), Action::MakePermanent(vsn(minor))];
    let road = [&to(1)[..], &to(2), &[Action::Install(vsn(1)), Action::Restart]].concat();
    let mut now = table("3 unpacked, 2 unpacked, 1 unpacked");
    for action in &road {
        now = next(&now, action).unwrap();
    }
    assert_eq!(print(&now), "3 unpacked, 2 permanent, 1 old");
    assert!(now.get(&vsn(1)).unwrap().was_permanent());
}

#[test]
fn a_release_is_on_trial_from_a_restart_into_it_until_its_boot() {
    let was_permanent = |table: &StatusTable, minor| table.get(&vsn(minor)).unwrap().was_permanent();
    let after = |table: &StatusTable, action| next(table, &action).unwrap();
    let on_trial = after(&table("1 unpacked, 0 permanent"), Action::RebootInto(vsn(1)));
    let gave_way = after(&on_trial, Action::RebootInto(vsn(0)));
    assert_eq!(print(&gave_way), "1 old, 0 permanent");
    assert!(!was_permanent(&gave_way, 1) && was_permanent(&gave_way, 0));
    let mut booted = after(&gave_way, Action::RebootOld(vsn(1)));
    booted.confirm(&vsn(1));
    let back = after(&booted, Action::RebootOld(vsn(0)));
    assert!(was_permanent(&back, 1), "it has booted");
}

#[test]
fn the_running_release_is_the_current_one_or_else_the_permanent_one() {
    let running = |text: &str| table(text).running().map(|release| release.version.clone());
    assert_eq!(running("2 unpacked, 1 old"), None);
    assert_eq!(running("2 unpacked, 1 permanent"), Some(vsn(1)));
    assert_eq!(running("2 current, 1 permanent"), Some(vsn(2)));
}

#[test]
fn no_three_actions_lead_to_two_current_or_two_permanent_releases() {
    let mut tables = vec![table("3 unpacked, 2 unpacked, 1 permanent, 0 old")];
    for _ in 0..3 {
        tables = tables.iter().flat_map(moves).collect();
    }
    let count = |table: &StatusTable, status| table.releases.iter().filter(|r| r.status == status).count();
    for table in &tables {
        for release in &table.releases {
            assert!(!table.leads_back(&release.version, &release.version), "{table:?}");
        }
        assert!(
            count(table, Status::Current) <= 1 && count(table, Status::Permanent) == 1,
            "{}",
            print(table)
        );
    }
    assert!(tables.len() > 100);
}

fn moves(table: &StatusTable) -> Vec<StatusTable> {
    let all = [Action::Install, Action::MakePermanent, Action::RebootOld, Action::Remove];
    let actions = (0..4).flat_map(|minor| all.map(|action| action(vsn(minor))));
    actions.chain([Action::Restart]).filter_map(|action| next(table, &action).ok()).collect()
}

#[test]
fn only_a_release_that_never_was_permanent_and_is_not_in_use_is_replaceable() {
    #[track_caller]
    fn check(table: &StatusTable, expected: bool) {
        assert_eq!(table.is_replaceable(&vsn(1)), expected, "{}", print(table));
    }
    let after = |table: &StatusTable, action| next(table, &action).unwrap();
    check(&table("0 permanent"), false);
    check(&table("1 unpacked, 0 permanent"), true);
    check(&table("1 permanent"), false);
    check(&table("1 old, 0 permanent"), false);
    let runs = after(&table("2 unpacked, 1 unpacked, 0 permanent"), Action::Install(vsn(1)));
    check(&runs, false);
    // It was taken back.
    let taken_back = after(&runs, Action::Install(vsn(0)));
    assert_eq!(print(&taken_back), "2 unpacked, 1 old, 0 permanent");
    check(&taken_back, true);
    assert_eq!(print(&taken_back.without_current()), "2 unpacked, 1 unpacked, 0 permanent");
    check(&after(&after(&taken_back, Action::Install(vsn(1))), Action::Install(vsn(0))), true);
    // It is the way back.
    check(&after(&runs, Action::Install(vsn(2))), false);
    // It was permanent once.
    let committed = after(&runs, Action::MakePermanent(vsn(1)));
    check(&after(&after(&committed, Action::Install(vsn(0))), Action::MakePermanent(vsn(0))), false);
}
