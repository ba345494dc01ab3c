//! The pages, and what is in them.

use std::fs;
use std::path::{Path, PathBuf};

use harbor_robot_world::workspace_root;
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// One page.
pub struct Page {
    /// From the workspace's root.
    pub path: PathBuf,
    /// Link targets.
    pub links: Vec<String>,
    /// What a link behind `#` may name.
    pub anchors: Vec<String>,
    /// Language and text of code blocks.
    pub blocks: Vec<(String, String)>,
}

/// Every page of the workspace that people read.
pub fn pages() -> Vec<Page> {
    let root = workspace_root();
    let mut paths = Vec::new();
    for folder in ["docs", "charts", "deploy"] {
        find(&root.join(folder), &mut paths);
    }
    paths.extend(["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(|name| root.join(name)));
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn find(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, found);
        } else if path.extension().is_some_and(|end| end == "md") {
            found.push(path);
        }
    }
}

fn read(path: &Path) -> Page {
    let text = fs::read_to_string(path).unwrap();
    let path = path.strip_prefix(workspace_root()).unwrap().to_owned();
    let mut page = Page { path, links: Vec::new(), anchors: Vec::new(), blocks: Vec::new() };
    let (mut heading, mut block) = (None::<String>, None::<(String, String)>);
    for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                page.links.push(dest_url.into_string());
            }
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => page.anchors.extend(heading.take().map(|text| anchor(&text))),
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                block = Some((language.into_string(), String::new()));
            }
            Event::End(TagEnd::CodeBlock) => page.blocks.extend(block.take()),
            Event::Text(text) | Event::Code(text) => {
                for into in heading.iter_mut().chain(block.as_mut().map(|(_, code)| code)) {
                    into.push_str(&text);
                }
            }
            _ => {}
        }
    }
    page
}

/// As GitHub and mdBook make it of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}
