//! `cargo xtask generate`: every file that is made from others.

mod chart;
mod crds;
mod flags;
mod manifests;
mod reference;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use harbor_robot_world::workspace_root;

pub(crate) use chart::CHART;
pub(crate) use manifests::render;

/// Path within the workspace to content.
type Files = BTreeMap<PathBuf, String>;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write nothing; fail when a file differs from what it is made from
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let definitions = crds::definitions()?;
    let mut files = Files::new();
    files.extend(crds::files(&definitions));
    files.insert(PathBuf::from(reference::PAGE), reference::render(&definitions)?);
    files.insert(PathBuf::from(flags::PAGE), flags::render()?);
    files.extend(chart::files(&definitions)?);
    // Deployments are rendered from the chart, so its own files have to be as they should.
    let mut stale = settle(&files, options.check)?;
    if stale.is_empty() {
        let manifests = manifests::files()?;
        stale = settle(&manifests, options.check)?;
        files.extend(manifests);
        stale.extend(settle_strays(&files, options.check)?);
    }
    if !stale.is_empty() {
        bail!("out of date: {}; run `cargo xtask generate`", stale.join(", "));
    }
    println!("{} generated files are what they are made from", files.len());
    Ok(())
}

/// Writes what differs, or says so.
fn settle(files: &Files, check: bool) -> Result<Vec<String>> {
    let mut stale = Vec::new();
    for (path, content) in files {
        let full = workspace_root().join(path);
        if fs::read_to_string(&full).ok().as_ref() == Some(content) {
            continue;
        }
        if check {
            stale.push(path.display().to_string());
            continue;
        }
        if let Some(folder) = full.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&full, content)?;
        println!("wrote {}", path.display());
    }
    Ok(stale)
}

/// Removes files of folders that hold generated files alone, or says so.
fn settle_strays(files: &Files, check: bool) -> Result<Vec<String>> {
    let mut stale = Vec::new();
    for folder in [crds::FOLDER, chart::CRDS, manifests::FOLDER] {
        for entry in fs::read_dir(workspace_root().join(folder))? {
            let entry = entry?;
            let path = Path::new(folder).join(entry.file_name());
            if !entry.file_type()?.is_file() || files.contains_key(&path) {
                continue;
            }
            if check {
                stale.push(path.display().to_string());
            } else {
                fs::remove_file(entry.path())?;
                println!("removed {}", path.display());
            }
        }
    }
    Ok(stale)
}
