//! Kills and full disks at random moments of orders (S94). `reld-bench chaos` runs the same for a
//! thousand rounds.

use reld_tests::Chaos;

#[test]
fn s94_a_node_boots_one_of_the_two_releases_whole_whenever_it_is_killed_or_its_disk_is_full() {
    let chaos = Chaos::play(8, 94);
    assert_eq!(chaos.exceptions, [""; 0], "{chaos:#?}");
    assert_eq!(chaos.rounds, 8);
}
