//! The types of a module, as JSON schemas. `relctl diff` and the planner of a downgrade use them to
//! compare two versions.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::child_spec::SupervisorSpec;

/// The types that a module reads and writes: its state, start argument, messages and replies.
///
/// A node never needs the schema; `relctl pack` stores it beside `app.toml`. serde's attributes are
/// respected, except `alias`, which JSON schemas do not have: `relctl diff` shows a renamed field
/// with an alias as gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema(Option<Map<String, Value>>);

impl Schema {
    /// Describes nothing, so that you have to compare two versions of the module by hand.
    pub fn unknown() -> Self {
        Self(None)
    }

    /// Describes a server by its state and messages.
    pub(crate) fn of_spoken<const N: usize>(
        state: Value,
        dropped: Value,
        spoken: [(&str, Forms); N],
    ) -> Self {
        let differing = spoken.iter().filter(|(_, forms)| forms.own != forms.other);
        let other: Map<_, _> =
            differing.map(|(name, forms)| ((*name).to_owned(), forms.other.clone())).collect();
        let parts = spoken.map(|(name, forms)| (name, forms.own)).into_iter();
        let parts = parts.chain([("state", state), ("dropped", dropped)]);
        Self::of_parts(parts.chain((!other.is_empty()).then_some(("other", Value::Object(other)))))
    }

    /// Describes a supervisor by the spec that its init returns. The schema is unknown if an id or
    /// an argument has no JSON form.
    pub(crate) fn of_specs(spec: &SupervisorSpec) -> Self {
        spec.to_json().map_or_else(Self::unknown, |spec| Self::of_parts([("supervisor", spec)]))
    }

    pub(crate) fn of_parts<'a>(parts: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        Self(Some(parts.into_iter().map(|(name, part)| (name.to_owned(), part)).collect()))
    }

    /// Returns the JSON text, empty for an unknown schema.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0.map(|parts| Value::Object(parts).to_string().into_bytes()).unwrap_or_default()
    }
}

/// The schemas of one type: one for the direction in which it usually crosses the boundary, one for
/// the other direction.
pub(crate) struct Forms {
    own: Value,
    other: Value,
}

impl Forms {
    /// Returns the same type for the other direction.
    pub(crate) fn turned(self) -> Self {
        Self { own: self.other, other: self.own }
    }
}

/// Returns the schemas of `T`: the usual direction is reading, the other is writing.
pub(crate) fn both<T: JsonSchema>() -> Forms {
    Forms { own: read::<T>(), other: written::<T>() }
}

/// Returns the schema for reading a `T`.
pub(crate) fn read<T: JsonSchema>() -> Value {
    SchemaSettings::default().into_generator().into_root_schema_for::<T>().to_value()
}

/// Returns the schema for writing a `T`.
fn written<T: JsonSchema>() -> Value {
    SchemaSettings::default().for_serialize().into_generator().into_root_schema_for::<T>().to_value()
}

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod way_down;

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    use super::*;
    use crate::behaviour::Behaviour as _;
    use crate::gen_server::GenServer;
    use crate::supervisor::Tree;
    use crate::{ChildSpec, NotStarted, Pid, Supervisor};

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Server {
        n: u64,
        #[serde(default)]
        seen: Vec<Pid>,
        waiting: Option<crate::From>,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum Request {
        Get,
        /// A variant with data.
        Add(u64),
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Counted {
        #[serde(default)]
        by: u64,
    }

    impl GenServer for Server {
        type Args = ();
        type Call = Request;
        type Reply = Option<u64>;
        type Cast = Counted;
        type Message = ();

        const DROPPED: &'static [&'static str] = &["old"];

        async fn init((): ()) -> Result<Self, NotStarted> {
            Err(NotStarted::Ignore)
        }

        fn schema() -> Schema {
            Schema::of_server::<Self>()
        }
    }

    fn described(schema: Schema) -> Value {
        serde_json::from_slice(&schema.into_bytes()).expect("it is described")
    }

    #[test]
    fn a_server_is_described_by_its_types_with_serde_s_attributes() {
        let schema = described(Server::schema());
        assert_eq!(schema["state"]["required"], json!(["n"]));
        assert_eq!(schema["state"]["properties"]["n"]["format"], json!("uint64"));
        assert_eq!(schema["dropped"], json!(["old"]));
        assert_eq!(schema["args"]["type"], json!("null"));
        assert_eq!(schema["reply"]["type"], json!(["integer", "null"]));
        let call = &schema["call"]["oneOf"];
        assert_eq!(
            (&call[0]["enum"], &call[1]["required"]),
            (&json!(["get"]), &json!(["add"])),
            "{schema:#}"
        );
    }

    #[test]
    fn a_type_with_different_read_and_written_forms_has_both() {
        let schema = described(Server::schema());
        assert_eq!(schema["cast"].get("required"), None);
        assert_eq!(schema["other"]["cast"]["required"], json!(["by"]));
        let others: Vec<_> = schema["other"].as_object().expect("an object").keys().collect();
        assert_eq!(others, ["cast"], "{schema:#}");
    }

    struct Plain;

    impl Supervisor for Plain {
        type Args = ();

        fn init((): ()) -> SupervisorSpec {
            SupervisorSpec::one_for_one().child(ChildSpec::worker("a", "m", (1, "x")))
        }
    }

    struct Asking;

    impl Supervisor for Asking {
        type Args = u64;

        fn init(_: u64) -> SupervisorSpec {
            SupervisorSpec::one_for_one()
        }
    }

    struct Panicking;

    impl Supervisor for Panicking {
        type Args = ();

        fn init((): ()) -> SupervisorSpec {
            panic!("not here")
        }
    }

    #[test]
    fn a_supervisor_without_argument_is_described_by_its_init_and_others_are_not() {
        let child = json!({
            "id": "a", "module": "m", "args": [1, "x"], "restart": "permanent", "shutdown": {"ms": 5000}, "type": "worker",
        });
        assert_eq!(
            described(Tree::<Plain>::schema()),
            json!({"supervisor": {"strategy": "one_for_one", "intensity": 1, "period_ms": 5000, "children": [child]}})
        );
        assert_eq!(Tree::<Asking>::schema(), Schema::unknown());
        assert_eq!(Tree::<Panicking>::schema(), Schema::unknown());
        assert_eq!(Schema::unknown().into_bytes(), b"");
    }
}
