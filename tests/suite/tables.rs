//! Maps each test case of OTP's own suites to tests of this project. Also checks that the tests
//! named in tables exist.
//!
//! # release_handler_SUITE
//!
//! | OTP | here |
//! |---|---|
//! | upgrade | `s66_releases_go_through_otp_s_states_and_illegal_moves_are_refused` `s48_up_and_down_many_times_leaves_the_same_state_and_pids` `an_old_release_is_booted_after_a_restart_and_removed_ones_are_gone` |
//! | upgrade_restart | `s81_a_script_that_restarts_the_daemon_is_an_orderly_restart_into_the_other_release` `s81_a_restart_into_another_release_is_no_stop_to_a_service_manager` `e08_another_daemon`. One restart, not two: the daemon executes the other one itself, and nothing of the old release has to run meanwhile. |
//! | client1, client2 | Not: a node has its own root, and there are no diskless nodes with masters. |
//! | upgrade_gg | `sync_nodes_is_planned_and_refused_by_the_check_of_a_node_without_a_fleet` `a_node_joins_before_its_processes_are_held_and_decides_right_before_the_switch` `the_check_refuses_a_meeting_that_cannot_be` `the_check_reports_all_obstacles_at_once_and_changes_nothing` |
//! | instructions | `s49_a_second_upgrade_is_refused_beside_a_lingerer_or_kills_it_by_a_brutal_pre_purge` `stopped_children_are_terminated_after_the_switch_and_restarted_and_their_siblings_keep_their_state` `a_brutal_post_purge_ends_the_lingerers_and_a_soft_one_lists_them` `written_by_hand` |
//! | supervisor_which_children_timeout | `s53_a_suspended_supervisor_hides_nothing_and_stays_suspended` `a_child_that_blocks_does_not_hide_the_tree`. No process is called, so nothing can hang. |
//! | release_handler_which_releases | `releases_are_listed_with_their_status`. Readers filter: `--json` has the status of each. |
//! | install_release_syntax_check | `a_script_that_breaks_a_rule_is_refused_before_anything_is_done` `a_restart_amid_a_reviewed_script_is_refused_with_its_place` `a_restart_is_the_first_step_or_the_last` `every_part_of_an_instruction_has_its_class` |
//! | otp_2740 | Not: a module's version is its app's, a semantic version. |
//! | otp_2760 | `s64_an_app_that_only_one_release_has_is_added_and_removed` `an_upgrade_moves_code_states_and_apps_and_leaves_nothing_old` |
//! | otp_5761 | Not: an app has one place below the root. Changed files are found: `a_release_that_was_changed_on_disk_is_refused` |
//! | otp_9402 | `implied_loads_and_keep` `one_window_covers_every_module_of_the_replaced_library`. A library is one image: modules without an instruction move with it by implied loads, and kept ones cause a warning. |
//! | otp_9417 | `a_module_that_was_never_there_is_deleted_without_an_error` |
//! | otp_9395_check_old_code | `the_check_reports_all_obstacles_at_once_and_changes_nothing`. The check only reads a table, so a purge would not make it faster. |
//! | otp_9395_check_and_purge | Not: a check changes nothing. `relctl soft-purge` purges: `a_task_stays_in_old_code_and_soft_purge_names_it_until_it_ends` |
//! | otp_9395_update_many_mods, otp_9395_rm_many_mods | `a_thousand_processes_of_a_hundred_modules_are_updated_and_their_modules_removed`. `reld-bench upgrade` measures the time of many processes. |
//! | otp_9864 | `a_sweep_deletes_what_no_release_uses_and_follows_no_link` |
//! | upgrade_supervisor | `an_updated_supervisor_merges_its_rows_by_id_and_touches_no_child` `s46_s47_children_are_renamed_added_and_removed_both_ways_and_the_others_stay` |
//! | upgrade_supervisor_fail | `a_supervisor_whose_new_init_fails_refuses_the_upgrade`. The node continues unchanged. |
//! | eval_appup | `an_app_moves_up_and_down_in_a_release_that_stays_and_the_node_is_dirty` `s80_an_app_gets_the_changes_of_its_environment_up_and_down` |
//! | eval_appup_with_restart | `e08_another_daemon` `a_restart_is_the_first_step_or_the_last` |
//! | otp_10463_upgrade_script_regexp | A semver requirement in place of the expression: `a_version_is_itself_and_a_requirement_is_cargos` `the_direction_is_where_the_appups_lead` |
//! | target_system, target_system_unicode | `a_packed_release_holds_the_library_and_the_modules_it_has_and_unpacks` `an_empty_root_is_idle_and_the_first_upgrade_boots_it` |
//! | no_dot_erlang | Not: a boot runs no file of a user. |
//! | unicode_upgrade | `only_paths_of_plain_names_in_lib_and_releases_are_accepted`. Names and versions must be plain ASCII. |
//!
//! # systools_SUITE
//!
//! | OTP | here |
//! |---|---|
//! | script_options, tar_options | `a_command_line_that_makes_no_sense_exits_with_2` `the_command_line_contradicts_itself_nowhere` |
//! | normal_script, no_mod_vsn_script | `a_boot_starts_apps_in_start_order_and_leaves_included_ones_to_others`. A boot is a script from nothing to a release. |
//! | wildcard_script, variable_script, unicode_script | Not: apps are found by the name and version in their document: `an_app_is_found_by_name_and_version_once` |
//! | abnormal_script | `every_mistake_of_a_release_has_its_class` |
//! | crazy_script | `every_mistake_of_a_release_has_its_class` `an_app_named_twice_is_refused`. There is no kernel app that could be missing. |
//! | no_sasl_script | Not: the release handler is the daemon's own. |
//! | src_tests_script | Not: the packer builds what it packs: `a_package_that_does_not_compile_or_makes_no_library_is_refused` |
//! | included_script, included_override_script | `an_included_app_stands_for_the_one_that_starts_it` `a_boot_starts_apps_in_start_order_and_leaves_included_ones_to_others` |
//! | included_fail_script | `every_mistake_of_a_release_has_its_class` |
//! | included_bug_script, included_and_used_sort_script | `an_included_app_forgets_the_sibling_that_it_names_before_the_includer` `an_app_included_twice_over_may_use_the_one_between_if_that_comes_first` |
//! | exref_script | Not: apps share no symbols. A missing function: `a_function_of_an_unknown_module_is_an_obstacle` |
//! | duplicate_modules_script | `every_mistake_of_a_release_has_its_class` |
//! | otp_3065_circular_dependencies | `an_app_starts_after_what_it_uses_and_includes` `apps_that_wait_for_each_other_cannot_start` |
//! | normal_tar, no_mod_vsn_tar | `a_packed_release_holds_the_library_and_the_modules_it_has_and_unpacks` |
//! | variable_tar, var_tar | `an_app_that_is_left_out_is_listed_and_not_carried` `an_app_that_is_left_out_must_be_on_the_node_with_its_digest` |
//! | src_tests_tar, exref_tar, no_sasl_tar | Not: as for the scripts. |
//! | link_tar | `links_devices_folders_and_extensions_are_refused` |
//! | otp_9507_path_ebin | `two_authors_in_two_folders_make_the_same_bytes` |
//! | system_files_tar, system_src_file_tar | `the_node_carries_out_a_reviewed_script_up_and_down` `s80_an_app_gets_the_changes_of_its_environment_up_and_down` |
//! | invalid_system_files_tar | `a_file_beside_the_release_that_makes_no_sense_is_not_packed` |
//! | normal_relup | `every_case_comes_out_as_it_does_from_otp` `e05_several_apps` `e08_another_daemon` `the_latest_warning_comes_first` |
//! | restart_relup | `every_case_comes_out_as_it_does_from_otp` `e08_another_daemon` |
//! | no_appup_relup | `without_an_appup_the_app_and_both_versions_are_named` `every_rule_of_the_translation_has_its_class` |
//! | bad_appup_relup | `every_part_of_an_instruction_has_its_class` `a_mistake_in_a_document_is_the_answer_of_both_directions` |
//! | abnormal_relup | `every_mistake_of_a_release_has_its_class` |
//! | no_sasl_relup | Not: the release handler is the daemon's own. |
//! | app_start_type_relup | `every_start_type_of_an_added_app_has_its_instruction` `every_case_comes_out_as_it_does_from_otp` |
//! | regexp_relup | `every_case_comes_out_as_it_does_from_otp` `a_version_is_itself_and_a_requirement_is_cargos` `a_wrong_requirement_is_shown` |
//! | normal_hybrid, hybrid_no_old_sasl, hybrid_no_new_sasl | Not: no boot file of two releases is needed, see upgrade_restart. |
//! | otp_6226_outdir | `a_tarball_goes_where_it_is_wanted_and_a_folder_that_is_missing_is_named` |
//! | app_file_defaults | `an_app_reads_back_as_it_was_printed` `a_missing_key_is_named` |

