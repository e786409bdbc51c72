//! A TCP proxy that can be cut, as the partition of a network.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

/// A proxy on loopback for one port.
///
/// While it is cut, every byte waits in it, in both directions, and new connections get no answer.
/// After the healing all bytes go on, as those that TCP sends again after a partition.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    line: Arc<Line>,
}

#[derive(Debug, Default)]
struct Line {
    is_cut: Mutex<bool>,
    changed: Condvar,
}

impl Proxy {
    /// Starts a proxy for a port on loopback.
    pub fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let line = Arc::<Line>::default();
        let proxy = Self { port, line: Arc::clone(&line) };
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let line = Arc::clone(&line);
                // An error ends the connection for both sides.
                thread::spawn(move || drop(connect(&line, &client, target)));
            }
        });
        proxy
    }

    /// Returns the URL of the proxy.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Lets no byte pass.
    pub fn cut(&self) {
        self.line.set(true);
    }

    /// Lets all bytes pass.
    pub fn heal(&self) {
        self.line.set(false);
    }
}

impl Line {
    fn set(&self, is_cut: bool) {
        *self.is_cut.lock().unwrap_or_else(PoisonError::into_inner) = is_cut;
        self.changed.notify_all();
    }

    /// Waits until the line is not cut.
    fn pass(&self) {
        let is_cut = self.is_cut.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(is_cut, |is_cut| *is_cut));
    }
}

fn connect(line: &Arc<Line>, client: &TcpStream, target: u16) -> io::Result<()> {
    line.pass();
    let server = TcpStream::connect(("127.0.0.1", target))?;
    let (back, from, to) = (Arc::clone(line), server.try_clone()?, client.try_clone()?);
    thread::spawn(move || copy(&back, &from, &to));
    copy(line, client, &server);
    Ok(())
}

/// Copies bytes until one side ends, and ends the other one.
fn copy(line: &Line, mut from: &TcpStream, mut to: &TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        line.pass();
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    line.pass();
    let _ = to.shutdown(Shutdown::Write);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn bytes_wait_in_a_line_that_is_cut_and_go_on_after_its_healing() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::start(server.local_addr().unwrap().port());
        let mut client = TcpStream::connect(("127.0.0.1", proxy.port)).unwrap();
        let (mut server, _) = server.accept().unwrap();
        let mut byte = [0];
        client.write_all(b"a").unwrap();
        server.read_exact(&mut byte).unwrap();
        proxy.cut();
        client.write_all(b"b").unwrap();
        server.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        server.read_exact(&mut byte).unwrap_err();
        proxy.heal();
        server.set_read_timeout(None).unwrap();
        server.read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"b");
        drop(server);
        assert_eq!(client.read(&mut byte).unwrap(), 0, "the end of a connection passes too");
    }
}
