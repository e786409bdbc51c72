// A server that returns each request as its reply. It is also linked into the loader's benchmark,
// for comparison with the loaded library.

use reld_sdk::{Answer, From, GenServer, NotStarted};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// The payload of a call in both directions.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Payload {
    Int,
    Bin100,
    Map100,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Load {
    Int(u64),
    Bin100(ByteBuf),
    Map100 { id: u64, a: u64, b: (u64, u64), s: ByteBuf },
}

impl Load {
    /// A new value for each call, since a real caller also builds its request.
    pub(crate) fn new(payload: Payload, number: u64) -> Self {
        match payload {
            Payload::Int => Self::Int(number),
            Payload::Bin100 => Self::Bin100(bytes(number, 100)),
            Payload::Map100 => {
                Self::Map100 { id: number, a: number + 1, b: (number, number), s: bytes(number, 32) }
            }
        }
    }
}

fn bytes(number: u64, length: usize) -> ByteBuf {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(length, 0);
    ByteBuf::from(bytes)
}

/// Replies with the request.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Echo {
    answered: u64,
}

impl GenServer for Echo {
    type Args = ();
    type Call = Load;
    type Reply = Load;
    type Cast = ();
    type Message = ();

    async fn init((): ()) -> Result<Self, NotStarted> {
        Ok(Self { answered: 0 })
    }

    async fn handle_call(&mut self, load: Load, _from: From) -> Answer<Load> {
        self.answered += 1;
        Answer::Reply(load)
    }
}
