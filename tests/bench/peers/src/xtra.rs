//! The echo of xtra.

use xtra::{Actor, Address, Context, Handler, Mailbox};

use crate::Echo;

pub(crate) struct Server(Address<Actual>);

#[derive(Actor)]
pub(crate) struct Actual;

struct Call(u64);

impl Handler<Call> for Actual {
    type Return = u64;

    async fn handle(&mut self, Call(number): Call, _: &mut Context<Self>) -> u64 {
        number
    }
}

impl Echo for Server {
    const NAME: &str = "xtra";

    async fn start() -> Self {
        Self(xtra::spawn_tokio(Actual, Mailbox::unbounded()))
    }

    async fn call(&self, number: u64) -> u64 {
        self.0.send(Call(number)).await.expect("the actor answers")
    }
}
