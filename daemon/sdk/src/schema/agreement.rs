//! Checks that `relctl diff` and the SDK use the same paths: the fields that `relctl diff` reports
//! as gone are the fields that the SDK finds unread, and DROPPED accepts their paths.

use std::collections::BTreeMap;

use reld_plan::{AppDocs, Config, ModuleChange, PackedRelease, Rel, Release, Schemas, diff};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::read;
use crate::{Pid, State};

#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(super) struct Old {
    pub(super) kept: u8,
    pub(super) gone: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
pub(super) struct New {
    pub(super) kept: u8,
}

/// All types that can lie between a state and a field.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Ways<L> {
    plain: L,
    boxed: Box<L>,
    option: Option<Box<L>>,
    newtype: Newtype<L>,
    list: Vec<L>,
    array: [L; 2],
    pair: (u8, L),
    double: Double<L>,
    by_text: BTreeMap<String, L>,
    by_number: BTreeMap<u32, L>,
    by_flag: BTreeMap<bool, L>,
    by_pid: BTreeMap<Pid, L>,
    by_word: BTreeMap<Word, L>,
    by_told: BTreeMap<Told, L>,
    modes: Vec<Mode<L>>,
    adjacent: Option<Adjacent<L>>,
    deep: BTreeMap<i64, Vec<Numbered<L>>>,
}

