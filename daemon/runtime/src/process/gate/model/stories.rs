//! The test scenarios: concurrent calls, births and upgrades.

use super::*;

const PATIENT: Member = Member { timeout: Duration::from_secs(3600), unrest: Unrest::Abort };

const CHAIN: &[(&str, Pid)] =
    &[(MEMBER, Pid::NONE), (MEMBER, Pid::NONE), (OTHER, Pid::NONE), (MEMBER, Pid::NONE)];

#[test]
fn members_that_call_each_other_come_to_rest_and_lose_no_call() {
    model(
        3,
        CHAIN,
        |house| {
            let upgrade = beside(house, |house| {
                assert_eq!(house.upgrade(0, PATIENT, Until::Switched), Ok(()));
            });
            house.call(0, &[pid(0), pid(1), pid(2), pid(3)]);
            house.call(1, &[pid(1), pid(3)]);
            house.call(2, &[pid(2), pid(3)]);
            upgrade.join().unwrap();
        },
        |house| assert_eq!([0, 1, 3].map(|member| house.converted(pid(member))), [1, 1, 1]),
    );
}

#[test]
fn one_upgrade_after_another_finds_no_count_of_the_first() {
    model(
        2,
        CHAIN,
        |house| {
            let upgrades = beside(house, |house| {
                for _ in 0..2 {
                    assert_eq!(house.upgrade(0, PATIENT, Until::Switched), Ok(()));
                }
            });
            house.call(0, &[pid(0), pid(1)]);
            house.call(1, &[pid(0), pid(2), pid(3)]);
            upgrades.join().unwrap();
        },
        |house| assert_eq!([0, 1, 3].map(|member| house.converted(pid(member))), [2, 2, 2]),
    );
}

#[test]
fn a_member_started_during_the_upgrade_is_held_and_then_born() {
    const STATIONS: &[(&str, Pid)] = &[(MEMBER, Pid::NONE), ("", Pid::NONE)];
    model(
        2,
        STATIONS,
        |house| {
            let upgrade =
                beside(house, |house| assert_eq!(house.upgrade(0, PATIENT, Until::Switched), Ok(())));
            house.start(pid(1), (MEMBER, Pid::NONE));
            house.call(0, &[pid(0), pid(1)]);
            house.call(1, &[pid(1)]);
            upgrade.join().unwrap();
        },
        |house| assert_eq!(house.converted(pid(0)), 1),
    );
}

const TREE: &[(&str, Pid)] = &[(MEMBER, Pid { slot: 1, generation: 1 }), (SUPERVISOR, Pid::NONE)];

#[test]
fn the_supervisor_of_members_rests_with_them() {
    model(
        2,
        TREE,
        |house| {
            let upgrade =
                beside(house, |house| assert_eq!(house.upgrade(0, PATIENT, Until::Switched), Ok(())));
            // One call goes from the supervisor to the member while another waits for the
            // supervisor.
            house.call(0, &[pid(1), pid(0)]);
            house.call(1, &[pid(1)]);
            upgrade.join().unwrap();
        },
        |house| assert_eq!(house.converted(pid(0)), 1),
    );
}

#[test]
fn an_upgrade_without_patience_is_refused_or_done_and_every_process_goes_on() {
    const HASTY: Member = Member { timeout: Duration::ZERO, unrest: Unrest::Abort };
    model(
        2,
        CHAIN,
        |house| {
            let upgrade = beside(house, |house| {
                if let Err(late) = house.upgrade(0, HASTY, Until::Switched) {
                    assert!(!late.is_empty());
                }
            });
            house.call(0, &[pid(0), pid(1), pid(2), pid(3)]);
            house.call(1, &[pid(3)]);
            upgrade.join().unwrap();
        },
        |_| {},
    );
}

#[test]
fn a_state_that_was_copied_before_the_gate_has_every_callback_in_it() {
    model(
        2,
        CHAIN,
        |house| {
            let upgrade = beside(house, |house| {
                assert_eq!(house.upgrade(2, PATIENT, Until::Switched), Ok(()));
            });
            house.call(0, &[pid(0), pid(1), pid(2), pid(3)]);
            house.call(1, &[pid(1), pid(3)]);
            upgrade.join().unwrap();
        },
        |house| assert_eq!([0, 1, 3].map(|member| house.converted(pid(member))), [1, 1, 1]),
    );
}

