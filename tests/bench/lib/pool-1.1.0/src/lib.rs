//! Version 1.1.0: adds a sixth field and rewrites every number of the data.
#![forbid(unsafe_code)]

include!("../../pool.rs");

#[derive(Debug, Serialize, Deserialize)]
struct Server {
    id: u64,
    count: u64,
    name: (String, u64),
    flag: bool,
    data: Data,
    extra: (String, u64),
}

/// The state of 1.0.0.
#[derive(Debug, Serialize, Deserialize)]
struct Older {
    id: u64,
    count: u64,
    name: (String, u64),
    flag: bool,
    data: Data,
}

impl Data {
    fn map(self, change: impl Fn(u64) -> u64) -> Self {
        match self {
            Self::Small(number) => Self::Small(change(number)),
            Self::Kb1(numbers) => Self::Kb1(numbers.into_iter().map(change).collect()),
        }
    }
}

impl GenServer for Server {
    type Args = (u64, String);
    type Call = Ask;
    type Reply = Checked;
    type Cast = ();
    type Message = Ping;

    async fn init((id, kind): (u64, String)) -> Result<Self, NotStarted> {
        let (name, data) = (("server".to_owned(), id), Data::new(&kind, id + 1));
        Ok(Self { id, count: id, name, flag: false, data, extra: ("new".to_owned(), id) })
    }

    async fn handle_call(&mut self, Ask::Check: Ask, _from: From) -> Answer<Checked> {
        Answer::Reply(Checked(2, self.id, self.data.first()))
    }

    async fn handle_info(&mut self, info: Info<Ping>) -> Next {
        pong(info)
    }

    fn change_code(_from: &str, state: State, _extra: Value) -> Result<Self, Exit> {
        let Older { id, count, name, flag, data } = state.read()?;
        Ok(Self { id, count, name, flag, data: data.map(|number| number + 1), extra: ("up".to_owned(), id) })
    }

    fn change_code_down(&self, _to: &str, _extra: Value) -> Result<State, Exit> {
        let Self { id, count, name, flag, data, extra: _ } = self;
        let data = data.clone().map(|number| number - 1);
        Ok(State::write(&Older { id: *id, count: *count, name: name.clone(), flag: *flag, data })?)
    }
}
