//! The golden cases: `documents.txt`, OTP's script for them (`group.txt`, written by hand from
//! OTP's documented behaviour), and our script with one window (`script.txt`).
//!
//! `RELD_BLESS=1 cargo test -p reld-plan` rewrites `script.txt`; read the difference before
//! committing it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use reld_plan::{
    LowLevel, Mode, PurgeMethod, PurgeWords, Release, Relup, RelupEntry, RelupFile, RelupOptions, Script,
    Suspend, Timeout, make_relup, plan_direction,
};

use crate::documents::Documents;

macro_rules! cases {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(stringify!($name)); })*

        #[test]
        fn every_folder_is_a_case() {
            let mut folders: Vec<_> =
                fs::read_dir(folder("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            folders.sort();
            let mut names = vec![$(stringify!($name)),*];
            names.sort();
            assert_eq!(folders, names);
        }
    };
}

cases! {
    brutal_purges
    e01_chain_with_conversion
    e02_static_dynamic_and_timeouts
    e03_a_group_keeps_the_first_place
    e04_a_cycle_with_an_outside_user
    e05_several_apps
    e06_an_app_replaced_an_app_changed
    e07_restart_application
    e08_another_daemon
    e09_parts_before
    e10_delete_with_dependency
    implied_loads_and_keep
    r3_calls_behind_what_waits
    relup_by_hand
    restart_of_an_app_that_stays
    s40_counter
    s47_children_added_and_deleted
    s62_process_quest
    written_by_hand
}

fn folder(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name)
}

#[track_caller]
fn check(name: &str) {
    let read = |file: &str| fs::read_to_string(folder(name).join(file)).unwrap_or_default();
    let documents = Documents::parse(&read("documents.txt"));
    let (top, base) = (documents.release("to").unwrap(), documents.release("from").unwrap());
    let (mut group, mut script) = (String::new(), String::new());
    for mode in [Mode::Up, Mode::Down] {
        let relup = make_relup(&top, &base, mode, documents.options()).unwrap();
        writeln!(group, "{}\n{}", mode.as_str(), in_short(&relup)).unwrap();
        let planned = plan_direction(&top, &base, mode).unwrap();
        writeln!(script, "{planned}").unwrap();
        if top.relup(mode, base.version()).is_none() {
            reviewed(&top, &base, &planned);
        }
    }
    assert_eq!(group.trim_end(), read("group.txt").trim_end(), "group.txt of {name}");
    if std::env::var_os("RELD_BLESS").is_some() {
        fs::write(folder(name).join("script.txt"), script.trim_end().to_owned() + "\n").unwrap();
    }
    assert_eq!(script.trim_end(), read("script.txt").trim_end(), "script.txt of {name}");
}

/// Checks that the translated appups give the same plan after they were printed and read as a
/// relup.
fn reviewed(top: &Release, base: &Release, planned: &Script) {
    let relup = make_relup(top, base, planned.mode, RelupOptions::default()).unwrap();
    let (mut up, mut down) = (Vec::new(), Vec::new());
    let side = if planned.mode == Mode::Up { &mut up } else { &mut down };
    side.push(RelupEntry::from(relup));
    let written = RelupFile { version: top.version().clone(), up, down };
    let read = RelupFile::parse("relup.toml", &written.to_toml()).unwrap();
    let again = plan_direction(&top.clone().with_relup(read), base, planned.mode).unwrap();
    assert_eq!(without_kinds(&again), without_kinds(planned));
}

/// Prints the steps of a script without their reasons and without the kind of an update, which a
/// relup does not contain.
fn without_kinds(script: &Script) -> Vec<String> {
    let steps = script.steps.iter().map(|step| step.action.to_string());
    steps
        .map(|step| {
            ["supervisor", "advanced", "soft"].iter().fold(step, |step, kind| step.replace(kind, "changed"))
        })
        .collect()
}

/// One line per instruction, in the notation of OTP's documentation.
fn in_short(relup: &Relup) -> String {
    let lines = relup.lines.iter().map(|line| low(&line.instruction));
    let warnings = relup.warnings.iter().map(|warning| format!("warning {}", warning.class()));
    lines.chain(warnings).map(|line| line + "\n").collect()
}

