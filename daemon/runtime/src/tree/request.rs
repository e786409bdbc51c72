//! Decodes requests to a supervisor, and encodes the answers. OTP: the functions of
//! `supervisor`.

use reld_wire::Reply;
pub(crate) use reld_wire::supervisor::{Child as Listed, Counts, Error, Reason, Request};
use serde::Serialize;
use serde_bytes::ByteBuf;

use crate::process::rows::{Child, Row, Rows};
use crate::words::child_spec::{AutoShutdown, ChildType, Strategy, show_id};
use crate::words::code::Bytes;
use crate::words::term;

/// Decodes a request. Unknown members are an error.
pub(crate) fn read(body: &[u8]) -> Result<Request, Error> {
    term::decode_known(body).map_err(|text| Error::new(Reason::BadRequest, text))
}

/// Returns an error about the child with this id. `what` follows the child's name.
pub(crate) fn refused(reason: Reason, id: &[u8], what: &str) -> Error {
    Error::new(reason, format!("child {} {what}", show_id(id)))
}

/// Encodes an answer.
pub(crate) fn reply<T: Serialize>(result: Result<T, Error>) -> Bytes {
    term::encode(&Reply::from(result))
}

/// Returns a child as `which_children` lists it.
pub(crate) fn listed(rows: &Rows, row: &Row) -> Listed {
    Listed {
        id: ByteBuf::from(rows.id(row).map_or_else(|| term::encode(&()), <[u8]>::to_vec)),
        pid: row.child.pid(),
        restarting: row.child == Child::Restarting,
        child_type: row.terms.child_type,
        module: row.terms.module.clone(),
    }
}

/// Counts children.
pub(crate) fn counts(rows: &Rows, specs: usize) -> Counts {
    let supervisors = rows.iter().filter(|row| row.terms.child_type == ChildType::Supervisor).count();
    Counts {
        specs,
        active: rows.iter().filter(|row| row.child.pid().is_some()).count(),
        supervisors,
        workers: rows.len() - supervisors,
    }
}

/// The state of a supervisor, as `get_state` shows it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Exported {
    pub(crate) strategy: Strategy,
    pub(crate) intensity: u32,
    pub(crate) period_ms: u64,
    pub(crate) auto_shutdown: AutoShutdown,
    pub(crate) children: Vec<Listed>,
}
