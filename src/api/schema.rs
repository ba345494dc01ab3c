//! Schemas of fields whose Rust type says less than the API server checks.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::rules;

/// Gives a type a schema that stands in each field of that type.
macro_rules! inline_schema {
    ($name:ident, $schema:expr) => {
        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $schema
            }
        }
    };
}

pub(super) use inline_schema;

/// Labels for an object of ours.
pub(super) fn labels(_: &mut SchemaGenerator) -> Schema {
    let mut schema = texts(63);
    kube::core::validate(&mut schema, rules::label_values()).expect("the schema is an object");
    schema
}

/// Annotations for an object of ours.
pub(super) fn annotations(_: &mut SchemaGenerator) -> Schema {
    texts(4096)
}

/// At most 32 texts of at most so many characters, under keys that Kubernetes takes and that are free.
fn texts(longest: usize) -> Schema {
    let mut schema = json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": {"type": "string", "maxLength": longest},
    });
    for rule in [rules::free_keys(), rules::untracked_keys(), rules::label_keys()] {
        kube::core::validate(&mut schema, rule).expect("the schema is an object");
    }
    schema
}
