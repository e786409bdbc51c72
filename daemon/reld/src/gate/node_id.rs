//! The name of a node at the lock server.

use std::fs;

use anyhow::{Context, ensure};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The machine id of systemd, which stays the same as long as the machine is installed.
const MACHINE_ID: &str = "/etc/machine-id";

/// The id of reld among the programs of a machine, as in `systemd-id128 machine-id
/// --app-specific=9ebb869b023e4b79a29eba370c53767c`. The machine id itself is not to be given away.
const RELD: [u8; 16] = 0x9ebb_869b_023e_4b79_a29e_ba37_0c53_767c_u128.to_be_bytes();

/// Returns the name that follows from the machine id.
///
/// # Errors
/// The machine has none.
pub(crate) fn id_of_machine() -> anyhow::Result<String> {
    let remedy = || format!("cannot take the name of the node from {MACHINE_ID}; name one with --gate-id");
    let text = fs::read_to_string(MACHINE_ID).with_context(remedy)?;
    let text = text.trim();
    ensure!(text.len() == 32, remedy());
    Ok(of(u128::from_str_radix(text, 16).with_context(remedy)?.to_be_bytes()))
}

/// Computes the id of this machine for reld as systemd does: a version 4 UUID from an HMAC.
fn of(machine: [u8; 16]) -> String {
    let mut hmac = Hmac::<Sha256>::new_from_slice(&machine).expect("a key of any length is allowed");
    hmac.update(&RELD);
    let mut id = [0; 16];
    id.copy_from_slice(&hmac.finalize().into_bytes()[..16]);
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    format!("{:032x}", u128::from_be_bytes(id))
}

/// Parses the option `--gate-id`.
///
/// # Errors
/// The text is empty.
pub(crate) fn id(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("expected a name".to_owned()) } else { Ok(text.to_owned()) }
}

/// Parses the option `--gate-group`.
///
/// # Errors
/// The protocol does not allow the text.
pub(crate) fn group(text: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    let is_group = !text.is_empty() && text.chars().all(is_allowed);
    if is_group { Ok(text.to_owned()) } else { Err("expected letters, digits, `.` and `-`".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_machine_is_that_of_systemd() {
        let machine = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef_u128.to_be_bytes();
        assert_eq!(of(machine), "01eb830ff7ff4d77a4923f13ce4f24d8");
    }

    #[test]
    fn a_group_has_the_letters_of_the_protocol() {
        assert_eq!(group("web-1.a").as_deref(), Ok("web-1.a"));
        for wrong in ["", "a b", "a/b", "ä"] {
            assert!(group(wrong).is_err(), "{wrong}");
        }
    }
}
