//! Plans the trial of the way back: whether an install needs a trial, and how the states of each
//! module are converted back.
//!
//! | need for the way back | no script leads back | a state cannot be converted back |
//! |---|---|---|
//! | settling, a later window, a step after the switch | an obstacle | the install fails |
//! | the same, with `--one-way` | a warning | not tried; the report notes it |
//! | none | a warning | not tried |
//!
//! A trial converts a state in the same way as the script back. Two kinds of states are left out:
//! those that the script back converts after a function call, because the call may prepare the
//! conversion, and those of processes that the script back restarts or stops.

use std::collections::{BTreeMap, BTreeSet};

use reld_plan::{
    Action, Mark, MemberChange, ModuleName, Release, Script, Step, Warning, Windows, plan_windows,
};

use crate::action::conversion;
use crate::action::restarts;
use crate::back::{Back, Need};
use crate::error::Obstacle;
use crate::node::StateChange;
use crate::options::InstallOptions;

/// The findings on the way back of an install.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Outlook {
    pub(crate) obstacle: Option<Obstacle>,
    pub(crate) warning: Option<String>,
    /// How states are converted back; `None` if no failure may need the way back.
    pub(crate) back: Option<Back>,
}

impl Outlook {
    /// Plans the way back of a script from one release to another.
    pub(crate) fn new(old: &Release, new: &Release, script: &Script, options: InstallOptions) -> Self {
        if restarts(script) {
            return Self::default();
        }
        let need = need(script, options.settles);
        let one_way = need.filter(|_| options.one_way).map(|_| Back::OneWay);
        match (script_back(old, new, script), need.filter(|_| !options.one_way)) {
            (Ok(_), None) => Self { back: one_way, ..Self::default() },
            (Ok(script), Some(_)) => Self { back: Some(Back::of(&script)), ..Self::default() },
            (Err(why), Some(need)) => {
                Self { obstacle: Some(Obstacle::NoWayBack { need, why }), ..Self::default() }
            }
            (Err(why), None) => {
                let is_no_way_back = |warning: &Warning| matches!(warning, Warning::NoWayBack { .. });
                let is_reported = script.warnings.iter().any(is_no_way_back);
                let warning = (!is_reported).then(|| format!("there is no way back: {why}"));
                Self { warning, back: one_way, ..Self::default() }
            }
        }
    }
}

/// Returns the reason why the way back may be needed after the switch.
fn need(script: &Script, settles: bool) -> Option<Need> {
    let can_fail =
        |(step, number): (&Step, usize)| (step.mark == Mark::TakenBack).then_some(Need::Step(number));
    match script.windows().count() {
        _ if settles => Some(Need::Settling),
        2.. => Some(Need::Windows),
        _ => script.steps.iter().zip(1..).find_map(can_fail),
    }
}

/// Returns the script of the opposite direction, or why there is none.
fn script_back(old: &Release, new: &Release, script: &Script) -> Result<Script, String> {
    let windows = if script.windows().count() > 1 { Windows::Group } else { Windows::Release };
    let back = plan_windows(new, old, windows).map_err(|error| error.to_string())?;
    if restarts(&back) { Err("the script back restarts the daemon".to_owned()) } else { Ok(back) }
}

