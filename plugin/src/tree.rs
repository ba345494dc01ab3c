//! Lines that hang below one another.

use std::io::{self, Write};

use crate::output::{Screen, Tone, printable};

/// A line, and what hangs below it.
pub(crate) struct Node {
    text: String,
    pub(crate) tone: Tone,
    children: Vec<Self>,
}

impl Node {
    pub(crate) fn new(text: String) -> Self {
        Self::toned(text, Tone::Plain)
    }

    pub(crate) fn toned(text: String, tone: Tone) -> Self {
        Self { text, tone, children: Vec::new() }
    }

    pub(crate) fn push(&mut self, child: Self) {
        self.children.push(child);
    }

    /// A heading without anything below it says nothing.
    pub(crate) fn push_if_any(&mut self, child: Self) {
        if !child.children.is_empty() {
            self.push(child);
        }
    }

    pub(crate) fn write(&self, out: &mut impl Write, screen: &Screen) -> io::Result<()> {
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
