//! Plans very large releases: the work must grow with the documents, not with their square.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use reld_plan::{AppDocs, Rel, Release, Windows, plan, plan_windows};

/// The number of modules in each app.
const MODULES: usize = 10;

/// A release with this number of apps, each of which uses the previous one. Each module depends on
/// the next one of its app. With `across`, the last module depends on the first one of the previous
/// app, so that all modules are one group.
fn release(apps: usize, version: u8, across: bool) -> Release {
    let mut rel = format!("name = 'shop'\nversion = '{version}.0.0'\ndaemon = '1.0.0'\n");
    let docs: Vec<AppDocs> = (0..apps)
        .map(|app| {
            write!(rel, "[[app]]\nname = 'a{app}'\nversion = '{version}.0.0'\n").unwrap();
            let names: Vec<String> = (0..MODULES).map(|module| format!("a{app}_m{module}")).collect();
            let uses: Vec<String> = app.checked_sub(1).iter().map(|before| format!("a{before}")).collect();
            let text =
                format!("name = 'a{app}'\nversion = '{version}.0.0'\nmodules = {names:?}\napplications = {uses:?}\n");
            let line = |at: usize| {
                let before = app.checked_sub(1).filter(|_| across).map(|before| format!("a{before}_m0"));
                let needs: Vec<String> = names.get(at + 1).cloned().or(before).into_iter().collect();
                format!("{{ update = '{}', change = {{ advanced = {{}} }}, deps = {needs:?} }}", names[at])
            };
            let lines: Vec<String> = (0..MODULES).map(line).collect();
            let lines = lines.join(",\n");
            let appup = format!(
                "app = 'a{app}'\nversion = '{version}.0.0'\n[[up]]\nfrom = '1.0.0'\ninstructions = [{lines}]\n\
                 [[down]]\nto = '1.0.0'\ninstructions = [{lines}]\n"
            );
            AppDocs::parse(("app.toml", &text), Some(("appup.toml", &appup))).unwrap()
        })
        .collect();
    Release::new(Rel::parse("release.toml", &rel).unwrap(), docs).unwrap()
}

/// Plans a release with this number of apps in both directions, and returns the CPU time of this
/// thread.
fn took(apps: usize) -> Duration {
    let begin = computed();
    for across in [false, true] {
        let (old, new) = (release(apps, 1, across), release(apps, 2, across));
        let up = plan(&old, &new).unwrap();
        let down = plan_windows(&new, &old, Windows::Group).unwrap();
        assert_eq!((up.check(), down.check()), (Ok(()), Ok(())));
        assert_eq!(down.windows().count(), if across { 1 } else { apps });
    }
    computed() - begin
}

/// The CPU time of this thread, independent of the load of the machine.
fn computed() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap())
}

#[test]
fn ten_times_as_many_apps_take_less_than_a_hundred_times_as_long() {
    let (small, large) = (took(20), took(200));
    assert!(large < small * 50, "{small:?} for 20 apps, {large:?} for 200");
}
