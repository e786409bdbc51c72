//! Moves a process to other code. The process installs its shadow at the switch, or *moves on*
//! later by converting its encoded state.

use std::sync::Arc;

use crate::process::body::{Actor, Body};
use crate::process::shadow::{Fate, Shadow};
use crate::words::code::Behaviour;
use crate::words::code_server::Code;
use crate::words::exit::Exit;
use crate::world::World;

/// Installs the shadow of a committed upgrade, and drops the shadow of a failed one. Only the
/// claimer of the process calls this.
pub(crate) fn settle(world: &World, body: &mut Body) {
    let Some(shadow) = body.shadow.take() else { return };
    match world.fates.of(shadow.upgrade) {
        Fate::Open => body.shadow = Some(shadow),
        Fate::Committed => {
            let Shadow { card, instance, .. } = *shadow;
            instance.installed();
            body.actor = Actor::Resting(instance);
            world.show(body, card);
        }
        Fate::Aborted => {}
    }
}

/// Drops the shadow of a process and marks the process as dirty, because its state is about to
/// change. Only the claimer of the process calls this.
pub(crate) fn invalidate_shadow(world: &World, body: &mut Body) {
    world.gate.mark_dirty(body.pid, std::mem::take(&mut body.round));
    // If the switch has just happened, the shadow counts and is installed.
    settle(world, body);
    if let Some(shadow) = body.shadow.take() {
        world.fates.voided(&shadow);
    }
}

/// Moves a process to the current version of its module, by converting its encoded state. Only the
/// claimer of the process calls this, at a boundary.
pub(crate) fn move_on(world: &World, body: &mut Body) -> Result<(), Exit> {
    let Some(new) = world.code.current(body.card.code.name()) else { return Ok(()) };
    if Arc::ptr_eq(&new, &body.card.code) {
        return Ok(());
    }
    // The process has no shadow, but a conversion of an upgrade may be making one at this moment.
    invalidate_shadow(world, body);
    if body.card.code.behaviour() != Behaviour::Supervisor
        && let Some(instance) = body.instance()
    {
        let state = instance.export()?;
        body.actor = Actor::Resting(new.import_late(&body.card.code, &state)?);
    }
    enter(world, body, &new);
    Ok(())
}

/// Gives a process this code. Only its claimer calls this.
pub(crate) fn enter(world: &World, body: &mut Body, code: &Arc<Code>) {
    world.show(body, body.card.with_code(code));
}
