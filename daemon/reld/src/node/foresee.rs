//! What an upgrade would meet: the tables say whom it concerns, the code that is to come says what it makes of that.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use reld_api::term;
use reld_handler::{
    Apply, ChangedChildren, Coming, Foreseen, ForeseenChildren, ForeseenRefusal, Library, Look, MemberChange,
    Process, Refusable,
};
use reld_runtime::{Behaviour, Letter, Place, Runtime, Supervised};
use serde_json::Value;

use super::calls::argument;
use super::conversion::cut;
use super::words::{find, find_all, module};
use crate::ask::{Answer, Answers, Asked, Kind, Question};

/// How many supervisors, and how many of their children's start arguments, are asked about.
const TREE_MAX: usize = 1000;

/// Of how many processes of each module the state is asked about, and of how many the mailbox.
const STATES_MAX: usize = 16;
const MAILBOXES_MAX: usize = 200;

/// How long the code of a process may take to write its state.
const STATE: Duration = Duration::from_millis(200);

/// Something of a process that code which is to come would get.
struct Met {
    process: Process,
    what: Refusable,
    kind: Kind,
    module: String,
    bytes: Vec<u8>,
}

/// Looks ahead: at the tables of this node, and with the code that is to come.
pub(super) struct Forecast<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) answers: &'a Mutex<Answers>,
    /// Whether the asker has left.
    pub(super) left: &'a AtomicBool,
}

