use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use rmpv::Value;
use serde::{Deserialize, Serialize};

use super::*;
use crate::words::term;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct New {
    kept: u8,
    added: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Old {
    kept: u8,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Mode<L> {
    Idle,
    Newtype(L),
    Tuple(u8, L),
    Struct { field: L },
}

/// A state that holds an `L` wherever a path can lead: in a field, an option, a list, a map and an
/// enum variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct State<L> {
    plain: L,
    option: Option<Box<L>>,
    list: Vec<L>,
    by_text: BTreeMap<String, L>,
    by_number: BTreeMap<i32, L>,
    modes: Vec<Mode<L>>,
}

const PATHS: [&str; 8] = [
    "plain.added",
    "option.added",
    "list.[].added",
    "by_text.*.added",
    "by_number.*.added",
    "modes.[].Newtype.added",
    "modes.[].Tuple.[].added",
    "modes.[].Struct.field.added",
];

impl<L: Copy> State<L> {
    fn map<M>(&self, leaf: impl Fn(L) -> M + Copy) -> State<M> {
        let mode = |mode: &Mode<L>| match mode {
            Mode::Idle => Mode::Idle,
            Mode::Newtype(it) => Mode::Newtype(leaf(*it)),
            Mode::Tuple(number, it) => Mode::Tuple(*number, leaf(*it)),
            Mode::Struct { field } => Mode::Struct { field: leaf(*field) },
        };
        State {
            plain: leaf(self.plain),
            option: self.option.as_ref().map(|it| Box::new(leaf(**it))),
            list: self.list.iter().map(|it| leaf(*it)).collect(),
            by_text: self.by_text.iter().map(|(key, it)| (key.clone(), leaf(*it))).collect(),
            by_number: self.by_number.iter().map(|(key, it)| (*key, leaf(*it))).collect(),
            modes: self.modes.iter().map(mode).collect(),
        }
    }
}

fn leaf() -> impl Strategy<Value = New> {
    (any::<u8>(), any::<u64>()).prop_map(|(kept, added)| New { kept, added })
}

fn state() -> impl Strategy<Value = State<New>> {
    let mode = prop_oneof![
        Just(Mode::Idle),
        leaf().prop_map(Mode::Newtype),
        (any::<u8>(), leaf()).prop_map(|(number, leaf)| Mode::Tuple(number, leaf)),
        leaf().prop_map(|field| Mode::Struct { field }),
    ];
    let parts = (
        leaf(),
        proptest::option::of(leaf().prop_map(Box::new)),
        vec(leaf(), 0..40),
        btree_map(".{0,40}", leaf(), 0..20),
        btree_map(any::<i32>(), leaf(), 0..20),
        vec(mode, 0..8),
    );
    parts.prop_map(|(plain, option, list, by_text, by_number, modes)| State {
        plain,
        option,
        list,
        by_text,
        by_number,
        modes,
    })
}

/// Returns any value. Its names are those that occur in paths.
fn value() -> impl Strategy<Value = Value> {
    let key = prop_oneof!["[abc]", "\\[\\]|\\*|.{0,3}"].prop_map(Value::from);
    let key = prop_oneof![4 => key, 1 => any::<u8>().prop_map(Value::from)];
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("equals itself", |number| !number.is_nan()).prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        vec(any::<u8>(), 0..300).prop_map(Value::Binary),
        (any::<i8>(), vec(any::<u8>(), 0..20)).prop_map(|(kind, data)| Value::Ext(kind, data)),
    ];
    leaf.prop_recursive(4, 64, 20, move |inner| {
        let entries = vec((key.clone(), inner.clone()), 0..20).prop_map(Value::Map);
        prop_oneof![vec(inner, 0..20).prop_map(Value::Array), entries]
    })
}

fn path() -> impl Strategy<Value = String> {
    vec(prop_oneof![3 => "[abc]", 1 => Just(ITEM.to_owned())], 1..4).prop_map(|names| names.join("."))
}

fn written(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, value).unwrap();
    bytes
}

