//! Listening sockets that the service manager opened for the daemon (systemd: socket units).
//!
//! The variables `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES` describe them. An app listens at
//! one by its name, `systemd:NAME`. The daemon keeps the socket when the app closes its listener,
//! and passes it on when it executes itself again, so clients wait in the kernel's queue.

use std::io;
use std::net;
use std::os::fd::OwnedFd;
use std::os::unix::net as unix;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{getsockopt, sockopt};

use crate::environment::Environment;

/// The number of the first descriptor. The others follow it.
const FIRST: i32 = 3;

/// The sockets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handed(Vec<Arc<Named>>);

#[derive(Debug)]
struct Named {
    name: String,
    socket: OwnedFd,
    /// Whether a listener has it.
    is_lent: AtomicBool,
}

/// A socket that is lent to one listener.
#[derive(Debug)]
pub(crate) struct Lent {
    pub(crate) socket: Socket,
    pub(crate) loan: Loan,
}

/// Ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Loan(Arc<Named>);

impl Drop for Loan {
    fn drop(&mut self) {
        self.0.is_lent.store(false, Ordering::Release);
    }
}

/// A duplicate of a handed socket. It does not block.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(net::TcpListener),
    Unix(unix::UnixListener),
}

impl Handed {
    /// Takes the sockets over. Call this before the daemon opens files.
    pub(crate) fn take(environment: &Environment) -> Self {
        let text = |name| environment.get(name).and_then(|value| value.to_str());
        let number = |name| text(name).and_then(|value| value.parse::<u32>().ok());
        if number("LISTEN_PID") != Some(std::process::id()) {
            return Self::default();
        }
        let count = number("LISTEN_FDS").and_then(|count| i32::try_from(count).ok()).unwrap_or_default();
        let names = text("LISTEN_FDNAMES").into_iter().flat_map(|names| names.split(':'));
        let names = names.chain(std::iter::repeat("unknown"));
        let sockets = (FIRST..FIRST.saturating_add(count)).zip(names);
        let taken = |(number, name): (i32, &str)| {
            let socket = reld_loader::take_descriptor(number)?;
            Some(Arc::new(Named { name: name.to_owned(), socket, is_lent: AtomicBool::new(false) }))
        };
        Self(sockets.map_while(taken).collect())
    }

    /// Lends the socket with a name.
    ///
    /// # Errors
    /// `NotFound` if there is not exactly one; `AddrInUse` if another listener has it;
    /// `InvalidInput` if it is no listening stream socket.
    pub(crate) fn lend(&self, name: &str) -> io::Result<Lent> {
        let mut found = self.0.iter().filter(|known| known.name == name);
        let error = |kind, why: String| Err(io::Error::new(kind, why));
        let (Some(named), None) = (found.next(), found.next()) else {
            return error(io::ErrorKind::NotFound, self.not_one(name));
        };
        if !getsockopt(&named.socket, sockopt::AcceptConn).unwrap_or_default() {
            let why = "not a listening stream socket; use ListenStream= without Accept= in the socket unit";
            return error(io::ErrorKind::InvalidInput, why.to_owned());
        }
        if named.is_lent.swap(true, Ordering::Acquire) {
            return error(io::ErrorKind::AddrInUse, "another listener uses this socket".to_owned());
        }
        let loan = Loan(Arc::clone(named));
        Ok(Lent { socket: duplicate(&named.socket)?, loan })
    }

    fn not_one(&self, name: &str) -> String {
        let names: Vec<&str> = self.0.iter().map(|named| named.name.as_str()).collect();
        match names.iter().filter(|known| **known == name).count() {
            0 if names.is_empty() => "the service manager passed no sockets to the daemon".to_owned(),
            0 => format!("the service manager passed only the sockets {}", names.join(", ")),
            count => format!("{count} sockets have this name; use a socket unit for each"),
        }
    }

    /// Lets the next program in this OS process inherit the sockets.
    pub(crate) fn pass_on(&self) -> nix::Result<()> {
        let pass_on = |named: &Arc<Named>| fcntl(&named.socket, FcntlArg::F_SETFD(FdFlag::empty())).map(drop);
        self.0.iter().try_for_each(pass_on)
    }
}

fn duplicate(socket: &OwnedFd) -> io::Result<Socket> {
    let tcp = net::TcpListener::from(socket.try_clone()?);
    tcp.set_nonblocking(true)?;
    // The standard library refuses the address of another family.
    if tcp.local_addr().is_ok() {
        return Ok(Socket::Tcp(tcp));
    }
    Ok(Socket::Unix(OwnedFd::from(tcp).into()))
}
