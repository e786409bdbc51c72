//! The tour is a test: its commands run against real nodes.

use crate::transcript::Document;

#[test]
fn the_commands_of_the_tour_print_the_documented_output() {
    let (blocks, by_hand) = Document { path: "examples/tour/README.md", folder: "TOUR" }.run();
    assert!(blocks > 20 && by_hand == 3, "{blocks} blocks, {by_hand} by hand");
}
