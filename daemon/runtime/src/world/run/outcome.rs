//! Handling the outcome of a callback.

use super::Run;
use crate::process::body::{Actor, Answer, Asker, During};
use crate::words::code::{Behaviour, Bytes, From, Next, Outcome, Step};
use crate::words::exit::Exit;
use crate::words::term;
use crate::world::applications::PREP_STOP;
use crate::world::{Fire, change};
use reld_wire::task::Entry;

impl Run<'_> {
    pub(super) fn finish(&mut self, step: Step) -> Result<(), Exit> {
        match step {
            Step::Pending(callback) => {
                self.actor = Actor::Waiting(callback);
                match self.during {
                    During::Init(_) => self.note_under_way(None),
                    During::PrepStop(_) => {
                        // This comes before the timer is set, so that the full time has passed when
                        // the timer fires.
                        self.note_under_way(None);
                        self.world.timers.set(PREP_STOP, Fire::Deadline(self.pid));
                    }
                    _ => {}
                }
                if self.card.code.behaviour() == Behaviour::Task {
                    self.notify_born();
                }
                Ok(())
            }
            Step::Ready(outcome) => self.done(outcome),
        }
    }

    pub(super) fn done(&mut self, outcome: Outcome) -> Result<(), Exit> {
        self.forget_requests();
        let Outcome { instance, next, reply } = outcome;
        if let Some(entry) = self.next_entry(&next) {
            return self.continue_as(entry);
        }
        if matches!(next, Next::Continue | Next::Ignore) {
            self.under_way = None;
        }
        let ended = instance.is_none();
        if let Some(instance) = instance {
            self.actor = Actor::Resting(instance);
        }
        match std::mem::replace(&mut self.during, During::Message) {
            During::Init(starter) => self.born(starter, &next, reply)?,
            During::Call(asker) => self.replied(asker, reply),
            // After a crash, the end of the process answers the request.
            During::Notice(asker) => {
                let taken = !matches!(next, Next::Crash(_));
                self.replied(asker, taken.then(|| reply.unwrap_or_else(|| term::encode(&()))));
            }
            During::Message => {}
            During::PrepStop(exit) => {
                if let Next::Crash(crash) = next {
                    tracing::warn!(name: "application.prep_stop_failed", app = self.card.app.name, reason = %crash, "prep_stop failed; the tree has already ended");
                }
                return self.terminate(*exit);
            }
            During::Terminate(exit) => return Err(if let Next::Crash(crash) = next { crash } else { *exit }),
        }
        match next {
            Next::Crash(exit) => Err(exit),
            Next::Stop(exit) if ended => Err(exit),
            Next::Stop(exit) => self.terminate(exit),
            Next::Continue | Next::Ignore if ended => Err(Exit::Normal),
            Next::Continue | Next::Ignore => Ok(()),
        }
    }

    /// If a task has ended normally and asked to continue, returns the entry (module and arguments)
    /// to continue at.
    fn next_entry(&mut self, next: &Next) -> Option<Entry> {
        let is_task = self.card.code.behaviour() == Behaviour::Task;
        let entry = self.after.as_mut()?.continues.take_if(|_| is_task)?;
        let has_ended_well = matches!(next, Next::Continue | Next::Stop(Exit::Normal));
        if has_ended_well { term::decode(&entry).ok() } else { None }
    }

    /// Restarts a task at an entry in the current code of a module. It stays the same process, with
    /// its mail, links and monitors.
    fn continue_as(&mut self, Entry { module, args }: Entry) -> Result<(), Exit> {
        let Some(code) = self.world.code.resolve(&module) else {
            return Err(Exit::Error(format!("cannot continue as module {module}: it is not loaded")));
        };
        self.notify_born();
        change::enter(self.world, self, &code);
        self.under_way = None;
        self.actor = Actor::Unborn(args.into_vec());
        Ok(())
    }

    fn born(&mut self, starter: Option<Asker>, next: &Next, reply: Option<Bytes>) -> Result<(), Exit> {
        let behaviour = self.card.code.behaviour();
        let answer = match (next, behaviour) {
            (Next::Ignore, _) => Answer::Started(None),
            // The starter gets its answer at the end of the process, when all its resources are
            // released.
            (Next::Stop(exit) | Next::Crash(exit), _) if behaviour != Behaviour::Task => {
                self.during = During::Init(starter);
                return Err(exit.clone());
            }
            (_, Behaviour::Application) => Answer::Reply(reply.unwrap_or_else(|| term::encode(&()))),
            _ => Answer::Started(Some(self.pid)),
        };
        if let Some(starter) = starter {
            self.answer_waiting(starter, answer);
        }
        match next {
            Next::Stop(exit) | Next::Crash(exit) => Err(exit.clone()),
            Next::Ignore => Err(Exit::Normal),
            Next::Continue => Ok(()),
        }
    }

    /// Answers the starter of a task, once.
    fn notify_born(&mut self) {
        if let During::Init(starter) = &mut self.during
            && let Some(starter) = starter.take()
        {
            self.answer_waiting(starter, Answer::Started(Some(self.pid)));
        }
    }

    pub(super) fn replied(&mut self, asker: Asker, reply: Option<Bytes>) {
        let (caller, reference) = asker;
        match reply {
            Some(reply) => {
                if let Some(debug) = &mut self.debug {
                    debug.sent("reply", caller, &reply);
                }
                self.world.tracer.reply(self.pid, caller, &reply);
                self.answer_waiting(asker, Answer::Reply(reply));
            }
            None => {
                let from = From { caller, server: self.pid, reference };
                self.ties().unanswered.push(from);
            }
        }
    }
}
