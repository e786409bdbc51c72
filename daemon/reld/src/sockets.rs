//! The sockets behind the runtime's ports, served by tokio. No app code runs here.
//!
//! Each listener and each connection has a task. The task moves bytes between the socket and the
//! buffers of the port. When the port is closed, the task ends and drops the socket.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::ready;
use std::time::Duration;

use reld_runtime::{Connection, Listener, Sockets};
use reld_wire::port::{Error as PortError, Reason};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf, split};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::handed::{Handed, Lent, Socket};
use crate::panics::lasting;
use crate::socket_file::SocketFile;

/// The number of bytes that are read at once.
const CHUNK: usize = 16 * 1024;

/// The time limit for sending the queued bytes of a closed connection.
const LINGER: Duration = Duration::from_secs(5);

/// The pause of a listener when the system has no free descriptors.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// The sockets, served on a tokio runtime.
#[derive(Clone)]
pub(crate) struct Tokio {
    handle: Handle,
    handed: Handed,
    /// The number of connections that are served.
    served: watch::Sender<usize>,
}

impl Tokio {
    /// Serves sockets on the tokio runtime of the caller. Some are handed to the daemon.
    pub(crate) fn current(handed: Handed) -> Self {
        Self { handle: Handle::current(), handed, served: watch::Sender::new(0) }
    }

    /// Waits until all queued bytes are sent, but no longer than [`LINGER`]. Call this after all
    /// ports are closed.
    pub(crate) async fn all_sent(&self) {
        let mut served = self.served.subscribe();
        if tokio::time::timeout(LINGER, served.wait_for(|served| *served == 0)).await.is_err() {
            tracing::warn!(name: "port.unsent", connections = *self.served.borrow(), "peers did not read all written bytes");
        }
    }
}

/// Counts a connection as served until this value is dropped.
struct Served(watch::Sender<usize>);

impl Served {
    fn one(by: &watch::Sender<usize>) -> Self {
        by.send_modify(|served| *served += 1);
        Self(by.clone())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.0.send_modify(|served| *served -= 1);
    }
}

impl Sockets for Tokio {
    fn listen(&self, listener: Arc<Listener>) -> Result<String, PortError> {
        let _entered = self.handle.enter();
        let asked = listener.asked().to_owned();
        let bound = match Address::of(&asked) {
            Address::Unix(path) => SocketFile::listen(&path).map(|(unix, file)| {
                self.handle.spawn(serve_unix_file(unix, file, listener, self.served.clone()));
                asked.clone()
            }),
            Address::Network(_) => listen_tcp(&asked, listener.options().backlog).and_then(|tcp| {
                let bound = tcp.local_addr()?.to_string();
                self.handle.spawn(serve_tcp(tcp, listener, self.served.clone()));
                Ok(bound)
            }),
            Address::Handed(name) => self.handed.lend(&name).and_then(|lent| self.serve_lent(lent, listener)),
        };
        bound.map_err(|error| port_error(&asked, &error))
    }

    fn connect(&self, connection: Arc<Connection>) {
        let served = Served::one(&self.served);
        self.handle.spawn(async move {
            let _served = served;
            connection.drive(connect(&connection)).await;
        });
    }
}

impl Tokio {
    /// Serves a socket of the service manager, and returns its address.
    fn serve_lent(&self, lent: Lent, listener: Arc<Listener>) -> io::Result<String> {
        let (Lent { socket, loan }, served) = (lent, self.served.clone());
        let asked = listener.asked().to_owned();
        match socket {
            Socket::Tcp(tcp) => {
                let bound = tcp.local_addr()?.to_string();
                let tcp = TcpListener::from_std(tcp)?;
                self.handle.spawn(async move {
                    serve_tcp(tcp, listener, served).await;
                    drop(loan);
                });
                Ok(bound)
            }
            Socket::Unix(unix) => {
                let unix = UnixListener::from_std(unix)?;
                self.handle.spawn(async move {
                    serve_unix(unix, listener, served).await;
                    drop(loan);
                });
                Ok(asked)
            }
        }
    }
}