impl Back {
    /// Derives the change of each module's states from the script back. A loaded module has a soft
    /// change, unless a later step determines another change.
    fn of(script: &Script) -> Self {
        let (mut changes, mut restarted, mut calls) = (BTreeMap::new(), BTreeSet::new(), false);
        for step in &script.steps {
            match &step.action {
                Action::Apply(call) => calls |= call.built_in().is_none(),
                Action::RestartApplication { app, .. } => {
                    restarted.insert(app);
                }
                Action::Load { module, app, .. } if restarted.contains(app) => {
                    changes.insert(module.clone(), Err(format!("the way back restarts {app}")));
                }
                Action::Load { module, dropped, .. } => {
                    changes.insert(module.clone(), Ok(StateChange::Soft(dropped.clone())));
                }
                Action::Suspend { modules } => {
                    let stopped = modules.iter().filter(|member| member.change == MemberChange::Stop);
                    let why = || Err("the way back stops its processes".to_owned());
                    changes.extend(stopped.map(|member| (member.module.clone(), why())));
                }
                Action::CodeChange { module, .. } if calls => {
                    changes.insert(module.clone(), Err("the way back calls functions first".to_owned()));
                }
                action @ Action::CodeChange { .. } => {
                    changes.extend(conversion(action).map(|found| (found.module, Ok(found.change))));
                }
                _ => {}
            }
        }
        Self::Script(changes)
    }

