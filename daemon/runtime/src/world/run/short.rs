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

use super::{Run, Served};
use crate::process::body::{Actor, Body, During};
use crate::process::mail::{Mail, RequestKind};
use crate::words::code::{Behaviour, Bytes, Event, From, Instance, Next, Outcome, Step};
use crate::words::exit::Exit;

impl Run<'_> {
    /// Handles the next message the short way, if it can take it and if there may be one more.
    pub(super) fn serve(&mut self, may: bool) -> Result<Served, Exit> {
        let world = self.world;
        let body: &mut Body = self;
        if !is_plain(body) || !world.gate.is_down() {
            return Ok(Served::LongWay);
        }
        if !may {
            return Ok(Served::Nothing);
        }
        let Some(mail) = body.inbox.pop_front() else { return Ok(Served::Nothing) };
        let Some(event) = plain_event(&mail, body.card.code.behaviour()) else {
            body.inbox.push_front(mail);
            return Ok(Served::LongWay);
        };
        world.scheduler.note_handled();
        let instance = body.take_instance(&event)?;
        body.during = match event {
            Event::Call(From { caller, reference, .. }, _) => During::Call((caller, reference)),
            _ => During::Message,
        };
        let step = self.inside(|| instance.callback(&event))?;
        match step {
            Step::Ready(Outcome { instance: Some(instance), next: Next::Continue, reply }) => {
                self.served(instance, reply);
                self.run_continues()?;
            }
            step => {
                let finished = self.finish(step);
                self.note_unfinished(mail, &finished);
                finished?;
            }
        }
        Ok(Served::Callback)
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

/// Returns the event of a message that can take the short way.
fn plain_event(mail: &Mail, behaviour: Behaviour) -> Option<Event<'_>> {
    match mail {
        Mail::Call(kind @ (RequestKind::Call | RequestKind::Supervisor), from, body)
            if kind.fits(behaviour) =>
        {
            Some(Event::Call(*from, body))
        }
        Mail::Cast(_, body) => Some(Event::Cast(body)),
        Mail::Info(_, body) => Some(Event::Info(body)),
        _ => None,
    }
}
