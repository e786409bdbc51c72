//! The lines of clients.

/// A line of a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    Put { name: &'a str, url: &'a str },
    Get { name: &'a str },
    Hits { name: &'a str },
    Quit,
    Unknown,
}

/// The answer to an unknown command.
pub(crate) const HELP: &str = "commands: put NAME URL, get NAME, hits NAME, quit";

impl<'a> Command<'a> {
    pub(crate) fn read(line: &'a [u8]) -> Self {
        let Ok(line) = std::str::from_utf8(line) else { return Self::Unknown };
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["put", name, url] => Self::Put { name, url },
            ["get", name] => Self::Get { name },
            ["hits", name] => Self::Hits { name },
            ["quit"] => Self::Quit,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &[u8], expected: &Command<'_>) {
        assert_eq!(Command::read(line), *expected);
    }

    #[test]
    fn lines_of_telnet_and_of_nc_are_read_and_all_others_are_unknown() {
        check(b"put docs https://docs.rs\n", &Command::Put { name: "docs", url: "https://docs.rs" });
        check(b"get  docs\r\n", &Command::Get { name: "docs" });
        check(b"hits docs", &Command::Hits { name: "docs" });
        check(b"quit\n", &Command::Quit);
        for line in [&b"\n"[..], b"get", b"get two names\n", b"GET docs\n", b"get \xff\n"] {
            check(line, &Command::Unknown);
        }
    }
}
