//! Within the chart: the CustomResourceDefinitions as templates, and the README's table of values.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use harbor_robot_world::workspace_root;
use serde_json::Value;

use super::Files;
use super::crds::Definitions;

/// The chart.
pub(crate) const CHART: &str = "charts/harbor-robot-operator";

/// Holds nothing but the definitions.
pub(super) const CRDS: &str = "charts/harbor-robot-operator/templates/crds";

/// The same table for the documentation.
const PAGE: &str = "docs/values.md";

const HEAD: &str = "# Values of the chart\n\nEvery value, with its default. Generated from the chart's schema by `cargo xtask generate`; a value \
                    that is not here is refused.\n\n";

/// Between these lines of the README the table stands.
const MARKS: [&str; 2] = ["<!-- values -->\n", "<!-- end of values -->\n"];

pub(super) fn files(definitions: &Definitions) -> Result<Files> {
    let mut files = Files::new();
    for (name, definition) in definitions {
        files.insert(Path::new(CRDS).join(name), template(definition)?);
    }
    let (path, text) = read("README.md")?;
    let schema: Value = serde_json::from_str(&read("values.schema.json")?.1).context("values.schema.json")?;
    let values: Value = serde_saphyr::from_str(&read("values.yaml")?.1).context("values.yaml")?;
    let [begin, end] = MARKS;
    let (before, rest) = text.split_once(begin).with_context(|| format!("{}: no line {begin}", path.display()))?;
    let (_, after) = rest.split_once(end).with_context(|| format!("{}: no line {end}", path.display()))?;
    let table = table(&schema, &values)?;
    files.insert(path, format!("{before}{begin}{table}{end}{after}"));
    files.insert(PathBuf::from(PAGE), format!("{HEAD}{table}"));
    Ok(files)
}

fn read(name: &str) -> Result<(PathBuf, String)> {
    let path = Path::new(CHART).join(name);
    let text = fs::read_to_string(workspace_root().join(&path)).with_context(|| format!("read {}", path.display()))?;
    Ok((path, text))
}

/// A definition that Helm installs, upgrades and keeps as the values say.
fn template(definition: &str) -> Result<String> {
    if definition.contains("{{") {
        bail!("a definition holds {{{{, which Helm would take for a template");
    }
    let metadata = "metadata:\n  name: ";
    if definition.matches(metadata).count() != 1 {
        bail!("a definition whose metadata does not begin with its name");
    }
    let ours = "metadata:\n  {{- include \"harbor-robot-operator.crdMetadata\" . | nindent 2 }}\n  name: ";
    Ok(format!("{{{{- if .Values.crds.install }}}}\n{}{{{{- end }}}}\n", definition.replace(metadata, ours)))
}

/// A row for each value that the schema describes, with its default.
fn table(schema: &Value, values: &Value) -> Result<String> {
    let mut table = "| value | default | |\n|---|---|---|\n".to_owned();
    rows(schema, schema, values, "", &mut table)?;
    Ok(table)
}

fn rows(root: &Value, schema: &Value, values: &Value, path: &str, table: &mut String) -> Result<()> {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let field = match field["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
            Some(pointer) if field["description"].is_null() => {
                root.pointer(pointer).context("a $ref that is nowhere")?
            }
            _ => field,
        };
        let (path, default) = (format!("{path}{name}"), &values[name]);
        if field["properties"].is_object() {
            rows(root, field, default, &format!("{path}."), table)?;
        } else {
            let description = field["description"].as_str().with_context(|| format!("{path} has no description"))?;
            let default = if default.is_null() { String::new() } else { format!("`{default}`") };
            writeln!(table, "| `{path}` | {default} | {} |", description.replace('|', "\\|"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_definition_becomes_a_template_around_the_same_text() {
        let text = template("kind: A\nmetadata:\n  name: a.example.org\nspec: {}\n").unwrap();
        assert_eq!(
            text,
            "{{- if .Values.crds.install }}\nkind: A\nmetadata:\n  {{- include \"harbor-robot-operator.crdMetadata\" . | nindent \
             2 }}\n  name: a.example.org\nspec: {}\n{{- end }}\n"
        );
        assert!(template("metadata:\n  name: a\nspec: '{{ x }}'\n").is_err());
        assert!(template("metadata:\n  labels: {}\n").is_err());
    }

    #[test]
    fn each_value_has_a_row_with_its_default_and_one_without_a_description_is_an_error() {
        let schema = json!({
            "definitions": {"s": {"properties": {"b": {"description": "x|y"}}}},
            "properties": {"a": {"$ref": "#/definitions/s"}, "c": {"description": "z", "$ref": "#/definitions/s"}},
        });
        let table = table(&schema, &json!({"a": {"b": ["v"]}, "c": null})).unwrap();
        assert_eq!(table.lines().skip(2).collect::<Vec<_>>(), [r#"| `a.b` | `["v"]` | x\|y |"#, "| `c` |  | z |"]);
        assert!(super::table(&json!({"properties": {"a": {}}}), &json!({})).is_err());
    }
}
