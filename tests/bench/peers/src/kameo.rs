//! The echo of kameo.

use kameo::Actor;
use kameo::actor::{ActorRef, Spawn};
use kameo::message::{Context, Message};

use crate::Echo;

pub(crate) struct Server(ActorRef<Actual>);

#[derive(Actor)]
pub(crate) struct Actual;

struct Call(u64);

impl Message<Call> for Actual {
    type Reply = u64;

    async fn handle(&mut self, Call(number): Call, _: &mut Context<Self, u64>) -> u64 {
        number
    }
}

impl Echo for Server {
    const NAME: &str = "kameo";

    async fn start() -> Self {
        Self(Actual::spawn(Actual))
    }

    async fn call(&self, number: u64) -> u64 {
        self.0.ask(Call(number)).await.expect("the actor answers")
    }
}
