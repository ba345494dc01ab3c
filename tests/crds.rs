//! The files in `crds/` are what the types say. `UPDATE=1 cargo test --test crds` writes them.

use std::path::Path;

use harbor_robot_operator::api::crds;
use kube::ResourceExt;

#[test]
fn the_files_equal_the_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    let mut expected = Vec::new();
    for crd in crds::crds() {
        let file = format!("{}.yaml", crd.name_any());
        let yaml = crds::crd_yaml(&crd);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(folder.join(&file), &yaml).unwrap();
        }
        let found = std::fs::read_to_string(folder.join(&file)).unwrap_or_default();
        assert!(found == yaml, "crds/{file} is out of date: run `cargo xtask generate`");
        expected.push(file);
    }
    let mut found: Vec<String> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "crds/ holds a file of no kind");
}
