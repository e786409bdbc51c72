//! Compares the reader with `rmp-serde`.

use proptest::prelude::*;
use reld_wire::{Pid, reader};
use rmp_serde::config::BytesMode;
use rmpv::Value;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

#[path = "../../../../tests/fuzz/checks/reader.rs"]
mod checks;
#[path = "../../../../tests/fuzz/checks/each.rs"]
mod each;

use checks::{Kind, Nothing, Number, Record, check};

/// Returns a value as the reader reads it from the bytes of the runtime and of the SDK.
fn reread<T: Serialize + DeserializeOwned>(value: &T) -> Option<[T; 2]> {
    let compact = rmp_serde::to_vec_named(value).unwrap();
    let mut readable = Vec::new();
    let mut serializer = rmp_serde::Serializer::new(&mut readable)
        .with_bytes(BytesMode::ForceAll)
        .with_struct_map()
        .with_human_readable();
    value.serialize(&mut serializer).unwrap();
    Some([
        reader::whole::<T, false>(&compact, |reader| T::deserialize(reader))?,
        reader::whole::<T, true>(&readable, |reader| T::deserialize(reader))?,
    ])
}

fn kind() -> impl Strategy<Value = Kind> {
    let leaf = prop_oneof![
        Just(Kind::Plain),
        Just(Kind::Nothing(Nothing)),
        any::<i64>().prop_map(Kind::One),
        any::<(u8, String)>().prop_map(|(number, text)| Kind::Two(number, text)),
    ];
    leaf.prop_recursive(3, 8, 1, |kind| {
        (any::<i16>(), proptest::option::of(kind.prop_map(Box::new)))
            .prop_map(|(x, inner)| Kind::Named { x, inner })
    })
}

fn record() -> impl Strategy<Value = Record> {
    let leaf = (
        any::<u64>(),
        any::<Option<String>>(),
        any::<Vec<u8>>().prop_map(ByteBuf::from),
        proptest::collection::vec(kind(), 0..20),
        proptest::collection::btree_map(any::<u32>(), proptest::num::f64::NORMAL, 0..20),
        any::<Option<std::net::IpAddr>>(),
        any::<(bool, u32)>().prop_map(|(flag, number)| (flag, Number(number))),
    );
    let leaf = leaf.prop_map(|(id, name, bytes, kinds, by_number, at, pair)| Record {
        id,
        name,
        bytes,
        kinds,
        by_number,
        at,
        nested: None,
        pair,
    });
    leaf.prop_recursive(3, 4, 1, |nested| {
        (nested.clone(), nested)
            .prop_map(|(outer, nested)| Record { nested: Some(Box::new(nested)), ..outer })
    })
}

/// Any value of MessagePack.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(|number| Value::from(number >> (number % 64))),
        any::<i64>().prop_map(|number| Value::from(number >> number.rem_euclid(64))),
        any::<f32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-zA-Z]{0,40}".prop_map(Value::from),
        "Plain|One|Two|Named|x|inner|type|of|id|name|bytes|kinds".prop_map(Value::from),
        any::<Vec<u8>>().prop_map(Value::from),
        any::<(i8, Vec<u8>)>().prop_map(|(tag, bytes)| Value::Ext(tag, bytes)),
    ];
    leaf.prop_recursive(4, 40, 6, |value| {
        prop_oneof![
            proptest::collection::vec(value.clone(), 0..20).prop_map(Value::from),
            proptest::collection::vec((value.clone(), value), 0..6).prop_map(Value::from),
        ]
    })
}

fn written(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, value).unwrap();
    bytes
}

proptest! {
    #[test]
    fn usual_values_are_read_without_rmp_serde(record in record(), kinds in proptest::collection::vec(kind(), 0..300)) {
        prop_assert_eq!(reread(&record), Some([record.clone(), record]));
        prop_assert_eq!(reread(&kinds), Some([kinds.clone(), kinds]));
    }

    #[test]
    fn a_value_is_the_one_of_rmp_serde(value in value(), cut in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let bytes = written(&value);
        check(&bytes);
        let at = cut.index(bytes.len());
        check(&bytes[..at]);
        let mut changed = bytes;
        changed[at] = byte;
        check(&changed);
        changed.push(byte);
        check(&changed);
    }

    #[test]
    fn a_record_with_one_changed_byte_is_read_as_by_rmp_serde(
        record in record(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = rmp_serde::to_vec_named(&record).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        check(&bytes);
    }

    #[test]
    fn any_bytes_are_read_as_by_rmp_serde(bytes in any::<Vec<u8>>()) {
        check(&bytes);
    }
}

#[test]
fn every_marker_is_read_as_by_rmp_serde() {
    let second = [0, 1, 2, 0x7f, 0x80, 0x81, 0x90, 0x91, 0xa1, 0xc0, 0xc3, 0xcd, 0xd1, 0xde, 0xff];
    for first in 0..=u8::MAX {
        check(&[first]);
        check(&[b"\x91\x81\xa5Plain", &[first][..]].concat());
        for second in second {
            check(&[first, second]);
            check(&[0x92, first, second]);
            check(&[first, second, 0, 0, 0, 0, 0, 0, 0xc0]);
        }
    }
}

#[test]
fn the_corpus_of_messages_is_read_as_by_rmp_serde() {
    each::each("message", check);
}

#[test]
fn values_that_nest_too_deeply_are_left_to_rmp_serde() {
    let nested = |depth| [vec![0x91; depth], vec![0xc0]].concat();
    assert!(check(&nested(128)));
    assert!(!check(&nested(129)));
}

#[test]
fn a_type_that_ignores_errors_does_not_see_that_the_reader_gave_up() {
    // `rmp-serde` reads a string that is not UTF-8 as bytes.
    assert!(!check(&[0x92, 0xa1, 0xff, 1]));
}

#[test]
fn a_list_that_is_longer_than_its_type_is_left_to_rmp_serde() {
    assert!(check(&[0x93, 0x92, 1, 2, 3, 4]));
    // The number 3 of the inner list is no element of the outer one.
    check(&[0x93, 0x93, 1, 2, 3, 4]);
}

#[test]
fn the_names_of_a_flattened_map_stay_text() {
    let inner = [b"\x82\xa2id\x01".as_slice(), b"\xa5other\x02"].concat();
    assert!(check(&inner));
    assert!(check(&[b"\x92\xa5Plain".as_slice(), &inner].concat()));
}

#[test]
fn a_value_with_a_member_that_its_type_ignores_is_not_known() {
    let pid = b"\x82\xa4slot\x01\xaageneration\x02".as_slice();
    let more = b"\x83\xa4slot\x01\xa5other\x81\xa1x\x93\x01\x02\x03\xaageneration\x02".as_slice();
    for (last, is_known) in [(pid, true), (more, false)] {
        let bytes = [b"\x92", pid, last].concat();
        let whole = reader::whole::<_, false>(&bytes, |reader| <[Pid; 2]>::deserialize(reader));
        let known = reader::without_skips::<_, false>(&bytes, |reader| <[Pid; 2]>::deserialize(reader));
        assert_eq!(whole, Some([Pid { slot: 1, generation: 2 }; 2]));
        assert_eq!(known, whole.filter(|_| is_known));
    }
}
