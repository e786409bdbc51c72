//! The server: it holds the names and frees each one when its process ends.

use std::collections::BTreeMap;

use reld_sdk::schemars::{self, JsonSchema};
use reld_sdk::{
    Answer, From, GenServer, Info, MonitorRef, Next, NotStarted, Pid, Refused, Schema, demonitor, monitor,
    register,
};
use serde::{Deserialize, Serialize};

/// Two indexes of the same names: by name, and by the monitor of the process.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Regis {
    names: BTreeMap<String, Holder>,
    monitors: BTreeMap<MonitorRef, String>,
}

/// A process that holds a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct Holder {
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

impl GenServer for Regis {
    type Args = ();
    type Call = Request;
    type Reply = Response;
    type Cast = ();
    type Message = ();

    async fn init((): ()) -> Result<Self, NotStarted> {
        register("regis")?;
        Ok(Self::default())
    }

    async fn handle_call(&mut self, request: Request, from: From) -> Answer<Response> {
        let answer = match request {
            Request::Register(name) => self.register(name, from.pid()),
            Request::Unregister(name) => self.unregister(&name, from.pid()),
            Request::Whereis(name) => Ok(Response::Pid(self.names.get(&name).map(|holder| holder.pid))),
            Request::Names => Ok(Response::Names(self.names.keys().cloned().collect())),
        };
        answer.map_or_else(|refused| Answer::stop(refused.into()), Answer::Reply)
    }

    async fn handle_info(&mut self, info: Info<()>) -> Next {
        if let Info::Down { monitor, .. } = info
            && let Some(name) = self.monitors.remove(&monitor)
        {
            self.names.remove(&name);
        }
        Next::Continue
    }

    fn schema() -> Schema {
        Schema::of_server::<Self>()
    }
}

impl Regis {
    fn register(&mut self, name: String, pid: Pid) -> Result<Response, Refused> {
        if let Some(holder) = self.names.get(&name) {
            return Ok(Response::Taken(holder.pid));
        }
        let monitor = monitor(pid)?;
        self.monitors.insert(monitor, name.clone());
        self.names.insert(name, Holder { pid, monitor });
        Ok(Response::Done)
    }

    fn unregister(&mut self, name: &str, pid: Pid) -> Result<Response, Refused> {
        match self.names.get(name) {
            Some(holder) if holder.pid == pid => {
                demonitor(holder.monitor)?;
                self.monitors.remove(&holder.monitor);
                self.names.remove(name);
                Ok(Response::Done)
            }
            _ => Ok(Response::NotYours),
        }
    }
}

#[cfg(test)]
mod tests {
    use reld_sdk::Exit;
    use reld_sdk::harness::{Node, Running};

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
        let monitor = *regis.state().expect("lives").monitors.keys().next().expect("it is watched");
        regis.down(monitor, pid, Exit::Killed).expect("lives");
        assert_eq!(holder(&mut regis), None);
        assert_eq!(ask(&mut regis, &Request::Register(ada())), Response::Done);
    }
}