type Numbered<L> = Option<(u8, Mode<L>)>;

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Newtype<L>(L);

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Double<L>(L, L);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
enum Word {
    Yes,
    No,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
enum Told {
    /// Gives the enum another schema.
    Yes,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Mode<L> {
    Idle,
    Newtype(L),
    Tuple(L, u8),
    Struct { field: L },
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "data")]
enum Adjacent<L> {
    Held(L),
}

impl<L: Copy> Ways<L> {
    pub(super) fn of(leaf: L) -> Self {
        Self {
            plain: leaf,
            boxed: Box::new(leaf),
            option: Some(Box::new(leaf)),
            newtype: Newtype(leaf),
            list: vec![leaf; 3],
            array: [leaf; 2],
            pair: (0, leaf),
            double: Double(leaf, leaf),
            by_text: [("a".to_owned(), leaf), ("b".to_owned(), leaf)].into(),
            by_number: [(7, leaf)].into(),
            by_flag: [(true, leaf)].into(),
            by_pid: [(Pid::new(1, 2), leaf)].into(),
            by_word: [(Word::Yes, leaf), (Word::No, leaf)].into(),
            by_told: [(Told::Yes, leaf)].into(),
            modes: Mode::each(leaf),
            adjacent: Some(Adjacent::Held(leaf)),
            deep: [(-1, Mode::each(leaf).into_iter().map(|mode| Some((0, mode))).collect())].into(),
        }
    }
}

impl<L: Copy> Mode<L> {
    fn each(leaf: L) -> Vec<Self> {
        vec![Self::Idle, Self::Newtype(leaf), Self::Tuple(leaf, 0), Self::Struct { field: leaf }]
    }
}

/// The paths to a field of the leaf, in alphabetical order.
pub(super) const PLACES: [&str; 21] = [
    "adjacent.data.gone",
    "array.[].gone",
    "boxed.gone",
    "by_flag.*.gone",
    "by_number.*.gone",
    "by_pid.*.gone",
    "by_text.*.gone",
    "by_told.*.gone",
    "by_word.*.gone",
    "deep.*.[].[].newtype.gone",
    "deep.*.[].[].struct.field.gone",
    "deep.*.[].[].tuple.[].gone",
    "double.[].gone",
    "list.[].gone",
    "modes.[].newtype.gone",
    "modes.[].struct.field.gone",
    "modes.[].tuple.[].gone",
    "newtype.gone",
    "option.gone",
    "pair.[].gone",
    "plain.gone",
];

pub(super) fn release(major: u64, state: &serde_json::Value, dropped: &[&str]) -> Release {
    let rel = format!(
        "name = 'shop'\nversion = '{major}.0.0'\ndaemon = '1.0.0'\n[[app]]\nname = 'a'\nversion = '{major}.0.0'"
    );
    let app = format!("name = 'a'\nversion = '{major}.0.0'\nmodules = ['m']");
    let module = json!({ "behaviour": "gen_server", "interface": { "state": state, "dropped": dropped } });
    let schemas = json!({ "modules": { "m": module } }).to_string();
    let schemas = Schemas::parse("schema.json", &schemas).expect("schemas");
    let entries = "[[up]]\nfrom = '1.0.0'\ninstructions = []\n[[down]]\nto = '1.0.0'\ninstructions = []";
    let appup = format!("app = 'a'\nversion = '{major}.0.0'\n{entries}");
    let docs = AppDocs::parse(("app.toml", &app), Some(("appup.toml", &appup))).expect("documents");
    let rel = Rel::parse("release.toml", &rel).expect("a release");
    Release::new(rel, [docs.with_schemas(schemas)]).expect("fits")
}

fn packed(release: Release) -> PackedRelease {
    PackedRelease { release, config: Config::default(), libraries: BTreeMap::new() }
}

/// Returns the reasons that `relctl diff` gives why a `To` cannot read the serialized form of a
/// `From`.
fn compared<From: JsonSchema, To: JsonSchema>(dropped: &[&str]) -> (ModuleChange, Vec<String>) {
    let (from, to) = (release(1, &read::<From>(), &[]), release(2, &read::<To>(), dropped));
    let mut diff = diff(&packed(from), &packed(to));
    let module = diff.apps.remove(0).modules.remove(0);
    (module.change, module.up)
}

fn said(places: &[&str], what: &str) -> Vec<String> {
    places.iter().map(|place| format!("`{place}` is gone, and {what}")).collect()
}

#[test]
fn the_fields_that_diff_reports_gone_are_those_the_sdk_finds_and_can_be_declared() {
    let (change, mut reasons) = compared::<Ways<Old>, Ways<New>>(&[]);
    reasons.sort();
    assert_eq!((change, reasons), (ModuleChange::NeedsCode, said(&PLACES, "not declared in DROPPED")));

    let state = State::write(&Ways::of(Old { kept: 1, gone: 2 })).expect("writes");
    let refused = state.read::<Ways<New>>().expect_err("has unread fields").to_string();
    let found = PLACES.map(|place| format!("`{place}`")).join(", ");
    assert_eq!(refused, format!("state: unread fields, not declared in DROPPED: {found}"));

    let (change, mut reasons) = compared::<Ways<Old>, Ways<New>>(&PLACES);
    reasons.sort();
    assert_eq!((change, reasons), (ModuleChange::Additive, said(&PLACES, "declared in DROPPED")));
    assert_eq!(state.read_without(&PLACES), Ok(Ways::of(New { kept: 1 })));
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Tree<L> {
    pub(super) leaf: L,
    pub(super) below: Vec<Self>,
}

#[test]
fn a_field_gone_at_every_depth_needs_code() {
    let leaf = Old { kept: 1, gone: 2 };
    let below = Tree { leaf, below: vec![] };
    let state = State::write(&Tree { leaf, below: vec![below] }).expect("writes");
    let refused = state.read_without::<Tree<New>>(&["leaf.gone"]).expect_err("is not all");
    assert!(refused.to_string().ends_with(": `below.[].leaf.gone`"), "{refused}");
    let again = "`below.[]` is recursive: fields that are gone there need code";
    let reasons = [said(&["leaf.gone"], "declared in DROPPED"), vec![again.to_owned()]].concat();
    assert_eq!(compared::<Tree<Old>, Tree<New>>(&["leaf.gone"]), (ModuleChange::NeedsCode, reasons));
    // No field is gone in this case, so the type is compared like any other.
    assert_eq!(compared::<Tree<Old>, Tree<Old>>(&[]), (ModuleChange::Unchanged, vec![]));
}

#[test]
fn a_type_that_denies_unknown_fields_refuses_declared_ones_too() {
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read into")]
    struct Closed {
        kept: u8,
    }
    let state = State::write(&Old { kept: 1, gone: 2 }).expect("writes");
    let refused = state.read_without::<Closed>(&["gone"]).expect_err("it denies them");
    assert!(refused.to_string().contains("unknown field `gone`"), "{refused}");
    let denied = vec!["`gone` is gone, and unknown fields are denied".to_owned()];
    assert_eq!(compared::<Old, Closed>(&["gone"]), (ModuleChange::NeedsCode, denied));
}

#[test]
fn a_map_that_becomes_a_struct_needs_code() {
    type Map = BTreeMap<String, u8>;
    #[derive(Debug, Default, Deserialize, JsonSchema)]
    #[serde(default)]
    struct Few {
        a: u8,
    }
    let state = State::write(&Map::from([("a".to_owned(), 1), ("b".to_owned(), 2)])).expect("writes");
    assert!(state.read::<Few>().expect_err("of any key").to_string().ends_with(": `b`"));
    let (change, reasons) = compared::<Map, Few>(&[]);
    assert_eq!(change, ModuleChange::NeedsCode);
    assert!(
        reasons.contains(&"it allowed any key, and now allows only its fields".to_owned()),
        "{reasons:?}"
    );
}