/// An address in the notation of apps.
enum Address {
    Unix(PathBuf),
    /// A socket that the service manager has opened.
    Handed(String),
    Network(String),
}

impl Address {
    fn of(text: &str) -> Self {
        match (text.strip_prefix("unix:"), text.strip_prefix("systemd:")) {
            (Some(path), _) => Self::Unix(path.into()),
            (_, Some(name)) => Self::Handed(name.to_owned()),
            _ => Self::Network(text.to_owned()),
        }
    }
}

/// Makes the error of a port from a system error and the address.
fn port_error(address: &str, error: &io::Error) -> PortError {
    let reason = match error.kind() {
        io::ErrorKind::AddrInUse => Reason::AddressInUse,
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::InvalidInput | io::ErrorKind::NotFound => {
            Reason::BadAddress
        }
        io::ErrorKind::PermissionDenied => Reason::PermissionDenied,
        io::ErrorKind::ConnectionRefused => Reason::ConnectionRefused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Reason::Closed,
        io::ErrorKind::TimedOut => Reason::TimedOut,
        _ => Reason::Io,
    };
    PortError::new(reason, format!("{address}: {error}"))
}

fn listen_tcp(asked: &str, backlog: u32) -> io::Result<TcpListener> {
    let address: SocketAddr = asked.parse().map_err(|_| {
        // Host names are refused, because looking one up could block a pool thread for seconds.
        let why = "not an address to listen at; use a form like 127.0.0.1:8080, [::1]:8080, unix:/run/app.sock \
                   or systemd:web";
        io::Error::new(io::ErrorKind::InvalidInput, why)
    })?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Otherwise connections of the previous daemon could prevent a restarted daemon from binding.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(backlog)
}

/// Connects, and serves the connection.
async fn connect(connection: &Connection) {
    let target = connection.target();
    let failed = match Address::of(target) {
        Address::Unix(path) => match given_up(connection, UnixStream::connect(&path)).await {
            Some(Ok(stream)) => return open_unix(stream, connection).await,
            failed => failed.and_then(Result::err),
        },
        Address::Handed(_) => {
            let why = "the sockets of the service manager only listen";
            Some(io::Error::new(io::ErrorKind::InvalidInput, why))
        }
        Address::Network(host) => match given_up(connection, TcpStream::connect(&host)).await {
            Some(Ok(stream)) => return open_tcp(stream, connection).await,
            failed => failed.and_then(Result::err),
        },
    };
    if let Some(error) = failed {
        connection.failed(port_error(target, &error));
    }
}

async fn serve_tcp(tcp: TcpListener, listener: Arc<Listener>, served: watch::Sender<usize>) {
    let take = |(stream, peer): (TcpStream, SocketAddr)| {
        let local = stream.local_addr().map(|address| address.to_string()).unwrap_or_default();
        set_up(&stream, listener.options().nodelay);
        if let Some(connection) = listener.accepted(local, peer.to_string()) {
            tokio::spawn(serve(stream, connection, Served::one(&served)));
        }
    };
    lasting("port.listener", || accept_while_open(&listener, || tcp.accept(), take)).await;
}

async fn serve_unix(unix: UnixListener, listener: Arc<Listener>, served: watch::Sender<usize>) {
    let take = |(stream, _)| {
        if let Some(connection) = listener.accepted(listener.asked().to_owned(), "unix:".to_owned()) {
            tokio::spawn(serve(stream, connection, Served::one(&served)));
        }
    };
    lasting("port.listener", || accept_while_open(&listener, || unix.accept(), take)).await;
}

async fn serve_unix_file(
    unix: UnixListener,
    file: SocketFile,
    listener: Arc<Listener>,
    served: watch::Sender<usize>,
) {
    serve_unix(unix, Arc::clone(&listener), served).await;
    if let Err(error) = file.remove() {
        tracing::debug!(name: "port.unlink", address = listener.asked(), %error, "cannot remove the socket file");
    }
}

