//! Up, down, up: an upgrade of one state, without a node.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::behaviour::Stateful;
use crate::codec::{self, Undecodable};
use crate::exit::Exit;
use crate::gen_server::{GenServer, Server};
use crate::guard::catch;
use crate::value::{State, Value};

/// Where a state was lost on its way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoundsError {
    /// An argument could not be written.
    #[error("an argument cannot be written: {0}")]
    Argument(#[from] Undecodable),
    /// `change_code` failed.
    #[error("going up: {0}")]
    Up(Exit),
    /// The new state could not be written or read again as it is.
    #[error("the new state does not survive being written: {0}")]
    Kept(Exit),
    /// `change_code_down` failed.
    #[error("going down: {0}")]
    Down(Exit),
    /// The older version cannot read what `change_code_down` made.
    #[error("the older version cannot read the state: {0}")]
    Older(Undecodable),
    /// The older version's state is not what it was.
    #[error("after up and down, the older version's state is {0}")]
    Changed(String),
    /// The second way up led elsewhere than the first.
    #[error("the second upgrade made another state than the first")]
    Unequal,
}

/// Takes a state of the older `version` up to `S`, down, and up again; returns the last state.
///
/// `Old` spells the older version's state out, as it was written there: after up and down it must
/// be equal, and every field must be read. `up_extra` and `down_extra` are the appup's, as anything
/// that can be written. A node leaves out on the way down what only the newer version has; this
/// does not, so that it tests a `change_code_down` of your own.
///
/// # Errors
/// See [`RoundsError`].
pub fn up_down_up<S, Old>(
    old: &Old,
    version: &str,
    up_extra: &impl Serialize,
    down_extra: &impl Serialize,
) -> Result<S, RoundsError>
where
    S: GenServer,
    Old: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let recorded = State::write(old)?;
    let (up_extra, down_extra) = (Value::write(up_extra)?, Value::write(down_extra)?);
    let first = up::<S>(version, recorded, &up_extra)?;
    let kept = kept(&first)?;
    let lowered = down(&kept, version, down_extra)?;
    let lowered_old: Old = lowered.read().map_err(RoundsError::Older)?;
    if lowered_old != *old {
        return Err(RoundsError::Changed(format!("{lowered_old:?}")));
    }
    let second = up::<S>(version, lowered, &up_extra)?;
    if codec::encode(&second)? != codec::encode(&first)? {
        return Err(RoundsError::Unequal);
    }
    Ok(second)
}

fn up<S: GenServer>(from: &str, state: State, extra: &Value) -> Result<S, RoundsError> {
    caught(|| Server::<S>::change_code(from, state, extra.clone())).map_err(RoundsError::Up)
}

/// Writes and reads the state, as the daemon does on the way down.
fn kept<S: GenServer>(state: &S) -> Result<S, RoundsError> {
    caught(|| Server::<S>::import(&Server::<S>::export(state)?)).map_err(RoundsError::Kept)
}

fn down<S: GenServer>(state: &S, to: &str, extra: Value) -> Result<State, RoundsError> {
    caught(|| Server::<S>::change_code_down(state, to, extra)).map_err(RoundsError::Down)
}

fn caught<T>(work: impl FnOnce() -> Result<T, Exit>) -> Result<T, Exit> {
    catch(work).and_then(|result| result)
}
