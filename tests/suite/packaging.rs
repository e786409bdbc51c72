//! The files of an installation.

use std::fs;
use std::path::Path;
use std::process::Command;

use reld_tests::{Node, Run, folder};

/// Returns the options in a program's help. Each stands at the beginning of a line or after its
/// short form.
fn options(help: &str) -> Vec<&str> {
    help.lines().filter(|line| line.trim_start().starts_with('-')).filter_map(long).collect()
}

fn long(line: &str) -> Option<&str> {
    line.split([' ', ',']).find(|word| word.starts_with("--"))
}

#[test]
fn an_installation_has_programs_service_manual_and_completions() {
    let image = tempfile::tempdir().expect("a temporary folder can be made");
    let programs = Node::relctl_program().parent().expect("a program lies in a folder");
    let mut install = Command::new(folder("packaging/install"));
    Run::of(install.arg(programs).arg(image.path())).expect(0);

    let read = |path: &str| {
        fs::read_to_string(image.path().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let service = read("usr/lib/systemd/system/reld.service");
    let start = service
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart=/"))
        .expect("the command is an absolute path");
    let program = start.split(' ').next().expect("a command has a program");
    Run::of(Command::new(image.path().join(program)).arg("--version")).expect(0);
    let instance = read("usr/lib/systemd/system/reld@.service");
    let differing = instance.lines().zip(service.lines()).filter(|(one, other)| one != other);
    let places = "--root /var/lib/reld-%i --socket /run/reld-%i/reld.sock";
    assert_eq!(instance.lines().count(), service.lines().count());
    assert!(differing.clone().all(|(line, _)| line.contains("%i")), "{instance}");
    assert!(
        differing.clone().any(|(line, _)| line == format!("ExecStart=/usr/bin/reld {places}")),
        "{instance}"
    );
    assert_eq!(differing.count(), 4, "the description, the command and two folders: {instance}");
    assert!(read("usr/lib/sysusers.d/reld.conf").starts_with("u reld"));
    assert!(read("usr/lib/tmpfiles.d/reld.conf").contains("/var/lib/reld"));
    for page in ["relctl.1", "relctl-upgrade.1", "relctl-child-start.1"] {
        assert!(read(&format!("usr/share/man/man1/{page}")).contains(".SH SYNOPSIS"), "{page}");
    }
    for page in ["app", "appup", "release", "relup", "config", "rollout", "fleet"] {
        assert!(read(&format!("usr/share/man/man5/{page}.toml.5")).contains(".SH EXAMPLE"), "{page}");
    }
    assert!(read("usr/share/bash-completion/completions/relctl").contains("soft-purge"));
    assert!(read("usr/share/zsh/site-functions/_relctl").contains("soft-purge"));
    assert!(read("usr/share/fish/vendor_completions.d/relctl.fish").contains("soft-purge"));
}

#[test]
fn s142_the_manual_of_the_daemon_names_each_of_its_options() {
    let manual =
        fs::read_to_string(folder("packaging/reld.8")).expect("the manual is there").replace('\\', "");
    let mut reld = Node::daemon_in(Path::new("/unused"));
    let help = Run::of(reld.arg("--help")).expect(0).stdout;
    let options = options(&help);
    assert!(options.len() > 5, "{options:?}");
    let missing: Vec<_> = options.iter().filter(|option| !manual.contains(**option)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn s142_the_manual_of_each_command_names_each_of_its_options() {
    let manual = tempfile::tempdir().expect("a temporary folder can be made");
    let relctl = || Command::new(Node::relctl_program());
    Run::of(relctl().arg("man").arg(manual.path())).expect(0);
    let mut commands = 0;
    for entry in fs::read_dir(manual.path()).expect("the folder can be read") {
        let path = entry.expect("an entry can be read").path();
        let page = fs::read_to_string(&path).expect("a page is text").replace('\\', "");
        // Only pages of commands have this line: fBrelctl child startfR [...]
        let Some(line) = page.lines().find_map(|line| line.strip_prefix("fBrelctl ")) else { continue };
        let words = line.split("fR").next().expect("a split text has parts").split(' ');
        let help = Run::of(relctl().args(words).arg("--help")).expect(0).stdout;
        let options = options(&help);
        let missing: Vec<_> = options.iter().filter(|option| !page.contains(**option)).collect();
        assert!(!options.is_empty() && missing.is_empty(), "{}: {missing:?}", path.display());
        commands += 1;
    }
    assert!(commands > 60, "{commands}");
}
