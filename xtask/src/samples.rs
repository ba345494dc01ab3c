//! The manifests of `deploy/samples`, for the world they are shown in.

use std::fs;

use anyhow::{Context, Result};
use harbor_robot_world::{HarborClient, workspace_root};

/// What the samples say where a reader puts in the own Harbor, name and password.
const URL: &str = "https://harbor.example.com";
const USERNAME: &str = "robot$operator";
const PASSWORD: &str = "change-me";

/// All samples as one YAML stream, with the login and address of this Harbor. Those in `forms` below them are not read: the
/// demo shows one account.
pub(crate) fn rendered(harbor: &HarborClient) -> Result<String> {
    let folder = workspace_root().join("deploy/samples");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .with_context(|| format!("read {}", folder.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|end| end == "yaml"));
    files.sort();
    let mut stream = String::new();
    for file in files {
        stream.push_str("---\n");
        stream.push_str(&fs::read_to_string(file)?);
    }
    Ok(stream.replace(URL, &harbor.url).replace(USERNAME, &harbor.admin.name).replace(PASSWORD, &harbor.admin.secret))
}
