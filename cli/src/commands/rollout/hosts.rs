//! The list of hosts.

use std::path::Path;

use reld_api::{ErrorCode, ErrorReport};

use crate::error::Failure;

/// Reads a list of hosts.
pub(super) fn read(path: &Path) -> Result<Vec<String>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|fault| Failure::io("read", path.display(), &fault))?;
    parse(&text).map_err(|fault| {
        ErrorReport::refused(ErrorCode::ErrorReading, format!("cannot use {}: {fault}", path.display()))
            .with_hint("write one host on each line, as the ssh command takes it")
            .into()
    })
}

fn parse(text: &str) -> Result<Vec<String>, String> {
    let mut hosts: Vec<String> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let host = line.split('#').next().unwrap_or_default().trim();
        match host {
            "" => {}
            host if host.contains(char::is_whitespace) => {
                return Err(format!("line {number} has more than one word"));
            }
            // The ssh command would take it for an option.
            host if host.starts_with('-') => return Err(format!("line {number} begins with `-`")),
            host if hosts.iter().any(|known| known == host) => {
                return Err(format!("line {number} repeats {host}"));
            }
            host => hosts.push(host.to_owned()),
        }
    }
    if hosts.is_empty() { Err("it has no host".to_owned()) } else { Ok(hosts) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_one_host_on_each_line() {
        assert_eq!(parse("# shops\nn1\n  op@n2 # spare\n\nn3").unwrap(), ["n1", "op@n2", "n3"]);
        for (text, fault) in [
            ("", "no host"),
            ("# n1", "no host"),
            ("n1\nn2 n3", "line 2 has more than one word"),
            ("-oProxyCommand=x", "line 1 begins with `-`"),
            ("n1\nn2\nn1", "line 3 repeats n1"),
        ] {
            let refused = parse(text).unwrap_err();
            assert!(refused.contains(fault), "{refused}");
        }
    }
}
