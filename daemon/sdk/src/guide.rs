//! A second app: clients over TCP, sessions, shared tables, timers, and an upgrade of all of it.
//!
//! The [crate's documentation](crate) begins with an app of one server. This page explains `linkd`,
//! a service that gives short names to addresses. It has the parts that most services need. All
//! code on this page comes from the folders `examples/linkd-1.0.0` and `examples/linkd-1.1.0` of
//! the repository, where a test runs it: 3,000 clients connect and leave during an upgrade and a
//! downgrade, and others stay and lose nothing.
//!
//! A client sends lines, and gets a line for each:
//!
//! ```text
//! put docs https://docs.rs
//! ok
//! get docs
//! https://docs.rs
//! hits docs
//! 1
//! ```
//!
//! # The tree
//!
//! ```rust,ignore
//! fn init(door: Door) -> SupervisorSpec {
//!     SupervisorSpec::rest_for_one()
//!         .child(ChildSpec::worker("tables", "linkd_tables", ()))
//!         .child(ChildSpec::supervisor("sessions", "linkd_sessions", ()))
//!         .child(ChildSpec::worker("acceptor", "linkd_acceptor", door))
//! }
//! ```
//!
//! Each child uses the ones before it, so `rest_for_one` is the strategy. The sessions are children
//! of a supervisor of their own, which has a name and starts them on request:
//!
//! ```rust,ignore
//! fn init((): ()) -> SupervisorSpec {
//!     let session = ChildSpec::worker("session", "linkd_session", ()).restart(Restart::Temporary);
//!     SupervisorSpec::simple_one_for_one(session).named("linkd_sessions")
//! }
//! ```
//!
//! Ask of each child which events can end it. A session ends with its client, and it may have a bug
//! that one client can trigger; it is `temporary`, so its end does not count for any intensity. No
//! client can end the other children. So the default intensity is enough for them:
//! [Acceptors and restart intensity](crate::port#acceptors-and-restart-intensity) has the rules.
//!
//! # The acceptor
//!
//! The node owns the listener and the connections. The acceptor requests a client and gets it as a
//! message, so an upgrade need not wait until one comes.
//!
//! ```rust,ignore
//! async fn init(Door { host, port, sessions }: Door) -> Result<Self, NotStarted> {
//!     // The supervisor owns the listener, so the port stays open if the acceptor is restarted.
//!     let listener = port::Options::new().line(LINE_MAX).supervisor().listen(&format!("{host}:{port}"))?;
//!     let acceptor = Self { listener, sessions };
//!     acceptor.request_next().await?;
//!     Ok(acceptor)
//! }
//! ```
//!
//! ```rust,ignore
//! async fn handle_info(&mut self, info: Info<Retry>) -> Next {
//!     let next = match info {
//!         Info::Port(port::Event::Accepted { connection, .. }) => {
//!             let_in(connection).await;
//!             self.request_next().await
//!         }
//!         Info::Message(Retry) => self.request_next().await,
//!         Info::Port(port::Event::Closed { error, .. }) => Err(error.into()),
//!         _ => Ok(()),
//!     };
//!     next.map_or_else(Next::Stop, |()| Next::Continue)
//! }
//! ```
//!
//! A client may leave at any time: before the session starts, or between the start and the
//! hand-over. These errors concern that client only, so the acceptor logs them and continues. It
//! ends only if the listener fails.
//!
//! ```rust,ignore
//! async fn let_in(connection: Connection) {
//!     if let Err(exit) = hand_over(connection).await {
//!         log::info!("a client is turned away: {exit}");
//!         // An error means that the connection is closed already.
//!         let _ = connection.close();
//!     }
//! }
//! ```
//!
//! ```rust,ignore
//! async fn hand_over(connection: Connection) -> Result<(), Exit> {
//!     let session = start_child_of("linkd_sessions", &connection).await.map_err(Exit::error)?;
//!     let session = session.ok_or_else(|| Exit::error("the session did not start"))?;
//!     // From now on the connection closes when the session ends. This fails if the client has left,
//!     // and its session has ended with it.
//!     Ok(connection.controlling_process(session)?)
//! }
//! ```
//!
//! [`start_child_of`](crate::supervisor::start_child_of) starts the session, and
//! [`controlling_process`](crate::port::Connection::controlling_process) gives it the connection.
//!
//! Without a limit of sessions, clients could use up the open files of the daemon, and `relctl` and
//! your next upgrade need some of them. So the acceptor counts the sessions with
//! [`count_children`](crate::supervisor::count_children) before it requests the next client:
//!
//! ```rust,ignore
//! async fn request_next(&self) -> Result<(), Exit> {
//!     let counts = count_children("linkd_sessions").await.map_err(Exit::error)?;
//!     if counts.active < self.sessions {
//!         self.listener.request_accept()?;
//!     } else if let Some(me) = self_pid() {
//!         send_after(me, RETRY, &Retry)?;
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # The session
//!
//! A session, too, waits by message. Each callback is short: it answers one line and requests the
//! next one. Lines that arrive during an upgrade wait in the node.
//!
//! ```rust,ignore
//! async fn handle_info(&mut self, info: Info<()>) -> Next {
//!     let done = match info {
//!         Info::Port(Event::Data { bytes, .. }) => self.serve(&bytes),
//!         Info::Port(Event::Closed { .. }) => Err(Exit::Normal),
//!         _ => Ok(()),
//!     };
//!     let done = done.and_then(|()| self.start_idle_timer());
//!     done.map_or_else(Next::Stop, |()| Next::Continue)
//! }
//! ```
//!
//! [`receive_timeout`](crate::receive_timeout) is the timer for silence. It calls `handle_timeout`
//! if no message comes in time. Bytes that do not complete a line are no message, so a client
//! cannot hold a session with one byte a minute. A client that does not read its answers is
//! disconnected when the node holds 64 KiB of them: `send` does not wait for it.
//!
//! ```rust,ignore
//! fn say(&self, line: &str) -> Done {
//!     self.connection.send(format!("{line}\n").as_bytes()).map_err(|_| Exit::Normal)
//! }
//! ```
//!
//! # The tables
//!
//! All sessions read and write the same two [tables](crate::ets), without a message to another
//! process. One process owns the tables and does nothing else, because they end with it.
//!
//! Write to a shared table with functions that are atomic. `insert_new` lets one of two clients
//! have a name, and `update_counter` loses no hit. It needs a number as the value, so the hits are
//! a table of their own:
//!
//! ```rust,ignore
//! pub(crate) struct Links {
//!     links: Table<String, Link>,
//!     /// In a table of its own, because only a number can be counted up atomically.
//!     hits: Table<String, i64>,
//! }
//! ```
//!
//! # Version 1.1.0
//!
//! Links get a time, clients get the command `keep SECONDS`, and a sweeper removes links when their
//! time is over. `appup.toml` has an instruction for each change that needs one:
//!
//! ```toml
//! [[up]]
//! from = "1.0.0"
//! instructions = [
//!   { add_module = "linkd_sweeper" },
//!   { update = "linkd_session", change = { advanced = { keep_s = 86400 } } },
//!   { update = "linkd_sup", change = "supervisor", deps = ["linkd_sweeper"] },
//!   { apply = "supervisor:restart_child", args = ["linkd", "sweeper"] },
//! ]
//! ```
//!
//! **The session has a field more**, and a session that runs needs a value for it. Its
//! `change_code` cannot read the environment of the app, so the value comes from the appup. There
//! is no code for the way down: both versions have a schema, so the node cuts the field out.
//!
//! ```rust,ignore
//! fn change_code(_from: &str, state: State, extra: Value) -> Result<Self, Exit> {
//!     let SessionV100 { connection, links, idle_ms } = state.read()?;
//!     let Up { keep_s } = extra.read()?;
//!     Ok(Self { connection, links, idle_ms, keep_s })
//! }
//! ```
//!
//! **The table has a column more.** Rows outlive versions, and no upgrade converts them. So the
//! column has a default, with which 1.1.0 reads the rows of 1.0.0. In the other direction 1.0.0
//! skips a field that it does not know.
//!
//! ```rust,ignore
//! pub(crate) struct Link {
//!     pub(crate) url: String,
//!     /// The end of the link's time, in seconds since 1970. New in 1.1.0; `None` in a row of 1.0.0
//!     /// until the sweeper finds the row.
//!     #[serde(default)]
//!     pub(crate) until_s: Option<u64>,
//! }
//! ```
//!
//! The sweeper gives a time to the rows without one, page by page, while clients are served. A
//! conversion of all rows in the pause would make the pause as long as the table. For the same
//! reason do not use [`Table::replace`](crate::ets::Table::replace) on such rows: it compares
//! bytes, and a row of the other version never has the bytes that this version would write.
//!
//! ```rust,ignore
//! for (name, link) in &page {
//!     match link.until_s {
//!         Some(until_s) if until_s <= now_s() => self.remove(name)?,
//!         Some(_) => {}
//!         None => self.links.insert(name, &Link::new(&link.url, keep_s))?,
//!     }
//! }
//! ```
//!
//! **The supervisor has a child more.** `change = "supervisor"` takes the new child specs and
//! leaves the running children alone; `restart_child` starts the sweeper.
//!
//! # Tests
//!
//! The [harness](crate::harness) plays the other side: clients, tables, the supervisor of the
//! sessions, and the clock. No node is needed to show that the acceptor outlives a client that has
//! left:
//!
//! ```rust,ignore
//! let mut acceptor = acceptor();
//! acceptor.hang_up(connection(5));
//! accept(&mut acceptor, 5);
//! assert!(acceptor.is_closed(connection(5)) && is_open(&acceptor));
//! accept(&mut acceptor, 6);
//! assert!(!acceptor.is_closed(connection(6)));
//! ```
