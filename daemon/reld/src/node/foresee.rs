//! Predicts problems of an upgrade. The daemon's tables show the affected processes, and the new
//! code answers whether it accepts their start arguments, states and messages.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use reld_api::term;
use reld_handler::{
    Apply, ChangedChildren, Coming, Foreseen, ForeseenChildren, ForeseenRefusal, Library, Look, MemberChange,
    Process, Refusable,
};
use reld_runtime::{Behaviour, Letter, Place, Runtime, Supervised, SupervisorSpec};
use serde_json::Value;

use super::calls::argument;
use super::conversion::cut;
use super::words::{find, find_all, module};
use crate::ask::{Answer, Answers, Kind, Question, Subject};

/// The maximum number of supervisors that are checked, and of start arguments of their children.
const TREE_MAX: usize = 1000;

/// The maximum number of processes of each module with a checked state, and with a checked mailbox.
const STATES_MAX: usize = 16;
const MAILBOXES_MAX: usize = 200;

/// The time limit for a process to encode its state.
const STATE: Duration = Duration::from_millis(200);

/// A start argument, a state or a message of a process, which the new code would receive.
struct Input {
    process: Process,
    what: Refusable,
    kind: Kind,
    module: String,
    bytes: Vec<u8>,
}

/// Predicts problems from the tables of this node and the answers of the new code.
pub(super) struct Forecast<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) answers: &'a Mutex<Answers>,
    /// Whether the client has disconnected.
    pub(super) left: &'a AtomicBool,
}

