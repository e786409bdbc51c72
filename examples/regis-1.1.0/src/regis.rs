//! The server: it decides about names and writes them into the table that all processes read.

use std::collections::BTreeMap;

use reld_sdk::schemars::{self, JsonSchema};
use reld_sdk::{
    Answer, Exit, From, GenServer, Info, MonitorRef, Next, NotStarted, Pid, Refused, Schema, State, Value,
    demonitor, monitor, register,
};
use serde::{Deserialize, Serialize};

use crate::regis_table::{self, Names};

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Regis {
    holders: BTreeMap<MonitorRef, Holder>,
    /// The table of names; in 1.0.0 this was an index in the state. `None` while the owner of the
    /// table does not run.
    names: Option<Names>,
}

/// A process that holds a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct Holder {
    name: String,
    pid: Pid,
}

/// The state of 1.0.0: two indexes of the same names.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RegisV100 {
    names: BTreeMap<String, HolderV100>,
    monitors: BTreeMap<MonitorRef, String>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct HolderV100 {
    pid: Pid,
    monitor: MonitorRef,
}

/// The calls of the server.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Gives this name to the caller.
    Register(String),
    /// Takes this name from the caller.
    Unregister(String),
    /// Returns the process with this name.
    Whereis(String),
    /// Returns all names.
    Names,
}

/// The replies of the server.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Response {
    /// The name was registered or unregistered.
    Done,
    /// This process already holds the name. It may be the caller itself.
    Taken(Pid),
    /// The caller does not hold the name.
    NotYours,
    /// The process with the name.
    Pid(Option<Pid>),
    /// All names, sorted.
    Names(Vec<String>),
}

/// The casts of the server.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// A new table exists: writes all names into it.
    Publish,
}

impl GenServer for Regis {
    type Args = ();
    type Call = Request;
    type Reply = Response;
    type Cast = Order;
    type Message = ();

    /// After a crash, the server restores its names from the table.
    async fn init((): ()) -> Result<Self, NotStarted> {
        register("regis")?;
        let mut regis = Self { names: regis_table::find(), ..Self::default() };
        if let Some(names) = regis.names {
            for (name, pid) in names.rows()? {
                // If the process has ended since, the monitor reports it at once.
                regis.holders.insert(monitor(pid)?, Holder { name, pid });
            }
        }
        Ok(regis)
    }

    async fn handle_call(&mut self, request: Request, from: From) -> Answer<Response> {
        let answer = match request {
            Request::Register(name) => self.register(name, from.pid()),
            Request::Unregister(name) => self.unregister(&name, from.pid()),
            Request::Whereis(name) => Ok(Response::Pid(self.whereis(&name))),
            Request::Names => Ok(Response::Names(self.all())),
        };
        answer.map_or_else(|refused| Answer::stop(refused.into()), Answer::Reply)
    }

    async fn handle_cast(&mut self, Order::Publish: Order) -> Next {
        self.names = regis_table::find();
        self.holders.values().for_each(|holder| self.publish(holder));
        Next::Continue
    }

    async fn handle_info(&mut self, info: Info<()>) -> Next {
        if let Info::Down { monitor, .. } = info {
            self.free(monitor);
        }
        Next::Continue
    }

    /// Up: merges the two indexes. The table is written later, because its owner starts after the
    /// switch: see `Order::Publish`.
    fn change_code(_from: &str, state: State, _extra: Value) -> Result<Self, Exit> {
        let RegisV100 { names, monitors: _ } = state.read()?;
        let holder = |(name, HolderV100 { pid, monitor })| (monitor, Holder { name, pid });
        Ok(Self { holders: names.into_iter().map(holder).collect(), names: None })
    }

    /// Down: rebuilds both indexes. The table ends with its owner.
    fn change_code_down(&self, _to: &str, _extra: Value) -> Result<State, Exit> {
        let holders = || self.holders.iter().map(|(monitor, holder)| (*monitor, holder.clone()));
        let names = holders().map(|(monitor, Holder { name, pid })| (name, HolderV100 { pid, monitor }));
        let monitors = holders().map(|(monitor, Holder { name, .. })| (monitor, name));
        Ok(State::write(&RegisV100 { names: names.collect(), monitors: monitors.collect() })?)
    }

    fn schema() -> Schema {
        Schema::of_server::<Self>()
    }
}

