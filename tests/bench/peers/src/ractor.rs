//! The echo of ractor.

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, call};

use crate::Echo;

pub(crate) struct Server(ActorRef<Call>);

struct Actual;

pub(crate) struct Call(u64, RpcReplyPort<u64>);

impl Actor for Actual {
    type Msg = Call;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Call>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Call>,
        Call(number, caller): Call,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        Ok(caller.send(number)?)
    }
}

impl Echo for Server {
    const NAME: &str = "ractor";

    async fn start() -> Self {
        Self(Actor::spawn(None, Actual, ()).await.expect("the actor starts").0)
    }

    async fn call(&self, number: u64) -> u64 {
        call!(self.0, Call, number).expect("the actor answers")
    }
}
