//! Third part of planning: a relup becomes one window for the whole release, or one for each of its groups.
//!
//! What moves within a window, and why:
//! - A library is loaded as a whole, so every replaced library brings all its modules; those that no instruction names are
//!   loaded by implication, unless an appup's `keep` has them.
//! - Loads are staged before anybody is suspended, suspends and resumes are one each, and the switch comes after
//!   everything that can fail.
//! - Conversions and calls keep their order among each other: a call written before an update runs before its conversion.
//! - What ends something (stop, remove, purge, stop of an app) waits until after the switch, and so do the calls of the
//!   built-in modules: a child or app that starts may call anybody. Only rename_child comes before the gate. Children
//!   start before the members go on, where their author lets them.
//! - A call written behind one of these waits with it, unless a conversion is written behind the call (`window.rs`).
//! - What of the author's order is not kept stands with the step (`order.rs`).
//! - A purge written before the load of its module is about older code: it becomes the load's pre_purge.
//! - A load in place of a remove replaces the module; restart_application becomes one step before the
//!   gate, which loads nothing where the app's version stays.
//!
//! `windows.rs` says which instructions are a window, `facts.rs` knows what the relup and the two releases say, `window.rs` puts each instruction into its place.

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
