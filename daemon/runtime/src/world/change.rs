//! How a process comes to other code: it takes its shadow at the switch, or moves on by bytes later.

use std::sync::Arc;

use crate::process::body::{Actor, Body};
use crate::process::shadow::{Fate, Shadow};
use crate::words::code::Behaviour;
use crate::words::code_server::Code;
use crate::words::exit::Exit;
use crate::world::World;

/// Takes the shadow of a committed upgrade, drops that of a failed one. For the claimer of the process.
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

/// Notes that the state of a process is about to change: what was made of it is void. For the claimer of the process.
pub(crate) fn stir(world: &World, body: &mut Body) {
    world.gate.stir(body.pid, std::mem::take(&mut body.round));
    // The switch may have come just before.
    settle(world, body);
    if let Some(shadow) = body.shadow.take() {
        world.fates.voided(&shadow);
    }
}

/// Carries a process to the current version of its module, by bytes. For the claimer of the process, at a boundary.
pub(crate) fn move_on(world: &World, body: &mut Body) -> Result<(), Exit> {
    let Some(new) = world.code.current(body.card.code.name()) else { return Ok(()) };
    if Arc::ptr_eq(&new, &body.card.code) {
        return Ok(());
    }
    // Whoever comes here has no shadow, but one may be in the making.
    stir(world, body);
    if body.card.code.behaviour() != Behaviour::Supervisor
        && let Some(instance) = body.instance()
    {
        let state = instance.export()?;
        body.actor = Actor::Resting(new.import_late(&body.card.code, &state)?);
    }
    enter(world, body, &new);
    Ok(())
}

/// Makes a process one of this code. For its claimer.
pub(crate) fn enter(world: &World, body: &mut Body, code: &Arc<Code>) {
    world.show(body, body.card.with_code(code));
}
