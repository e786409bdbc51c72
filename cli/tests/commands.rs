//! Every command against a node with prepared answers: the requests, stdout, stderr and the exit
//! code.

#[cfg(test)]
mod fake_node;
#[cfg(test)]
mod fleet;

use std::collections::BTreeMap;

use fake_node::{answer, lines, refuse, relctl, sent};
use insta::assert_snapshot;
use reld_api::request as q;
use reld_api::response as r;
use reld_api::{ErrorCode, ErrorReport, ExitCode, FailedStep};
use serde_json::{Value, json};

fn ended() -> r::Ended {
    r::Ended {
        pid: "<7.1>".to_owned(),
        name: Some("loop".to_owned()),
        module: "counter".to_owned(),
        reason: "killed".to_owned(),
    }
}

fn lingerer() -> r::Lingerer {
    r::Lingerer {
        pid: "<7.1>".to_owned(),
        name: None,
        supervisor: Some("counter_sup".to_owned()),
        module: "counter".to_owned(),
        version: "0.1.0".to_owned(),
        since_ms: 2500,
    }
}

fn report() -> r::Report {
    r::Report {
        outcome: r::Outcome::Installed,
        from: Some("1.0.0".to_owned()),
        to: "1.1.0".to_owned(),
        signed_by: Vec::new(),
        changed: true,
        committed: true,
        steps: vec![r::StepRun { number: 1, text: "switch".to_owned(), took_us: 7 }],
        took_us: 21_000,
        pauses: r::Pauses { processes: 3, p50_us: 800, p99_us: 1200, max_us: 1200 },
        windows: Vec::new(),
        meetings: Vec::new(),
        killed: Vec::new(),
        restarted: Vec::new(),
        timeouts: 0,
        lingering: Vec::new(),
        unpurged: Vec::new(),
        dropped: BTreeMap::new(),
        trial: None,
        settled: None,
        way_back: None,
        warnings: Vec::new(),
    }
}

fn checked() -> r::Checked {
    let step =
        |number, text: &str| r::Step { number, text: text.to_owned(), instruction: json!({"op": text}) };
    r::Checked {
        from: Some("1.0.0".to_owned()),
        to: "1.1.0".to_owned(),
        changed: true,
        script: vec![step(1, "suspend [counter]"), step(2, "switch")],
        warnings: vec!["loopy lingers".to_owned()],
    }
}

fn node(id: Value, pid: &str) -> r::TreeNode {
    r::TreeNode {
        id,
        pid: Some(pid.to_owned()),
        name: None,
        behaviour: r::Behaviour::GenServer,
        root: false,
        app: "counter".to_owned(),
        module: "counter".to_owned(),
        version: Some("0.1.1".to_owned()),
        code: Some(r::CodeAge::Current),
        status: r::ProcessStatus::Running,
        children: Vec::new(),
        links: Vec::new(),
    }
}

fn forest() -> r::Forest {
    let root = r::TreeNode {
        name: Some("counter_sup".to_owned()),
        behaviour: r::Behaviour::Supervisor,
        root: true,
        module: "counter_sup".to_owned(),
        children: vec![node(json!(10000), "<7.1>")],
        ..node(Value::Null, "<6.1>")
    };
    r::Forest { roots: vec![root], outside: Vec::new() }
}

