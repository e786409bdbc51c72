//! Converting one process without an upgrade.

use std::sync::Arc;

use crate::process::body::{Actor, Body};
use crate::tree::supervisor::{self, Supervisor};
use crate::words::exit::Exit;
use crate::world::World;
use crate::world::change::invalidate_shadow;

/// Converts one suspended process. OTP: `sys:change_code/4`.
pub(crate) fn change_by_hand(world: &World, body: &mut Body, from: &str, extra: &[u8]) -> Result<(), Exit> {
    let module = body.card.code.name().to_owned();
    let new = world
        .code
        .current(&module)
        .ok_or_else(|| Exit::Error(format!("module {module} has no current code")))?;
    if body.shadow.is_some() {
        return Err(Exit::Error(format!("an upgrade is converting {}; ask again when it is over", body.pid)));
    }
    invalidate_shadow(world, body);
    let Actor::Resting(instance) = &body.actor else {
        return Err(Exit::Error(format!("{} has no state", body.pid)));
    };
    let changed = match Supervisor::of(&**instance) {
        Some(old) => {
            let wanted = supervisor::wanted(&new, old.args())?;
            supervisor::check_kept(old.rows(), wanted.as_ref(), |_| true, &world.code)?;
            let changed = supervisor::change(old, &new, wanted).0;
            let renamed = world.registry.rename(body.pid, changed.name());
            renamed.map_err(|owner| supervisor::name_taken(&module, changed.name(), owner))?;
            changed
        }
        None => new.module.change_code(from, &instance.export()?, extra)?,
    };
    changed.installed();
    let rows = Supervisor::of(&*changed).map(|supervisor| Arc::clone(supervisor.rows()));
    body.actor = Actor::Resting(changed);
    let card = body.card.with_code(&new);
    world.show(body, rows.map_or(Arc::clone(&card), |rows| card.with_rows(&rows)));
    Ok(())
}
