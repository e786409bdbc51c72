//! A process under test.

use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use reld_wire::told::Told;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::world::{Fired, ME, Sent, TESTER, World};
use crate::behaviour::{Behaviour, Event};
use crate::callback::{After, Callback, Done, Work};
use crate::codec::{self, Undecodable, read};
use crate::exit::{Exit, NotStarted};
use crate::gen_event::{
    EventHandler, Handled, Handler, HandlerAnswer as Answer, HandlerStart, Hosted, Order,
};
use crate::gen_server::{GenServer, Server};
use crate::gen_statem::{GenStatem, Machine, Statem};
use crate::guard::catch;
use crate::host::{Host, with_harness};
use crate::names::{From, MonitorRef, Pid};
use crate::time::milliseconds;
use crate::value::Value;
use crate::{ets, port};

/// Returns the pid of another process.
pub fn pid(number: u32) -> Pid {
    Pid::new(number, 1)
}

/// A daemon for one process under test. Set it up before you start the process.
#[derive(Default)]
pub struct Node {
    world: World,
}

impl Node {
    /// Returns a node without an environment. Every call that the process makes to a pid ends with
    /// [`Exit::Noproc`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key of the app's environment.
    #[must_use]
    pub fn env(self, key: &str, value: Value) -> Self {
        self.world.set_env(key, value);
        self
    }

    /// Registers a name or a place for another process, so that the process under test can call
    /// that process by it. A [responder](Self::answer_calls) gets `pid`.
    #[must_use]
    pub fn name(self, name: &str, pid: Pid) -> Self {
        self.world.set_name(name, pid);
        self
    }

    /// Starts a simple_one_for_one supervisor with this name. It starts and counts the children
    /// that the process under test requests; no child runs. [`Process::end_child`] ends one.
    #[must_use]
    pub fn simple_one_for_one(self, name: &str) -> Self {
        self.world.add_supervisor(name);
        self
    }

    /// Sets the function that answers the calls of the process under test. The function gets the
    /// pid that is called, and the request. A call by [name](Self::name) ends with
    /// [`CallError::NotFound`](crate::CallError::NotFound) unless the name is registered, as on a
    /// node.
    #[must_use]
    pub fn answer_calls(self, responder: impl FnMut(Pid, Value) -> Result<Value, Exit> + 'static) -> Self {
        self.world.answer_calls_with(Box::new(responder));
        self
    }

    /// Creates a table of another process, with these rows, that the process under test finds by
    /// this name. The table is ordered, and all processes may write to it.
    ///
    /// # Errors
    /// A row cannot be serialized, or the name is taken.
    pub fn table<K: Serialize, V: Serialize>(self, name: &str, rows: &[(K, V)]) -> Result<Self, Exit> {
        let row = |(key, value): &(K, V)| Ok((codec::encode(key)?.into(), codec::encode(value)?.into()));
        let rows: Vec<_> = rows.iter().map(row).collect::<Result<_, Undecodable>>()?;
        self.world.lend_table(name, rows).map_err(Exit::error)?;
        Ok(self)
    }

    /// Starts the process under test.
    ///
    /// # Errors
    /// The error that the init returned, or its panic.
    pub fn start<S: GenServer>(self, args: &impl Serialize) -> Result<Running<S>, NotStarted> {
        self.start_process(args)
    }

    /// Starts a state machine under test.
    ///
    /// # Errors
    /// The same as for [`Node::start`].
    pub fn start_statem<M: GenStatem>(self, args: &impl Serialize) -> Result<RunningStatem<M>, NotStarted> {
        self.start_process(args)
    }

    /// Starts an event handler under test, as its manager would. Pass it events with
    /// [`Process::notify`].
    ///
    /// # Errors
    /// The same as for [`Node::start`].
    pub fn start_handler<H: EventHandler>(
        self,
        args: &impl Serialize,
    ) -> Result<RunningHandler<H>, NotStarted> {
        let start = HandlerStart { args: Value::write(args)?, swaps: false, left: None };
        self.start_process(&start)
    }

