//! A daemon that is killed after a given number of log lines. It does not wait for its log, so it
//! may be ahead of the last line that was read.

use std::io::{ErrorKind, PipeReader, Read as _, pipe};
use std::process::{Child, Stdio};

use nix::fcntl::FcntlArg::{F_SETFL, F_SETPIPE_SZ};
use nix::fcntl::{OFlag, fcntl};
use reld_tests::{Node, eventually};

/// One page, the smallest size of a pipe.
const PAGE: i32 = 4096;

/// A daemon that replaces a node's own, with a log that is read line by line.
pub(crate) struct Lockstep {
    daemon: Child,
    log: PipeReader,
}

impl Lockstep {
    /// Stops the daemon of a node and starts another one on the same root and socket.
    pub(crate) fn start(node: &mut Node) -> Self {
        assert!(node.terminate().success());
        let (log, end) = pipe().expect("a pipe can be made");
        // In packet mode each write takes a page, so this pipe holds one line.
        fcntl(&end, F_SETPIPE_SZ(PAGE)).expect("a pipe can be small");
        fcntl(&end, F_SETFL(OFlag::O_DIRECT)).expect("a pipe has a packet mode");
        fcntl(&log, F_SETFL(OFlag::O_NONBLOCK)).expect("a pipe can be read without waiting");
        let mut daemon = Node::daemon_in(&node.root());
        daemon.arg("--socket").arg(node.socket()).stdout(Stdio::null()).stderr(end);
        let daemon = daemon.spawn().expect("the daemon can be run");
        let mut lockstep = Self { daemon, log };
        while !lockstep.line().contains("ready") {}
        lockstep
    }

    /// Waits for the next line of the log.
    pub(crate) fn line(&mut self) -> String {
        let mut packet = [0; PAGE as usize];
        let length = eventually("the daemon logs a line", || match self.log.read(&mut packet) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            read => Some(read.expect("a pipe can be read")),
        });
        assert!(length > 0, "the daemon ended");
        String::from_utf8_lossy(&packet[..length]).into_owned()
    }
}

impl Drop for Lockstep {
    fn drop(&mut self) {
        self.daemon.kill().expect("the daemon can be killed");
        self.daemon.wait().expect("a killed daemon ends");
    }
}
