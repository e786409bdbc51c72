//! Starting callbacks, and resuming parked ones.

use std::sync::Arc;

use super::Run;
use crate::process::body::{Actor, Answer, During, Idle, Requests};
use crate::process::current;
use crate::process::mail::{Mail, RequestKind};
use crate::words::code::{Behaviour, Bytes, Event, From, Ref, Step, StopCause};
use crate::words::exit::Exit;
use crate::words::sync::AtomicBool;
use crate::words::term;
use crate::world::{Fire, change, context};

impl Run<'_> {
    /// Resumes a parked callback if there is an answer or, for a task, mail.
    pub(super) fn resume(&mut self) -> Result<(), Exit> {
        if !self.is_waiting() {
            return Ok(());
        }
        let mail = self.card.code.behaviour() == Behaviour::Task && !self.inbox.is_empty();
        if !mail
            && let Some(Requests { answers, .. }) = self.requests.as_deref_mut()
            && answers.len() == 1
            && let Some((reference, answer)) = answers.pop()
        {
            return self.resume_with(reference, answer);
        }
        let answers = self.requests.as_ref().map_or(&[][..], |requests| &requests.answers);
        let mail = mail.then_some(context::MAIL);
        let completed: Vec<_> = answers.iter().map(|(reference, _)| *reference).chain(mail).collect();
        if completed.is_empty() { Ok(()) } else { self.poll(&completed) }
    }

    /// Resumes a parked callback with one answer, as nearly always.
    pub(super) fn resume_with(&mut self, reference: Ref, answer: Answer) -> Result<(), Exit> {
        current::give(self.pid, reference, answer);
        let polled = self.poll(&[reference]);
        if let (Some(left), Some(body)) = (current::take_back(), &mut self.body)
            && body.is_waiting()
        {
            body.requests().answers.push(left);
        }
        polled
    }

    fn poll(&mut self, completed: &[Ref]) -> Result<(), Exit> {
        let Actor::Waiting(mut callback) = std::mem::replace(&mut self.actor, Actor::Running) else {
            return Ok(());
        };
        let step = self.inside(move |_| match callback.poll(completed) {
            Some(outcome) => Step::Ready(outcome),
            None => Step::Pending(callback),
        })?;
        match step {
            Step::Ready(outcome) => self.done(outcome),
            Step::Pending(callback) => {
                self.actor = Actor::Waiting(callback);
                Ok(())
            }
        }
    }

    /// Runs the init, or the callback for the next message. Returns false when there is neither.
    pub(super) fn run_next(&mut self) -> Result<bool, Exit> {
        if matches!(self.actor, Actor::Unborn(_)) {
            self.init()?;
            return Ok(true);
        }
        let Some(mail) = self.inbox.pop_front() else { return Ok(false) };
        self.world.scheduler.note_handled(1);
        if self.is_bounded {
            self.slot.set_held(self.inbox.len());
        }
        let handled = self.deliver(&mail);
        self.note_unfinished(mail, &handled);
        handled.map(|()| true)
    }

    /// Records a message that a parked or crashed callback handles.
    pub(super) fn note_unfinished(&mut self, mail: Mail, handled: &Result<(), Exit>) {
        // The body is missing if the process was abandoned.
        if let Some(body) = &mut self.body
            && (handled.is_err() || body.is_waiting())
        {
            body.note_under_way(Some(mail));
        }
    }

    fn init(&mut self) -> Result<(), Exit> {
        let Actor::Unborn(args) = std::mem::replace(&mut self.actor, Actor::Running) else { return Ok(()) };
        let code = Arc::clone(&self.card.code);
        let supervisor = code.behaviour() == Behaviour::Supervisor;
        // Supervisors and applications always trap exits, because their work is to handle the ends
        // of other processes.
        self.trap_exit |= supervisor || code.behaviour() == Behaviour::Application;
        let pid = self.pid;
        let supervise = self.world.supervise;
        let step =
            self.inside(|_| if supervisor { supervise(pid, code, args) } else { code.module.init(&args) })?;
        self.finish(step)
    }

    fn deliver(&mut self, mail: &Mail) -> Result<(), Exit> {
        if let Some(debug) = &mut self.debug {
            debug.took(mail);
        }
        match mail {
            Mail::Call(kind, from, body) => self.request(*kind, *from, body),
            Mail::Cast(_, body) => self.callback(During::Message, &Event::Cast(body)),
            Mail::Info(_, body) => self.callback(During::Message, &Event::Info(body)),
            // An application ends with its root supervisor.
            Mail::Exit(from, exit) if self.card.code.behaviour() == Behaviour::Application => {
                if self.world.apps.runs(self.pid, *from) {
                    let told = Event::PrepStop(None, StopCause::TreeEnded);
                    self.callback(During::PrepStop(Box::new(exit.clone())), &told)
                } else {
                    self.terminate(exit.clone())
                }
            }
            Mail::Told(event) => self.callback(During::Message, &Event::Told(event)),
            // A timeout with another number was cancelled by a message that came first.
            Mail::Timeout(number) => match self.idle() {
                Some(Idle::Armed(armed, _)) if armed == *number => {
                    self.callback(During::Message, &Event::Timeout)
                }
                _ => Ok(()),
            },
            Mail::Exit(from, exit) => self.callback(During::Message, &Event::Exit(*from, exit)),
            // A `Down` is not delivered if its monitor was removed after the `Down` was sent.
            Mail::Down(reference, ..) if !self.stop_watching(*reference) => Ok(()),
            Mail::Down(reference, pid, exit) => {
                self.callback(During::Message, &Event::Down(*reference, *pid, exit))
            }
        }
    }

    fn request(&mut self, kind: RequestKind, from: From, body: &Bytes) -> Result<(), Exit> {
        let behaviour = self.card.code.behaviour();
        if !kind.fits(behaviour) {
            let text = format!("{} is a {behaviour:?} and does not take {kind:?} requests", self.pid);
            self.world.answer(from.caller, from.reference, Answer::Exit(Exit::Error(text)));
            return Ok(());
        }
        let asker = (from.caller, from.reference);
        match kind {
            RequestKind::PrepStop => {
                let (root, cause) = term::decode(body).unwrap_or_default();
                self.callback(During::Notice(asker), &Event::PrepStop(root, cause))
            }
            RequestKind::StartPhase => self.callback(During::Notice(asker), &Event::StartPhase(body)),
            RequestKind::ConfigChange => self.callback(During::Notice(asker), &Event::ConfigChange(body)),
            RequestKind::Call | RequestKind::Supervisor => {
                self.callback(During::Call(asker), &Event::Call(from, body))
            }
        }
    }

    pub(super) fn terminate(&mut self, exit: Exit) -> Result<(), Exit> {
        if matches!(self.actor, Actor::Resting(_)) {
            self.callback(During::Terminate(Box::new(exit.clone())), &Event::Terminate(&exit))
        } else {
            Err(exit)
        }
    }

    /// Drops the shadow, because the state is about to change.
    fn invalidate_shadow(&mut self) -> Result<(), Exit> {
        if self.round == 0 && self.shadow.is_none() {
            return Ok(());
        }
        change::invalidate_shadow(self.world, self);
        // While the process had the shadow, it could not move on.
        self.move_on_if_stale()
    }

    pub(super) fn callback(&mut self, during: During, event: &Event<'_>) -> Result<(), Exit> {
        self.invalidate_shadow()?;
        let instance = self.take_instance(event)?;
        self.during = during;
        if let Some(after) = &mut self.after
            && let Some(Idle::Armed(_, timer)) = after.idle.take()
        {
            self.world.timers.cancel(timer);
        }
        let step = self.inside(|_| instance.callback(event))?;
        self.finish(step)
    }

    /// Runs the `handle_continue` callbacks that the last callback asked for. The gate does not
    /// stop the process before them: to all other processes they are part of that callback.
    #[inline]
    pub(super) fn run_continues(&mut self) -> Result<(), Exit> {
        if self.after.is_none() { Ok(()) } else { self.run_after() }
    }

    #[inline(never)]
    fn run_after(&mut self) -> Result<(), Exit> {
        while matches!(self.actor, Actor::Resting(_))
            && let Some(after) = &mut self.after
            && let Some(body) = after.continues.take()
        {
            self.callback(During::Message, &Event::Continue(&body))?;
        }
        self.arm_idle();
        Ok(())
    }

    /// Starts the timer of the idle timeout that the last callback asked for. The time counts from
    /// the end of that callback.
    fn arm_idle(&mut self) {
        if let (Actor::Resting(_), Some(Idle::Wanted(after))) = (&self.actor, self.idle()) {
            let number = self.new_ref();
            let timer = self.world.timers.set(after, Fire::Idle(self.pid, number));
            self.after().idle = Some(Idle::Armed(number, timer));
        }
    }

    /// Runs app code, which gets the flag of [`current::run`]. Returns `Err` if the process was
    /// abandoned, and so has ended, while the code ran.
    #[inline(always)]
    pub(super) fn inside(&mut self, code: impl FnOnce(&AtomicBool) -> Step) -> Result<Step, Exit> {
        let body = self.body.take().expect("callbacks do not nest");
        let pid = body.pid;
        let (body, step) = current::run(body, code);
        self.body = body;
        if self.body.is_none() {
            // The outcome is dropped before the process is taken off the list of stuck ones: until
            // then its library counts as in use.
            drop(step);
            self.world.returned(pid);
            return Err(Exit::Killed);
        }
        Ok(step)
    }
}
