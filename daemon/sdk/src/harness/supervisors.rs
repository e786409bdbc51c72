//! The simple_one_for_one supervisors beside the process under test.

use std::collections::BTreeMap;

use reld_wire::supervisor::{Counts, Error, Reason, Reply, Request};

use crate::body::Body;
use crate::codec;
use crate::names::Pid;

/// The supervisors, each with the number of its children.
#[derive(Default)]
pub(super) struct Supervisors(BTreeMap<Pid, usize>);

impl Supervisors {
    pub(super) fn add(&mut self, supervisor: Pid) {
        self.0.insert(supervisor, 0);
    }

    /// Answers a request. `None` if there is no such supervisor. Each start succeeds, with the pid
    /// of the child from `child`.
    pub(super) fn ask(
        &mut self,
        supervisor: Pid,
        request: &[u8],
        child: impl FnOnce() -> Pid,
    ) -> Option<Body> {
        let children = self.0.get_mut(&supervisor)?;
        let answer = match codec::decode::<Request>(request).ok()? {
            Request::StartChildArgs(_) => {
                *children += 1;
                codec::body(&Reply::Ok(Some(child().0)))
            }
            Request::CountChildren => {
                let (active, workers) = (*children, *children);
                codec::body(&Reply::Ok(Counts { specs: 1, active, supervisors: 0, workers }))
            }
            _ => {
                let text = "a supervisor of the harness starts and counts children only".to_owned();
                codec::body(&Reply::<()>::Error(Error::new(Reason::BadRequest, text)))
            }
        };
        answer.ok()
    }

    pub(super) fn end_child(&mut self, supervisor: Pid) {
        if let Some(children) = self.0.get_mut(&supervisor) {
            *children = children.saturating_sub(1);
        }
    }
}
