//! `crds/`: the CustomResourceDefinitions, from the types.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use harbor_robot_world::{Operator, Profile};

use super::Files;

/// Holds nothing else.
pub(super) const FOLDER: &str = "crds";

/// File name to content.
pub(super) type Definitions = BTreeMap<String, String>;

/// As `harbor-robot-operator crds` prints them.
pub(super) fn definitions() -> Result<Definitions> {
    let output = Command::new(Operator::binary(None, Profile::Dev)?).arg("crds").output()?;
    if !output.status.success() {
        bail!("harbor-robot-operator crds failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let definitions = split(&String::from_utf8(output.stdout)?)?;
    if definitions.is_empty() {
        bail!("harbor-robot-operator crds printed nothing");
    }
    Ok(definitions)
}

/// One file each.
pub(super) fn files(definitions: &Definitions) -> Files {
    definitions.iter().map(|(name, content)| (Path::new(FOLDER).join(name), content.clone())).collect()
}

/// One file for each document of a YAML stream, named after its object.
fn split(stream: &str) -> Result<Definitions> {
    let mut documents = vec![String::new()];
    for line in stream.split_inclusive('\n') {
        if line.trim_end() == "---" {
            documents.push(String::new());
        } else if let Some(document) = documents.last_mut() {
            document.push_str(line);
        }
    }
    documents.retain(|document| !document.trim().is_empty());
    let named = documents.into_iter().map(|document| {
        let name = document
            .lines()
            .skip_while(|line| *line != "metadata:")
            .find_map(|line| line.strip_prefix("  name: "))
            .context("a document without metadata.name")?;
        Ok((format!("{name}.yaml"), document))
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_split_into_files_named_after_their_objects() {
        let stream = "---\nkind: A\nmetadata:\n  name: a.example.org\n---\nkind: B\nmetadata:\n  name: b.example.org\n";
        let files = split(stream).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["a.example.org.yaml", "b.example.org.yaml"]);
        assert_eq!(files["b.example.org.yaml"], "kind: B\nmetadata:\n  name: b.example.org\n");
    }
}
