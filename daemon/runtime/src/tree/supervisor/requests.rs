//! The requests that a supervisor answers. OTP: the functions of `supervisor`.

use std::sync::Arc;

use serde_bytes::ByteBuf;

use super::Supervisor;
use crate::process::rows::{Child, Row, Seq};
use crate::tree::request::{Counts, Error, Listed, Reason, Request, counts, listed, refused, reply};
use crate::words::child_spec::{ChildSpec, ChildType, Restart, Strategy, id};
use crate::words::code::{Behaviour, Bytes};
use crate::words::code_server::Code;
use crate::words::pid::Pid;
use crate::world::context;

impl Supervisor {
    pub(super) async fn request(&mut self, request: Request) -> Bytes {
        match request {
            Request::StartChild(spec) => reply(self.start_child(spec.into()).await),
            Request::StartChildArgs(args) => reply(self.start_child_args(args.into_vec()).await),
            Request::TerminateChild(child) => reply(self.terminate_child(&id(&child)).await),
            Request::TerminatePid(pid) => reply(self.terminate_pid(pid).await),
            Request::RestartChild(child) => reply(self.restart_child(&id(&child)).await),
            Request::DeleteChild(child) => reply(self.delete_child(&id(&child))),
            Request::RenameChild(child, new) => reply(self.rename_child(&id(&child), id(&new))),
            Request::GetChildspec(child) => reply(self.get_childspec(&id(&child))),
            Request::GetChildspecOf(pid) => reply(self.get_childspec_of(pid)),
            Request::WhichChildren => reply(Ok(self.which_children())),
            Request::CountChildren => reply(Ok(self.count_children())),
        }
    }

    async fn start_child(&self, spec: ChildSpec) -> Result<Option<Pid>, Error> {
        self.refuse_simple("start_child needs arguments instead of a child spec")?;
        if let Some((_, row)) = self.rows.read().by_id(&spec.id) {
            return Err(match row.child.pid() {
                Some(pid) => {
                    Error { pid: Some(pid), ..refused(Reason::AlreadyStarted, &spec.id, "runs already") }
                }
                None => {
                    refused(Reason::AlreadyPresent, &spec.id, "exists and does not run; restart or delete it")
                }
            });
        }
        spec.check(self.spec.auto_shutdown).map_err(|why| Error::new(Reason::BadSpec, why))?;
        let code = check_module(&spec)?;
        let seq = self.rows.write().push(spec, Child::Stopped);
        self.start_new_row(code, seq).await
    }

    async fn start_child_args(&self, args: Bytes) -> Result<Option<Pid>, Error> {
        let Some(template) = &self.template else {
            return Err(Error::new(
                Reason::BadRequest,
                "only a simple_one_for_one starts children from arguments".into(),
            ));
        };
        let code = check_module(template)?;
        let seq = self.rows.write().push_anonymous(template, args);
        self.start_new_row(code, seq).await
    }

    /// Starts the child of a row that was just added. OTP: a spec is not kept if the start fails.
    async fn start_new_row(&self, code: Arc<Code>, seq: Seq) -> Result<Option<Pid>, Error> {
        match self.start_row_in(code, seq).await {
            Ok(Some(pid)) => Ok(Some(pid)),
            Ok(None) => {
                if self.spec.strategy == Strategy::SimpleOneForOne {
                    self.rows.write().remove(seq);
                }
                Ok(None)
            }
            Err(exit) => {
                self.rows.write().remove(seq);
                Err(Error::new(Reason::StartFailed, exit.to_string()))
            }
        }
    }

    async fn terminate_child(&self, id: &[u8]) -> Result<(), Error> {
        self.refuse_simple("terminate its children by pid")?;
        let (seq, _) = self.find(id)?;
        self.terminate(seq).await;
        Ok(())
    }

    async fn terminate_pid(&self, pid: Pid) -> Result<(), Error> {
        let (seq, _) = self.find_pid(pid)?;
        self.terminate(seq).await;
        Ok(())
    }

    /// Ends a child. Its row is removed if the child has no id or is never restarted.
    async fn terminate(&self, seq: Seq) {
        self.stop_row(seq).await;
        let mut rows = self.rows.write();
        let is_temporary = rows.get(seq).is_some_and(|row| row.terms.restart == Restart::Temporary);
        if is_temporary || self.spec.strategy == Strategy::SimpleOneForOne {
            rows.remove(seq);
        }
    }