#[test]
fn a_clean_member_that_begins_a_callback_as_the_gate_is_raised_is_waited_for() {
    model(
        2,
        &[(MEMBER, Pid::NONE)],
        |house| {
            house.call(0, &[pid(0)]);
            house.wait_for(0);
            let begun = house.begin(1);
            house.call(1, &[pid(0)]);
            assert_eq!(house.complete(begun, PATIENT, Until::Switched), Ok(()));
        },
        |house| assert_eq!(house.converted(pid(0)), 1),
    );
}

#[test]
fn a_member_that_is_called_all_the_time_loses_no_callback_to_a_copy() {
    model(
        5,
        &[(MEMBER, Pid::NONE)],
        |house| {
            house.call(0, &[pid(0)]);
            house.wait_for(0);
            let upgrades = beside(house, |house| {
                for _ in 0..2 {
                    assert_eq!(house.upgrade(1, PATIENT, Until::Switched), Ok(()));
                }
            });
            for client in 1..5 {
                house.call(client, &[pid(0)]);
                house.wait_for(client as usize);
            }
            upgrades.join().unwrap();
        },
        |house| assert_eq!(house.converted(pid(0)), 2),
    );
}

#[test]
fn an_upgrade_that_is_taken_back_at_any_step_leaves_every_state_to_its_process() {
    model(
        2,
        &[(MEMBER, Pid::NONE), (MEMBER, Pid::NONE)],
        |house| {
            let upgrades = beside(house, |house| {
                for until in [Until::Precopied, Until::Raised, Until::Converted, Until::Switched] {
                    assert_eq!(house.upgrade(1, PATIENT, until), Ok(()));
                }
            });
            house.call(0, &[pid(0), pid(1)]);
            house.call(1, &[pid(1)]);
            upgrades.join().unwrap();
        },
        |house| assert_eq!([0, 1].map(|member| house.converted(pid(member))), [1, 1]),
    );
}

#[test]
fn a_member_that_is_born_during_the_pre_copy_is_converted_or_born_in_new_code() {
    model(
        2,
        &[(MEMBER, Pid::NONE), ("", Pid::NONE)],
        |house| {
            let upgrade = beside(house, |house| {
                assert_eq!(house.upgrade(2, PATIENT, Until::Switched), Ok(()));
            });
            house.start(pid(1), (MEMBER, Pid::NONE));
            house.call(0, &[pid(0), pid(1)]);
            house.call(1, &[pid(1)]);
            upgrade.join().unwrap();
        },
        |house| assert_eq!(house.converted(pid(0)), 1),
    );
}

#[test]
fn a_supervisor_that_runs_after_the_pre_copy_rests_with_its_members() {
    model(
        2,
        TREE,
        |house| {
            let upgrade = beside(house, |house| {
                assert_eq!(house.upgrade(1, PATIENT, Until::Switched), Ok(()));
            });
            house.call(0, &[pid(1), pid(0)]);
            house.call(1, &[pid(1)]);
            upgrade.join().unwrap();
        },
        |house| assert_eq!(house.converted(pid(0)), 1),
    );
}

#[test]
fn an_upgrade_that_is_taken_back_at_any_step_lets_nested_calls_and_births_go_on() {
    model(
        3,
        &[(MEMBER, Pid::NONE), (OTHER, Pid::NONE), (MEMBER, Pid::NONE), ("", Pid::NONE)],
        |house| {
            let upgrades = beside(house, |house| {
                for until in [Until::Precopied, Until::Raised, Until::Converted] {
                    assert_eq!(house.upgrade(2, PATIENT, until), Ok(()));
                }
            });
            house.start(pid(3), (MEMBER, Pid::NONE));
            house.call(0, &[pid(0), pid(1), pid(2)]);
            house.call(1, &[pid(2), pid(3)]);
            house.call(2, &[pid(3)]);
            upgrades.join().unwrap();
        },
        |house| assert_eq!([0, 2].map(|member| house.converted(pid(member))), [0, 0]),
    );
}
