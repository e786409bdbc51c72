//! supervisor: the daemon's own loop; the module only says what to supervise.
//!
//! The functions here ask a running supervisor; they wait as long as it takes, as in OTP.

use std::marker::PhantomData;

use reld_wire::supervisor::{self as wire, Reason, Request};
use reld_wire::{Reply, Word};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::behaviour::{Behaviour, BodyKind, Event, readable};
use crate::call::{CallError, request};
use crate::callback::{After, Done, Work};
use crate::child_spec::{ChildSpec, ChildType, SupervisorSpec};
use crate::codec::{self, Undecodable, read};
use crate::exit::Exit;
use crate::guard::catch;
use crate::host::RequestKind;
use crate::names::{Pid, To};
use crate::schema::Schema;
use crate::time::INFINITY;
use crate::value::Value;

/// A supervisor. OTP: `supervisor`.
pub trait Supervisor: 'static {
    /// The start argument.
    type Args: DeserializeOwned + Send;

    /// Says what to supervise. Called at the start, and again with the same argument by an appup's
    /// `change = "supervisor"`, so it should do nothing else. A check of an upgrade asks it in a process that is thrown
    /// away. Only at the start it runs in a process of the node: afterwards [`env`](crate::env) answers nothing, so what it
    /// needs comes with its argument. Where the argument is `()`, `relctl pack` calls it too, to store the child specs for
    /// `relctl diff`.
    fn init(args: Self::Args) -> SupervisorSpec;
}

/// A row of [`which_children`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "wire::Child")]
pub struct Child {
    /// The child's id.
    pub id: Value,
    /// The process, while there is one.
    pub pid: Option<Pid>,
    /// Whether it is about to be started again.
    pub restarting: bool,
    /// Whether it is a supervisor.
    pub child_type: ChildType,
    /// Its callback module.
    pub module: String,
}

impl From<wire::Child> for Child {
    fn from(child: wire::Child) -> Self {
        let wire::Child { id, pid, restarting, child_type, module } = child;
        Self { id: id.into(), pid: pid.map(Pid), restarting, child_type: child_type.into(), module }
    }
}

/// The answer of [`count_children`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(from = "wire::Counts")]
pub struct Counts {
    /// Child specs.
    pub specs: usize,
    /// Children that run.
    pub active: usize,
    /// Specs of supervisors, running or not.
    pub supervisors: usize,
    /// Specs of workers, running or not.
    pub workers: usize,
}

impl From<wire::Counts> for Counts {
    fn from(counts: wire::Counts) -> Self {
        let wire::Counts { specs, active, supervisors, workers } = counts;
        Self { specs, active, supervisors, workers }
    }
}

/// Why a supervisor did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SupervisorError {
    /// A child of that id runs.
    #[error("a child with that id runs as {0}")]
    AlreadyStarted(Pid),
    /// A child of that id is known, but does not run. Restart or delete it.
    #[error("a child with that id is known and does not run: restart or delete it")]
    AlreadyPresent,
    /// No child of that id or pid.
    #[error("there is no such child")]
    NotFound,
    /// The child runs.
    #[error("the child runs")]
    Running,
    /// The child is about to be started again.
    #[error("the child is being restarted")]
    Restarting,
    /// Two children have one id.
    #[error("two children have one id: {0}")]
    DuplicateId(String),
    /// The child's init failed.
    #[error("the child did not start: {0}")]
    StartFailed(String),
    /// The child spec was refused.
    #[error("bad child spec: {0}")]
    BadSpec(String),
    /// The node has no such module.
    #[error("unknown module: {0}")]
    UnknownModule(String),
    /// A reason of a newer daemon.
    #[error("{0}")]
    Other(String),
    /// The supervisor did not answer.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl From<Undecodable> for SupervisorError {
    fn from(error: Undecodable) -> Self {
        Self::Call(error.into())
    }
}

/// Adds a child and starts it. Returns `None` when its init said [`Ignore`](crate::NotStarted::Ignore).
///
/// # Errors
/// `AlreadyStarted`, `AlreadyPresent`, `StartFailed`, `BadSpec`, `UnknownModule`, `Call`.
pub async fn start_child(
    supervisor: impl Into<To>,
    child: ChildSpec,
) -> Result<Option<Pid>, SupervisorError> {
    ask(supervisor.into(), &Request::StartChild(child.0)).await
}

