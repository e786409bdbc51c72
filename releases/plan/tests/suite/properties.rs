//! Properties of every appup, tested with generated ones.

use proptest::prelude::*;
use reld_plan::{
    Action, AppDocs, AppName, Apply, Appup, AppupFile, Change, CodeChange, Entry, HighLevel, Instruction,
    LowLevel, ModType, Mode, ModuleName, PurgeMethod, PurgeWords, Rel, Release, RelupEntry, RelupFile,
    RelupOptions, StartType, Suspend, SyncWith, Timeout, Vsn, VsnMatch, Written, make_relup, plan_direction,
};
use serde_json::{Value, json};

const MODULES: usize = 6;

fn module(number: usize) -> ModuleName {
    ModuleName::new(format!("m{number}")).unwrap()
}

fn app() -> AppName {
    AppName::new("a").unwrap()
}

fn data() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9f64).prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(".{0,4}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn purge() -> impl Strategy<Value = PurgeWords> {
    let method = || prop::option::of(prop_oneof![Just(PurgeMethod::Soft), Just(PurgeMethod::Brutal)]);
    (method(), method()).prop_map(|(pre, post)| PurgeWords { pre, post })
}

fn timeout() -> impl Strategy<Value = Timeout> {
    prop_oneof![Just(Timeout::Default), Just(Timeout::Infinity), (1..100_000u64).prop_map(Timeout::Ms)]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![Just(Change::Soft), Just(Change::Supervisor), data().prop_map(Change::Advanced)]
}

/// An instruction for a given module that depends on other given ones.
fn member(number: usize, deps: Vec<ModuleName>) -> impl Strategy<Value = HighLevel> {
    let mod_type = prop::option::of(prop_oneof![Just(ModType::Dynamic), Just(ModType::Static)]);
    (any::<bool>(), change(), mod_type, timeout(), purge()).prop_map(
        move |(update, change, mod_type, timeout, purge)| {
            let (module, deps) = (module(number), deps.clone());
            if update {
                HighLevel::Update { module, change, mod_type, timeout, purge, deps }
            } else {
                HighLevel::LoadModule { module, purge, deps }
            }
        },
    )
}

/// One instruction for some of the modules, in any order, with any dependencies among them.
fn members() -> impl Strategy<Value = Vec<HighLevel>> {
    let numbers = prop::sample::subsequence((0..MODULES).collect::<Vec<_>>(), 0..=MODULES).prop_shuffle();
    numbers.prop_flat_map(|numbers| {
        let all = numbers.clone();
        let one = move |number: usize| {
            let most = all.len().min(2);
            prop::sample::subsequence(all.clone(), 0..=most)
                .prop_flat_map(move |deps| member(number, deps.into_iter().map(module).collect()))
        };
        numbers.into_iter().map(one).collect::<Vec<_>>()
    })
}

/// Any instruction about apps, or that adds or deletes a module.
fn other_high() -> impl Strategy<Value = HighLevel> {
    prop_oneof![
        modules().prop_map(|deps| HighLevel::AddModule { module: module(1), deps }),
        modules().prop_map(|deps| HighLevel::DeleteModule { module: module(2), deps }),
        start_type().prop_map(|start_type| HighLevel::AddApplication { app: app(), start_type }),
        Just(HighLevel::RemoveApplication { app: app() }),
        Just(HighLevel::RestartApplication { app: app() }),
    ]
}

fn start_type() -> impl Strategy<Value = StartType> {
    use StartType::{Load, None, Permanent, Temporary, Transient};
    prop::sample::select(vec![Permanent, Transient, Temporary, Load, None])
}

/// The low-level instructions generated for an appup's instructions about apps.
fn of_application() -> impl Strategy<Value = LowLevel> {
    prop_oneof![
        start_type().prop_map(|start_type| LowLevel::StartApplication { app: app(), start_type }),
        Just(LowLevel::LoadApplication { app: app() }),
        Just(LowLevel::StopApplication { app: app() }),
        Just(LowLevel::UnloadApplication { app: app() }),
    ]
}

