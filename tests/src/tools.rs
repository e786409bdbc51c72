//! Tools that a machine may lack: the tests that need one are skipped there, with a line.

use std::io::Write;

/// Says whether a test has the tool that it needs. Where it has not, a line says so; with
/// `RELD_REQUIRE=TOOL,...` in the environment the test fails instead.
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
    // Not `eprintln!`, which the test runner keeps to itself.
    let _ = writeln!(std::io::stderr(), "skipped: a test that needs {tool}");
    false
}