/// Cuts a field out of a decoded value.
fn cut(value: &mut Value, path: &str) {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let is_it = |key: &Value| name == ENTRY || name != ITEM && key.as_str() == Some(name);
    match (value, rest) {
        (Value::Array(items), Some(rest)) if name == ITEM => {
            items.iter_mut().for_each(|item| cut(item, rest));
        }
        (Value::Map(entries), None) => entries.retain(|(key, _)| !is_it(key)),
        (Value::Map(entries), Some(rest)) => {
            entries.iter_mut().filter(|(key, _)| is_it(key)).for_each(|(_, value)| cut(value, rest));
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn a_cut_state_is_what_the_older_type_would_have_written(state in state()) {
        let bytes = term::encode(&state);
        prop_assert!(term::decode::<State<Old>>(&bytes).is_err());
        let older = state.map(|leaf| Old { kept: leaf.kept });
        prop_assert_eq!(Cut::new(PATHS).of(&bytes).into_owned(), term::encode(&older));
    }

    #[test]
    fn absent_fields_leave_the_bytes_of_a_state_unchanged(state in state()) {
        let older = term::encode(&state.map(|leaf| Old { kept: leaf.kept }));
        for cut in [Cut::default(), Cut::new(PATHS), Cut::new(["absent", "plain.kept.deep", "list.kept"])] {
            prop_assert!(matches!(cut.of(&older), Cow::Borrowed(same) if same == older));
        }
    }

    #[test]
    fn any_value_loses_the_given_fields_and_nothing_else(value in value(), paths in vec(path(), 1..4)) {
        let mut expected = value.clone();
        paths.iter().for_each(|path| cut(&mut expected, path));
        prop_assert_eq!(Cut::new(&paths).of(&written(&value)).into_owned(), written(&expected));
        let any = paths[0].replace('a', ENTRY);
        let mut expected = value.clone();
        cut(&mut expected, &any);
        prop_assert_eq!(Cut::new([any]).of(&written(&value)).into_owned(), written(&expected));
    }

    #[test]
    fn bytes_that_are_not_a_value_stay_unchanged(
        value in value(),
        garbage in vec(any::<u8>(), 0..64),
        at in any::<prop::sample::Index>(),
        paths in vec(path(), 1..4),
    ) {
        let (paths, mut bytes) = (Cut::new(paths), written(&value));
        let cut_short = &bytes[..at.index(bytes.len())];
        prop_assert_eq!(paths.of(cut_short).into_owned(), cut_short);
        // Bytes after the value are ignored.
        let longer = [bytes.as_slice(), &garbage].concat();
        prop_assert_eq!(paths.of(&longer).into_owned(), [paths.of(&bytes).as_ref(), &garbage].concat());
        let index = at.index(bytes.len());
        bytes.splice(index..index + 1, garbage.iter().copied());
        prop_assert!(paths.of(&bytes).len() <= bytes.len());
        prop_assert!(paths.of(&garbage).len() <= garbage.len());
    }
}

#[test]
fn a_head_that_claims_more_bytes_than_exist_ends_at_once() {
    for head in [
        &b"\xdf\xff\xff\xff\xff"[..],
        b"\xdd\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff",
    ] {
        for cut in [Cut::new(["a.b"]), Cut::new(["[].b"]), Cut::new(["*.b"])] {
            assert_eq!(cut.of(head), head, "{head:02x?}");
            let within = [b"\x81\xa1a", head].concat();
            assert_eq!(cut.of(&within), within, "{within:02x?}");
        }
    }
}

#[test]
fn a_field_within_a_cut_field_is_cut_too() {
    let state = written(&Value::Map(vec![("a".into(), Value::Map(vec![("b".into(), 1.into())]))]));
    for paths in [["a", "a.b"], ["a.b", "a"]] {
        assert_eq!(Cut::new(paths).of(&state), written(&Value::Map(vec![])));
    }
}

#[test]
fn an_item_of_an_array_is_not_cut() {
    let list = |entries: &[(&str, u8)]| {
        let entries = entries.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        written(&Value::Array(vec![Value::Map(entries)]))
    };
    let state = list(&[("b", 1), ("c", 2)]);
    assert_eq!(Cut::new(["[]"]).of(&state), state);
    assert_eq!(Cut::new(["[]", "[].b"]).of(&state), list(&[("c", 2)]));
}

#[test]
fn the_number_of_entries_is_written_in_the_fewest_bytes() {
    for entries in [15, 16, 17, 0xffff, 0x1_0000, 0x1_0001] {
        let map = |names: std::ops::Range<u32>| {
            written(&Value::Map(names.map(|name| (name.to_string().into(), name.into())).collect()))
        };
        assert_eq!(Cut::new(["0"]).of(&map(0..entries)), map(1..entries), "{entries}");
    }
}