    /// Returns the change of a module's states on the way back.
    ///
    /// # Errors
    /// The reason why these states are not tried.
    pub(crate) fn change(&self, module: &ModuleName) -> Result<StateChange, String> {
        match self {
            Self::OneWay => Err("the upgrade is one-way".to_owned()),
            Self::Script(changes) => {
                let change = changes.get(module).cloned();
                let change = change.unwrap_or_else(|| Err("the way back does not convert it".to_owned()));
                change.map_err(|why| format!("{module}: {why}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use reld_plan::{Dropped, Mode, plan};
    use serde_json::json;

    use super::*;
    use crate::fixture::release;

    const MODULES: &[&str] = &["counter", "counter_sup", "helper"];

    /// Two releases with these instructions up and down; `None` means no way down.
    fn releases(up: &str, down: Option<&str>) -> [Release; 2] {
        let entry = |key: &str, word: &str, instructions: &str| {
            format!("[[{key}]]\n{word} = \"0.1.0\"\ninstructions = [{instructions}]\n")
        };
        let down = down.map(|down| entry("down", "to", down)).unwrap_or_default();
        let entries = entry("up", "from", up) + &down;
        let old = release("1.0.0", &[("shop", "0.1.0", MODULES, "")]);
        [old, release("1.1.0", &[("shop", "0.1.1", MODULES, &entries)])]
    }

    /// A pair: whether the release settles, and whether the upgrade is one-way.
    type Terms = (bool, bool);

    const PLAIN: Terms = (false, false);
    const SETTLES: Terms = (true, false);
    const ONE_WAY: Terms = (false, true);
    const SETTLES_ONE_WAY: Terms = (true, true);

    fn outlook(old: &Release, new: &Release, (settles, one_way): Terms) -> Outlook {
        let options = InstallOptions { settles, one_way, ..InstallOptions::default() };
        Outlook::new(old, new, &plan(old, new).unwrap(), options)
    }

    const UPDATE: &str = "{ update = \"counter\", change = { advanced = 1 } }";
    const RESTART: &str = "{ update = \"counter\", change = { advanced = 1 } }, \
                           { apply = \"supervisor:restart_child\", args = [\"shop\", \"a\"] }";

    /// Compares the findings for each of the terms: `o` for an obstacle, `w` a warning, `t` a
    /// trial, `1` one-way.
    #[track_caller]
    fn check(up: &str, down: Option<&str>, expected: [&str; 4]) {
        let [old, new] = releases(up, down);
        for (terms, letters) in [PLAIN, SETTLES, ONE_WAY, SETTLES_ONE_WAY].into_iter().zip(expected) {
            let Outlook { obstacle, warning, back } = outlook(&old, &new, terms);
            let back = match back {
                Some(Back::OneWay) => "1",
                Some(Back::Script(_)) => "t",
                None => "",
            };
            let found = obstacle.map_or("", |_| "o").to_owned() + warning.map_or("", |_| "w") + back;
            assert_eq!(found, letters, "{terms:?} of {up}");
        }
    }

    #[test]
    fn every_row_of_the_table() {
        check(UPDATE, Some(UPDATE), ["", "t", "", "1"]);
        check(UPDATE, None, ["w", "o", "w", "w1"]);
        check(RESTART, Some(UPDATE), ["t", "t", "1", "1"]);
        check(RESTART, None, ["o", "o", "w1", "w1"]);
        // A script that restarts the daemon needs no live way back.
        let restart = format!("{UPDATE}, \"restart_daemon\"");
        check(&restart, None, [""; 4]);
        check(UPDATE, Some(&restart), ["w", "o", "w", "w1"]);
    }

    #[test]
    fn an_obstacle_names_the_need_for_the_way_back_and_the_remedy() {
        let [old, new] = releases(RESTART, None);
        let obstacle = |terms| outlook(&old, &new, terms).obstacle.unwrap().to_string();
        let why = "no appup leads shop from 0.1.1 to 0.1.0: 0.1.0 needs an up entry from 0.1.1, or 0.1.1 a down entry \
                   to 0.1.0; add it to the appup, or pass --one-way";
        assert_eq!(obstacle(SETTLES), format!("there is no way back, which settling may need: {why}"));
        assert_eq!(
            obstacle(PLAIN),
            format!("there is no way back, which a failure of step 8 may need: {why}")
        );
    }

    /// Compares the change of the counter's states on the way back.
    #[track_caller]
    fn check_back(down: &str, expected: Result<StateChange, &str>) {
        let [old, new] = releases(UPDATE, Some(down));
        let back = outlook(&old, &new, SETTLES).back.unwrap();
        let counter = "counter".parse().unwrap();
        assert_eq!(back.change(&counter), expected.map_err(|why| format!("counter: {why}")));
    }

    #[test]
    fn states_go_back_by_the_script_back_and_not_by_version_order() {
        let advanced = |mode, vsn: &str, extra| {
            let dropped = Dropped::default();
            StateChange::Advanced { mode, vsn: vsn.parse().unwrap(), extra, dropped }
        };
        check_back(UPDATE, Ok(advanced(Mode::Down, "0.1.0", json!(1))));
        check_back("{ load_module = \"counter\" }", Ok(StateChange::Soft(Dropped::default())));
        check_back("{ update = \"counter\", change = \"supervisor\" }", Ok(StateChange::Supervisor));
        // The way back from a downgrade is the upgrade.
        let [old, new] = releases(UPDATE, Some(UPDATE));
        let back = outlook(&new, &old, SETTLES).back.unwrap();
        assert_eq!(back.change(&"counter".parse().unwrap()), Ok(advanced(Mode::Up, "0.1.0", json!(1))));
        assert_eq!(back.change(&"helper".parse().unwrap()), Ok(StateChange::Soft(Dropped::default())));
    }

    #[test]
    fn states_that_the_script_back_alone_does_not_determine_are_left_out() {
        let call = "{ apply = \"helper:open\", args = [] }";
        let calls = Err("the way back calls functions first");
        check_back(&format!("{call}, {UPDATE}"), calls.clone());
        let open = "{ load_object_code = [\"counter\", \"counter_sup\", \"helper\"], app = \"shop\", vsn = \"0.1.0\" }";
        check_back(&format!("{open}, {call}, \"point_of_no_return\", {UPDATE}"), calls);
        check_back("{ restart_application = \"shop\" }", Err("the way back restarts shop"));
        let stop = "{ stop = [\"counter\"] }, { load = \"counter\" }, { start = [\"counter\"] }";
        check_back(
            &format!("{open}, \"point_of_no_return\", {stop}"),
            Err("the way back stops its processes"),
        );
        let unknown = Back::Script(BTreeMap::new()).change(&"till".parse().unwrap());
        assert_eq!(unknown, Err("till: the way back does not convert it".to_owned()));
        assert_eq!(Back::OneWay.change(&"till".parse().unwrap()), Err("the upgrade is one-way".to_owned()));
    }
}