    fn start_process<B: Behaviour>(self, args: &impl Serialize) -> Result<Process<B>, NotStarted> {
        let mut running = Process { world: Rc::new(self.world), state: None, ended: None };
        let args = codec::encode(args)?;
        let done = running.run(|| B::init(&args))?;
        match (done.next, done.state) {
            (After::Continue, Some(state)) => {
                running.state = Some(state);
                running.continue_on()?;
                Ok(running)
            }
            (After::Stop(exit), _) => Err(exit.into()),
            _ => Err(NotStarted::Ignore),
        }
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").finish_non_exhaustive()
    }
}

/// A gen_server under test.
pub type Running<S> = Process<Server<S>>;
/// A state machine under test.
pub type RunningStatem<M> = Process<Statem<M>>;
/// An event handler under test.
pub type RunningHandler<H> = Process<Handler<H>>;

/// A process under test, between two callbacks.
#[expect(private_bounds, reason = "sealed: only this crate has behaviours")]
pub struct Process<B: Behaviour> {
    world: Rc<World>,
    state: Option<Box<B::State>>,
    ended: Option<Exit>,
}

impl<S: GenServer> Running<S> {
    /// Returns the server's state; `None` after the process has ended.
    pub fn state(&self) -> Option<&S> {
        self.state.as_deref()
    }
}

impl<M: GenStatem> RunningStatem<M> {
    /// Returns the machine with its state, data and postponed events; `None` after the process has
    /// ended.
    pub fn state(&self) -> Option<&Machine<M>> {
        self.state.as_deref()
    }
}

impl<H: EventHandler> RunningHandler<H> {
    /// Returns the handler; `None` after the process has ended.
    pub fn state(&self) -> Option<&H> {
        self.state.as_deref().map(Hosted::handler)
    }

    /// Passes an event to the handler.
    ///
    /// # Errors
    /// The exit reason, if the handler ended and so was removed.
    pub fn notify(&mut self, event: &impl Serialize) -> Result<Handled, Exit> {
        let Answer { handled, .. } = self.call(&Order::Event(Value::write(event)?))?;
        Ok(handled)
    }

    /// Calls the handler, as [`gen_event::call`](crate::gen_event::call) does.
    ///
    /// # Errors
    /// The exit reason, if the handler ended and so was removed.
    pub fn request<R: DeserializeOwned>(&mut self, request: &impl Serialize) -> Result<R, Exit> {
        let Answer { reply, .. } = self.call(&Order::Call(Value::write(request)?))?;
        Ok(reply.read()?)
    }
}

#[expect(private_bounds, reason = "sealed: only this crate has behaviours")]
impl<B: Behaviour> Process<B> {
    /// Returns the exit reason of the process, if it has ended.
    pub fn ended(&self) -> Option<&Exit> {
        self.ended.as_ref()
    }

    /// Returns the process's pid.
    pub fn pid(&self) -> Pid {
        ME
    }

    /// Returns whether the process traps exits.
    pub fn is_trapping_exits(&self) -> bool {
        self.world.is_trapping()
    }

    /// Calls the process, which must reply at once.
    ///
    /// # Errors
    /// The exit reason, if the process ended; [`Exit::Error`] if the process did not reply at once.
    pub fn call<R: DeserializeOwned>(&mut self, request: &impl Serialize) -> Result<R, Exit> {
        let from = self.open_call(request)?;
        let why = self.ended.clone().unwrap_or_else(|| Exit::error("the process has not replied yet"));
        self.reply(from)?.ok_or(why)
    }

    /// Calls the process, which may reply later. [`Running::reply`] takes the reply.
    ///
    /// # Errors
    /// The process has already ended.
    pub fn open_call(&mut self, request: &impl Serialize) -> Result<From, Exit> {
        let body = codec::encode(request)?;
        let from = self.world.open_call();
        self.handle(Event::Call(from, &body), Some(from))?;
        Ok(from)
    }