fn versions() -> impl Strategy<Value = VsnMatch> {
    let texts = ["1.0.0", "1.0.0-rc.1+x", "1.2", "^1.2.3", ">=1.0.0, <2.0.0", "~1.4", "1.*", "=1.0.0", "*"];
    prop::sample::select(texts.to_vec()).prop_map(|text| text.parse().unwrap())
}

fn plain_call() -> impl Strategy<Value = Apply> {
    ("[a-z]{1,4}", prop::collection::vec(data(), 0..3)).prop_map(|(function, args)| Apply {
        module: module(0),
        function,
        args,
        undo: None,
    })
}

fn call() -> impl Strategy<Value = Apply> {
    (plain_call(), prop::option::of(plain_call()))
        .prop_map(|(call, undo)| Apply { undo: undo.map(Box::new), ..call })
}

fn modules() -> impl Strategy<Value = Vec<ModuleName>> {
    prop::collection::vec((0..MODULES).prop_map(module), 0..3)
}

fn low() -> impl Strategy<Value = LowLevel> {
    let pair = (0..MODULES, data()).prop_map(|(number, extra)| CodeChange { module: module(number), extra });
    let suspend =
        (0..MODULES, timeout()).prop_map(|(number, timeout)| Suspend { module: module(number), timeout });
    prop_oneof![
        Just(LowLevel::PointOfNoReturn),
        Just(LowLevel::RestartNewDaemon),
        Just(LowLevel::RestartDaemon),
        call().prop_map(LowLevel::Apply),
        modules().prop_map(|modules| LowLevel::LoadObjectCode {
            app: app(),
            vsn: Vsn::new(2, 0, 0),
            modules
        }),
        purge().prop_map(|purge| LowLevel::Load { module: module(1), purge }),
        purge().prop_map(|purge| LowLevel::Remove { module: module(1), purge }),
        modules().prop_map(|modules| LowLevel::Purge { modules }),
        modules().prop_map(|modules| LowLevel::Resume { modules }),
        modules().prop_map(|modules| LowLevel::Stop { modules }),
        modules().prop_map(|modules| LowLevel::Start { modules }),
        prop::collection::vec(suspend, 0..3).prop_map(|modules| LowLevel::Suspend { modules }),
        (prop_oneof![Just(Mode::Up), Just(Mode::Down)], prop::collection::vec(pair, 0..3))
            .prop_map(|(mode, modules)| LowLevel::CodeChange { mode, modules }),
        (data(), prop::collection::vec("[a-z@]{1,5}", 0..3))
            .prop_map(|(id, nodes)| LowLevel::SyncNodes { id, with: SyncWith::Nodes(nodes) }),
        (data(), plain_call()).prop_map(|(id, call)| LowLevel::SyncNodes { id, with: SyncWith::From(call) }),
    ]
}

fn appup(instructions: Vec<Written>, keep: Vec<ModuleName>) -> Appup {
    let entry = Entry { versions: VsnMatch::Exact(Vsn::new(1, 0, 0)), instructions, keep };
    Appup { app: app(), version: Vsn::new(2, 0, 0), up: vec![entry.clone()], down: vec![entry] }
}

/// A release of one app with all modules.
fn release(major: u64, appup: AppupFile) -> Release {
    let names: Vec<_> = (0..MODULES).map(module).collect();
    let rel = format!(
        "name = 'shop'\nversion = '{major}.0.0'\ndaemon = '1.0.0'\n[[app]]\nname = 'a'\nversion = '{major}.0.0'"
    );
    let text = format!("name = 'a'\nversion = '{major}.0.0'\nmodules = {}", json!(names));
    let docs = AppDocs::parse(("app.toml", &text), None).unwrap();
    Release::new(Rel::parse("release.toml", &rel).unwrap(), [AppDocs { appup, ..docs }]).unwrap()
}

fn releases(members: &[HighLevel]) -> (Release, Release) {
    let instructions = members.iter().cloned().map(|high| Written::Good(Instruction::High(high))).collect();
    (release(2, AppupFile::Found(appup(instructions, Vec::new()))), release(1, AppupFile::Missing))
}

/// The low-level script of the appup, without reasons.
fn group(members: &[HighLevel], mode: Mode) -> Vec<LowLevel> {
    let (top, base) = releases(members);
    let relup = make_relup(&top, &base, mode, RelupOptions::default()).unwrap();
    relup.lines.into_iter().map(|line| line.instruction).collect()
}