/// Accepts connections while the listener wants them, until it is closed.
async fn accept_while_open<T, F>(listener: &Listener, accept: impl Fn() -> F, take: impl Fn(T))
where
    F: Future<Output = io::Result<T>>,
{
    while poll_fn(|context| listener.poll_wanted(context)).await {
        tokio::select! {
            () = poll_fn(|context| listener.poll_closed(context)) => return,
            accepted = accept() => match accepted {
                Ok(accepted) => take(accepted),
                Err(error) => {
                    tracing::warn!(name: "port.accept", address = listener.asked(), %error, "cannot accept a connection");
                    tokio::time::sleep(EXHAUSTED).await;
                }
            },
        }
    }
}

/// Runs an attempt to connect. Returns `None` if the port is closed first.
async fn given_up<T>(connection: &Connection, attempt: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        () = poll_fn(|context| connection.poll_closing(context)) => None,
        ended = attempt => Some(ended),
    }
}

async fn open_tcp(stream: TcpStream, connection: &Connection) {
    set_up(&stream, connection.options().nodelay);
    let local = stream.local_addr().map(|address| address.to_string()).unwrap_or_default();
    let peer = stream.peer_addr().map_or_else(|_| connection.target().to_owned(), |peer| peer.to_string());
    connection.opened(local, peer);
    pump(stream, connection).await;
}

async fn open_unix(stream: UnixStream, connection: &Connection) {
    connection.opened("unix:".to_owned(), connection.target().to_owned());
    pump(stream, connection).await;
}

fn set_up(stream: &TcpStream, nodelay: bool) {
    if let Err(error) = stream.set_nodelay(nodelay) {
        tracing::debug!(name: "port.nodelay", %error, "cannot set TCP_NODELAY");
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite, connection: Arc<Connection>, _served: Served) {
    connection.drive(pump(stream, &connection)).await;
}

/// Moves bytes in both directions until the port is closed and all queued bytes are sent.
async fn pump(stream: impl AsyncRead + AsyncWrite, connection: &Connection) {
    let (reader, writer) = split(stream);
    let mut reading = pin!(read(reader, connection));
    let mut is_reading = true;
    let mut writing = pin!(write(writer, connection));
    let mut lingered = pin!(async {
        poll_fn(|context| connection.poll_closing(context)).await;
        tokio::time::sleep(LINGER).await;
    });
    loop {
        tokio::select! {
            () = &mut writing => return,
            () = &mut lingered => return,
            () = &mut reading, if is_reading => is_reading = false,
        }
    }
}

/// Reads while the port has room, until the peer has closed its sending side.
async fn read<S: AsyncRead>(mut reader: ReadHalf<S>, connection: &Connection) {
    while let Some(room) = poll_fn(|context| connection.poll_room(context)).await {
        match read_some(&mut reader, room, connection).await {
            Ok(0) => return connection.ended(),
            Ok(_) => {}
            Err(error) => return connection.failed(port_error(&peer(connection), &error)),
        }
    }
}

/// Reads once. The buffer is on the stack and not in the task, so that idle connections have no
/// buffer.
async fn read_some<S: AsyncRead>(
    reader: &mut ReadHalf<S>,
    room: usize,
    connection: &Connection,
) -> io::Result<usize> {
    poll_fn(|context| {
        let mut space = [0; CHUNK];
        let mut buffer = ReadBuf::new(&mut space[..room.min(CHUNK)]);
        ready!(Pin::new(&mut *reader).poll_read(context, &mut buffer))?;
        let bytes = buffer.filled();
        if !bytes.is_empty() {
            connection.input(bytes);
        }
        std::task::Poll::Ready(Ok(bytes.len()))
    })
    .await
}

/// Writes queued bytes until the port is closed, then shuts down the sending side.
async fn write<S: AsyncWrite>(mut writer: WriteHalf<S>, connection: &Connection) {
    while let Some(bytes) = poll_fn(|context| connection.poll_output(context)).await {
        if let Err(error) = writer.write_all(&bytes).await {
            return connection.failed(port_error(&peer(connection), &error));
        }
        connection.written();
    }
    // This fails if the peer is gone.
    let _ = writer.shutdown().await;
}

fn peer(connection: &Connection) -> String {
    connection.peer().unwrap_or_default()
}