impl Forecast<'_> {
    pub(super) fn foreseen(&self, coming: &[Coming<'_>], look: Look) -> Foreseen {
        let mut foreseen = Foreseen::default();
        let mut inputs = self.tree(coming, &mut foreseen);
        for coming in coming {
            inputs.extend(self.moment(coming, look));
        }
        self.take(coming, inputs, &mut foreseen);
        foreseen
    }

    /// Runs the new inits of running supervisors in a throw-away process, and compares the
    /// children. Returns the start arguments of children that stay.
    fn tree(&self, coming: &[Coming<'_>], foreseen: &mut Foreseen) -> Vec<Input> {
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
        if let Some((first, others)) = find_all(self.runtime, &busy).split_first() {
            let these = and_more(first, others.len());
            foreseen.unknown.push(format!("the children of {these} were not checked: busy"));
        }
        if supervisors.len() > TREE_MAX {
            let more = supervisors.len() - TREE_MAX;
            foreseen.unknown.push(format!("{more} more supervisors were not checked"));
            supervisors.truncate(TREE_MAX);
        }
        let mut inputs = Vec::new();
        for coming in coming {
            let its: Vec<&Supervised> =
                supervisors.iter().filter(|supervised| supervised.module == coming.module.as_str()).collect();
            let question = |supervised: &&Supervised| Question::Init {
                module: supervised.module.clone(),
                args: supervised.args.clone(),
            };
            let questions: Vec<Question> = its.iter().map(question).collect();
            for (supervised, answer) in its.iter().zip(self.ask(coming.library, &questions)) {
                self.children(supervised, coming, answer, foreseen, &mut inputs);
            }
        }
        inputs
    }

    /// Compares the children of one supervisor with the answer of its new init.
    fn children(
        &self,
        supervised: &Supervised,
        coming: &Coming<'_>,
        answer: Answer,
        foreseen: &mut Foreseen,
        inputs: &mut Vec<Input>,
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
            // OTP: if init returns ignore, the supervisor keeps its children.
            Answer::Wants(None) | Answer::Accepted => return,
            Answer::Refused(reason) => return foreseen.refused.push(refused(reason)),
            Answer::Unknown(why) => {
                let module = coming.module;
                let warning =
                    format!("cannot predict the children that init of {module} returns for {process}: {why}");
                return foreseen.unknown.push(warning);
            }
        };
        if let Some(owner) = self.other_owner(supervised, &wanted) {
            let what = Refusable::Name(wanted.name.clone().unwrap_or_default());
            foreseen.refused.push(ForeseenRefusal { what, ..refused(format!("{owner} has it")) });
        }
        let prospect = match supervised.prospect(&wanted, TREE_MAX.saturating_sub(inputs.len())) {
            Ok(prospect) => prospect,
            Err(exit) => return foreseen.refused.push(refused(exit.to_string())),
        };
        if prospect.has_more {
            let warning = format!(
                "more start arguments of children of {process} were not checked; an install uses them all"
            );
            foreseen.unasked.push(warning);
        }
        let kept = prospect.kept.into_iter().map(|kept| Input {
            process: process.clone(),
            what: Refusable::StartArgument(json(&kept.id)),
            kind: Kind::StartArgument,
            module: kept.module,
            bytes: kept.args,
        });
        inputs.extend(kept);
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

    /// Returns the other process that has the name of a supervisor's new spec.
    fn other_owner(&self, supervised: &Supervised, wanted: &SupervisorSpec) -> Option<Process> {
        let owner = self.runtime.whereis(wanted.name.as_deref()?)?;
        if owner == supervised.pid { None } else { find(self.runtime, owner) }
    }

    /// Returns the states and the waiting messages of a module's processes. States that a
    /// change_code converts are left out. With [`Look::Tree`] only states are returned, and only if
    /// the new code may be unable to read them.
    fn moment(&self, coming: &Coming<'_>, look: Look) -> Vec<Input> {
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
            Some(Input { process, what: Refusable::State, kind: Kind::State, module, bytes })
        });
        let mut inputs: Vec<Input> = states.collect();
        if look == Look::Moment {
            inputs.extend(users.iter().flat_map(|pid| self.waiting(*pid, coming)));
        }
        inputs
    }

    fn waiting(&self, pid: reld_wire::Pid, coming: &Coming<'_>) -> Vec<Input> {
        let Some(inside) = self.runtime.details(pid).and_then(|details| details.inside) else {
            return Vec::new();
        };
        let letters = inside.mailbox.into_iter().filter_map(|letter| match letter {
            Letter::Call(_, Some(bytes)) => Some((Kind::Call, bytes)),
            Letter::Cast(_, bytes) => Some((Kind::Cast, bytes)),
            Letter::Info(_, bytes) => Some((Kind::Info, bytes)),
            _ => None,
        });
        let inputs = letters.filter_map(|(kind, bytes)| {
            let (process, module) = (find(self.runtime, pid)?, coming.module.to_string());
            Some(Input { process, what: Refusable::Message, kind, module, bytes })
        });
        inputs.collect()
    }

    /// Asks each library, in one batch, whether its modules accept the inputs. Inputs of other
    /// modules are skipped, because their code does not change.
    fn take(&self, coming: &[Coming<'_>], inputs: Vec<Input>, foreseen: &mut Foreseen) {
        let libraries: BTreeMap<&str, &Library> =
            coming.iter().map(|coming| (coming.module.as_str(), coming.library)).collect();
        let mut of_app: BTreeMap<&str, (&Library, Vec<Input>)> = BTreeMap::new();
        for input in inputs {
            if let Some(library) = libraries.get(input.module.as_str()) {
                let (_, of_app) = of_app.entry(library.app.as_str()).or_insert((library, Vec::new()));
                of_app.push(input);
            }
        }
        let mut unknown: BTreeMap<(String, String), (Process, usize)> = BTreeMap::new();
        for (library, inputs) in of_app.into_values() {
            let question = |input: &Input| Question::Accepts {
                module: input.module.clone(),
                body: input.kind,
                bytes: input.bytes.clone(),
            };
            let questions: Vec<Question> = inputs.iter().map(question).collect();
            for (input, answer) in inputs.into_iter().zip(self.ask(library, &questions)) {
                let module = module(&input.module);
                match answer {
                    Answer::Refused(reason) => foreseen.refused.push(ForeseenRefusal {
                        process: input.process,
                        what: input.what,
                        module,
                        vsn: library.vsn.clone(),
                        reason,
                    }),
                    Answer::Unknown(why) => {
                        let code = format!("{module} {}", library.vsn);
                        unknown.entry((code, why)).or_insert((input.process, 0)).1 += 1;
                    }
                    Answer::Wants(_) | Answer::Accepted => {}
                }
            }
        }
        let warning = |((code, why), (process, count)): ((String, String), (Process, usize))| {
            let these = and_more(&process, count - 1);
            format!("cannot predict whether {code} accepts the data of {these}: {why}")
        };
        foreseen.unasked.extend(unknown.into_iter().map(warning));
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
        let subject = Subject {
            app: library.app.as_str(),
            version: &library.vsn.to_string(),
            file: &library.file,
            sha256: &library.sha256,
        };
        Answers::of(self.answers, subject, questions, &|| self.left.load(Ordering::Relaxed))
    }
}

/// Names a process, and the number of others.
fn and_more(first: &Process, others: usize) -> String {
    if others == 0 { first.to_string() } else { format!("{first} and {others} more") }
}

/// Returns a child id as JSON.
fn json(id: &[u8]) -> Value {
    term::to_json(id).unwrap_or_default()
}
