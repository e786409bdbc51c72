//! Listening sockets that the service manager opened for the daemon (systemd: socket units).
//!
//! The variables `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES` describe them. An app listens at
//! one by its name, `systemd:NAME`. The daemon keeps the socket when the app closes its listener,
//! and passes it on when it executes itself again, so clients wait in the kernel's queue.

use std::io;
use std::net;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net as unix;
use std::sync::Arc;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{getsockopt, sockopt};

use crate::environment::Environment;

/// The number of the first descriptor. The others follow it.
const FIRST: i32 = 3;

/// The sockets with their names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handed(Arc<[(String, Arc<OwnedFd>)]>);

/// A socket that is lent to one listener.
#[derive(Debug)]
pub(crate) struct Lent {
    pub(crate) socket: Socket,
    /// While this exists, the socket is in use.
    pub(crate) mark: Arc<OwnedFd>,
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
        let names = text("LISTEN_FDNAMES").unwrap_or_default().split(':').chain(std::iter::repeat("unknown"));
        let sockets = (FIRST..FIRST.saturating_add(count)).zip(names);
        let taken = |(number, name): (i32, &str)| {
            Some((name.to_owned(), Arc::new(reld_loader::take_descriptor(number)?)))
        };
        Self(sockets.map_while(taken).collect())
    }

    /// Lends the socket with a name.
    ///
    /// # Errors
    /// `NotFound` if there is not exactly one; `AddrInUse` if another listener has it;
    /// `InvalidInput` if it is no listening stream socket.
    pub(crate) fn lend(&self, name: &str) -> io::Result<Lent> {
        let mut found = self.0.iter().filter(|(known, _)| known == name).map(|(_, socket)| socket);
        let error = |kind, why: String| Err(io::Error::new(kind, why));
        let (Some(handed), None) = (found.next(), found.next()) else {
            return error(io::ErrorKind::NotFound, self.not_one(name));
        };
        let mark = Arc::clone(handed);
        // The table, the mark, and the mark of another listener.
        if Arc::strong_count(&mark) > 2 {
            return error(io::ErrorKind::AddrInUse, "another listener uses this socket".to_owned());
        }
        if !getsockopt(&mark, sockopt::AcceptConn).unwrap_or_default() {
            let why = "not a listening stream socket; use ListenStream= without Accept= in the socket unit";
            return error(io::ErrorKind::InvalidInput, why.to_owned());
        }
        Ok(Lent { socket: duplicate(&mark)?, mark })
    }

    fn not_one(&self, name: &str) -> String {
        let names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        match names.iter().filter(|known| **known == name).count() {
            0 if names.is_empty() => "the service manager passed no sockets to the daemon".to_owned(),
            0 => format!("the service manager passed only the sockets {}", names.join(", ")),
            count => format!("{count} sockets have this name; use a socket unit for each"),
        }
    }

    /// Lets the next program in this OS process inherit the sockets.
    pub(crate) fn pass_on(&self) -> nix::Result<()> {
        self.0
            .iter()
            .try_for_each(|(_, socket)| fcntl(socket.as_fd(), FcntlArg::F_SETFD(FdFlag::empty())).map(drop))
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
