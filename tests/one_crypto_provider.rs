//! ring is the only crypto provider anywhere in the workspace. Two of them in one process make rustls ask which to use,
//! and panic.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::collections::BTreeSet;
use std::process::Command;

/// `name version` of every package that any target of any platform depends on.
fn packages() -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["tree", "--workspace", "--target=all", "--edges=normal,build,dev", "--prefix=none", "--format={p}"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
}

fn versions(packages: &BTreeSet<String>, name: &str) -> Vec<String> {
    packages.iter().filter_map(|package| package.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned)).collect()
}

#[test]
fn ring_is_the_only_crypto_provider_in_the_tree() {
    let packages = packages();
    for other in ["aws-lc-rs", "aws-lc-sys", "native-tls", "openssl", "openssl-sys"] {
        assert_eq!(versions(&packages, other), Vec::<String>::new(), "`cargo tree -i {other}` says who wants it");
    }
    for shared in ["ring", "rustls", "kube", "k8s-openapi", "reqwest", "tokio", "hyper"] {
        assert_eq!(versions(&packages, shared).len(), 1, "versions of {shared}: {:?}", versions(&packages, shared));
    }
}
