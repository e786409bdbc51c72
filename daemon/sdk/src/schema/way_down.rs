//! Checks downgrades by schemas: the fields that the planner cuts, that the node finds them in the
//! bytes, and that the older version reads the rest. Also checks the cases without a cut.

use std::collections::BTreeMap;
use std::fmt::Debug;

use reld_plan::{PlanError, Script, plan};
use reld_runtime::Cut;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::agreement::{self, PLACES, Tree, Ways, release};
use super::read;
use crate::State;

/// Plans the downgrade between two types of a state. `declared` is DROPPED of the newer version.
fn planned<From: JsonSchema, To: JsonSchema>(declared: &[&str]) -> Result<Script, PlanError> {
    plan(&release(2, &read::<From>(), declared), &release(1, &read::<To>(), &[]))
}

fn dropped(script: &Script) -> Vec<String> {
    script.dropped().flat_map(|(_, dropped)| dropped.0.clone()).collect()
}

/// Checks that a downgrade cuts these paths, and that the older version reads the rest.
#[track_caller]
fn check<From, To>(state: &From, declared: &[&str], places: &[&str], expected: &To)
where
    From: JsonSchema + Serialize,
    To: JsonSchema + DeserializeOwned + Debug + PartialEq,
{
    let script = planned::<From, To>(declared).expect("nothing was renamed");
    let mut found = dropped(&script);
    found.sort();
    assert_eq!((found.as_slice(), script.warnings.as_slice()), (places.map_owned().as_slice(), &[][..]));
    let written = State::write(state).expect("writes").into_bytes();
    let cut = Cut::new(&found).of(&written).into_owned();
    assert_eq!(State::from_bytes(&cut).read::<To>().as_ref(), Ok(expected));
}

/// Checks that the plan is refused, because the added field may be the missing one under a new
/// name.
#[track_caller]
fn check_moved<From: JsonSchema, To: JsonSchema>(added: &[&str], missing: &[&str]) {
    match planned::<From, To>(&[]) {
        Err(PlanError::StateMoved { left, gone_to, .. }) => {
            assert_eq!((left, gone_to), (added.map_owned(), missing.map_owned()));
        }
        other => panic!("{other:?}"),
    }
}

/// Checks that nothing is cut, because the schemas have too little information. The older version
/// then decides when it reads the state.
#[track_caller]
fn check_strict<From: JsonSchema, To: JsonSchema>(why: &str) {
    let script = planned::<From, To>(&[]).expect("nothing was renamed");
    assert_eq!(dropped(&script), Vec::<String>::new());
    let warning = script.warnings.first().expect("there is a warning").to_string();
    assert!(warning.contains(why), "{warning}");
}

/// Makes owned strings of borrowed ones.
trait MapOwned {
    fn map_owned(&self) -> Vec<String>;
}

