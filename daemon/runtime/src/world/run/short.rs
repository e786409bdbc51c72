//! The short way of a message: one test, and then its callback.
//!
//! Nearly all messages take it. A message takes the long way (`callbacks.rs`) unless all of these
//! hold:
//!
//! | subject     | condition                                                            |
//! |-------------|----------------------------------------------------------------------|
//! | the process | rests in current code, and has nothing to do but handle its messages |
//! | the gate    | is down, and no round of pre-copy has found the process at rest      |
//! | the message | is a cast, an info, or a call that the behaviour takes               |
//!
//! A callback that waits, stops or crashes goes on the long way.
//!
//! Casts and infos that wait in a row go to the library as one series. It ends early when a signal
//! arrives, when the process has to do something before its next message (such as a continue), when
//! a gate is raised, when the process is abandoned, and after a callback that does anything but
//! continue. Only code that becomes stale does not end it: the process moves on after the series.

use super::{Run, Served};
use crate::process::body::{Actor, Body, During};
use crate::process::mail::{Mail, RequestKind};
use crate::words::code::{Behaviour, Bytes, Event, From, Instance, Next, Outcome, Step};
use crate::words::exit::Exit;

/// How many messages a library gets in one series.
const SERIES_MAX: usize = 32;

impl Run<'_> {
    /// Handles the next message the short way, or several if they are casts and infos, but at most
    /// so many.
    pub(super) fn serve(&mut self, most: usize) -> Result<Served, Exit> {
        let world = self.world;
        let body: &mut Body = self;
        if !is_plain(body) || !world.gate.is_down() {
            return Ok(Served::LongWay);
        }
        if most == 0 {
            return Ok(Served::Nothing);
        }
        let Some(mail) = body.inbox.pop_front() else { return Ok(Served::Nothing) };
        let Some(event) = plain_event(&mail, body.card.code.behaviour()) else {
            body.inbox.push_front(mail);
            return Ok(Served::LongWay);
        };
        if is_one_way(&mail) && most > 1 && body.inbox.front().is_some_and(is_one_way) {
            return self.serve_series(mail, most.min(SERIES_MAX));
        }
        world.scheduler.note_handled(1);
        let instance = body.take_instance(&event)?;
        body.during = match event {
            Event::Call(From { caller, reference, .. }, _) => During::Call((caller, reference)),
            _ => During::Message,
        };
        let step = self.inside(|_| instance.callback(&event))?;
        self.conclude(step, mail)?;
        Ok(Served::Callbacks(1))
    }

    /// Handles casts and infos: this one, and those that follow it in the inbox.
    fn serve_series(&mut self, first: Mail, most: usize) -> Result<Served, Exit> {
        let mut series = Vec::with_capacity(most.min(1 + self.inbox.len()));
        series.push(first);
        while series.len() < most
            && self.inbox.front().is_some_and(is_one_way)
            && let Some(mail) = self.inbox.pop_front()
        {
            series.push(mail);
        }
        let event = |mail| one_way_event(mail).expect("only such messages are in the series");
        let events: Vec<_> = series.iter().map(event).collect();
        let instance = self.take_instance(&events[0])?;
        self.during = During::Message;
        let (attention, up) = (self.slot.attention(), self.world.gate.up());
        let mut begun = 0;
        let step = self.inside(|seized| {
            let step;
            (step, begun) = instance.callbacks(&events, [attention, up, seized]);
            step
        })?;
        self.world.scheduler.note_handled(begun);
        let left = series.split_off(begun);
        left.into_iter().rev().for_each(|mail| self.inbox.push_front(mail));
        if self.is_bounded {
            self.slot.set_held(self.inbox.len());
        }
        let last = series.pop().expect("at least one callback was begun");
        self.conclude(step, last)?;
        Ok(Served::Callbacks(begun))
    }

    /// Ends a callback, or lets it wait.
    #[inline]
    fn conclude(&mut self, step: Step, mail: Mail) -> Result<(), Exit> {
        match step {
            Step::Ready(Outcome { instance: Some(instance), next: Next::Continue, reply }) => {
                self.served(instance, reply);
                self.run_continues()
            }
            step => {
                let finished = self.finish(step);
                self.note_unfinished(mail, &finished);
                finished
            }
        }
    }

    fn served(&mut self, instance: Box<dyn Instance>, reply: Option<Bytes>) {
        self.actor = Actor::Resting(instance);
        self.forget_requests();
        // The callback may have answered the call itself.
        if let During::Call(asker) = std::mem::replace(&mut self.during, During::Message) {
            self.replied(asker, reply);
        }
    }
}

/// Returns whether a process rests in current code and has nothing to do but handle its messages.
fn is_plain(body: &Body) -> bool {
    matches!(body.actor, Actor::Resting(_))
        && body.round == 0
        && body.shadow.is_none()
        && body.after.is_none()
        && body.debug.is_none()
        && !body.suspended
        && !body.is_bounded
        && !body.card.code.is_stale()
}

/// Returns whether a message expects no reply, and can be part of a series.
fn is_one_way(mail: &Mail) -> bool {
    one_way_event(mail).is_some()
}

fn one_way_event(mail: &Mail) -> Option<Event<'_>> {
    match mail {
        Mail::Cast(_, body) => Some(Event::Cast(body)),
        Mail::Info(_, body) => Some(Event::Info(body)),
        _ => None,
    }
}

/// Returns the event of a message that can take the short way.
fn plain_event(mail: &Mail, behaviour: Behaviour) -> Option<Event<'_>> {
    match mail {
        Mail::Call(kind @ (RequestKind::Call | RequestKind::Supervisor), from, body)
            if kind.fits(behaviour) =>
        {
            Some(Event::Call(*from, body))
        }
        mail => one_way_event(mail),
    }
}