/// Starts one more child of a simple_one_for_one supervisor. Unlike OTP, `args` is its whole start argument: nothing of
/// the template's is added.
///
/// # Errors
/// `StartFailed`, `UnknownModule`, `Call`.
pub async fn start_child_of(
    supervisor: impl Into<To>,
    args: &impl Serialize,
) -> Result<Option<Pid>, SupervisorError> {
    let request = Request::StartChildArgs(bytes(args)?);
    ask(supervisor.into(), &request).await
}

/// Stops a child; its spec stays.
///
/// # Errors
/// `NotFound`, `Call`.
pub async fn terminate_child(supervisor: impl Into<To>, id: &impl Serialize) -> Result<(), SupervisorError> {
    let request = Request::TerminateChild(bytes(id)?);
    done(ask(supervisor.into(), &request).await)
}

/// Stops a child of a simple_one_for_one supervisor.
///
/// # Errors
/// `NotFound`, `Call`.
pub async fn terminate_child_pid(supervisor: impl Into<To>, child: Pid) -> Result<(), SupervisorError> {
    done(ask(supervisor.into(), &Request::TerminatePid(child.0)).await)
}

/// Starts a child that does not run. Returns `None` when its init said [`Ignore`](crate::NotStarted::Ignore).
///
/// # Errors
/// `NotFound`, `Running`, `Restarting`, `StartFailed`, `Call`.
pub async fn restart_child(
    supervisor: impl Into<To>,
    id: &impl Serialize,
) -> Result<Option<Pid>, SupervisorError> {
    let request = Request::RestartChild(bytes(id)?);
    ask(supervisor.into(), &request).await
}

/// Forgets a child that does not run.
///
/// # Errors
/// `NotFound`, `Running`, `Restarting`, `Call`.
pub async fn delete_child(supervisor: impl Into<To>, id: &impl Serialize) -> Result<(), SupervisorError> {
    let request = Request::DeleteChild(bytes(id)?);
    done(ask(supervisor.into(), &request).await)
}

/// Returns the spec of a child, its defaults filled in. Where the daemon never needs it again, as with a temporary
/// child, its start argument is nil.
///
/// # Errors
/// `NotFound`, `Call`.
pub async fn get_childspec(
    supervisor: impl Into<To>,
    id: &impl Serialize,
) -> Result<ChildSpec, SupervisorError> {
    spec(ask(supervisor.into(), &Request::GetChildspec(bytes(id)?)).await)
}

/// Returns the spec of a child that runs.
///
/// # Errors
/// `NotFound`, `Call`.
pub async fn get_childspec_of(supervisor: impl Into<To>, child: Pid) -> Result<ChildSpec, SupervisorError> {
    spec(ask(supervisor.into(), &Request::GetChildspecOf(child.0)).await)
}

/// Returns the children, the latest started first.
///
/// # Errors
/// `Call`.
pub async fn which_children(supervisor: impl Into<To>) -> Result<Vec<Child>, SupervisorError> {
    ask(supervisor.into(), &Request::WhichChildren).await
}

/// Counts the children.
///
/// # Errors
/// `Call`.
pub async fn count_children(supervisor: impl Into<To>) -> Result<Counts, SupervisorError> {
    ask(supervisor.into(), &Request::CountChildren).await
}

/// Writes an id or an argument.
fn bytes(value: &impl Serialize) -> Result<ByteBuf, Undecodable> {
    codec::encode(value).map(ByteBuf::from)
}

async fn ask<T: DeserializeOwned>(supervisor: To, body: &Request) -> Result<T, SupervisorError> {
    let body = codec::encode(body)?;
    let reply = request(RequestKind::Supervisor, supervisor, body, INFINITY).await?;
    let reply: Reply<T, wire::Error<Word<Reason>>> = read("supervisor's reply", &reply)?;
    Result::from(reply).map_err(SupervisorError::from)
}

