//! The processes, as ports and tables see them: implements the traits of `io/owners.rs`.

use crate::io::owners::Owners;
use crate::process::body::Answer;
use crate::process::mail::Mail;
use crate::words::code::{Bytes, Ref};
use crate::words::pid::Pid;
use crate::world::World;

impl Owners for World {
    fn is_alive(&self, pid: Pid) -> bool {
        Self::is_alive(self, pid)
    }

    fn tell(&self, pid: Pid, told: Bytes) {
        self.post(pid, Mail::Told(told));
    }

    fn answer(&self, pid: Pid, reference: Ref, answer: Bytes) {
        Self::answer(self, pid, reference, Answer::Reply(answer));
    }
}
