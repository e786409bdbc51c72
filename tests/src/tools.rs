//! Optional tools: tests that need a missing one are skipped, and a line on stderr reports it.

use std::io::Write;

/// Returns whether the machine has a tool that a test needs. If it has not, a line reports the
/// skipped test; with `RELD_REQUIRE=TOOL,...` in the environment the test fails instead.
///
/// # Panics
/// The tool is missing and required.
#[track_caller]
pub fn has(tool: &str, works: impl FnOnce() -> bool) -> bool {
    if works() {
        return true;
    }
    let required = std::env::var("RELD_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|required| required == tool),
        "{tool} is required, and does not work here"
    );
    // Not `eprintln!`: the test runner captures it.
    let _ = writeln!(std::io::stderr(), "skipped: a test that needs {tool}");
    false
}