#[test]
fn without_a_daemon_the_exit_code_is_3() {
    let seen = relctl(Vec::new(), &["--socket", "/nonexistent/reld.sock", "status"]);
    assert_snapshot!(seen, @r"
    ! error[no_daemon]: cannot reach a daemon on /nonexistent/reld.sock
    !   caused by: No such file or directory (os error 2)
    !
    ! hint: start one with `reld`, or name its socket with --socket or RELD_SOCKET; that of an installed service is /run/reld/reld.sock
    exit 3
    ");
}

#[test]
fn a_folder_in_place_of_a_tarball_is_refused_before_anything_is_sent() {
    assert_snapshot!(relctl(Vec::new(), &["unpack", "/"]), @r"
    ! error[io]: cannot read /
    !   caused by: is a directory
    exit 1
    ");
}

#[test]
fn a_node_that_boots_is_not_called_idle() {
    let status = r::NodeStatus {
        reld: "0.1.0".to_owned(),
        os_pid: 4711,
        fleet: None,
        installed: None,
        uptime_ms: 20,
        release: None,
        permanent: Some("1.0.0".to_owned()),
        processes: 0,
        dirty: false,
        degraded: false,
        alarms: Vec::new(),
        upgrade: None,
        order: None,
        settling: None,
        waiting: Vec::new(),
        lingering: Vec::new(),
        ended: Vec::new(),
        stuck: Vec::new(),
    };
    assert_snapshot!(relctl(vec![answer::<q::Status>(&status)], &["status"]), @r"
    -> GET /status
    release    none yet, 1.0.0 is being booted
    permanent  1.0.0
    processes  0
    daemon     reld 0.1.0, process 4711, up 20.0 ms
    exit 0
    ");
}

#[test]
fn a_command_line_that_makes_no_sense_exits_with_2() {
    let seen = relctl(Vec::new(), &["child", "start", "counter_sup", r#"{"id": 1}"#]);
    assert_snapshot!(seen, @r#"
    ! error[usage]: not a child spec: missing field `module`
    !
    ! hint: for example {"id": 30000, "module": "counter", "args": 30000}
    exit 2
    "#);
}

#[test]
fn a_rolled_back_upgrade_shows_its_failed_step_and_causes_and_exits_with_4() {
    let report = ErrorReport {
        node_state: Some("the node runs 1.0.0 as before".to_owned()),
        step: Some(FailedStep {
            number: 7,
            of: 12,
            text: "change_code counter in <41.1>".to_owned(),
            kind: Some("change_code".to_owned()),
        }),
        ..ErrorReport::new(ErrorCode::RolledBack, "release 1.1.0 was not installed", ExitCode::RolledBack)
            .caused_by("app counter 1.1.0 answered: unknown state version 3")
            .with_hint("`relctl check 1.1.0` prints the script")
    };
    let seen = relctl(vec![refuse::<q::Upgrade>(report)], &["upgrade", "1.1.0"]);
    assert_snapshot!(seen, @r#"
    -> POST /releases/upgrade {"version":"1.1.0","end":"commit","timeouts":{}}
    ! error[rolled_back]: release 1.1.0 was not installed; the node runs 1.0.0 as before
    !   step 7 of 12 failed[change_code]: change_code counter in <41.1>
    !   caused by: app counter 1.1.0 answered: unknown state version 3
    !
    ! hint: `relctl check 1.1.0` prints the script
    exit 4
    "#);
}

#[test]
fn with_json_an_error_is_a_document_on_stdout_and_text_on_stderr() {
    let report = ErrorReport::refused(ErrorCode::NotPurged, "counter still has old code");
    let seen = relctl(vec![refuse::<q::Suspend>(report)], &["--json", "suspend", "<7.1>"]);
    assert_snapshot!(seen, @r#"
    -> POST /suspend {"process":"<7.1>"}
    {
      "error": {
        "kind": "not_purged",
        "message": "counter still has old code",
        "exit_code": 1
      }
    }
    ! error[not_purged]: counter still has old code
    exit 1
    "#);
}

#[test]
fn with_json_every_failure_is_a_document_on_stdout() {
    let folder = tempfile::tempdir().unwrap();
    for (args, code, kind) in [
        (&["--json", "status"][..], 3, "no_daemon"),
        (&["unpack", "missing.tar.gz", "--json"], 1, "io"),
        (&["--json", "plan", "-", "-"], 2, "usage"),
        (&["--json", "upgrade"], 2, "usage"),
        (&["--json", "no-such-command"], 2, "usage"),
    ] {
        let mut relctl = std::process::Command::new(env!("CARGO_BIN_EXE_relctl"));
        let socket = folder.path().join("reld.sock");
        let output =
            relctl.current_dir(folder.path()).env("RELD_SOCKET", socket).args(args).output().unwrap();
        let body: reld_api::ErrorBody = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), body.error.kind.as_str()), (Some(code), kind), "{args:?}");
        assert_eq!(u8::from(body.error.exit_code), u8::try_from(code).unwrap());
        let text = String::from_utf8(output.stderr).unwrap();
        // A command line that clap refuses has clap's text.
        let labels = [format!("error[{kind}]: "), "error: ".to_owned()];
        let message = labels.iter().find_map(|label| text.strip_prefix(label.as_str()));
        assert!(message.is_some_and(|text| text.starts_with(&body.error.message)), "{args:?}: {text}");
    }
}

#[test]
fn the_demo_names_the_folder_that_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    // The relctl of the build lies in a clone, perhaps.
    let relctl = folder.path().join("relctl");
    std::fs::copy(env!("CARGO_BIN_EXE_relctl"), &relctl).unwrap();
    let output = std::process::Command::new(relctl).current_dir("/").arg("demo").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("/ is not in a clone of reld's repository"), "{text}");
}

#[test]
fn upgrade_prints_the_steps_the_pause_and_the_outcome() {
    let seen = relctl(vec![answer::<q::Upgrade>(&report())], &["upgrade", "1.1.0", "--no-commit"]);
    assert_snapshot!(seen, @r#"
    -> POST /releases/upgrade {"version":"1.1.0","end":"current","timeouts":{}}
      1. switch (7 us)
    installed 1.1.0 from 1.0.0 in 21.0 ms; it is permanent
    pause of 3 processes: p50 800 us, p99 1.20 ms, max 1.20 ms
    exit 0
    "#);
}

#[test]
fn upgrading_to_the_running_release_does_nothing() {
    let report = r::Report { changed: false, ..report() };
    let seen = relctl(vec![answer::<q::Upgrade>(&report)], &["upgrade", "1.1.0"]);
    assert_snapshot!(seen, @r#"
    -> POST /releases/upgrade {"version":"1.1.0","end":"commit","timeouts":{}}
    1.1.0 is already running; nothing to do
    exit 0
    "#);
}

#[test]
fn upgrading_to_a_file_unpacks_it_first() {
    let unpacked = r::Unpacked {
        name: "shop".to_owned(),
        version: "1.1.0".to_owned(),
        apps: vec!["counter-0.1.1".to_owned()],
        changed: true,
        replaced: false,
        repaired: vec!["lib/regis-1.0.0/regis.so".to_owned()],
        signed_by: Vec::new(),
        warnings: Vec::new(),
    };
    let file = tempfile::NamedTempFile::with_suffix(".tar.gz").unwrap();
    std::fs::write(file.path(), "a tarball").unwrap();
    let answers = vec![answer::<q::Unpack>(&unpacked), answer::<q::Upgrade>(&report())];
    let seen = relctl(answers, &["upgrade", file.path().to_str().unwrap(), "--suspend-timeout", "500"]);
    assert_snapshot!(seen, @r#"
    -> POST /releases/unpack?replace=true a tarball
    -> POST /releases/upgrade {"version":"1.1.0","end":"commit","timeouts":{"suspend_ms":500}}
    repaired lib/regis-1.0.0/regis.so
      1. switch (7 us)
    installed 1.1.0 from 1.0.0 in 21.0 ms; it is permanent
    pause of 3 processes: p50 800 us, p99 1.20 ms, max 1.20 ms
    exit 0
    "#);
}

#[test]
fn a_dry_run_of_a_file_leaves_nothing_on_the_node() {
    let unpacked = unpacked(true, &[]);
    let removed = r::Removed { version: "1.1.0".to_owned(), apps: Vec::new() };
    let file = tempfile::NamedTempFile::with_suffix(".tar.gz").unwrap();
    std::fs::write(file.path(), "a tarball").unwrap();
    let answers =
        vec![answer::<q::Unpack>(&unpacked), answer::<q::Check>(&checked()), answer::<q::Remove>(&removed)];
    let seen = relctl(answers, &["upgrade", "--dry-run", file.path().to_str().unwrap()]);
    assert_snapshot!(seen, @r#"
    -> POST /releases/unpack a tarball
    -> GET /releases/check?version=1.1.0
    -> POST /releases/remove {"version":"1.1.0"}
    from 1.0.0 to 1.1.0; nothing was executed
      1. suspend [counter]
      2. switch
    warning: loopy lingers
    exit 0
    "#);
}

#[test]
fn install_downgrade_check_commit_remove_and_reboot_old_send_one_request_each() {
    assert_snapshot!(relctl(vec![answer::<q::Install>(&r::Report { committed: false, ..report() })], &["install", "1.1.0"]), @r#"
    -> POST /releases/install {"version":"1.1.0","timeouts":{}}
      1. switch (7 us)
    installed 1.1.0 from 1.0.0 in 21.0 ms; it is current, not committed
    pause of 3 processes: p50 800 us, p99 1.20 ms, max 1.20 ms
    exit 0
    "#);
    assert_snapshot!(relctl(vec![answer::<q::Downgrade>(&report())], &["downgrade"]), @r#"
    -> POST /releases/downgrade {"end":"commit","timeouts":{}}
      1. switch (7 us)
    installed 1.1.0 from 1.0.0 in 21.0 ms; it is permanent
    pause of 3 processes: p50 800 us, p99 1.20 ms, max 1.20 ms
    exit 0
    "#);
    let restart = ["downgrade", "1.0.0", "--mode", "restart"];
    let sent = relctl(vec![answer::<q::Downgrade>(&report())], &restart);
    assert_eq!(
        sent.lines().next(),
        Some(
            r#"-> POST /releases/downgrade {"version":"1.0.0","end":"commit","timeouts":{},"mode":"restart"}"#
        )
    );
    let dry_run = ["downgrade", "--dry-run", "--one-way"];
    assert_snapshot!(relctl(vec![answer::<q::CheckDowngrade>(&checked())], &dry_run), @r#"
    -> GET /releases/check_downgrade?one_way=true
    from 1.0.0 to 1.1.0; nothing was executed
      1. suspend [counter]
      2. switch
    warning: loopy lingers
    exit 0
    "#);
    assert_snapshot!(relctl(vec![answer::<q::Check>(&checked())], &["check", "1.1.0"]), @r#"
    -> GET /releases/check?version=1.1.0
    from 1.0.0 to 1.1.0; nothing was executed
      1. suspend [counter]
      2. switch
    warning: loopy lingers
    exit 0
    "#);
    let committed = r::Committed {
        version: "1.1.0".to_owned(),
        changed: true,
        killed: vec![ended()],
        lingering: vec![lingerer()],
        warnings: Vec::new(),
    };
    assert_snapshot!(relctl(vec![answer::<q::Commit>(&committed)], &["commit"]), @r"
    -> POST /releases/commit {}
    1.1.0 is permanent
    killed: loop <7.1> counter, reason killed
    lingering: <7.1> in counter 0.1.0, under counter_sup, old for 2.50 s
    exit 0
    ");
    let removed = r::Removed { version: "1.0.0".to_owned(), apps: vec!["counter-0.1.0".to_owned()] };
    assert_snapshot!(relctl(vec![answer::<q::Remove>(&removed)], &["remove", "1.0.0"]), @r#"
    -> POST /releases/remove {"version":"1.0.0"}
    removed 1.0.0 with counter-0.1.0
    exit 0
    "#);
    let rebooting = r::Rebooting { version: "1.0.0".to_owned() };
    assert_snapshot!(relctl(vec![answer::<q::RebootOld>(&rebooting)], &["reboot-old", "1.0.0"]), @r#"
    -> POST /releases/reboot_old {"version":"1.0.0"}
    the node restarts into 1.0.0
    exit 0
    "#);
}

#[test]
fn releases_are_listed_with_their_status() {
    let row = |version: &str, status| r::ReleaseRow {
        name: "shop".to_owned(),
        version: version.to_owned(),
        status,
        serial: if version == "1.1.0" { 47 } else { 0 },
        signed_by: vec!["ci".to_owned()],
        identity: String::new(),
        apps: vec![format!("counter-{version}")],
    };
    let list = r::ReleaseList {
        releases: vec![row("1.1.0", r::ReleaseStatus::Current), row("1.0.0", r::ReleaseStatus::Permanent)],
    };
    assert_snapshot!(relctl(vec![answer::<q::Releases>(&list)], &["releases"]), @r"
    -> GET /releases
    name  version  status     serial  signed by  apps
    shop  1.1.0    current    47      ci         counter-1.1.0
    shop  1.0.0    permanent  -       ci         counter-1.0.0
    exit 0
    ");
}

#[test]
fn status_shows_the_running_release_and_everything_unusual() {
    let status = r::NodeStatus {
        reld: "0.1.0".to_owned(),
        os_pid: 4711,
        fleet: Some("shop as n1: connected to etcd".to_owned()),
        installed: Some("/usr/bin/reld".to_owned()),
        uptime_ms: 90_000,
        release: Some(r::RunningRelease {
            name: "shop".to_owned(),
            version: "1.1.0".to_owned(),
            status: r::ReleaseStatus::Current,
            serial: 47,
            floor: 46,
            signed_by: vec!["ci".to_owned()],
        }),
        permanent: Some("1.0.0".to_owned()),
        processes: 12,
        dirty: true,
        degraded: true,
        alarms: vec!["release 1.0.9 failed to boot 3 times and gave way to 1.0.0".to_owned()],
        upgrade: Some(r::Progress {
            to: "1.2.0".to_owned(),
            back: None,
            step: 3,
            of: 9,
            text: "switch".to_owned(),
            waits_for: Vec::new(),
        }),
        order: Some("upgrade to 1.1.0".to_owned()),
        settling: None,
        waiting: vec![r::WaitingOrder {
            order: "downgrade to 1.0.0".to_owned(),
            uid: Some(1000),
            waits_ms: 1500,
        }],
        lingering: vec![lingerer()],
        ended: vec![r::EndedApp {
            app: "till".to_owned(),
            version: "2.0.0".to_owned(),
            reason: "shutdown".to_owned(),
        }],
        stuck: vec![r::StuckCode {
            pid: "<8.1>".to_owned(),
            name: Some("pi".to_owned()),
            module: "pi".to_owned(),
            version: "0.0.9".to_owned(),
            app: "circle".to_owned(),
            detached: true,
            for_ms: 3_000,
            frames: vec!["circle::round".to_owned(), "circle::pi".to_owned()],
        }],
    };
    assert_snapshot!(relctl(vec![answer::<q::Status>(&status)], &["status"]), @r"
    -> GET /status
    release    shop 1.1.0 (current), serial 47, floor 46, signed by ci
    permanent  1.0.0
    warning    1.1.0 is not committed: a restart boots 1.0.0; `relctl commit` keeps it
    alarm      release 1.0.9 failed to boot 3 times and gave way to 1.0.0
    processes  12
    daemon     reld 0.1.0, process 4711, up 90.0 s
    installed  another reld: a restart of the daemon starts /usr/bin/reld
    fleet      shop as n1: connected to etcd
    degraded   stuck app code was given up: it still holds a thread and its library
    dirty      code was changed by hand since the node booted
    upgrade    to 1.2.0: step 3 of 9: switch
    order      upgrade to 1.1.0 is under way
    waiting    downgrade to 1.0.0 of user 1000, for 1.50 s; removed when its client disconnects
    ended      till 2.0.0: shutdown; `relctl app start till` starts it again
    stuck      circle pi 0.0.9 at <8.1> pi (given up) has not returned for 3.00 s, inside circle::round
    lingering: <7.1> in counter 0.1.0, under counter_sup, old for 2.50 s
    exit 0
    ");
}

#[test]
fn tree_requests_and_draws_the_wanted_part() {
    assert_snapshot!(relctl(vec![answer::<q::Tree>(&forest())], &["tree", "--app", "counter"]), @r"
    -> GET /tree?app=counter
    counter_sup <6.1>  supervisor counter_sup 0.1.1, root of counter
    └─ 10000 = <7.1>  worker counter 0.1.1
    exit 0
    ");
    let args = ["tree", "--sup", "<6.1>", "--format", "mermaid", "--direction", "left-right"];
    assert_snapshot!(relctl(vec![answer::<q::Tree>(&forest())], &args), @r#"
    -> GET /tree?supervisor=%3C6.1%3E
    flowchart LR
        n0{{"counter_sup<br/>counter_sup 0.1.1<br/>root of counter"}}
        n1("10000<br/>#lt;7.1#gt;<br/>counter 0.1.1")
        n0 --> n1
    exit 0
    "#);
}

fn process() -> r::Process {
    r::Process {
        pid: "<7.1>".to_owned(),
        name: None,
        behaviour: r::Behaviour::GenServer,
        app: "counter".to_owned(),
        module: "counter".to_owned(),
        version: "0.1.1".to_owned(),
        code: r::CodeAge::Current,
        status: r::ProcessStatus::Suspended,
        supervisor: Some("counter_sup".to_owned()),
        id: json!(10000),
        queue: 4,
        queue_max: None,
        dropped: 0,
        callback: None,
    }
}

fn busy() -> r::Process {
    let callback = r::Callback {
        about: Some("call \"get\" from <9.1>".to_owned()),
        for_ms: 1_850,
        waits_for: vec!["answer of <5.1>".to_owned(), "time".to_owned()],
    };
    r::Process { queue_max: Some(5), dropped: 2, callback: Some(callback), ..process() }
}

#[test]
fn proc_shows_only_the_lists_that_a_process_has() {
    let mut details = r::ProcessDetails {
        process: process(),
        names: Vec::new(),
        in_callback: false,
        frames: Vec::new(),
        old_frames: 0,
        traps_exits: true,
        links: vec!["<6.1>".to_owned()],
        monitors: Vec::new(),
        monitored_by: vec!["<9.1>".to_owned(), "<9.2>".to_owned()],
        mailbox: vec![r::Letter {
            kind: r::LetterKind::Cast,
            from: "<9.1>".to_owned(),
            body: json!({"bump": 5}),
        }],
        unanswered: Vec::new(),
        timers: vec![r::PendingTimer { at_us: 2_500_000, message: json!("tick") }],
    };
    assert_snapshot!(relctl(vec![answer::<q::Process>(&details)], &["proc", "<7.1>"]), @r#"
    -> GET /process?process=%3C7.1%3E
    pid           <7.1>
    gen_server    counter 0.1.1 (current)
    status        suspended
    child of      counter_sup 10000
    links         <6.1>
    monitored by  <9.1> <9.2>
    traps exits
    cast          from <9.1>: {"bump":5}
    timer         due at 2.50 s of uptime: "tick"
    exit 0
    "#);
    (details.in_callback, details.traps_exits) = (true, false);
    for seen_inside in [&mut details.links, &mut details.monitored_by] {
        seen_inside.clear();
    }
    details.mailbox.clear();
    details.timers.clear();
    details.process = busy();
    details.old_frames = 1;
    details.frames = vec!["circle::round".to_owned(), "circle::pi".to_owned()];
    assert_snapshot!(relctl(vec![answer::<q::Process>(&details)], &["proc", "<7.1>"]), @r#"
    -> GET /process?process=%3C7.1%3E
    pid           <7.1>
    gen_server    counter 0.1.1 (current)
    status        suspended
    child of      counter_sup 10000
    callback      call "get" from <9.1>, waits 1.85 s for answer of <5.1>, time
    mailbox       4 of 5, 2 dropped
    its callback is inside old code
    a callback is running: links, monitors and mailbox are not available
    inside        circle::round
    inside        circle::pi
    exit 0
    "#);
}

#[test]
fn ps_apps_and_code_are_tables() {
    let processes = r::ProcessList { processes: vec![process()] };
    assert_snapshot!(relctl(vec![answer::<q::Processes>(&processes)], &["ps"]), @r"
    -> GET /processes
    pid    name  type        module   version  code     status     queue  callback  child of
    <7.1>  -     gen_server  counter  0.1.1    current  suspended  4      -         counter_sup 10000
    exit 0
    ");
    let top = r::TopList {
        for_ms: 500,
        of: 7,
        processes: vec![r::TopProcess { process: busy(), run_percent: 12.34 }],
    };
    let args = ["top", "-n", "1", "--sort", "mailbox", "--interval", "500"];
    assert_snapshot!(relctl(vec![answer::<q::Top>(&top)], &args), @r#"
    -> GET /top?sort=mailbox&count=1&for_ms=500
    1 of 7 processes, seen for 500 ms
    pid    name  module   version  status     run %  queue   callback                                                       child of
    <7.1>  -     counter  0.1.1    suspended  12.3   4 of 5  call "get" from <9.1>, waits 1.85 s for answer of <5.1>, time  counter_sup 10000
    exit 0
    "#);
    let status = r::SysStatus {
        process: process(),
        suspended: true,
        statistics: false,
        log_max: Some(10),
        state: json!({"n": 1}),
    };
    assert_snapshot!(relctl(vec![answer::<q::SysStatus>(&status)], &["sys", "status", "<7.1>"]), @r#"
    -> GET /sys_status?process=%3C7.1%3E
    pid           <7.1>
    gen_server    counter 0.1.1 (current)
    status        suspended
    child of      counter_sup 10000
    statistics    off
    log           the last 10 messages
    state         {
      "n": 1
    }
    exit 0
    "#);
    let apps = r::AppList {
        apps: vec![r::App {
            name: "counter".to_owned(),
            version: "0.1.1".to_owned(),
            status: r::AppStatus::Running,
            reason: None,
            start_type: "permanent".to_owned(),
            modules: vec!["counter".to_owned(), "counter_sup".to_owned()],
            processes: 3,
            env: [("interval_ms".to_owned(), json!(250))].into(),
        }],
    };
    assert_snapshot!(relctl(vec![answer::<q::Apps>(&apps)], &["apps"]), @r"
    -> GET /apps
    name     version  status   type       processes  modules
    counter  0.1.1    running  permanent  3          counter counter_sup
    exit 0
    ");
    let code = r::CodeTable {
        modules: vec![r::Module {
            module: "counter".to_owned(),
            app: "counter".to_owned(),
            current: Some("0.1.1".to_owned()),
            current_processes: 1,
            old: Some(r::OldCode { version: "0.1.0".to_owned(), lingering: vec![lingerer()] }),
        }],
        libraries: vec![r::Library {
            app: "counter".to_owned(),
            version: "0.1.1".to_owned(),
            is_leaving: false,
            bytes: 524_288,
            heap: Some(r::Heap { blocks: 12, bytes: 2048 }),
            threads: 0,
            processes: 4,
            waiting: 1,
            ports: 2,
            timers: 3,
            blocking: 5,
            exits: [("killed".to_owned(), 1), ("normal".to_owned(), 7)].into(),
        }],
        residents: vec![r::Resident {
            app: "pi".to_owned(),
            version: "0.0.9".to_owned(),
            bytes: 1_572_864,
            reason: "a thread that it started still runs".to_owned(),
            for_ms: 90_000,
        }],
    };
    assert_snapshot!(relctl(vec![answer::<q::Code>(&code)], &["code", "counter"]), @r"
    -> GET /code?module=counter
    module   app      current  processes  old
    counter  counter  0.1.1    1          0.1.0
    lingering: <7.1> in counter 0.1.0, under counter_sup, old for 2.50 s

    library        mapped     heap     threads  processes  waiting  sockets  timers  blocking  exits
    counter 0.1.1  512.0 KiB  2.0 KiB  0        4          1        2        3       5         1 killed, 7 normal
    stays mapped: pi 0.0.9, 1.5 MiB, for 90.0 s: a thread that it started still runs
    exit 0
    ");
}

#[test]
fn ports_and_tables_are_listed() {
    let port = |port, local: &str, peer: Option<&str>, unread| r::Port {
        port,
        owner: "<7.1>".to_owned(),
        local: local.to_owned(),
        peer: peer.map(str::to_owned),
        unread,
        unsent: 0,
    };
    let ports = vec![port(1, "127.0.0.1:80", None, 0), port(2, "127.0.0.1:80", Some("127.0.0.1:4711"), 2048)];
    assert_snapshot!(relctl(vec![answer::<q::Ports>(&r::PortList { ports })], &["ports"]), @r"
    -> GET /ports
    port  owner  local         peer            unread   unsent
    1     <7.1>  127.0.0.1:80  (listens)       0 B      0 B
    2     <7.1>  127.0.0.1:80  127.0.0.1:4711  2.0 KiB  0 B
    exit 0
    ");
    let table = r::Table {
        table: 1,
        name: Some("book".to_owned()),
        kind: "ordered_set".to_owned(),
        access: "protected".to_owned(),
        owner: "<7.1>".to_owned(),
        heir: None,
        rows: 3,
        bytes: 90,
    };
    assert_snapshot!(relctl(vec![answer::<q::Tables>(&r::TableList { tables: vec![table] })], &["tables"]), @r"
    -> GET /tables
    table  name  type         access     owner  heir  rows  size
    1      book  ordered_set  protected  <7.1>  -     3     90 B
    exit 0
    ");
}

#[test]
fn state_prints_the_state_and_with_json_the_whole_answer() {
    let state = r::ProcessState {
        pid: "<7.1>".to_owned(),
        name: None,
        module: "counter".to_owned(),
        version: "0.1.1".to_owned(),
        status: r::ProcessStatus::Running,
        state: json!({"n": 5}),
    };
    assert_snapshot!(relctl(vec![answer::<q::State>(&state)], &["state", "<7.1>"]), @r#"
    -> GET /state?process=%3C7.1%3E
    {
      "n": 5
    }
    exit 0
    "#);
    assert_snapshot!(relctl(vec![answer::<q::State>(&state)], &["--json", "state", "<7.1>"]), @r#"
    -> GET /state?process=%3C7.1%3E
    {
      "module": "counter",
      "name": null,
      "pid": "<7.1>",
      "state": {
        "n": 5
      },
      "status": "running",
      "version": "0.1.1"
    }
    exit 0
    "#);
}

#[test]
fn messages_are_json_or_bare_words() {
    let replied = r::Replied { pid: "<7.1>".to_owned(), reply: json!(10017), took_us: 9 };
    assert_snapshot!(relctl(vec![answer::<q::Call>(&replied)], &["call", "front", "get"]), @r#"
    -> POST /call {"process":"front","request":"get","timeout_ms":5000}
    10017
    exit 0
    "#);
    let sent = r::Sent { pid: "<7.1>".to_owned() };
    assert_snapshot!(relctl(vec![answer::<q::Cast>(&sent)], &["cast", "front", r#"{"add": 1}"#]), @r#"
    -> POST /cast {"process":"front","message":{"add":1}}
    sent to <7.1>
    exit 0
    "#);
    let sent = r::ExitSent { pid: "<7.1>".to_owned() };
    assert_snapshot!(relctl(vec![answer::<q::Kill>(&sent)], &["kill", "front", "shutdown"]), @r#"
    -> POST /kill {"process":"front","reason":"shutdown"}
    sent exit shutdown to <7.1>
    exit 0
    "#);
}

#[test]
fn spawn_prints_the_pid_and_with_link_the_end() {
    let spawned = r::Spawned { pid: "<9.1>".to_owned() };
    assert_snapshot!(relctl(vec![answer::<q::Spawn>(&spawned)], &["spawn", "loopy", "5"]), @r#"
    -> POST /spawn {"module":"loopy","args":5}
    <9.1>
    exit 0
    "#);
    let events = [
        r::LinkEvent::Spawned { pid: "<9.1>".to_owned() },
        r::LinkEvent::Exited { pid: "<9.1>".to_owned(), reason: "killed".to_owned() },
    ];
    assert_snapshot!(relctl(vec![lines::<q::SpawnLink>(&events)], &["spawn", "loopy", "--link"]), @r#"
    -> POST /spawn_link {"module":"loopy","args":null}
    <9.1>
    <9.1> exited: killed
    exit 0
    "#);
    assert_snapshot!(relctl(vec![lines::<q::SpawnLink>(&events[..1])], &["spawn", "loopy", "--link"]), @r#"
    -> POST /spawn_link {"module":"loopy","args":null}
    <9.1>
    ! error[broken]: the answer to /spawn_link ended early
    !
    ! hint: check the node with `relctl status`
    exit 3
    "#);
}

#[test]
fn suspend_change_code_and_resume_are_three_commands() {
    let suspended = r::Suspended { pid: "<7.1>".to_owned() };
    assert_snapshot!(relctl(vec![answer::<q::Suspend>(&suspended)], &["suspend", "front"]), @r#"
    -> POST /suspend {"process":"front"}
    suspended <7.1>
    exit 0
    "#);
    let changed =
        r::CodeChanged { pid: "<7.1>".to_owned(), module: "counter".to_owned(), version: "0.1.1".to_owned() };
    let args = ["change-code", "front", "counter", "0.1.0", r#"{"interval_ms": 250}"#];
    assert_snapshot!(relctl(vec![answer::<q::ChangeCode>(&changed)], &args), @r#"
    -> POST /change_code {"process":"front","module":"counter","from_version":"0.1.0","extra":{"interval_ms":250}}
    <7.1> runs counter 0.1.1
    exit 0
    "#);
    let resumed = r::Resumed { pid: "<7.1>".to_owned(), queue: 4 };
    assert_snapshot!(relctl(vec![answer::<q::Resume>(&resumed)], &["resume", "front"]), @r#"
    -> POST /resume {"process":"front"}
    resumed <7.1>, 4 messages waiting
    exit 0
    "#);
}

#[test]
fn s4_a_soft_purge_that_purged_nothing_says_who_lingers_and_exits_with_1() {
    let kept = r::SoftPurged { module: "counter".to_owned(), purged: false, lingering: vec![lingerer()] };
    assert_snapshot!(relctl(vec![answer::<q::SoftPurge>(&kept)], &["soft-purge", "counter"]), @r#"
    -> POST /soft_purge {"module":"counter"}
    counter was not purged
    lingering: <7.1> in counter 0.1.0, under counter_sup, old for 2.50 s
    exit 1
    "#);
}

#[test]
fn s5_a_purge_lists_the_killed_processes() {
    let purged = |killed| r::Purged { module: "counter".to_owned(), killed };
    assert_snapshot!(relctl(vec![answer::<q::Purge>(&purged(vec![ended()]))], &["purge", "counter"]), @r#"
    -> POST /purge {"module":"counter"}
    purged counter
    killed: loop <7.1> counter, reason killed
    exit 0
    "#);
    assert_snapshot!(relctl(vec![answer::<q::Purge>(&purged(Vec::new()))], &["purge", "counter"]), @r#"
    -> POST /purge {"module":"counter"}
    purged counter; no process ran old code
    exit 0
    "#);
}

#[test]
fn s26_a_child_is_started_from_its_spec() {
    let started = r::ChildStarted { id: json!(30000), pid: Some("<8.1>".to_owned()) };
    let args = ["child", "start", "counter_sup", r#"{"id": 30000, "module": "counter", "args": 30000}"#];
    assert_snapshot!(relctl(vec![answer::<q::ChildStart>(&started)], &args), @r#"
    -> POST /children/start {"supervisor":"counter_sup","child":{"spec":{"id":30000,"module":"counter","args":30000,"restart":"permanent","shutdown":null,"type":"worker"}}}
    started 30000 as <8.1>
    exit 0
    "#);
}

#[test]
fn s27_children_are_terminated_restarted_and_deleted_by_id() {
    let terminated = r::ChildTerminated { id: json!(10000) };
    let args = ["child", "terminate", "counter_sup", "10000"];
    assert_snapshot!(relctl(vec![answer::<q::ChildTerminate>(&terminated)], &args), @r#"
    -> POST /children/terminate {"supervisor":"counter_sup","id":10000}
    terminated 10000
    exit 0
    "#);
    let restarted = r::ChildStarted { id: json!("front"), pid: Some("<7.2>".to_owned()) };
    let args = ["child", "restart", "counter_sup", "front"];
    assert_snapshot!(relctl(vec![answer::<q::ChildRestart>(&restarted)], &args), @r#"
    -> POST /children/restart {"supervisor":"counter_sup","id":"front"}
    started "front" as <7.2>
    exit 0
    "#);
    let deleted = r::ChildDeleted { id: json!(10000) };
    let args = ["child", "delete", "counter_sup", "10000"];
    assert_snapshot!(relctl(vec![answer::<q::ChildDelete>(&deleted)], &args), @r#"
    -> POST /children/delete {"supervisor":"counter_sup","id":10000}
    deleted 10000
    exit 0
    "#);
}

#[test]
fn a_child_spec_is_shown_with_its_defaults() {
    let spec = json!({"id": "front", "module": "counter", "args": 1, "restart": "transient", "significant": true,
                      "shutdown": {"ms": 5000}, "type": "worker"});
    let spec = serde_json::from_value(spec).unwrap();
    let shown = r::ChildSpecShown { supervisor: "counter_sup".to_owned(), spec };
    let args = ["child", "spec", "counter_sup", "front"];
    assert_snapshot!(relctl(vec![answer::<q::ChildSpecOf>(&shown)], &args), @r#"
    -> GET /children/spec?supervisor=counter_sup&id=%22front%22
    {
      "id": "front",
      "module": "counter",
      "args": 1,
      "restart": "transient",
      "significant": true,
      "shutdown": {
        "ms": 5000
      },
      "type": "worker"
    }
    exit 0
    "#);
}

#[test]
fn s28_a_pid_in_place_of_a_child_id_gets_the_id_as_a_hint() {
    let terminate = |id| {
        let refused = ErrorReport::refused(ErrorCode::NotFound, "counter_sup has no child \"<7.1>\"");
        let answers = vec![refuse::<q::ChildTerminate>(refused), answer::<q::Tree>(&forest())];
        relctl(answers, &["child", "terminate", "counter_sup", id])
    };
    assert_eq!(terminate("7.1"), terminate("<7.1>"));
    assert_snapshot!(terminate("<7.1>"), @r#"
    -> POST /children/terminate {"supervisor":"counter_sup","id":"<7.1>"}
    -> GET /tree
    ! error[not_found]: counter_sup has no child "<7.1>"
    !
    ! hint: <7.1> is a pid; the child's id is 10000
    exit 1
    "#);
}

#[test]
fn apps_are_started_and_stopped() {
    let started =
        r::AppStarted { app: "counter".to_owned(), started: vec!["regis".to_owned(), "counter".to_owned()] };
    assert_snapshot!(relctl(vec![answer::<q::AppStart>(&started)], &["app", "start", "counter"]), @r#"
    -> POST /apps/start {"app":"counter"}
    started regis, counter
    exit 0
    "#);
    let stopped = r::AppStopped { app: "counter".to_owned(), took_us: 950_000 };
    assert_snapshot!(relctl(vec![answer::<q::AppStop>(&stopped)], &["app", "stop", "counter"]), @r#"
    -> POST /apps/stop {"app":"counter"}
    stopped counter in 950 ms
    exit 0
    "#);
}

#[test]
fn a_program_that_cannot_be_run_within_limits_is_named() {
    assert_snapshot!(relctl(Vec::new(), &["limited", "--", "/nonexistent/reld", "probe"]), @r"
    ! error[io]: cannot run /nonexistent/reld
    !   caused by: No such file or directory (os error 2)
    exit 1
    ");
}

fn entry() -> r::HistoryEntry {
    r::HistoryEntry {
        number: Some(12),
        begun: "2026-11-22T22:08:03Z".to_owned(),
        ended: Some("2026-11-22T22:08:05Z".to_owned()),
        kind: r::HistoryKind::Upgrade,
        uid: Some(1000),
        rollout: None,
        from: Some("1.0.0".to_owned()),
        to: "1.1.0".to_owned(),
        outcome: r::Outcome::Installed,
        committed: true,
        report: Some(report()),
        failure: None,
    }
}

fn taken_back() -> r::HistoryEntry {
    let way_back = r::Report { from: Some("1.1.0".to_owned()), to: "1.0.0".to_owned(), ..report() };
    let report = r::Report { way_back: Some(Box::new(way_back)), committed: false, ..report() };
    let failure = ErrorReport {
        node_state: Some("the node runs 1.0.0 again".to_owned()),
        ..ErrorReport::new(ErrorCode::TakenBack, "release 1.1.0 was taken back", ExitCode::RolledBack)
            .caused_by("aborted by the operator")
    };
    r::HistoryEntry {
        outcome: r::Outcome::TakenBack,
        committed: false,
        report: Some(report),
        failure: Some(failure),
        ..entry()
    }
}

#[test]
fn the_settle_options_are_sent_with_the_upgrade() {
    let args = ["upgrade", "1.1.0", "--settle", "60", "--probe", "curl till", "--supersede"];
    let report = r::Report {
        settled: Some(r::Settled {
            took_us: 61_000_000,
            crashes: Vec::new(),
            probe: Some(r::Probed { passed: true, output: vec!["fine".to_owned()] }),
            fault: None,
        }),
        ..report()
    };
    assert_snapshot!(relctl(vec![answer::<q::Upgrade>(&report)], &args), @r#"
    -> POST /releases/upgrade {"version":"1.1.0","end":"commit","timeouts":{},"settle":{"window_ms":60000,"probe":{"command":"curl till","timeout_ms":30000}},"supersede":true}
      1. switch (7 us)
    installed 1.1.0 from 1.0.0 in 21.0 ms; it is permanent
    pause of 3 processes: p50 800 us, p99 1.20 ms, max 1.20 ms
    watched for 61.0 s: no crashes, the probe passed
    exit 0
    "#);
}

#[test]
fn the_policy_is_sent_with_the_install_and_each_window_is_shown() {
    let window = |window, module: &str, max_us| r::Window {
        window,
        modules: vec![module.to_owned()],
        outcome: r::Outcome::Installed,
        pauses: r::Pauses { processes: 2, p50_us: 80, p99_us: max_us, max_us },
        converted: 2,
    };
    let report = r::Report { windows: vec![window(1, "counter", 90), window(2, "till", 70)], ..report() };
    let args = ["install", "1.1.0", "--group-windows", "--orphans", "kill", "--unrest=leave", "--one-way"];
    assert_snapshot!(relctl(vec![answer::<q::Install>(&report)], &args), @r#"
    -> POST /releases/install {"version":"1.1.0","timeouts":{},"policy":{"orphans":"kill","unrest":"leave","group_windows":true,"one_way":true}}
      1. switch (7 us)
    installed 1.1.0 from 1.0.0 in 21.0 ms; it is permanent
    window 1 [counter]: 2 states converted, pause of 2 processes: p50 80 us, p99 90 us, max 90 us
    window 2 [till]: 2 states converted, pause of 2 processes: p50 80 us, p99 70 us, max 70 us
    exit 0
    "#);
    let step = |number, window: u64| r::Step {
        number,
        text: "switch".to_owned(),
        instruction: json!({"op": "switch", "window": window}),
    };
    let checked = r::Checked { script: vec![step(1, 1), step(2, 2)], ..checked() };
    let args = ["check", "1.1.0", "--group-windows", "--orphans", "ignore", "--one-way"];
    assert_snapshot!(relctl(vec![answer::<q::Check>(&checked)], &args), @r"
    -> GET /releases/check?version=1.1.0&orphans=ignore&group_windows=true&one_way=true
    from 1.0.0 to 1.1.0; nothing was executed
    window 1
      1. switch
    window 2
      2. switch
    warning: loopy lingers
    exit 0
    ");
}

#[test]
fn a_detached_upgrade_returns_at_once_and_a_restart_is_waited_for() {
    let begun = r::Report { outcome: r::Outcome::UnderWay, ..report() };
    assert_snapshot!(relctl(vec![answer::<q::Upgrade>(&begun)], &["upgrade", "1.1.0", "--detach"]), @r#"
    -> POST /releases/upgrade {"version":"1.1.0","end":"commit","timeouts":{},"detach":true}
    on the way to 1.1.0; `relctl attach` follows it
    exit 0
    "#);
    let restart = r::HistoryEntry { kind: r::HistoryKind::Restart, ..entry() };
    let goes = r::HistoryEntry { outcome: r::Outcome::UnderWay, ..restart.clone() };
    let list = |entry: r::HistoryEntry| answer::<q::History>(&r::HistoryList { entries: vec![entry] });
    let answers = vec![answer::<q::Upgrade>(&begun), list(goes), list(restart)];
    assert_snapshot!(relctl(answers, &["upgrade", "1.1.0", "--mode", "restart"]), @r#"
    -> POST /releases/upgrade {"version":"1.1.0","end":"commit","timeouts":{},"mode":"restart"}
    -> GET /releases/history
    -> GET /releases/history
      1. switch (7 us)
    installed 1.1.0 from 1.0.0 in 21.0 ms; it is permanent
    pause of 3 processes: p50 800 us, p99 1.20 ms, max 1.20 ms
    exit 0
    "#);
}

#[test]
fn the_history_is_a_table_and_an_entry_shows_the_output_of_its_upgrade() {
    let list = r::HistoryList { entries: vec![entry(), taken_back()] };
    assert_snapshot!(relctl(vec![answer::<q::History>(&list)], &["history"]), @r"
    -> GET /releases/history
    number  begun                 kind     from   to     outcome     took     longest pause
    12      2026-11-22T22:08:03Z  upgrade  1.0.0  1.1.0  installed   21.0 ms  1.20 ms
    12      2026-11-22T22:08:03Z  upgrade  1.0.0  1.1.0  taken back  21.0 ms  1.20 ms
    exit 0
    ");
    let list = r::HistoryList { entries: vec![taken_back()] };
    assert_snapshot!(relctl(vec![answer::<q::History>(&list)], &["history", "12"]), @r"
    -> GET /releases/history?number=12
    12: upgrade to 1.1.0 at 2026-11-22T22:08:03Z by user 1000: taken back
    release 1.1.0 was taken back; the node runs 1.0.0 again
      caused by: aborted by the operator
    the way back:
      1. switch (7 us)
    installed 1.0.0 from 1.1.0 in 21.0 ms; it is permanent
    pause of 3 processes: p50 800 us, p99 1.20 ms, max 1.20 ms
    exit 0
    ");
}

#[test]
fn attach_ends_like_the_upgrade_and_abort_shows_the_outcome() {
    let step = r::Progress {
        to: "1.1.0".to_owned(),
        back: None,
        step: 1,
        of: 1,
        text: "switch".to_owned(),
        waits_for: Vec::new(),
    };
    let ended = [r::Attached::Step(step), r::Attached::Ended(Box::new(taken_back()))];
    assert_snapshot!(relctl(vec![lines::<q::Attach>(&ended)], &["attach"]), @r"
    -> POST /releases/attach {}
    ! error[taken_back]: release 1.1.0 was taken back; the node runs 1.0.0 again
    !   caused by: aborted by the operator
    exit 4
    ");
    let idle = [r::Attached::Idle { last: Some(Box::new(entry())) }];
    assert_snapshot!(relctl(vec![lines::<q::Attach>(&idle)], &["attach"]), @r"
    -> POST /releases/attach {}
    nothing is under way
    the last: upgrade to 1.1.0, begun at 2026-11-22T22:08:03Z: installed
    exit 0
    ");
    let attached = |last: r::HistoryEntry| {
        let entries = vec![last, r::HistoryEntry { kind: r::HistoryKind::Boot, ..entry() }];
        let answers = vec![lines::<q::Attach>(&idle), answer::<q::History>(&r::HistoryList { entries })];
        relctl(answers, &["attach", "1.1.0"])
    };
    assert_snapshot!(attached(taken_back()), @r"
    -> POST /releases/attach {}
    -> GET /releases/history
    ! error[taken_back]: release 1.1.0 was taken back; the node runs 1.0.0 again
    !   caused by: aborted by the operator
    exit 4
    ");
    let interrupted = r::HistoryEntry { outcome: r::Outcome::Interrupted, report: None, ..entry() };
    assert_snapshot!(attached(interrupted), @r"
    -> POST /releases/attach {}
    -> GET /releases/history
    ! error[broken]: the outcome of the upgrade to 1.1.0 is not known: interrupted
    !
    ! hint: check the node with `relctl status`
    exit 3
    ");
    assert_snapshot!(attached(r::HistoryEntry { to: "1.2.0".to_owned(), ..entry() }), @r"
    -> POST /releases/attach {}
    -> GET /releases/history
    ! error[no_such_entry]: the last order of the history does not lead to release 1.1.0
    !
    ! hint: `relctl history` lists the orders
    exit 1
    ");
    let mut aborted = taken_back();
    aborted.report = None;
    assert_snapshot!(relctl(vec![answer::<q::Abort>(&aborted)], &["abort"]), @r"
    -> POST /releases/abort {}
    release 1.1.0 was taken back; the node runs 1.0.0 again
      caused by: aborted by the operator
    exit 0
    ");
}

#[test]
fn flags_that_contradict_each_other_are_refused_before_anything_is_sent() {
    for args in [
        &["upgrade", "1.1.0", "--settle", "5", "--no-commit"][..],
        &["upgrade", "1.1.0", "--probe", "true", "--no-commit"],
        &["upgrade", "1.1.0", "--probe-timeout", "5"],
        &["upgrade", "1.1.0", "--settle", "0"],
        &["upgrade", "1.1.0", "--dry-run", "--detach"],
        &["downgrade", "--settle", "5", "--no-commit"],
        &["downgrade", "--dry-run", "--no-commit"],
        &["downgrade", "--dry-run", "--mode", "restart"],
    ] {
        let seen = relctl(Vec::new(), args);
        assert!(seen.ends_with("exit 2"), "{args:?}: {seen}");
    }
}

fn unpacked(changed: bool, repaired: &[&str]) -> r::Unpacked {
    let repaired = repaired.iter().map(|path| (*path).to_owned()).collect();
    let (name, version) = ("shop".to_owned(), "1.1.0".to_owned());
    let (signed_by, warnings) = (Vec::new(), Vec::new());
    r::Unpacked { name, version, apps: Vec::new(), changed, replaced: false, repaired, signed_by, warnings }
}

#[test]
fn an_unpack_lists_the_repaired_files() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "a tarball").unwrap();
    let unpack = |changed, repaired: &[&str]| {
        let answers = vec![answer::<q::Unpack>(&unpacked(changed, repaired))];
        relctl(answers, &["unpack", file.path().to_str().unwrap()])
    };
    assert_snapshot!(unpack(true, &[]), @r"
    -> POST /releases/unpack?replace=true a tarball
    unpacked shop 1.1.0
    exit 0
    ");
    let replaced = r::Unpacked { replaced: true, ..unpacked(true, &[]) };
    let replaced = relctl(vec![answer::<q::Unpack>(&replaced)], &["unpack", file.path().to_str().unwrap()]);
    assert!(replaced.contains("unpacked shop 1.1.0 in place of other content\n"), "{replaced}");
    assert_snapshot!(unpack(false, &[]), @r"
    -> POST /releases/unpack?replace=true a tarball
    shop 1.1.0 is already unpacked
    exit 0
    ");
    assert_snapshot!(unpack(false, &["lib/a-1.0.0/a.so", "lib/a-1.0.0/app.toml"]), @r"
    -> POST /releases/unpack?replace=true a tarball
    shop 1.1.0 is already unpacked, but was damaged
    repaired 2 files:
      lib/a-1.0.0/a.so
      lib/a-1.0.0/app.toml
    exit 0
    ");
}

fn verified(damage: Vec<r::DamagedFile>, beside: Option<&str>) -> r::Verified {
    let release = |version: &str, damage| r::VerifiedRelease {
        name: "shop".to_owned(),
        version: version.to_owned(),
        files: 6,
        bytes: 3 << 20,
        damage,
    };
    let releases = vec![release("1.1.0", damage), release("1.0.0", Vec::new())];
    r::Verified { releases, beside: beside.map(str::to_owned) }
}

#[test]
fn verify_names_damaged_files_and_fails_when_there_are_any() {
    let file = |harm, cause: Option<&str>| r::DamagedFile {
        path: "lib/a-1.0.0/a.so".to_owned(),
        harm,
        cause: cause.map(str::to_owned),
    };
    assert_snapshot!(relctl(vec![answer::<q::Verify>(&verified(Vec::new(), None))], &["verify"]), @r"
    -> GET /releases/verify
    name  version  files  size     damaged
    shop  1.1.0    6      3.0 MiB  -
    shop  1.0.0    6      3.0 MiB  -
    exit 0
    ");
    let damage = vec![file(r::Harm::Missing, None), file(r::Harm::Unreadable, Some("Permission denied"))];
    assert_snapshot!(relctl(vec![answer::<q::Verify>(&verified(damage, None))], &["verify"]), @r"
    -> GET /releases/verify
    name  version  files  size     damaged
    shop  1.1.0    6      3.0 MiB  2
    shop  1.0.0    6      3.0 MiB  -

    shop 1.1.0:
      missing    lib/a-1.0.0/a.so
      unreadable lib/a-1.0.0/a.so: Permission denied

    `relctl unpack FILE` with the tarball of a damaged release repairs it
    exit 1
    ");
    let many = (0..22).map(|_| file(r::Harm::Stray, None)).collect();
    let seen =
        relctl(vec![answer::<q::Verify>(&verified(many, Some("removal of 1.0.0")))], &["verify", "1.1.0"]);
    assert!(seen.contains("verify?version=1.1.0"), "{seen}");
    let end = "  and 2 more\n\nremoval of 1.0.0 is under way; verify again when it has ended\nexit 1";
    assert!(seen.trim_end().ends_with(end), "{seen}");
}

#[test]
fn prune_lists_the_removed_releases_and_the_freed_space() {
    let release = |version: &str, apps: &[&str], bytes| r::PrunedRelease {
        version: version.to_owned(),
        apps: apps.iter().map(|app| (*app).to_owned()).collect(),
        bytes,
    };
    let releases = vec![release("1.1.0", &[], 512), release("1.0.0", &["counter-0.1.0"], 1536)];
    let pruned = r::Pruned { releases, bytes: 2048 };
    assert_snapshot!(relctl(vec![answer::<q::Prune>(&pruned)], &["prune", "--keep", "2"]), @r#"
    -> POST /releases/prune {"keep":2}
    removed 1.1.0: 512 B
    removed 1.0.0 with counter-0.1.0: 1.5 KiB
    2.0 KiB in total
    exit 0
    "#);
    let dry_run = ["prune", "--keep", "2", "--dry-run"];
    assert_snapshot!(relctl(vec![answer::<q::CheckPrune>(&pruned)], &dry_run), @r"
    -> GET /releases/check_prune?keep=2
    would remove 1.1.0: 512 B
    would remove 1.0.0 with counter-0.1.0: 1.5 KiB
    2.0 KiB in total
    exit 0
    ");
    let none = r::Pruned { releases: Vec::new(), bytes: 0 };
    assert_snapshot!(relctl(vec![answer::<q::Prune>(&none)], &["prune", "--keep", "2"]), @r#"
    -> POST /releases/prune {"keep":2}
    nothing to remove
    exit 0
    "#);
}

#[test]
fn output_of_a_node_cannot_control_the_terminal() {
    let nasty = "a\u{1b}]0;title\u{7}\u{9b}2J\u{202e}b";
    let shown = "a\\u001b]0;title\\u0007\\u009b2J\\u202eb";
    let replied = r::Replied { pid: "<7.1>".to_owned(), reply: nasty.into(), took_us: 1 };
    let mut report = ErrorReport::refused(ErrorCode::Bug, nasty);
    report.causes.push(nasty.to_owned());
    for (answers, args) in [
        (vec![answer::<q::Call>(&replied)], &["call", "a", "get"][..]),
        (vec![answer::<q::Call>(&replied)], &["--json", "call", "a", "get"]),
        (vec![refuse::<q::Call>(report.clone())], &["call", "a", "get"]),
        (vec![refuse::<q::Call>(report)], &["--json", "call", "a", "get"]),
    ] {
        let seen = relctl(answers, args);
        assert!(seen.is_ascii() && !seen.contains('\u{1b}'), "{seen:?}");
        assert!(seen.contains(shown), "{seen}");
    }
}

fn event(id: u64, what: r::What) -> r::Event {
    r::Event { id, time: "2026-11-30T03:07:12.123456Z".to_owned(), what }
}

fn logged(id: u64, message: &str) -> r::LogLine {
    r::LogLine {
        id,
        time: "2026-11-30T03:07:12.123456Z".to_owned(),
        level: r::LogLevel::Info,
        target: "app".to_owned(),
        app: Some("counter".to_owned()),
        message: message.to_owned(),
        fields: json!({"pid": "<7.1>"}).as_object().cloned().unwrap_or_default(),
    }
}

#[test]
fn events_are_printed_as_they_arrive_and_a_lost_daemon_exits_with_3() {
    let stopped = r::What::AppStopped { app: "counter".to_owned() };
    let events = || vec![sent::<q::Events>(&[event(7, r::What::Ready {}), event(8, stopped.clone())])];
    assert_snapshot!(relctl(events(), &["events"]), @r"
    -> GET /events
    2026-11-30T03:07:12.123456Z  daemon.ready
    2026-11-30T03:07:12.123456Z  application.stopped         counter
    ! error[broken]: the answer to /events ended early
    !
    ! hint: check the node with `relctl status`
    exit 3
    ");
    assert_snapshot!(relctl(events(), &["events", "--json", "--since", "6"]), @r#"
    -> GET /events?since=6
    {"id":7,"time":"2026-11-30T03:07:12.123456Z","kind":"daemon.ready"}
    {"id":8,"time":"2026-11-30T03:07:12.123456Z","kind":"application.stopped","app":"counter"}
    {
      "error": {
        "kind": "broken",
        "message": "the answer to /events ended early",
        "exit_code": 3,
        "hint": "check the node with `relctl status`"
      }
    }
    ! error[broken]: the answer to /events ended early
    !
    ! hint: check the node with `relctl status`
    exit 3
    "#);
}

#[test]
fn lines_of_the_log_are_printed_and_followed() {
    let lines = || vec![logged(7, "one"), logged(8, "two")];
    let list = || vec![answer::<q::Logs>(&r::LogList { lines: lines() })];
    assert_snapshot!(relctl(list(), &["logs", "--app", "counter", "--lines", "2"]), @r"
    -> GET /logs?app=counter&lines=2
    2026-11-30T03:07:12.123456Z  INFO counter: one pid=<7.1>
    2026-11-30T03:07:12.123456Z  INFO counter: two pid=<7.1>
    exit 0
    ");
    assert_snapshot!(relctl(list(), &["logs", "--json"]), @r#"
    -> GET /logs
    {"kind":"line","id":7,"time":"2026-11-30T03:07:12.123456Z","level":"info","target":"app","app":"counter","message":"one","fields":{"pid":"<7.1>"}}
    {"kind":"line","id":8,"time":"2026-11-30T03:07:12.123456Z","level":"info","target":"app","app":"counter","message":"two","fields":{"pid":"<7.1>"}}
    exit 0
    "#);
    let dropped = r::Followed::Dropped { missed: 3, restarted: false };
    let followed = sent::<q::FollowLogs>(&[r::Followed::Line(logged(7, "one")), dropped]);
    assert_snapshot!(relctl(vec![followed], &["logs", "--follow"]), @r"
    -> GET /logs/follow?lines=10
    2026-11-30T03:07:12.123456Z  INFO counter: one pid=<7.1>
    (3 lines of the log are missing here)
    ! error[broken]: the answer to /logs/follow ended early
    !
    ! hint: check the node with `relctl status`
    exit 3
    ");
}
