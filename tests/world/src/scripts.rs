//! Programs of a test's own, found before those of the machine.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::Result;

use crate::scratch::scratch;

/// A `PATH` that begins with a folder of programs of these names, each of which runs these lines of bash.
pub fn path_with(programs: &BTreeMap<&str, String>) -> Result<String> {
    let folder = scratch()?;
    for (name, lines) in programs {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/bash\n{lines}\n"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(format!("{}:{}", folder.display(), std::env::var("PATH")?))
}
