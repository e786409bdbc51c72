//! The end of a process: its resources are released, and all processes bound to it are notified.

use std::sync::Arc;

use crate::pool::stuck::Stuck;
use crate::process::body::{Actor, Answer, Body, During, Idle, Process, Signal, Ties};
use crate::process::slot::Slot;
use crate::words::exit::{Exit, is_abnormal};
use crate::words::pid::Pid;
use crate::world::journal::{Crash, Death};
use crate::world::{World, change, context};

/// Stops the timer for the next open request that is due.
pub(super) fn cancel_alarm(world: &World, body: &mut Body) {
    if let Some((_, timer)) = body.requests.as_mut().and_then(|requests| requests.alarm.take()) {
        world.timers.cancel(timer);
    }
}

/// Stops the timers that only this process needs.
fn stop_timers(world: &World, body: &mut Body) {
    cancel_alarm(world, body);
    if let Some(Idle::Armed(_, timer)) = body.idle() {
        world.timers.cancel(timer);
    }
}

pub(super) fn end(world: &Arc<World>, slot: &Slot<Process>, mut body: Box<Body>, exit: &Exit) {
    let pid = body.pid;
    stop_timers(world, &mut body);
    change::invalidate_shadow(world, &mut body);
    report_crash(world, &body, exit);
    body.card.code.exits.add(exit);
    // Normal ends are not recorded: a busy node has many of them, and no upgrade causes them.
    if *exit != Exit::Normal {
        world.journal.died(|| Death {
            pid,
            module: body.card.code.name().to_owned(),
            name: world.registry.names(pid).into_iter().next(),
            exit: exit.clone(),
        });
    }
    world.registry.forget(pid);
    let (mail, signals, counted) = slot.close();
    // The slot is already closed. So a process that gives a port or table to this process from now
    // on sees that this process is dead.
    world.ports.forget(pid);
    world.tables.forget(&**world, pid);
    world.table.release(pid.slot);
    // The app's values are dropped here, on a pool thread and outside any callback. This must come
    // before any notification, because a notified process may purge the code. If the process was
    // abandoned, its values are still with its callback.
    body.actor = Actor::Running;
    if let Some(gate) = counted {
        world.gate.rested(pid, gate);
    }
    notify(world, &mut body, exit);
    mail.into_iter().for_each(|mail| world.refuse_mail(mail, exit));
    signals.into_iter().for_each(|signal| world.refuse_signal(pid, signal, exit));
}

/// Notifies the linked, monitoring and waiting processes that a process has ended.
fn notify(world: &World, body: &mut Body, exit: &Exit) {
    let pid = body.pid;
    if let During::Call((caller, reference)) | During::Notice((caller, reference)) = body.during {
        world.answer(caller, reference, Answer::Exit(exit.clone()));
    }
    for mail in std::mem::take(&mut body.inbox) {
        world.refuse_mail(mail, exit);
    }
    let Ties { links, watchers, watching, unanswered } =
        body.ties.take().map(|ties| *ties).unwrap_or_default();
    for from in unanswered {
        world.answer(from.caller, from.reference, Answer::Exit(exit.clone()));
    }
    if body.card.parent != Pid::NONE && !links.contains(&body.card.parent) {
        world.signal(body.card.parent, Signal::Exit(pid, exit.clone()));
    }
    // Unlike OTP, a supervisor is not linked to its children; its rows list them.
    if let Some(rows) = &body.card.rows {
        for child in rows.read().iter().filter_map(|row| row.child.pid()) {
            world.signal(child, Signal::Exit(pid, exit.clone()));
        }
    }
    for link in links {
        world.signal(link, Signal::Exit(pid, exit.clone()));
    }
    for watch in watchers {
        world.notify_watcher(watch, pid, exit);
    }
    for (reference, watched) in watching {
        world.signal(watched, Signal::Demonitor(pid, reference));
    }
    // The starter is notified last, so that it goes on only after all others were notified.
    if let During::Init(Some(starter)) = body.during {
        world.answer_waiting(starter, Answer::Exit(exit.clone()));
    }
}

fn report_crash(world: &World, body: &Body, exit: &Exit) {
    if is_abnormal(exit) {
        let module = &body.card.code.module;
        let last_message =
            body.under_way.as_ref().and_then(|callback| Some(callback.mail.as_ref()?.to_string()));
        tracing::warn!(
            name: "process.crash",
            pid = %body.pid, app = module.app(), module = module.name(), version = module.version(),
            during = ?body.during, last_message, reason = %exit, "a process ended"
        );
        world.counters.crashes.add();
        world.crashes.note(|| Crash {
            pid: body.pid,
            name: world.registry.names(body.pid).into_iter().next(),
            module: module.name().to_owned(),
            app: module.app().to_owned(),
            exit: exit.clone(),
        });
    }
}

/// Ends a process without waiting for its callback. Only the thread of the callback goes on, and
/// the outcome of the callback is dropped. Returns false if the process was not stuck in a
/// callback.
pub(crate) fn abandon(world: &Arc<World>, pid: Pid) -> bool {
    // The lock is held until the process is listed, because the callback may return at this moment.
    let mut given_up = world.stuck.lock();
    let lives = || world.is_alive(pid);
    let Some((body, computing)) = world.scheduler.take_stuck(pid.slot, lives) else { return false };
    let stuck = Stuck { is_detached: true, ..Stuck::of(body.pid, &body.card, computing) };
    let Stuck { app, module, version, since, .. } = &stuck;
    let seconds = since.elapsed().as_secs();
    tracing::error!(
        name: "process.detached", pid = %stuck.pid, app, module, version, seconds,
        "a callback does not return; its process was ended"
    );
    given_up.push(stuck);
    drop(given_up);
    // The thread of the callback notices this when the callback returns.
    if let Some(slot) = world.table.slot(body.pid.slot) {
        end(world, slot, body, &Exit::Killed);
    }
    true
}

/// Like [`abandon`], but called from a running process.
pub(crate) fn abandon_other(pid: Pid) -> bool {
    context::with(|world, _| abandon(world, pid)).unwrap_or(false)
}