use std::collections::BTreeSet;
use std::fs;

use reld_tests::folder;

use crate::tree::{self, FOLDERS};

/// The tables that name tests.
const TABLES: [&str; 4] = [
    "releases/handler/src/requirements.rs",
    "tests/suite/tables.rs",
    "daemon/runtime/tests/suite/supervisor_suite.rs",
    "daemon/runtime/tests/suite/sys.rs",
];

/// The beginning of a row of a table.
const ROW: &str = "//! | ";

/// Returns every word in the sources that could be the name of a test.
fn words() -> BTreeSet<String> {
    let is_separator = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let mut words = BTreeSet::new();
    for (_, text) in FOLDERS.iter().flat_map(|part| tree::files(&folder(part), &["rs"])) {
        // The rows of the tables do not show that a test exists.
        let lines = text.lines().filter(|line| !line.starts_with(ROW));
        words.extend(lines.flat_map(|line| line.split(is_separator)).map(str::to_owned));
    }
    words
}

/// Returns the rows of a table: the first column, and the tests named in the row.
fn rows(table: &str) -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(folder(table)).expect("a table is a source");
    let row = |line: &str| {
        let columns = line.strip_prefix(ROW)?;
        let first = columns.split('|').next()?.trim().to_owned();
        let quoted = columns.split('`').skip(1).step_by(2);
        // A test of another file has the module's name as a prefix.
        let names = quoted.filter_map(|word| word.rsplit("::").next());
        let tests = names.filter(|word| word.matches('_').count() >= 2 && !word.contains(' '));
        Some((first, tests.map(str::to_owned).collect()))
    };
    text.lines().filter_map(row).filter(|(first, _)| !first.is_empty() && first != "OTP").collect()
}

#[test]
fn every_test_that_a_table_names_exists() {
    let words = words();
    for table in TABLES {
        let rows = rows(table);
        assert!(rows.iter().any(|(_, tests)| !tests.is_empty()), "{table} names no test");
        for (row, tests) in rows {
            for test in tests {
                assert!(words.contains(&test), "{table}, {row}: there is no test {test}");
            }
        }
    }
}

#[test]
fn every_requirement_has_its_row_and_a_test() {
    let rows = rows(TABLES[0]);
    let numbers: Vec<_> = rows.iter().map(|(number, _)| number.clone()).collect();
    let expected: Vec<_> = (1..=27).map(|number| format!("R{number}")).collect();
    assert_eq!(numbers, expected);
    for (number, tests) in rows {
        assert!(!tests.is_empty(), "{number} names no test");
    }
}

#[test]
fn every_line_of_otp_s_suites_has_its_row() {
    let rows = rows(TABLES[1]);
    let cases: Vec<_> = rows.iter().flat_map(|(cases, _)| cases.split(", ")).collect();
    assert_eq!(cases.len(), 28 + 44, "{cases:#?}");
    assert_eq!(cases.iter().collect::<BTreeSet<_>>().len(), cases.len(), "a case stands twice");
}