impl Forecast<'_> {
    pub(super) fn foreseen(&self, coming: &[Coming<'_>], look: Look) -> Foreseen {
        let mut foreseen = Foreseen::default();
        let mut met = self.tree(coming, &mut foreseen);
        for coming in coming {
            met.extend(self.moment(coming, look));
        }
        self.take(coming, met, &mut foreseen);
        foreseen
    }

    /// Asks new inits what they want of the supervisors that run. Returns the start arguments that stay.
    fn tree(&self, coming: &[Coming<'_>], foreseen: &mut Foreseen) -> Vec<Met> {
        let modules: Vec<&str> = coming.iter().map(|coming| coming.module.as_str()).collect();
        let has_supervisors = self.runtime.code().iter().any(|version| {
            version.place == Place::Current
                && version.behaviour == Behaviour::Supervisor
                && modules.contains(&version.module.as_str())
        });
        if !has_supervisors {
            return Vec::new();
        }
        let (mut supervisors, busy) = self.runtime.supervised(&modules);
        for process in find_all(self.runtime, &busy) {
            foreseen.unknown.push(format!("{process} is busy, so its children were not looked at"));
        }
        if supervisors.len() > TREE_MAX {
            let more = supervisors.len() - TREE_MAX;
            foreseen.unknown.push(format!("{more} more supervisors were not looked at"));
            supervisors.truncate(TREE_MAX);
        }
        let mut met = Vec::new();
        for coming in coming {
            let its: Vec<&Supervised> =
                supervisors.iter().filter(|supervised| supervised.module == coming.module.as_str()).collect();
            let question = |supervised: &&Supervised| Question::Init {
                module: supervised.module.clone(),
                args: supervised.args.clone(),
            };
            let questions: Vec<Question> = its.iter().map(question).collect();
            for (supervised, answer) in its.iter().zip(self.ask(coming.library, &questions)) {
                self.children(supervised, coming, answer, foreseen, &mut met);
            }
        }
        met
    }

    /// Notes what a new init's answer means for the children of one supervisor.
    fn children(
        &self,
        supervised: &Supervised,
        coming: &Coming<'_>,
        answer: Answer,
        foreseen: &mut Foreseen,
        met: &mut Vec<Met>,
    ) {
        let Some(process) = find(self.runtime, supervised.pid) else { return };
        let refused = |reason: String| ForeseenRefusal {
            process: process.clone(),
            what: Refusable::Init,
            module: coming.module.clone(),
            vsn: coming.library.vsn.clone(),
            reason,
        };
        let wanted = match answer {
            Answer::Wants(Some(wanted)) => wanted,
            // OTP: ignore changes nothing.
            Answer::Wants(None) | Answer::Accepted => return,
            Answer::Refused(reason) => return foreseen.refused.push(refused(reason)),
            Answer::Unknown(why) => {
                let module = coming.module;
                let said = format!("what init of {module} would want of {process} is not known: {why}");
                return foreseen.unknown.push(said);
            }
        };
        let prospect = match supervised.prospect(&wanted, TREE_MAX.saturating_sub(met.len())) {
            Ok(prospect) => prospect,
            Err(exit) => return foreseen.refused.push(refused(exit.to_string())),
        };
        if prospect.has_more {
            let said =
                format!("more start arguments of children of {process} were not looked at; an install does");
            foreseen.unasked.push(said);
        }
        let kept = prospect.kept.into_iter().map(|kept| Met {
            process: process.clone(),
            what: Refusable::StartArgument(json(&kept.id)),
            kind: Kind::StartArgument,
            module: kept.module,
            bytes: kept.args,
        });
        met.extend(kept);
        let change = prospect.change;
        if !(change.vanished.is_empty() && change.added.is_empty() && prospect.differing.is_empty()) {
            foreseen.children.push(ForeseenChildren {
                changed: ChangedChildren {
                    supervisor: process,
                    vanished: change.vanished.iter().map(|id| json(id)).collect(),
                    added: change.added.iter().map(|id| json(id)).collect(),
                },
                differing: prospect.differing.iter().map(|id| json(id)).collect(),
            });
        }
    }

    /// Returns what processes of a module have at this moment: messages that wait, and states that no change_code
    /// changes. Before an install only states that may not be read.
    fn moment(&self, coming: &Coming<'_>, look: Look) -> Vec<Met> {
        if coming.change == MemberChange::Stop || look == Look::Tree && !coming.is_doubtful {
            return Vec::new();
        }
        let users = self.runtime.users(coming.module.as_str(), Place::Current);
        let behaves = |pid: &reld_wire::Pid| {
            self.runtime.process(*pid).is_some_and(|info| {
                !matches!(info.behaviour, Behaviour::Task | Behaviour::Supervisor | Behaviour::Application)
            })
        };
        let users: Vec<reld_wire::Pid> = users.into_iter().take(MAILBOXES_MAX).filter(behaves).collect();
        let cut = cut(coming.dropped);
        let states = users.iter().take(STATES_MAX).filter(|_| coming.change == MemberChange::Soft);
        let states = states.filter_map(|pid| {
            let bytes = cut.of(&self.runtime.resting_state(*pid, STATE)?).into_owned();
            let (process, module) = (find(self.runtime, *pid)?, coming.module.to_string());
            Some(Met { process, what: Refusable::State, kind: Kind::State, module, bytes })
        });
        let mut met: Vec<Met> = states.collect();
        if look == Look::Moment {
            met.extend(users.iter().flat_map(|pid| self.waiting(*pid, coming)));
        }
        met
    }

    fn waiting(&self, pid: reld_wire::Pid, coming: &Coming<'_>) -> Vec<Met> {
        let Some(inside) = self.runtime.details(pid).and_then(|details| details.inside) else {
            return Vec::new();
        };
        let letters = inside.mailbox.into_iter().filter_map(|letter| match letter {
            Letter::Call(_, Some(bytes)) => Some((Kind::Call, bytes)),
            Letter::Cast(_, bytes) => Some((Kind::Cast, bytes)),
            Letter::Info(_, bytes) => Some((Kind::Info, bytes)),
            _ => None,
        });
        let met = letters.filter_map(|(kind, bytes)| {
            let (process, module) = (find(self.runtime, pid)?, coming.module.to_string());
            Some(Met { process, what: Refusable::Message, kind, module, bytes })
        });
        met.collect()
    }

    /// Asks each library, at once, whether it takes what its modules would get. What is of other modules stays as it is.
    fn take(&self, coming: &[Coming<'_>], met: Vec<Met>, foreseen: &mut Foreseen) {
        let libraries: BTreeMap<&str, &Library> =
            coming.iter().map(|coming| (coming.module.as_str(), coming.library)).collect();
        let mut of_app: BTreeMap<&str, (&Library, Vec<Met>)> = BTreeMap::new();
        for met in met {
            if let Some(library) = libraries.get(met.module.as_str()) {
                let (_, of_app) = of_app.entry(library.app.as_str()).or_insert((library, Vec::new()));
                of_app.push(met);
            }
        }
        for (library, met) in of_app.into_values() {
            let question = |met: &Met| Question::Accepts {
                module: met.module.clone(),
                body: met.kind,
                bytes: met.bytes.clone(),
            };
            let questions: Vec<Question> = met.iter().map(question).collect();
            for (met, answer) in met.into_iter().zip(self.ask(library, &questions)) {
                let module = module(&met.module);
                match answer {
                    Answer::Refused(reason) => foreseen.refused.push(ForeseenRefusal {
                        process: met.process,
                        what: met.what,
                        module,
                        vsn: library.vsn.clone(),
                        reason,
                    }),
                    Answer::Unknown(why) => {
                        let said = format!(
                            "whether {module} {} takes what {} would give it is not known: {why}",
                            library.vsn, met.process
                        );
                        foreseen.unasked.push(said);
                    }
                    Answer::Wants(_) | Answer::Accepted => {}
                }
            }
        }
    }

    pub(super) fn refuses_call(&self, library: &Library, call: &Apply) -> Option<String> {
        let (module, body) = (call.module.to_string(), Kind::StartArgument);
        let question = Question::Accepts { module, body, bytes: argument(call).ok()? };
        match self.ask(library, &[question]).pop() {
            Some(Answer::Refused(reason)) => Some(reason),
            _ => None,
        }
    }

    fn ask(&self, library: &Library, questions: &[Question]) -> Vec<Answer> {
        if questions.is_empty() {
            return Vec::new();
        }
        let asked = Asked {
            app: library.app.as_str(),
            version: &library.vsn.to_string(),
            file: &library.file,
            sha256: &library.sha256,
        };
        Answers::of(self.answers, asked, questions, &|| self.left.load(Ordering::Relaxed))
    }
}

/// Returns a child's id for people.
fn json(id: &[u8]) -> Value {
    term::to_json(id).unwrap_or_default()
}
