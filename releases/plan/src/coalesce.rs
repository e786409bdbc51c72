//! Third part of planning: turns a relup into one window for the whole release, or into one window
//! for each group.
//!
//! The contents of a window and the reasons:
//! - A library is loaded as a whole, so every replaced library brings all its modules. Modules that
//!   no instruction names are loaded implicitly, unless an appup lists them in `keep`.
//! - Loads are staged before any process is suspended, there is one suspend and one resume, and the
//!   switch comes after every step that can fail.
//! - Conversions and calls keep their relative order: a call written before an update runs before
//!   its conversion.
//! - Terminations (stop, remove, purge, stop of an app) wait until after the switch, and so do the
//!   calls of built-in modules, because a child or app that starts may call any process. Only
//!   rename_child comes before the gate. Children start before the resume if the author's order
//!   allows it.
//! - A call written after a step that waits for the switch waits too, unless a conversion is
//!   written after the call (`window.rs`).
//! - Each step records how it differs from the author's order (`order.rs`).
//! - A purge written before the load of its module purges older code: it becomes the load's
//!   pre_purge.
//! - If a module is both removed and loaded, the load replaces it and the remove is dropped. A
//!   `restart_application` becomes one step before the gate, which loads no code if the app's
//!   version stays the same.
//!
//! `windows.rs` cuts the instructions into windows, `facts.rs` looks up data of the relup and the
//! two releases, `window.rs` puts each instruction into its place.

use crate::collect::Pair;
use crate::error::PlanError;
use crate::facts::Facts;
use crate::relup::Relup;
use crate::script::Script;
use crate::states::States;
use crate::warning::Warning;
use crate::window::Window;
use crate::windows::{self, Part, Windows};

/// Returns the script of a relup.
pub(crate) fn coalesce(pair: &Pair<'_>, relup: &Relup, windows: Windows) -> Result<Script, PlanError> {
    let facts = Facts::new(pair, relup);
    let states = States::of(&facts, pair.mode)?;
    let parts = windows::parts(&facts, windows);
    let is_one = parts.len() == 1;
    let (mut steps, mut reordered) = (Vec::new(), Vec::new());
    for (number, part) in (1..).zip(&parts) {
        let (mut of_part, mut warnings) = window(&facts, part)?.done();
        reordered.append(&mut warnings);
        for step in &mut of_part {
            step.window = (!is_one).then_some(number);
            states.note(&mut step.action);
        }
        steps.append(&mut of_part);
    }
    let cycles = relup.cycles.iter().map(|modules| Warning::DependencyCycle { modules: modules.clone() });
    let warnings = relup.warnings.iter().cloned().chain(cycles).chain(facts.warnings());
    let warnings = warnings.chain(reordered).chain(states.warnings()).collect();
    let (from, to) = (Some(relup.from.clone()), relup.to.clone());
    Ok(Script { from, to, mode: relup.mode, steps, warnings })
}

fn window(facts: &Facts<'_>, part: &Part<'_>) -> Result<Window, PlanError> {
    let mut window = Window::new(part.is_first);
    window.open_libraries(facts, part)?;
    for at in 0..part.lines.len() {
        window.put(facts, &part.lines[at..])?;
    }
    window.load_implied(facts, part);
    Ok(window)
}
