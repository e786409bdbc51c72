//! Version 1.0.0: a state of five fields.
#![forbid(unsafe_code)]

include!("../../pool.rs");

#[derive(Debug, Serialize, Deserialize)]
struct Server {
    id: u64,
    count: u64,
    name: (String, u64),
    flag: bool,
    data: Data,
}

impl GenServer for Server {
    type Args = (u64, String);
    type Call = Ask;
    type Reply = Checked;
    type Cast = ();
    type Message = Ping;

    async fn init((id, kind): (u64, String)) -> Result<Self, NotStarted> {
        Ok(Self { id, count: id, name: ("server".to_owned(), id), flag: false, data: Data::new(&kind, id) })
    }

    async fn handle_call(&mut self, Ask::Check: Ask, _from: From) -> Answer<Checked> {
        Answer::Reply(Checked(1, self.id, self.data.first()))
    }

    async fn handle_info(&mut self, info: Info<Ping>) -> Next {
        pong(info)
    }

    /// `change_code_down` of 1.1.0 already returns a state of this version.
    fn change_code(_from: &str, state: State, _extra: Value) -> Result<Self, Exit> {
        Ok(state.read()?)
    }
}