    /// Takes the reply to a call, if there is one.
    ///
    /// # Errors
    /// The reply is not an `R`.
    pub fn reply<R: DeserializeOwned>(&mut self, to: From) -> Result<Option<R>, Exit> {
        let reply = self.world.take_reply(to);
        Ok(reply.map(|bytes| read("reply", &bytes)).transpose()?)
    }

    /// Sends a cast.
    ///
    /// # Errors
    /// The process has already ended.
    pub fn cast(&mut self, request: &impl Serialize) -> Result<(), Exit> {
        let body = codec::encode(request)?;
        self.handle(Event::Cast(&body), None)
    }

    /// Sends a message that arrives in `handle_info`.
    ///
    /// # Errors
    /// The process has already ended.
    pub fn send(&mut self, message: &impl Serialize) -> Result<(), Exit> {
        let body = codec::encode(message)?;
        self.handle(Event::Info(&body), None)
    }

    /// Sends the exit signal of a linked process. A process that does not trap exits ends with it,
    /// unless the reason is `normal`.
    ///
    /// # Errors
    /// The process has already ended.
    pub fn exit(&mut self, reason: Exit) -> Result<(), Exit> {
        if self.world.is_trapping() {
            return self.handle(Event::Exit(TESTER, reason), None);
        }
        if reason != Exit::Normal {
            self.state = None;
            self.ended.get_or_insert(reason);
        }
        Ok(())
    }

    /// Notifies the process that a monitored process has ended.
    ///
    /// # Errors
    /// The process has already ended.
    pub fn down(&mut self, monitor: MonitorRef, from: Pid, reason: Exit) -> Result<(), Exit> {
        self.handle(Event::Down(monitor, from, reason), None)
    }

    /// Sends an event of a port.
    ///
    /// # Errors
    /// The process has already ended.
    pub fn port(&mut self, event: port::Event) -> Result<(), Exit> {
        if let port::Event::Accepted { listener, .. } = event {
            self.world.ports().accepted(listener);
        }
        let body = codec::encode(&Told::<_, ets::Event>::Port(event))?;
        self.handle(Event::Told(&body), None)
    }

    /// Takes the bytes that the process has written to a connection since the last call.
    pub fn written(&mut self, connection: port::Connection) -> Vec<u8> {
        self.world.ports().take_written(connection.number())
    }

    /// Returns whether the process has requested a client that has not come yet.
    pub fn is_accepting(&self, listener: port::Listener) -> bool {
        self.world.ports().is_accepting(listener)
    }

    /// Closes a connection from the peer's side: each further request of the process for it fails
    /// with [`port::Reason::Closed`].
    pub fn hang_up(&mut self, connection: port::Connection) {
        self.world.ports().hang_up(connection.number());
    }

    /// Returns whether the process has closed a connection.
    pub fn is_closed(&self, connection: port::Connection) -> bool {
        self.world.ports().is_closed(connection.number())
    }

    /// Ends a child of a supervisor that [`Node::simple_one_for_one`] has started.
    pub fn end_child(&mut self, supervisor: &str) {
        self.world.end_child(supervisor);
    }

    /// Returns the rows of a table in the order of their keys.
    ///
    /// # Errors
    /// There is no table with this name, or a row has other types.
    pub fn rows<K: DeserializeOwned, V: DeserializeOwned>(&self, table: &str) -> Result<Vec<(K, V)>, Exit> {
        let none = || Exit::error(format!("there is no table with the name {table:?}"));
        let rows = self.world.rows(table).ok_or_else(none)?;
        rows.into_iter().map(|(key, value)| Ok((codec::decode(&key)?, codec::decode(&value)?))).collect()
    }

