//! Converts one state up, down and up again, without a node.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::behaviour::Stateful;
use crate::codec::{self, Undecodable};
use crate::exit::Exit;
use crate::gen_server::{GenServer, Server};
use crate::guard::catch;
use crate::value::{State, Value};

/// The step in which the state could not be converted, or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoundsError {
    /// An argument could not be serialized.
    #[error("an argument cannot be serialized: {0}")]
    Argument(#[from] Undecodable),
    /// `change_code` failed.
    #[error("change_code failed: {0}")]
    Up(Exit),
    /// The new state could not be serialized, or could not be read back.
    #[error("the new state cannot be serialized and read back: {0}")]
    Kept(Exit),
    /// `change_code_down` failed.
    #[error("change_code_down failed: {0}")]
    Down(Exit),
    /// The older version cannot read the result of `change_code_down`.
    #[error("the older version cannot read the state: {0}")]
    Older(Undecodable),
    /// After up and down, the older version's state has changed.
    #[error("after up and down, the older version's state is {0}")]
    Changed(String),
    /// The second upgrade produced another state than the first.
    #[error("the second upgrade produced another state than the first")]
    Unequal,
}

/// Converts a state of the older `version` up to `S`, down, and up again. Returns the last state.
///
/// `Old` is the type of the older version's state, with all its fields: after up and down the state
/// must be equal. `up_extra` and `down_extra` are the values from the appup. On a downgrade, a node
/// cuts out the fields that only the newer version has. This function does not cut, so that it
/// tests your own `change_code_down`.
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

/// Serializes the state and reads it back, as the daemon does on a downgrade.
fn kept<S: GenServer>(state: &S) -> Result<S, RoundsError> {
    caught(|| Server::<S>::import(&Server::<S>::export(state)?)).map_err(RoundsError::Kept)
}

fn down<S: GenServer>(state: &S, to: &str, extra: Value) -> Result<State, RoundsError> {
    caught(|| Server::<S>::change_code_down(state, to, extra)).map_err(RoundsError::Down)
}

fn caught<T>(work: impl FnOnce() -> Result<T, Exit>) -> Result<T, Exit> {
    catch(work).and_then(|result| result)
}
