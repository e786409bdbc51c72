//! A connection that delivers the daemon's answer even if the request was not sent completely.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

/// A stream that ignores failed writes after the daemon has closed the connection.
///
/// A daemon that refuses a request while it receives the body sends an answer and closes the
/// connection. The client's next write then fails, and hyper would drop the connection before it
/// reads the answer. With this stream, hyper continues to read until the answer or the end of the
/// connection.
#[derive(Debug)]
pub(super) struct Persistent(pub(super) UnixStream);

impl AsyncRead for Persistent {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.0).poll_read(context, buffer)) {
            // Everything that the daemon had sent was read. The connection ends.
            Err(error) if has_hung_up(&error) => Poll::Ready(Ok(())),
            read => Poll::Ready(read),
        }
    }
}

impl AsyncWrite for Persistent {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match ready!(Pin::new(&mut self.0).poll_write(context, bytes)) {
            Err(error) if has_hung_up(&error) => Poll::Ready(Ok(bytes.len())),
            written => Poll::Ready(written),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.0).poll_shutdown(context)) {
            Err(error) if has_hung_up(&error) || error.kind() == io::ErrorKind::NotConnected => {
                Poll::Ready(Ok(()))
            }
            shut => Poll::Ready(shut),
        }
    }
}

fn has_hung_up(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}