fn low(instruction: &LowLevel) -> String {
    let word = instruction.word();
    match instruction {
        LowLevel::LoadObjectCode { app, vsn, modules } => format!("loc({app},{vsn},{})", list(modules)),
        LowLevel::PointOfNoReturn => "PONR".to_owned(),
        LowLevel::Load { module, purge } | LowLevel::Remove { module, purge } => {
            format!("{word} {module}{}", words(*purge))
        }
        LowLevel::Suspend { modules } => {
            format!("{word} {}", list(&modules.iter().map(suspend).collect::<Vec<_>>()))
        }
        LowLevel::Purge { modules }
        | LowLevel::Resume { modules }
        | LowLevel::Stop { modules }
        | LowLevel::Start { modules } => format!("{word} {}", list(modules)),
        LowLevel::CodeChange { mode, modules } => {
            let pair = |change: &reld_plan::CodeChange| match &change.extra {
                extra if *extra == serde_json::json!([]) => change.module.to_string(),
                extra => format!("{{{},{extra}}}", change.module),
            };
            format!("{word} {} {}", mode.as_str(), list(&modules.iter().map(pair).collect::<Vec<_>>()))
        }
        LowLevel::SyncNodes { id, with } => format!("{word} {id} {with}"),
        LowLevel::Apply(call) => {
            let args: Vec<_> = call.args.iter().map(ToString::to_string).collect();
            format!("{word} {}:{}({})", call.module, call.function, args.join(","))
        }
        LowLevel::StartApplication { app, start_type } => format!("{word} {app} {start_type}"),
        LowLevel::LoadApplication { app }
        | LowLevel::StopApplication { app }
        | LowLevel::UnloadApplication { app } => format!("{word} {app}"),
        LowLevel::RestartNewDaemon | LowLevel::RestartDaemon => word.to_owned(),
    }
}

fn list(items: &[impl ToString]) -> String {
    format!("[{}]", items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
}

/// Omits brutal, which is OTP's default.
fn words(purge: PurgeWords) -> String {
    let soft = Some(PurgeMethod::Soft);
    if purge.pre == soft && purge.post == soft { "(soft,soft)".to_owned() } else { String::new() }
}

fn suspend(suspend: &Suspend) -> String {
    match suspend.timeout {
        Timeout::Default => suspend.module.to_string(),
        timeout => format!("{{{},{}}}", suspend.module, timeout.to_value()),
    }
}

#[test]
fn a_boot_starts_apps_in_start_order_and_leaves_included_ones_to_others() {
    let documents = Documents::parse(
        "--- to/release.toml\nname = 'shop'\nversion = '1.0.0'\ndaemon = '1.0.0'\n\
         [[app]]\nname = 'a'\nversion = '1.0.0'\ntype = 'temporary'\n\
         [[app]]\nname = 'b'\nversion = '1.0.0'\n\
         [[app]]\nname = 'inner'\nversion = '1.0.0'\n\
         [[app]]\nname = 'tool'\nversion = '1.0.0'\ntype = 'none'\n\
         --- to/a/app.toml\nname = 'a'\nversion = '1.0.0'\nmodules = ['a1']\napplications = ['inner']\n\
         --- to/b/app.toml\nname = 'b'\nversion = '1.0.0'\nincluded_applications = ['inner']\n\
         --- to/inner/app.toml\nname = 'inner'\nversion = '1.0.0'\nmodules = ['i1']\n\
         --- to/tool/app.toml\nname = 'tool'\nversion = '1.0.0'\n",
    );
    let script = Script::boot(&documents.release("to").unwrap());
    script.check().unwrap();
    let steps: Vec<_> = script.steps.iter().map(|step| step.action.to_string()).collect();
    assert_eq!(
        steps,
        [
            "load_object_code inner-1.0.0 [i1]",
            "load_object_code a-1.0.0 [a1]",
            "load i1 of inner-1.0.0",
            "load a1 of a-1.0.0",
            "load_application inner",
            "start_application b permanent",
            "start_application a temporary",
            "switch",
        ]
    );
}
