//! Where cargo puts things.

use std::path::{Path, PathBuf};

/// The folder with the workspace's `Cargo.toml`.
pub fn workspace_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).map_or_else(|| here.to_path_buf(), Path::to_path_buf)
}

/// Cargo's target directory. The running program lies in it, which is surer than the environment: a relative
/// `CARGO_TARGET_DIR` counts from wherever cargo was called.
pub fn target_dir() -> PathBuf {
    let tagged = std::env::current_exe().ok().and_then(|program| {
        program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists()).map(Path::to_path_buf)
    });
    tagged
        .or_else(|| std::env::var_os("CARGO_TARGET_DIR").map(|folder| workspace_root().join(folder)))
        .unwrap_or_else(|| workspace_root().join("target"))
}
