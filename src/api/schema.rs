//! Schemas of field types that have no Rust type of their own.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::rules;

/// Gives a type a schema that stands in each field of that type.
macro_rules! inline_schema {
    ($name:ident, $schema:expr) => {
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

pub(super) use inline_schema;

/// Declares a type that exists only as the schema of fields of another type.
macro_rules! schema_only {
    ($(#[$doc:meta])* $name:ident, $schema:expr) => {
        $(#[$doc])*
        pub(super) enum $name {}

        inline_schema!($name, $schema);
    };
}

schema_only!(
    /// A moment, as text in RFC 3339. Harbor counts milliseconds and the text keeps them (Kubernetes' own `Time` cuts
    /// them off).
    DateTime,
    json_schema!({"type": "string", "format": "date-time"})
);

schema_only!(
    /// Labels for an object of ours.
    LabelMap,
    with_rules(
        json_schema!({
            "type": "object",
            "maxProperties": 32,
            "additionalProperties": {"type": "string", "maxLength": 63},
        }),
        [rules::free_keys(), rules::untracked_keys(), rules::label_keys(), rules::label_values()],
    )
);

schema_only!(
    /// Annotations for an object of ours.
    AnnotationMap,
    with_rules(
        json_schema!({
            "type": "object",
            "maxProperties": 32,
            "additionalProperties": {"type": "string", "maxLength": 4096},
        }),
        [rules::free_keys(), rules::untracked_keys(), rules::label_keys()],
    )
);

fn with_rules<const N: usize>(mut schema: Schema, rules: [kube::core::Rule; N]) -> Schema {
    for rule in rules {
        kube::core::validate(&mut schema, rule).expect("the schema is an object");
    }
    schema
}
