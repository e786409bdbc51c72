//! Faces: types of this crate that stand for types of the protocol.
//!
//! Apps see no type of `reld-wire`, so additions to the protocol for the daemon do not break an
//! app's code. A face is serialized as the protocol type, so only `reld-wire` spells the names on
//! the boundary. When a variant is added there, this crate does not compile until its face has the
//! variant too.

/// Defines an enum without content that stands for one of the protocol.
macro_rules! face {
    (
        $(#[$meta:meta])*
        pub enum $face:ident = $wire:ty {
            $($(#[$word_meta:meta])* $word:ident,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $face {
            $($(#[$word_meta])* $word,)*
        }

        impl From<$wire> for $face {
            fn from(word: $wire) -> Self {
                type Wire = $wire;
                match word {
                    $(Wire::$word => Self::$word,)*
                }
            }
        }

        impl From<$face> for $wire {
            fn from(face: $face) -> Self {
                match face {
                    $($face::$word => Self::$word,)*
                }
            }
        }

        impl serde::Serialize for $face {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                <$wire>::from(*self).serialize(serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $face {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <$wire>::deserialize(deserializer).map(Self::from)
            }
        }
    };
}

pub(crate) use face;