    async fn restart_child(&self, id: &[u8]) -> Result<Option<Pid>, Error> {
        self.refuse_simple("its children have no ids")?;
        let (seq, _) = self.find_stopped(id)?;
        self.start_row(seq).await.map_err(|exit| Error::new(Reason::StartFailed, exit.to_string()))
    }

    fn delete_child(&self, id: &[u8]) -> Result<(), Error> {
        self.refuse_simple("its children have no ids")?;
        let (seq, _) = self.find_stopped(id)?;
        self.rows.write().remove(seq);
        Ok(())
    }

    /// Not in OTP: gives a child another id while it runs.
    fn rename_child(&self, id: &[u8], new: ByteBuf) -> Result<(), Error> {
        self.refuse_simple("its children have no ids")?;
        let (seq, _) = self.find(id)?;
        let mut rows = self.rows.write();
        if rows.by_id(&new).is_some() {
            return Err(refused(Reason::AlreadyPresent, &new, "exists already"));
        }
        rows.rename(seq, &new);
        Ok(())
    }

    fn refuse_simple(&self, text: &str) -> Result<(), Error> {
        if self.spec.strategy == Strategy::SimpleOneForOne {
            return Err(Error::new(
                Reason::SimpleOneForOne,
                format!("{} is a simple_one_for_one: {text}", self.pid),
            ));
        }
        Ok(())
    }

    fn find(&self, id: &[u8]) -> Result<(Seq, Row), Error> {
        let rows = self.rows.read();
        rows.by_id(id)
            .map(|(seq, row)| (seq, row.clone()))
            .ok_or_else(|| refused(Reason::NotFound, id, "does not exist"))
    }

    fn find_pid(&self, pid: Pid) -> Result<(Seq, Row), Error> {
        let rows = self.rows.read();
        let found = rows.by_pid(pid).map(|(seq, row)| (seq, row.clone()));
        found.ok_or_else(|| Error::new(Reason::NotFound, format!("{pid} is not a child of {}", self.pid)))
    }

    fn find_stopped(&self, id: &[u8]) -> Result<(Seq, Row), Error> {
        let (seq, row) = self.find(id)?;
        match row.child {
            Child::Stopped => Ok((seq, row)),
            Child::Restarting => Err(refused(Reason::Restarting, id, "is being restarted")),
            Child::Running(pid) | Child::Starting(pid) => {
                Err(Error { pid: Some(pid), ..refused(Reason::Running, id, "runs; terminate it first") })
            }
        }
    }

    /// Returns a child spec. OTP also answers for a simple_one_for_one, by the id of its template.
    fn get_childspec(&self, id: &[u8]) -> Result<ChildSpec, Error> {
        if self.spec.strategy == Strategy::SimpleOneForOne {
            let template = self.spec.children.iter().find(|child| child.id == id);
            return template.cloned().ok_or_else(|| refused(Reason::NotFound, id, "does not exist"));
        }
        self.find(id).map(|(_, row)| self.rows.read().spec(&row))
    }

    fn get_childspec_of(&self, pid: Pid) -> Result<ChildSpec, Error> {
        self.find_pid(pid).map(|(_, row)| self.rows.read().spec(&row))
    }

    fn which_children(&self) -> Vec<Listed> {
        let rows = self.rows.read();
        rows.iter().rev().map(|row| listed(&rows, row)).collect()
    }

    fn count_children(&self) -> Counts {
        let rows = self.rows.read();
        let simple = self.spec.strategy == Strategy::SimpleOneForOne;
        counts(&rows, if simple { 1 } else { rows.len() })
    }
}

/// Checks that a child's module is loaded and fits the declared type, and returns its code. Unlike
/// OTP, the type is compared with the behaviour of the module.
fn check_module(spec: &ChildSpec) -> Result<Arc<Code>, Error> {
    let Some(code) = context::resolve(&spec.module) else {
        return Err(Error::new(Reason::UnknownModule, format!("module {} is not loaded", spec.module)));
    };
    let behaviour = code.behaviour();
    let fits = match behaviour {
        Behaviour::Supervisor => spec.child_type == ChildType::Supervisor,
        Behaviour::Application => false,
        Behaviour::Task => spec.child_type == ChildType::Worker,
        server => server.is_server() && spec.child_type == ChildType::Worker,
    };
    if fits {
        return Ok(code);
    }
    let text = format!(
        "module {} is a {behaviour:?}, but the child spec declares {:?}",
        spec.module, spec.child_type
    );
    Err(Error::new(Reason::BadSpec, text))
}
