//! A value that the reader of `reld-wire` returns is the value that `rmp-serde` returns.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::IpAddr;

use reld_wire::{Pid, reader};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use serde_bytes::ByteBuf;

/// Checks one input and returns whether the reader knows it as one of the types.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let known = [
        same::<(bool, u8, u16, u32, u64)>(bytes),
        same::<(i8, i16, i32, i64, f32, f64)>(bytes),
        same::<(u128, i128)>(bytes),
        same::<((u8, u8), u8, u8)>(bytes),
        same::<u64>(bytes),
        same::<f64>(bytes),
        same::<char>(bytes),
        same::<()>(bytes),
        same::<&str>(bytes),
        same::<&serde_bytes::Bytes>(bytes),
        same::<ByteBuf>(bytes),
        same::<Vec<u8>>(bytes),
        same::<Vec<String>>(bytes),
        same::<Option<Option<bool>>>(bytes),
        same::<BTreeMap<i32, Option<Kind>>>(bytes),
        same::<BTreeMap<Pid, IpAddr>>(bytes),
        same::<Nothing>(bytes),
        same::<Vec<Kind>>(bytes),
        same::<Record>(bytes),
        same::<Flat>(bytes),
        same::<Option<(Kind, Flat)>>(bytes),
        same::<Vec<Tagged>>(bytes),
        same::<Vec<Adjacent>>(bytes),
        same::<Vec<Untagged>>(bytes),
        same::<(Lenient<Kind>, u8)>(bytes),
        same::<(Lenient<rmpv::Value>, u8)>(bytes),
        same::<IgnoredAny>(bytes),
        same::<rmpv::Value>(bytes),
    ];
    known.contains(&true)
}

/// Compares the readers in both forms of serde. Returns whether the reader knows the value.
fn same<'de, T: Deserialize<'de> + Debug>(bytes: &'de [u8]) -> bool {
    let compact = reader::whole::<T, false>(bytes, |reader| T::deserialize(reader));
    let readable = reader::whole::<T, true>(bytes, |reader| T::deserialize(reader));
    let known = compact.is_some();
    let rmp = rmp_serde::Deserializer::from_read_ref(bytes);
    compare(bytes, compact, rmp.with_binary());
    let rmp = rmp_serde::Deserializer::from_read_ref(bytes);
    compare(bytes, readable, rmp.with_human_readable());
    known
}

/// Compares a value that the reader returned with the one of `rmp-serde`.
fn compare<'de, T, C>(bytes: &[u8], value: Option<T>, mut rmp: Rmp<'de, C>)
where
    T: Deserialize<'de> + Debug,
    for<'a> &'a mut Rmp<'de, C>: Deserializer<'de, Error = rmp_serde::decode::Error>,
{
    let Some(value) = value else { return };
    let expected = T::deserialize(&mut rmp);
    // As text, since a float may be no number, which equals nothing.
    assert_eq!(format!("{:?}", Some(&value)), format!("{:?}", expected.ok()), "{bytes:02x?}");
    let rest = IgnoredAny::deserialize(&mut rmp);
    let nothing_follows = matches!(rest, Err(rmp_serde::decode::Error::InvalidMarkerRead(_)));
    assert!(nothing_follows, "bytes follow the value in {bytes:02x?}");
}

type Rmp<'de, C> = rmp_serde::Deserializer<rmp_serde::decode::ReadRefReader<'de, [u8]>, C>;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Nothing;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Number(pub(crate) u32);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Plain,
    Nothing(Nothing),
    One(i64),
    Two(u8, String),
    Named { x: i16, inner: Option<Box<Self>> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: u64,
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) bytes: ByteBuf,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) by_number: BTreeMap<u32, f64>,
    pub(crate) at: Option<IpAddr>,
    pub(crate) nested: Option<Box<Self>>,
    pub(crate) pair: (bool, Number),
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only shown")]
struct Flat {
    id: u64,
    inner: Option<Box<Self>>,
    #[serde(flatten)]
    others: BTreeMap<Name, rmpv::Value>,
}

/// A key that shows whether it was read as text or as bytes.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Text(String),
    Bytes(Vec<u8>),
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match rmpv::Value::deserialize(deserializer)? {
            rmpv::Value::String(text) => Ok(Self::Text(format!("{text}"))),
            rmpv::Value::Binary(bytes) => Ok(Self::Bytes(bytes)),
            other => Err(serde::de::Error::custom(format!("{other} is no name"))),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
#[expect(dead_code, reason = "only shown")]
enum Tagged {
    Plain,
    Named { x: i16 },
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", content = "of")]
#[expect(dead_code, reason = "only shown")]
enum Adjacent {
    Plain,
    One(Vec<u8>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "only shown")]
enum Untagged {
    Number(u8),
    Text(String),
    Flat {
        #[serde(flatten)]
        all: BTreeMap<String, Kind>,
    },
    Any(rmpv::Value),
}

/// Ignores the error of its part.
#[derive(Debug)]
struct Lenient<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(T::deserialize(deserializer).ok()))
    }
}
