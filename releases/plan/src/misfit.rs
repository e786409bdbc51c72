//! Finds instructions that do not fit the behaviours of their modules.
//!
//! | instruction | required |
//! |---|---|
//! | `apply` of an app's module, and its undo | a task |
//! | `update` with `change = "supervisor"` | a supervisor |
//! | `supervisor:start_child` | a module that can be a child of the type in the spec |

use crate::apply::BuiltIn;
use crate::behaviours::{Behaviours, with_article};
use crate::check::{CheckError, Rule};
use crate::doc_error::DocError;
use crate::instr::{Apply, Change, HighLevel, Instruction, LowLevel, Mode};
use crate::instr_read;
use crate::name::ModuleName;
use crate::read::{self, Fault, Fields, Span};
use crate::script::{Action, MemberChange, Script};

/// Returns the instructions of an `appup.toml` or `relup.toml` that a packer must refuse, with
/// their places. Such an instruction names a module that no app has, or does not fit the behaviour
/// of its module. The first rule covers only modules that the release of the document must have.
///
/// # Errors
/// The document cannot be parsed.
pub fn misfits(
    path: &str,
    text: &str,
    is_known: impl Fn(&ModuleName) -> bool,
    behaviours: &Behaviours,
) -> Result<Vec<DocError>, DocError> {
    let error = |fault: &Fault| DocError::new(path, text, fault);
    let mut found = Vec::new();
    for (span, mode, instruction) in instructions(text).map_err(|fault| error(&fault))? {
        let stranger = own_module(&instruction, mode).filter(|module| !is_known(module));
        let stranger = stranger.map(|module| format!("no app of the release has a module {module}"));
        let message = stranger.or_else(|| behaviours.misfit(&instruction));
        found.extend(message.map(|message| error(&Fault { span, message })));
    }
    Ok(found)
}

impl Script {
    /// Returns the steps that do not fit the behaviours of their modules in the source or the
    /// target release.
    pub fn misfits(&self, left: &Behaviours, to: &Behaviours) -> Vec<CheckError> {
        let mut now = left.clone();
        let mut found = Vec::new();
        for (step, action) in (1..).zip(self.steps.iter().map(|step| &step.action)) {
            let rule = match action {
                Action::Load { module, .. } => {
                    now.extend(to.of(module).map(|word| (module.clone(), word.to_owned())));
                    None
                }
                Action::CodeChange { module, change: MemberChange::Supervisor, .. } => {
                    let problem = to.misfit_supervisor(module);
                    problem.map(|problem| Rule::Misfit { word: action.word(), problem })
                }
                Action::Apply(call) => {
                    let problem = now.misfit_call(call);
                    problem.map(|problem| Rule::BadCall { call: call.to_string(), problem })
                }
                _ => None,
            };
            found.extend(rule.map(|rule| CheckError { step, rule }));
        }
        found
    }
}

impl Behaviours {
    /// Returns why an instruction does not fit the behaviour of its module.
    pub(crate) fn misfit(&self, instruction: &Instruction) -> Option<String> {
        match instruction {
            Instruction::High(HighLevel::Update { module, change: Change::Supervisor, .. }) => {
                self.misfit_supervisor(module)
            }
            Instruction::Low(LowLevel::Apply(call)) => self.misfit_call(call),
            _ => None,
        }
    }

    fn misfit_supervisor(&self, module: &ModuleName) -> Option<String> {
        let word = self.unless(module, "supervisor")?;
        Some(format!(
            "module {module} is {}, but change = \"supervisor\" needs a supervisor",
            with_article(word)
        ))
    }

    /// Returns why a call or its undo cannot be made.
    fn misfit_call(&self, call: &Apply) -> Option<String> {
        let problem = match call.built_in() {
            Some(Ok(BuiltIn::StartChild { spec, .. })) => {
                let module = spec["module"].as_str().and_then(|module| module.parse().ok());
                let kind = spec["type"].as_str().unwrap_or("worker");
                module.and_then(|module| self.misfit_child(&module, kind))
            }
            Some(built_in) => built_in.err(),
            None => {
                let word = self.unless(&call.module, "task");
                word.map(|word| {
                    format!("module {} is {}, but apply needs a task", call.module, with_article(word))
                })
            }
        };
        problem.or_else(|| self.misfit_call(call.undo.as_deref()?))
    }

    /// Returns why a module cannot be a child of this type.
    pub(crate) fn misfit_child(&self, module: &ModuleName, kind: &str) -> Option<String> {
        let word = self.of(module)?;
        let wanted = match word {
            "supervisor" => "supervisor",
            "application" => {
                return Some(format!("module {module} is an application, which cannot be a child"));
            }
            _ => "worker",
        };
        (kind != wanted)
            .then(|| format!("module {module} is a {word}, but the type in the child spec is {kind}"))
    }
}

/// Returns the instructions of a document that can be parsed, each with its place. The other
/// instructions are reported by the parsers of the documents.
fn instructions(text: &str) -> Result<Vec<(Span, Mode, Instruction)>, Fault> {
    let mut fields = Fields::any_document(text)?;
    let mut found = Vec::new();
    for (key, mode) in [("up", Mode::Up), ("down", Mode::Down)] {
        for entry in fields.or_default(key, read::nodes)? {
            for node in Fields::any(entry)?.or_default("instructions", read::nodes)? {
                let span = node.span();
                found.extend(instr_read::instruction(node).ok().map(|read| (span, mode, read)));
            }
        }
    }
    Ok(found)
}

/// Returns the module of an instruction if the newer version must have it.
fn own_module(instruction: &Instruction, mode: Mode) -> Option<&ModuleName> {
    match (instruction, mode) {
        (Instruction::High(HighLevel::Update { module, .. } | HighLevel::LoadModule { module, .. }), _)
        | (Instruction::High(HighLevel::AddModule { module, .. }), Mode::Up)
        | (Instruction::High(HighLevel::DeleteModule { module, .. }), Mode::Down) => Some(module),
        _ => None,
    }
}
