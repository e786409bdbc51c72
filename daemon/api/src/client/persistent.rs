//! A connection on which a refusal is read, though its request was not sent to the end.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

/// Takes what is written after the daemon hung up, and drops it.
///
/// A daemon that refuses a request while its body is on the way answers and hangs up. The next write
/// fails then, and hyper gives the connection up with the answer unread. Without that failure it
/// reads on: the answer, or the end.
#[derive(Debug)]
pub(super) struct Persistent(pub(super) UnixStream);

impl AsyncRead for Persistent {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.0).poll_read(context, buffer)) {
            // What the daemon had sent is read by now.
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