fn loads(script: &[LowLevel]) -> Vec<ModuleName> {
    script
        .iter()
        .filter_map(|low| match low {
            LowLevel::Load { module, .. } => Some(module.clone()),
            _ => None,
        })
        .collect()
}

fn position(script: &[LowLevel], is: impl Fn(&LowLevel) -> bool) -> Option<usize> {
    script.iter().position(is)
}

fn parts(high: &HighLevel) -> (&ModuleName, &[ModuleName]) {
    match high {
        HighLevel::Update { module, deps, .. } | HighLevel::LoadModule { module, deps, .. } => (module, deps),
        _ => unreachable!("members() makes no other"),
    }
}

/// Returns whether a module depends on another, directly or indirectly.
fn needs(members: &[HighLevel], from: &ModuleName, to: &ModuleName) -> bool {
    let mut found = vec![from.clone()];
    let mut next = 0;
    while let Some(module) = found.get(next).cloned() {
        let deps = members.iter().map(parts).filter(|(name, _)| **name == module).flat_map(|(_, deps)| deps);
        for dep in deps {
            if dep == to {
                return true;
            }
            if !found.contains(dep) {
                found.push(dep.clone());
            }
        }
        next += 1;
    }
    false
}

proptest! {
    #[test]
    fn every_suspend_has_its_resume_in_reverse(members in members()) {
        for mode in [Mode::Up, Mode::Down] {
            let mut open: Vec<ModuleName> = Vec::new();
            for low in group(&members, mode) {
                match low {
                    LowLevel::Suspend { modules } => open.extend(modules.into_iter().map(|suspend| suspend.module)),
                    LowLevel::Resume { modules } => {
                        prop_assert_eq!(&modules, &open.drain(..).rev().collect::<Vec<_>>());
                    }
                    _ => {}
                }
            }
            prop_assert!(open.is_empty());
        }
    }

    #[test]
    fn going_up_every_load_comes_before_its_code_change(members in members()) {
        let script = group(&members, Mode::Up);
        for (at, low) in script.iter().enumerate() {
            let LowLevel::CodeChange { mode, modules } = low else { continue };
            prop_assert_eq!(*mode, Mode::Up);
            for change in modules {
                let load = position(&script, |low| matches!(low, LowLevel::Load { module, .. } if *module == change.module));
                prop_assert!(load.unwrap() < at);
            }
        }
    }

    #[test]
    fn what_is_needed_is_loaded_before_going_up_and_after_going_down(members in members()) {
        let (up, down) = (loads(&group(&members, Mode::Up)), loads(&group(&members, Mode::Down)));
        let at = |loads: &[ModuleName], module: &ModuleName| loads.iter().position(|other| other == module).unwrap();
        for (module, deps) in members.iter().map(parts) {
            for dep in deps.iter().filter(|dep| !needs(&members, dep, module)) {
                prop_assert!(at(&up, dep) < at(&up, module));
                prop_assert!(at(&down, module) < at(&down, dep));
            }
        }
    }

    #[test]
    fn up_and_down_load_the_same_modules(members in members()) {
        let (mut up, mut down) = (loads(&group(&members, Mode::Up)), loads(&group(&members, Mode::Down)));
        up.sort();
        down.sort();
        prop_assert_eq!(&up, &down);
        prop_assert_eq!(up.len(), members.len());
    }

    #[test]
    fn one_window_covers_every_module_of_the_replaced_library(members in members()) {
        let (top, base) = releases(&members);
        for mode in [Mode::Up, Mode::Down] {
            let script = plan_direction(&top, &base, mode).unwrap();
            let mut loaded: Vec<_> = script.steps.iter().filter_map(|step| match &step.action {
                Action::Load { module, .. } => Some(module.clone()),
                _ => None,
            }).collect();
            loaded.sort();
            prop_assert_eq!(loaded, (0..MODULES).map(module).collect::<Vec<_>>());
        }
    }

    #[test]
    fn one_window_converts_before_the_switch_and_resumes_after_it(members in members()) {
        let (top, base) = releases(&members);
        let script = plan_direction(&top, &base, Mode::Up).unwrap();
        let switch = script.switch().unwrap();
        for (at, step) in script.steps.iter().enumerate() {
            match &step.action {
                Action::Resume { .. } => prop_assert!(at > switch),
                Action::Switch => prop_assert_eq!(at, switch),
                _ => prop_assert!(at < switch),
            }
        }
        let updates = members.iter().filter(|high| matches!(high, HighLevel::Update { .. })).count();
        let suspended: usize = script.steps.iter().map(|step| match &step.action {
            Action::Suspend { modules } => modules.len(),
            _ => 0,
        }).sum();
        prop_assert_eq!(suspended, updates);
    }

    #[test]
    fn the_same_documents_give_the_same_script(members in members()) {
        prop_assert_eq!(group(&members, Mode::Up), group(&members, Mode::Up));
    }

    #[test]
    fn an_appup_reads_back_as_it_was_printed(
        members in members(),
        others in prop::collection::vec(other_high(), 0..4),
        low in prop::collection::vec(low(), 0..6),
        keep in modules(),
        versions in versions(),
    ) {
        let high = members.into_iter().chain(others).map(Instruction::High);
        let instructions = high.chain(low.into_iter().map(Instruction::Low)).map(Written::Good).collect();
        let mut appup = appup(instructions, keep);
        appup.down[0].versions = versions;
        let text = appup.to_toml();
        prop_assert_eq!(Appup::parse("appup.toml", &text).map_err(|error| error.to_string()), Ok(appup), "{}", text);
    }

    #[test]
    fn a_relup_reads_back_as_it_was_printed(
        mut instructions in prop::collection::vec(prop_oneof![low(), of_application()], 0..8),
        keep in modules(),
    ) {
        instructions.retain(|it| !matches!(it, LowLevel::RestartNewDaemon | LowLevel::RestartDaemon));
        instructions.insert(0, LowLevel::RestartNewDaemon);
        instructions.push(LowLevel::RestartDaemon);
        let entry = RelupEntry { other: Vsn::new(1, 0, 0), instructions, keep };
        let relup = RelupFile { version: Vsn::new(2, 0, 0), up: vec![entry.clone()], down: vec![entry] };
        let text = relup.to_toml();
        prop_assert_eq!(RelupFile::parse("relup.toml", &text).map_err(|error| error.to_string()), Ok(relup), "{}", text);
    }

    #[test]
    fn an_app_reads_back_as_it_was_printed(env in prop::collection::btree_map(".{0,6}", data(), 0..4), modules in modules()) {
        let text = format!("name = 'a'\nversion = '1.0.0-rc.1+x'\nstart = 'm1'\nmodules = {}", json!(modules));
        let mut app = reld_plan::App::parse("app.toml", &text).unwrap();
        app.env = env.into_iter().collect();
        let text = app.to_toml();
        prop_assert_eq!(reld_plan::App::parse("app.toml", &text).map_err(|error| error.to_string()), Ok(app), "{}", text);
    }

    #[test]
    fn no_text_makes_the_parsers_panic(text in "[\\[\\]{}=\"'a-z0-9\\n\\tä ,.]{0,60}") {
        for shown in [
            reld_plan::App::parse("x", &text).map(drop),
            Rel::parse("x", &text).map(drop),
            Appup::parse("x", &text).map(drop),
        ] {
            if let Err(error) = shown {
                prop_assert!(error.to_string().contains('^'));
            }
        }
    }
}

#[test]
fn a_wrong_instruction_is_printed_as_it_was_written() {
    let text = "app = \"a\"\nversion = \"2.0.0\"\n\n[[up]]\nfrom = \">=1.0.0, <2.0.0\"\ninstructions = [\n  { deps = [], updat = \"m\" },\n]\n";
    assert_eq!(Appup::parse("appup.toml", text).unwrap().to_toml(), text);
}

#[test]
fn a_release_reads_back_as_it_was_printed() {
    let text = "name = \"shop\"\nversion = \"1.0.0\"\ndaemon = \"1.2.3\"\n\n[[app]]\nname = \"a\"\nversion = \"2.0.0\"\ntype = \"load\"\nincluded = []\n";
    assert_eq!(Rel::parse("release.toml", text).unwrap().to_toml(), text);
}