impl Regis {
    fn register(&mut self, name: String, pid: Pid) -> Result<Response, Refused> {
        if let Some(holder) = self.whereis(&name) {
            return Ok(Response::Taken(holder));
        }
        let holder = Holder { name, pid };
        self.publish(&holder);
        self.holders.insert(monitor(pid)?, holder);
        Ok(Response::Done)
    }

    fn unregister(&mut self, name: &str, pid: Pid) -> Result<Response, Refused> {
        let is_it = |(_, holder): &(&MonitorRef, &Holder)| holder.name == name && holder.pid == pid;
        let Some((&monitor, _)) = self.holders.iter().find(is_it) else { return Ok(Response::NotYours) };
        demonitor(monitor)?;
        self.free(monitor);
        Ok(Response::Done)
    }

    fn whereis(&self, name: &String) -> Option<Pid> {
        match self.names.map(|names| names.get(name)) {
            Some(Ok(found)) => found,
            // There is no table yet, or its owner is restarting.
            _ => self.holders.values().find(|holder| holder.name == *name).map(|holder| holder.pid),
        }
    }

    fn all(&self) -> Vec<String> {
        let mut names: Vec<_> = self.holders.values().map(|holder| holder.name.clone()).collect();
        names.sort();
        names
    }

    fn free(&mut self, monitor: MonitorRef) {
        if let (Some(holder), Some(names)) = (self.holders.remove(&monitor), self.names) {
            // An error means that the table is gone, and its names with it.
            let _ = names.take(&holder.name);
        }
    }

    fn publish(&self, holder: &Holder) {
        if let Some(names) = self.names {
            // An error means that the table is gone. Its owner requests all names again when it
            // restarts.
            let _ = names.insert(&holder.name, &holder.pid);
        }
    }
}

#[cfg(test)]
mod tests {
    use reld_sdk::harness::{Node, Running, up_down_up};

    use super::*;

    fn regis() -> Running<Regis> {
        Node::new().start(&()).expect("starts")
    }

    #[track_caller]
    fn ask(regis: &mut Running<Regis>, request: &Request) -> Response {
        regis.call(request).expect("it answers")
    }

    fn ada() -> String {
        "ada".to_owned()
    }

    #[track_caller]
    fn holder(regis: &mut Running<Regis>) -> Option<Pid> {
        match ask(regis, &Request::Whereis(ada())) {
            Response::Pid(pid) => pid,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_name_has_one_holder_until_it_is_unregistered() {
        let mut regis = regis();
        assert_eq!(holder(&mut regis), None);
        assert_eq!(ask(&mut regis, &Request::Register(ada())), Response::Done);
        let pid = holder(&mut regis).expect("the caller has it");
        assert_eq!(ask(&mut regis, &Request::Register(ada())), Response::Taken(pid));
        assert_eq!(ask(&mut regis, &Request::Names), Response::Names(vec![ada()]));
        assert_eq!(ask(&mut regis, &Request::Unregister("bob".to_owned())), Response::NotYours);
        assert_eq!(ask(&mut regis, &Request::Unregister(ada())), Response::Done);
        assert_eq!(holder(&mut regis), None);
    }

    #[test]
    fn the_end_of_a_process_frees_its_name() {
        let mut regis = regis();
        ask(&mut regis, &Request::Register(ada()));
        let pid = holder(&mut regis).expect("the caller has it");
        let monitor = *regis.state().expect("lives").holders.keys().next().expect("it is watched");
        regis.down(monitor, pid, Exit::Killed).expect("lives");
        assert_eq!(holder(&mut regis), None);
        assert_eq!(ask(&mut regis, &Request::Register(ada())), Response::Done);
    }

    #[test]
    fn up_down_up_merges_the_two_indexes_and_splits_them_again() {
        let mut regis = regis();
        ask(&mut regis, &Request::Register(ada()));
        let state = regis.state().expect("lives");
        let (monitor, Holder { name, pid }) = state.holders.iter().next().expect("one has a name");
        let old = RegisV100 {
            names: BTreeMap::from([(name.clone(), HolderV100 { pid: *pid, monitor: *monitor })]),
            monitors: BTreeMap::from([(*monitor, name.clone())]),
        };
        let new: Regis = up_down_up(&old, "1.0.0", &(), &()).expect("goes round");
        assert_eq!((new.holders, new.names), (state.holders.clone(), None));
    }
}
