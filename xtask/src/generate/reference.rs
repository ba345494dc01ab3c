//! `docs/reference.md`: every field of every kind, from the CustomResourceDefinitions.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::Value;

use super::crds::Definitions;

/// Where every field is described.
pub(super) const PAGE: &str = "docs/reference.md";

const HEAD: &str = "# Fields\n\nEvery field of every kind, as `kubectl explain` tells them. Generated from the types by `cargo xtask \
                    generate`. `[]` is an item of a list, `*` a field that is required where its parent is given.\n";

/// The page for these CustomResourceDefinitions: file name to YAML.
pub(super) fn render(files: &Definitions) -> Result<String> {
    let mut page = HEAD.to_owned();
    for (file, yaml) in files {
        let crd: Value = serde_saphyr::from_str(yaml).with_context(|| format!("read {file}"))?;
        let kind = text(&crd["spec"]["names"]["kind"]);
        let scope = text(&crd["spec"]["scope"]).to_lowercase();
        let short = crd["spec"]["names"]["shortNames"].as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
        for version in crd["spec"]["versions"].as_array().into_iter().flatten() {
            let schema = &version["schema"]["openAPIV3Schema"];
            let version = text(&version["name"]);
            write!(
                page,
                "\n## {kind} ({version}, {scope}, `{}`)\n\n{}\n",
                short.join("`, `"),
                text(&schema["description"])
            )?;
            for part in ["spec", "status"] {
                write!(page, "\n| Field of `{part}` | Type | |\n|---|---|---|\n")?;
                rows(&schema["properties"][part], "", &mut page)?;
            }
            let mut messages = Vec::new();
            rules(schema, &mut messages);
            messages.dedup();
            if !messages.is_empty() {
                page.push_str("\nRefused with these words:\n\n");
                messages.iter().try_for_each(|message| writeln!(page, "- {message}"))?;
            }
        }
    }
    Ok(page)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn rows(schema: &Value, path: &str, page: &mut String) -> Result<()> {
    let required = schema["required"].as_array();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let star = if required.is_some_and(|all| all.iter().any(|other| other == name)) { " *" } else { "" };
        let description = text(&field["description"]).replace('\n', " ").replace('|', "\\|");
        let (kind, items) = kind_of(field);
        writeln!(page, "| `{path}{name}`{star} | {kind} | {description} |")?;
        let inside = if items { format!("{path}{name}[].") } else { format!("{path}{name}.") };
        rows(if items { &field["items"] } else { field }, &inside, page)?;
    }
    Ok(())
}

/// The type in words with its bound, and whether it is a list.
fn kind_of(field: &Value) -> (String, bool) {
    let most = |word: &str| field[word].as_u64().map(|most| format!(", at most {most}")).unwrap_or_default();
    if let Some(values) = field["enum"].as_array() {
        let values: Vec<String> = values.iter().map(|value| format!("`{}`", text(value))).collect();
        return (values.join(", "), false);
    }
    match text(&field["type"]) {
        "array" => {
            let of = match kind_of(&field["items"]).0 {
                one if one == "object" || one == "text" => format!("{one}s"),
                values => values,
            };
            (format!("list of {of}{}", most("maxItems")), true)
        }
        "object" if field["additionalProperties"].is_object() => {
            (format!("map of texts{}", most("maxProperties")), false)
        }
        "string" if field["format"] == "date-time" => ("time".to_owned(), false),
        "string" => ("text".to_owned(), false),
        other => (other.to_owned(), false),
    }
}

/// What the rules of a schema and of all that is in it say.
fn rules(schema: &Value, found: &mut Vec<String>) {
    let here = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    let told = here.map(|rule| text(&rule["message"]).to_owned()).filter(|message| !found.contains(message));
    let told: Vec<String> = told.collect();
    found.extend(told);
    for field in schema["properties"].as_object().into_iter().flat_map(serde_json::Map::values) {
        rules(field, found);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            rules(&schema[inner], found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_named_with_its_type_and_what_it_is_for() {
        let yaml = "spec:\n  scope: Namespaced\n  names: {kind: A, shortNames: [a]}\n  versions:\n  - name: v1\n    schema:\n      \
                    openAPIV3Schema:\n        description: An A.\n        properties:\n          spec:\n            required: [b]\n            \
                    properties:\n              b: {type: array, maxItems: 3, description: B., items: {type: object, properties: {c: {type: string, enum: [X, Z]}}}}\n";
        let page = render(&Definitions::from([("a.yaml".to_owned(), yaml.to_owned())])).unwrap();
        assert!(page.contains("## A (v1, namespaced, `a`)\n\nAn A.\n"), "{page}");
        assert!(page.contains("| `b` * | list of objects, at most 3 | B. |\n| `b[].c` | `X`, `Z` |  |\n"), "{page}");
    }
}