    /// Moves the clock. Timers fire in their order, until the time is over or the process ends.
    ///
    /// # Errors
    /// The process has already ended.
    pub fn advance(&mut self, time: Duration) -> Result<(), Exit> {
        self.alive()?;
        let end_ms = self.world.now_ms().saturating_add(milliseconds(time));
        while self.ended.is_none()
            && let Some(fired) = self.world.fire_until(end_ms)
        {
            match fired {
                Fired::Info(body) => self.handle(Event::Info(&body), None)?,
                Fired::Idle => self.handle(Event::Timeout, None)?,
            }
        }
        self.world.move_to(end_ms);
        Ok(())
    }

    /// Takes the messages that the process has sent since the last call.
    pub fn sent(&mut self) -> Vec<Sent> {
        self.world.take_sent()
    }

    /// Stops the process as its supervisor would: terminate runs if the process traps exits.
    ///
    /// # Errors
    /// The process has already ended.
    pub fn stop(&mut self, reason: Exit) -> Result<(), Exit> {
        if self.world.is_trapping() {
            self.terminate(reason.clone())?;
        }
        self.ended.get_or_insert(reason);
        self.state = None;
        Ok(())
    }

    /// Stops the process as [`stop`](crate::stop()) would: terminate runs, even if the process does
    /// not trap exits.
    ///
    /// # Errors
    /// The process has already ended.
    pub fn stop_in_order(&mut self, reason: Exit) -> Result<(), Exit> {
        self.end(reason)
    }

    fn alive(&self) -> Result<(), Exit> {
        self.ended.clone().map_or(Ok(()), Err)
    }

    fn handle(&mut self, event: Event<'_>, from: Option<From>) -> Result<(), Exit> {
        self.callback(event, from)?;
        self.continue_on()
    }

    /// Runs `handle_continue` for as long as the process requests it.
    fn continue_on(&mut self) -> Result<(), Exit> {
        while self.ended.is_none()
            && let Some(body) = self.world.take_continue()
        {
            self.callback(Event::Continue(&body), None)?;
        }
        Ok(())
    }

    fn callback(&mut self, event: Event<'_>, from: Option<From>) -> Result<(), Exit> {
        self.alive()?;
        self.world.end_receive_timeout();
        let Some(state) = self.state.take() else { return Err(Exit::Noproc) };
        let done = match self.run(|| B::handle(state, event)) {
            Ok(done) => done,
            Err(crash) => {
                self.ended = Some(crash);
                return Ok(());
            }
        };
        if let (Some(from), Some(reply)) = (from, done.reply) {
            // The harness accepts every reply.
            let _ = self.world.reply(from, reply);
        }
        self.state = done.state;
        match done.next {
            After::Stop(exit) => self.end(exit),
            After::Continue | After::Ignore => Ok(()),
        }
    }

    fn end(&mut self, exit: Exit) -> Result<(), Exit> {
        self.terminate(exit.clone())?;
        self.ended.get_or_insert(exit);
        self.state = None;
        Ok(())
    }

    fn terminate(&mut self, reason: Exit) -> Result<(), Exit> {
        self.callback(Event::Terminate(reason), None)
    }

    /// Runs one callback to its end. Waits end without delay, in the order of their times.
    fn run(&self, begin: impl FnOnce() -> Result<Work<B::State>, Exit>) -> Result<Done<B::State>, Exit> {
        let world: Rc<dyn Host> = Rc::<World>::clone(&self.world);
        with_harness(world, || {
            catch(|| {
                let mut callback = Callback::new(begin()?);
                let mut completed = None;
                loop {
                    let mut polled = Poll::Pending;
                    callback.poll(completed.as_slice(), &mut polled);
                    match polled {
                        Poll::Ready(ended) => return ended,
                        Poll::Pending => {
                            completed = Some(self.world.close_next().ok_or_else(waits_for_ever)?);
                        }
                    }
                }
            })
            .and_then(|ended| ended)
        })
    }
}

fn waits_for_ever() -> Exit {
    Exit::error("the callback waits, but no open request can wake it")
}

impl<B: Behaviour> std::fmt::Debug for Process<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process").field("ended", &self.ended).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