fn spec(reply: Result<reld_wire::spec::ChildSpec, SupervisorError>) -> Result<ChildSpec, SupervisorError> {
    reply.map(ChildSpec::from)
}

/// Drops the value of a reply that only says ok.
fn done(reply: Result<serde::de::IgnoredAny, SupervisorError>) -> Result<(), SupervisorError> {
    reply.map(|_| ())
}

impl From<wire::Error<Word<Reason>>> for SupervisorError {
    fn from(error: wire::Error<Word<Reason>>) -> Self {
        let wire::Error { reason, pid, text } = error;
        let reason = match reason {
            Word::Known(reason) => reason,
            Word::Unknown(word) if word == "duplicate_id" => return Self::DuplicateId(text),
            Word::Unknown(word) => return Self::Other(format!("{word}: {text}")),
        };
        match (reason, pid) {
            (Reason::AlreadyStarted, Some(pid)) => Self::AlreadyStarted(Pid(pid)),
            (Reason::AlreadyPresent, _) => Self::AlreadyPresent,
            (Reason::NotFound, _) => Self::NotFound,
            (Reason::Running, _) => Self::Running,
            (Reason::Restarting, _) => Self::Restarting,
            (Reason::StartFailed, _) => Self::StartFailed(text),
            (Reason::BadSpec, _) => Self::BadSpec(text),
            (Reason::UnknownModule, _) => Self::UnknownModule(text),
            (Reason::AlreadyStarted | Reason::SimpleOneForOne | Reason::BadRequest, _) => {
                Self::Other(format!("{reason}: {text}"))
            }
        }
    }
}

/// The supervisor behaviour of a callback type.
#[derive(Debug)]
pub(crate) struct Tree<S>(PhantomData<fn() -> S>);

impl<S: Supervisor> Behaviour for Tree<S> {
    const BEHAVIOUR: u32 = reld_abi::BEHAVIOUR_SUPERVISOR;

    type State = std::convert::Infallible;

    fn init(args: &[u8]) -> Result<Work<Self::State>, Exit> {
        let args = read("start argument", args)?;
        Ok(Box::pin(async move {
            let spec = S::init(args);
            let reply = codec::encode(&spec).map_err(|error| error.of("supervisor spec"))?;
            Ok(Done { state: None, next: After::Continue, reply: Some(reply) })
        }))
    }

    fn handle(_: Box<Self::State>, event: Event<'_>) -> Result<Work<Self::State>, Exit> {
        Err(event.unexpected())
    }

    fn accepts(kind: BodyKind, body: &[u8]) -> Result<(), Exit> {
        match kind {
            BodyKind::Init => readable::<S::Args>("start argument", body),
            _ => Err(Exit::error("a supervisor's module has only an init")),
        }
    }

    /// Asks init where it takes nothing; which other argument an app starts it with is not known here.
    fn schema() -> Schema {
        let Ok(nothing) = codec::decode(&codec::NOTHING) else { return Schema::unknown() };
        catch(|| S::init(nothing)).map_or_else(|_| Schema::unknown(), |spec| Schema::of_specs(&spec))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check_refusal(refusal: &serde_json::Value, expected: SupervisorError) {
        let bytes = codec::encode(&json!({ "error": refusal })).expect("encodes");
        let Ok(Reply::<(), wire::Error<_>>::Error(refusal)) = codec::decode(&bytes) else {
            panic!("not read")
        };
        assert_eq!(SupervisorError::from(refusal), expected);
    }

    #[test]
    fn refusals_keep_what_they_name() {
        let pid = json!({"slot": 3, "generation": 1});
        let started = json!({"reason": "already_started", "pid": pid, "text": "x"});
        check_refusal(&started, SupervisorError::AlreadyStarted(Pid::new(3, 1)));
        check_refusal(&json!({"reason": "already_present", "text": ""}), SupervisorError::AlreadyPresent);
        let failed = json!({"reason": "start_failed", "pid": null, "text": "why"});
        check_refusal(&failed, SupervisorError::StartFailed("why".into()));
        check_refusal(&json!({"reason": "moved", "text": "x"}), SupervisorError::Other("moved: x".into()));
    }
}
