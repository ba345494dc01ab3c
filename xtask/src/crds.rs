//! `cargo xtask crds`: the generated CustomResourceDefinitions, and the page about their fields.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use harbor_robot_world::{Operator, Profile, workspace_root};

use crate::reference;

/// Where every field is described.
const PAGE: &str = "docs/reference.md";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write nothing; fail when a file differs from the types
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let files = generate()?;
    let mut stale = Vec::new();
    for folder in folders() {
        for path in differing(&folder, &files)? {
            let shown = path.strip_prefix(workspace_root()).unwrap_or(&path).display().to_string();
            if options.check {
                stale.push(shown);
                continue;
            }
            if let Some(content) = path.file_name().and_then(|name| files.get(name.to_str()?)) {
                fs::create_dir_all(&folder)?;
                fs::write(&path, content)?;
                println!("wrote {shown}");
            } else {
                fs::remove_file(&path)?;
                println!("removed {shown}");
            }
        }
    }
    let (page, path) = (reference::render(&files)?, workspace_root().join(PAGE));
    if fs::read_to_string(&path).ok().as_ref() != Some(&page) {
        if options.check {
            stale.push(PAGE.to_owned());
        } else {
            fs::write(&path, page)?;
            println!("wrote {PAGE}");
        }
    }
    if !stale.is_empty() {
        bail!("out of date: {}; run `cargo xtask crds`", stale.join(", "));
    }
    println!("{} CustomResourceDefinitions are what the types say", files.len());
    Ok(())
}

/// Where copies belong: `crds/`, and the chart's once there is a chart.
fn folders() -> Vec<PathBuf> {
    let root = workspace_root();
    let chart = root.join("charts/harbor-robot-operator");
    let mut folders = vec![root.join("crds")];
    if chart.exists() {
        folders.push(chart.join("crds"));
    }
    folders
}

/// File name to content, as `harbor-robot-operator crds` prints them.
fn generate() -> Result<BTreeMap<String, String>> {
    let output = Command::new(Operator::binary(None, Profile::Dev)?).arg("crds").output()?;
    if !output.status.success() {
        bail!("harbor-robot-operator crds failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let stream = String::from_utf8(output.stdout)?;
    let files = split(&stream)?;
    if files.is_empty() {
        bail!("harbor-robot-operator crds printed nothing");
    }
    Ok(files)
}

/// One file for each document of a YAML stream, named after its object.
fn split(stream: &str) -> Result<BTreeMap<String, String>> {
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

/// Files that are missing, differ, or belong to no kind.
fn differing(folder: &Path, files: &BTreeMap<String, String>) -> Result<Vec<PathBuf>> {
    let mut differing = Vec::new();
    for (name, content) in files {
        let path = folder.join(name);
        if fs::read_to_string(&path).ok().as_ref() != Some(content) {
            differing.push(path);
        }
    }
    if folder.exists() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if !entry.file_name().to_str().is_some_and(|name| files.contains_key(name)) {
                differing.push(entry.path());
            }
        }
    }
    Ok(differing)
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
