//! How the tree of an account looks, and the same as a value.

use std::io::{self, Write};

use harbor_robot_operator::api::{Account, RegistryTime};
use serde_json::{Value, json};

use super::gather::Around;
use super::next;
use crate::attention::{self, Need};
use crate::output::{Screen, Tone, printable};
use crate::target::shown;

/// A line, and what hangs below it.
pub(super) struct Node {
    text: String,
    pub(super) tone: Tone,
    children: Vec<Self>,
}

impl Node {
    pub(super) fn new(text: String) -> Self {
        Self::toned(text, Tone::Plain)
    }

    pub(super) fn toned(text: String, tone: Tone) -> Self {
        Self { text, tone, children: Vec::new() }
    }

    pub(super) fn push(&mut self, child: Self) {
        self.children.push(child);
    }

    /// A heading without anything below it says nothing.
    pub(super) fn push_if_any(&mut self, child: Self) {
        if !child.children.is_empty() {
            self.push(child);
        }
    }

    pub(super) fn write(&self, out: &mut impl Write, screen: &Screen) -> io::Result<()> {
        writeln!(out, "{}", screen.paint(&printable(&self.text), self.tone))?;
        self.write_children(out, screen, "")
    }

    fn write_children(&self, out: &mut impl Write, screen: &Screen, before: &str) -> io::Result<()> {
        for (index, child) in self.children.iter().enumerate() {
            let is_last = index + 1 == self.children.len();
            let (branch, below) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            writeln!(out, "{before}{branch}{}", screen.paint(&printable(&child.text), child.tone))?;
            child.write_children(out, screen, &format!("{before}{below}"))?;
        }
        Ok(())
    }
}

/// What the tree says, for programs.
pub(super) fn value(account: &Account, around: &Around, now: RegistryTime) -> Value {
    let attention = attention::of(account);
    json!({
        "account": shown(account),
        "kind": account.kind(),
        "inOrder": attention.need == Need::Nothing,
        "reason": attention.reason,
        "message": attention.message,
        "status": account.status,
        "secrets": around.secrets,
        "events": around.events,
        "problems": around.problems,
        "next": next::steps(account, now),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_shows_what_hangs_below_what() {
        let mut root = Node::new("account".to_owned());
        let mut robot = Node::new("robot\u{1b}[31m".to_owned());
        robot.push(Node::new("expires".to_owned()));
        root.push(robot);
        root.push_if_any(Node::new("events".to_owned()));
        root.push(Node::new("next".to_owned()));
        let mut out = Vec::new();
        root.write(&mut out, &Screen { is_terminal: false, has_colours: false }).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "account\n├─ robot\u{fffd}[31m\n│  └─ expires\n└─ next\n");
    }
}
