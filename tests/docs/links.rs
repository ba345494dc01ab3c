//! Links within the project, also by its address, lead to a file and a heading that are there; and the book holds every page.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use harbor_robot_world::workspace_root;

use crate::pages::{Page, pages};

/// Where files are that are not in the book.
const PROJECT: &str = "https://github.com/harbor-robots/harbor-robot-operator/blob/main/";

/// The path of a link from a page, without `..`.
fn target(page: &Path, link: &str) -> PathBuf {
    let mut path: Vec<&std::ffi::OsStr> = Vec::new();
    let joined = match link.strip_prefix(PROJECT) {
        Some(file) => PathBuf::from(file),
        None => page.parent().unwrap().join(link),
    };
    for part in joined.components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    path.iter().collect()
}

fn wrong(page: &Page, link: &str, all: &BTreeMap<&Path, &Page>) -> Option<String> {
    let outside = !link.starts_with(PROJECT) && (link.contains("://") || link.starts_with("mailto:"));
    if outside {
        return (!link.starts_with("https://")).then(|| "is not https".to_owned());
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let path = if file.is_empty() { page.path.clone() } else { target(&page.path, file) };
    if !workspace_root().join(&path).exists() {
        return Some(format!("there is no {}", path.display()));
    }
    let in_book = page.path.starts_with("docs");
    if in_book && !file.is_empty() && !link.starts_with(PROJECT) && !path.starts_with("docs") {
        return Some(format!("leads out of the book: write {PROJECT}{}", path.display()));
    }
    match all.get(path.as_path()) {
        Some(page) if !anchor.is_empty() && !page.anchors.iter().any(|known| known == anchor) => {
            Some(format!("there is no #{anchor} in {}", path.display()))
        }
        _ => None,
    }
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    let by_path: BTreeMap<&Path, &Page> = pages.iter().map(|page| (page.path.as_path(), page)).collect();
    let links = pages.iter().flat_map(|page| page.links.iter().map(move |link| (page, link)));
    let found: Vec<String> = links
        .clone()
        .filter_map(|(page, link)| Some(format!("{}: {link}: {}", page.path.display(), wrong(page, link, &by_path)?)))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(links.count() > 100);
}

#[test]
fn the_book_has_every_page_once() {
    let pages = pages();
    let summary = pages.iter().find(|page| page.path == Path::new("docs/SUMMARY.md")).unwrap();
    let listed: Vec<PathBuf> = summary.links.iter().map(|link| target(&summary.path, link)).collect();
    let there: BTreeSet<PathBuf> = pages
        .iter()
        .filter(|page| page.path.starts_with("docs") && page.path != summary.path)
        .map(|page| page.path.clone())
        .collect();
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), there);
    assert_eq!(listed.len(), there.len(), "a page is listed twice");
}
