//! supervisor: the daemon runs the supervisor, and your module only returns its spec.
//!
//! The functions here call a running supervisor. As in OTP, the calls have no time-out.

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

    /// Returns the spec. The daemon calls this function at the start of the supervisor, and again
    /// with the same argument for `change = "supervisor"` in an appup. So the function should have
    /// no other effect. The check of an upgrade calls it in a separate OS process. Only at the
    /// start does it run in a process of the node: later, [`env`](crate::env) returns `None`, so
    /// pass configuration in the argument. If the argument is `()`, `relctl pack` calls the
    /// function too, to store the child specs for `relctl diff`.
    fn init(args: Self::Args) -> SupervisorSpec;
}

/// A row of [`which_children`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "wire::Child")]
pub struct Child {
    /// The child's id.
    pub id: Value,
    /// The child's process, if there is one.
    pub pid: Option<Pid>,
    /// Whether the child is being restarted.
    pub restarting: bool,
    /// Whether the child is a supervisor.
    pub child_type: ChildType,
    /// The child's callback module.
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
    /// The number of child specs.
    pub specs: usize,
    /// The number of running children.
    pub active: usize,
    /// The number of supervisors, running or not.
    pub supervisors: usize,
    /// The number of workers, running or not.
    pub workers: usize,
}

impl From<wire::Counts> for Counts {
    fn from(counts: wire::Counts) -> Self {
        let wire::Counts { specs, active, supervisors, workers } = counts;
        Self { specs, active, supervisors, workers }
    }
}

/// The error of a failed request to a supervisor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SupervisorError {
    /// A child with that id is running.
    #[error("a child with that id runs as {0}")]
    AlreadyStarted(Pid),
    /// A child with that id exists, but does not run. Restart or delete it.
    #[error("a child with that id exists, but does not run; restart or delete it")]
    AlreadyPresent,
    /// There is no child with that id or pid.
    #[error("there is no such child")]
    NotFound,
    /// The child is running.
    #[error("the child is running")]
    Running,
    /// The child is being restarted.
    #[error("the child is being restarted")]
    Restarting,
    /// Two children have the same id.
    #[error("two children have the same id: {0}")]
    DuplicateId(String),
    /// The child's init failed.
    #[error("the child did not start: {0}")]
    StartFailed(String),
    /// The child spec is invalid.
    #[error("bad child spec: {0}")]
    BadSpec(String),
    /// The node does not have that module.
    #[error("unknown module: {0}")]
    UnknownModule(String),
    /// A newer daemon gave a reason that this SDK does not know.
    #[error("{0}")]
    Other(String),
    /// The supervisor did not reply.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl From<Undecodable> for SupervisorError {
    fn from(error: Undecodable) -> Self {
        Self::Call(error.into())
    }
}

/// Adds a child and starts it. Returns `None` if its init returned
/// [`Ignore`](crate::NotStarted::Ignore).
///
/// # Errors
/// `AlreadyStarted`, `AlreadyPresent`, `StartFailed`, `BadSpec`, `UnknownModule`, `Call`.
pub async fn start_child(
    supervisor: impl Into<To>,
    child: ChildSpec,
) -> Result<Option<Pid>, SupervisorError> {
    ask(supervisor.into(), &Request::StartChild(child.0)).await
}

/// Starts one more child of a simple_one_for_one supervisor. Unlike OTP, `args` is the whole start
/// argument, and is not appended to the argument of the template.
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

/// Stops a child. Its spec stays.
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

/// Starts a stopped child. Returns `None` if its init returned
/// [`Ignore`](crate::NotStarted::Ignore).
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

/// Removes the spec of a stopped child.
///
/// # Errors
/// `NotFound`, `Running`, `Restarting`, `Call`.
pub async fn delete_child(supervisor: impl Into<To>, id: &impl Serialize) -> Result<(), SupervisorError> {
    let request = Request::DeleteChild(bytes(id)?);
    done(ask(supervisor.into(), &request).await)
}

/// Returns the spec of a child, with defaults filled in. The start argument is nil if the daemon
/// does not keep it, as for a temporary child.
///
/// # Errors
/// `NotFound`, `Call`.
pub async fn get_childspec(
    supervisor: impl Into<To>,
    id: &impl Serialize,
) -> Result<ChildSpec, SupervisorError> {
    spec(ask(supervisor.into(), &Request::GetChildspec(bytes(id)?)).await)
}

/// Returns the spec of a running child.
///
/// # Errors
/// `NotFound`, `Call`.
pub async fn get_childspec_of(supervisor: impl Into<To>, child: Pid) -> Result<ChildSpec, SupervisorError> {
    spec(ask(supervisor.into(), &Request::GetChildspecOf(child.0)).await)
}

/// Returns the children, latest started first.
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

/// Encodes an id or an argument.
fn bytes(value: &impl Serialize) -> Result<ByteBuf, Undecodable> {
    codec::encode(value).map(ByteBuf::from)
}

async fn ask<T: DeserializeOwned>(supervisor: To, body: &Request) -> Result<T, SupervisorError> {
    let body = codec::body(body)?;
    let reply = request(RequestKind::Supervisor, supervisor, body, INFINITY).await?;
    let reply: Reply<T, wire::Error<Word<Reason>>> = read("supervisor's reply", &reply)?;
    Result::from(reply).map_err(SupervisorError::from)
}

fn spec(reply: Result<reld_wire::spec::ChildSpec, SupervisorError>) -> Result<ChildSpec, SupervisorError> {
    reply.map(ChildSpec::from)
}

/// Drops the value of a reply that only reports success.
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

/// The supervisor behaviour, implemented by the callback type `S`.
#[derive(Debug)]
pub(crate) struct Tree<S>(PhantomData<fn() -> S>);

impl<S: Supervisor> Behaviour for Tree<S> {
    const BEHAVIOUR: u32 = reld_abi::BEHAVIOUR_SUPERVISOR;

    type State = std::convert::Infallible;

    fn init(args: &[u8]) -> Result<Work<Self::State>, Exit> {
        let args = read("start argument", args)?;
        Ok(Box::pin(async move {
            let spec = S::init(args);
            let reply = codec::body(&spec).map_err(|error| error.of("supervisor spec"))?;
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

    /// Describes the spec that init returns for the argument `()`. Other arguments are not known
    /// here.
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
    fn a_refusal_keeps_its_pid_and_its_text() {
        let pid = json!({"slot": 3, "generation": 1});
        let started = json!({"reason": "already_started", "pid": pid, "text": "x"});
        check_refusal(&started, SupervisorError::AlreadyStarted(Pid::new(3, 1)));
        check_refusal(&json!({"reason": "already_present", "text": ""}), SupervisorError::AlreadyPresent);
        let failed = json!({"reason": "start_failed", "pid": null, "text": "why"});
        check_refusal(&failed, SupervisorError::StartFailed("why".into()));
        check_refusal(&json!({"reason": "moved", "text": "x"}), SupervisorError::Other("moved: x".into()));
    }
}