impl MapOwned for [&str] {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(ToString::to_string).collect()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
struct One {
    one: u8,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Two {
    one: u8,
    #[serde(default)]
    two: u8,
}

const ONE: One = One { one: 1 };
const TWO: Two = Two { one: 1, two: 2 };

#[test]
fn an_added_field_is_cut_below_every_kind_of_container() {
    let state = Ways::of(agreement::Old { kept: 1, gone: 2 });
    check(&state, &[], &PLACES, &Ways::of(agreement::New { kept: 1 }));
}

#[test]
fn a_field_with_a_default_an_option_and_one_that_is_not_always_written_are_dropped() {
    check(&TWO, &[], &["two"], &ONE);
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Noted {
        one: u8,
        note: Option<Two>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seldom: Option<u8>,
    }
    for (note, seldom) in [(None, None), (Some(TWO), Some(7))] {
        check(&Noted { one: 1, note, seldom }, &[], &["note", "seldom"], &ONE);
    }
}

#[test]
fn an_older_type_that_denies_unknown_fields_reads_the_rest() {
    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Closed {
        one: u8,
    }
    check(&TWO, &[], &["two"], &Closed { one: 1 });
}

#[test]
fn a_type_that_is_read_as_anything_keeps_all_of_it() {
    #[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
    struct Holding<T> {
        held: T,
    }
    let held = serde_json::json!({ "one": 1, "two": 2 });
    check(&Holding { held: TWO }, &[], &[], &Holding { held });
}

#[test]
fn a_rename_is_refused_with_both_names_with_an_alias_and_without() {
    #[derive(JsonSchema)]
    struct Renamed {
        #[expect(dead_code, reason = "only described")]
        uno: u8,
    }
    check_moved::<Renamed, One>(&["uno"], &["one"]);
    #[derive(Deserialize, JsonSchema)]
    struct Aliased {
        #[serde(alias = "one")]
        #[expect(dead_code, reason = "only described")]
        uno: u8,
    }
    check_moved::<Aliased, One>(&["uno"], &["one"]);
    // An alias in the older version does not help, because the schema does not show it.
    check_moved::<One, Aliased>(&["one"], &["uno"]);
}

#[test]
fn a_move_across_nesting_is_refused_wherever_it_leads() {
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only described")]
    struct Flat {
        a: One,
        max: u8,
    }
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only described")]
    struct Nested {
        a: Two,
        #[serde(default)]
        limits: Option<One>,
    }
    check_moved::<Flat, Nested>(&["max"], &["a.two", "limits"]);
    check_moved::<Nested, Flat>(&["a.two", "limits"], &["max"]);
    // The paths are far apart, and below lists and maps.
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only described")]
    struct Apart<L, M> {
        list: Vec<L>,
        map: BTreeMap<String, M>,
    }
    check_moved::<Apart<One, Two>, Apart<Two, One>>(&["map.*.two"], &["list.[].two"]);
}

#[test]
fn a_move_out_of_a_variant_is_refused() {
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only described")]
    enum Mode {
        Idle,
        Busy { since: u64 },
    }
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only described")]
    enum Only {
        Idle,
    }
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only described")]
    struct Older {
        mode: Mode,
    }
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only described")]
    struct Newer {
        mode: Only,
        #[serde(default)]
        busy_since: u64,
    }
    check_moved::<Newer, Older>(&["busy_since"], &["mode.Busy"]);
}

#[test]
fn a_field_that_the_newer_version_drops_on_purpose_is_not_another_name_of_an_added_one() {
    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    struct Older {
        one: u8,
        #[serde(default)]
        lost: u8,
    }
    check(&TWO, &["lost"], &["two"], &Older { one: 1, lost: 0 });
    check_moved::<Two, Older>(&["two"], &["lost"]);
}

#[test]
fn a_variant_that_only_the_newer_state_has_is_refused_where_it_is_and_nowhere_else() {
    #[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
    struct State<M> {
        one: u8,
        mode: M,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        added: Option<u8>,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
    struct Without<M> {
        one: u8,
        mode: M,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
    enum Older {
        Idle,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
    enum Newer {
        Idle,
        Busy(u8),
    }
    let script = planned::<State<Newer>, Without<Older>>(&[]).expect("nothing was renamed");
    assert_eq!(dropped(&script), ["added"]);
    assert!(script.warnings[0].to_string().contains("`Busy` is gone in `mode`"), "{:?}", script.warnings);
    let lowered = |mode: Newer| {
        let written = crate::State::write(&State { one: 1, mode, added: Some(2) }).expect("writes");
        let cut = Cut::new(dropped(&script)).of(&written.into_bytes()).into_owned();
        crate::State::from_bytes(&cut).read::<Without<Older>>()
    };
    assert_eq!(lowered(Newer::Idle), Ok(Without { one: 1, mode: Older::Idle }));
    assert!(lowered(Newer::Busy(1)).is_err());
}

#[test]
fn nothing_is_dropped_below_an_untagged_enum() {
    #[derive(JsonSchema)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "only described")]
    enum Any<L> {
        Left { left: u8 },
        Right(L),
    }
    check_strict::<Any<Two>, Any<One>>("`two` is gone");
    // An `Option` of a struct also has two shapes, but the bytes distinguish them.
    check(&Some(TWO), &[], &["two"], &Some(ONE));
}

#[test]
fn a_state_that_may_be_read_as_another_variant_gets_a_warning_for_any_change_of_its_type() {
    #[derive(Serialize, JsonSchema)]
    #[serde(untagged)]
    enum Newer {
        Far {
            one: u8,
            two: u8,
        },
        #[expect(dead_code, reason = "only described")]
        Near {
            one: u8,
        },
    }
    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(untagged)]
    enum Older {
        Near { one: u8 },
        Far { one: u8, two: u8 },
    }
    let written = State::write(&Newer::Far { one: 1, two: 2 }).expect("writes");
    assert_eq!(written.read(), Ok(Older::Near { one: 1 }), "serde takes the first that fits");
    check_strict::<Newer, Older>("it changed, and may be read as another variant");
    let same = planned::<Older, Older>(&[]).expect("nothing was renamed");
    assert_eq!(same.warnings, []);
}

#[test]
fn nothing_is_dropped_where_types_are_flattened_or_tagged_within() {
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only described")]
    struct Mixed<L> {
        one: u8,
        #[serde(flatten)]
        mode: Mode<L>,
    }
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only described")]
    enum Mode<L> {
        Idle,
        Busy(L),
    }
    check_strict::<Mixed<Two>, Mixed<One>>("it differs, and combines several types");
    #[derive(JsonSchema)]
    #[serde(tag = "kind")]
    #[expect(dead_code, reason = "only described")]
    enum Tagged<L> {
        Idle,
        Busy(L),
    }
    check_strict::<Tagged<Two>, Tagged<One>>("it differs, and combines several types");
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only described")]
    struct WithRest<L> {
        held: L,
        #[serde(flatten)]
        rest: BTreeMap<String, u8>,
    }
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only described")]
    struct Without<L> {
        held: L,
    }
    check_strict::<WithRest<Two>, Without<One>>("allowed any key");
    // These parts do not change, so fields that are added beside them are cut.
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only described")]
    struct Beside<L> {
        held: L,
        mixed: Mixed<One>,
        tagged: Tagged<One>,
    }
    let script = planned::<Beside<Two>, Beside<One>>(&[]).expect("nothing was renamed");
    assert_eq!((dropped(&script), script.warnings.len()), (vec!["held.two".to_owned()], 0));
}

#[test]
fn a_tag_distinguishes_variants_but_not_equal_paths() {
    #[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
    #[serde(tag = "kind")]
    enum Newer {
        A { x: u8 },
        B { y: u8, z: u8 },
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
    #[serde(tag = "kind")]
    enum Older {
        A { x: u8 },
        B { y: u8 },
    }
    check(&Newer::B { y: 1, z: 2 }, &[], &["z"], &Older::B { y: 1 });
    // One variant keeps the field that was added to the other.
    #[derive(JsonSchema)]
    #[serde(tag = "kind")]
    #[expect(dead_code, reason = "only described")]
    enum Alike {
        A { x: u8 },
        B { y: u8, x: u8 },
    }
    check_strict::<Alike, Older>("`x` is gone");
}

#[test]
fn nothing_is_dropped_if_another_value_has_the_same_path() {
    // Both items of a pair are at `[]`, and only one of them has a new field.
    check_strict::<(Two, Two), (One, Two)>("`[].two` is gone");
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only described")]
    struct Dotted<L> {
        #[serde(rename = "a.b")]
        dotted: L,
        a: Option<BTreeMap<String, u8>>,
    }
    check_strict::<Dotted<Two>, Dotted<One>>("`a.b.two` is gone");
}

#[test]
fn nothing_is_dropped_in_a_recursive_type() {
    check_strict::<Tree<Two>, Tree<One>>("is recursive");
}

#[test]
fn nothing_is_dropped_where_a_type_is_written_by_hand_or_another_one() {
    /// A type with a schema keyword that no derive writes.
    struct ByHand<const N: u8>;
    impl<const N: u8> JsonSchema for ByHand<N> {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            format!("ByHand{N}").into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "type": "object", "maxProperties": N })
        }
    }
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only described")]
    struct Beside<H, L> {
        by_hand: H,
        held: L,
    }
    check_strict::<Beside<ByHand<2>, Two>, Beside<ByHand<1>, One>>("`by_hand` differs in `maxProperties`");
    check_strict::<Beside<Vec<One>, Two>, Beside<One, One>>("`by_hand` was array, is object");
    check_strict::<Beside<(One, One), Two>, Beside<(One, One, One), One>>("another number of items");
    let script = planned::<Beside<ByHand<1>, Two>, Beside<ByHand<1>, One>>(&[]).expect("nothing was renamed");
    assert_eq!(dropped(&script), ["held.two"]);
}
