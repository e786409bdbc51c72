//! Sentences about data that new code rejects.

use crate::node::{ForeseenRefusal, Refusable};

/// Joins rejections of the same kind, for the same reason: start arguments of one supervisor's
/// children, or the data of processes. Returns the first of each kind and the number of the others.
pub(crate) fn alike(refused: impl IntoIterator<Item = ForeseenRefusal>) -> Vec<(ForeseenRefusal, usize)> {
    let is_alike = |one: &ForeseenRefusal, other: &ForeseenRefusal| {
        let is_same_kind = match (&one.what, &other.what) {
            (Refusable::StartArgument(_), Refusable::StartArgument(_)) => one.process == other.process,
            (one, other) => one == other,
        };
        is_same_kind && one.module == other.module && one.reason == other.reason
    };
    let mut kinds: Vec<(ForeseenRefusal, usize)> = Vec::new();
    for refusal in refused {
        match kinds.iter_mut().find(|(first, _)| is_alike(first, &refusal)) {
            Some((_, more)) => *more += 1,
            None => kinds.push((refusal, 0)),
        }
    }
    kinds
}

/// Returns the sentence about a rejection, and about `more` of the same kind. `doubt` has the
/// differences of the schemas.
pub(crate) fn sentence(refusal: &ForeseenRefusal, more: usize, doubt: Option<&[String]>) -> String {
    let ForeseenRefusal { process, what, module, vsn, reason } = refusal;
    let doubt = doubt.map(|why| format!(" ({})", why.join("; "))).unwrap_or_default();
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    match what {
        Refusable::StartArgument(id) => format!(
            "child {id}{more} of {process} could not be started again: module {module} {vsn} does not take its start \
             argument: {reason}; terminate and delete it first"
        ),
        Refusable::Init => {
            format!(
                "{process}{more} could not be started again: module {module} {vsn} does not take its start argument: {reason}"
            )
        }
        Refusable::Name(name) => format!(
            "{process} cannot have the name {name} of its spec in {module} {vsn}: {reason}; give the spec another \
             name, or end that process first"
        ),
        Refusable::State => format!(
            "module {module} {vsn} does not take the state of {process}: {reason}{doubt}; give new fields a default, or update the module with a change_code"
        ),
        Refusable::Message => format!(
            "module {module} {vsn} does not take a message that waits for {process}{more}, which would crash: {reason}"
        ),
    }
}
