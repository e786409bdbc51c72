//! Arguments that take words of the API. Their type and spelling are those of the API.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A word and its help, which is empty if the word explains itself.
pub(crate) type Word = (&'static str, &'static str);

/// Returns a parser of one of these words.
pub(crate) fn word<T>(words: &'static [Word]) -> impl TypedValueParser<Value = T>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    let value = |&(word, help): &Word| {
        let value = PossibleValue::new(word);
        if help.is_empty() { value } else { value.help(help) }
    };
    PossibleValuesParser::new(words.iter().map(value))
        .try_map(|word| serde_json::from_value(Value::String(word)))
}
