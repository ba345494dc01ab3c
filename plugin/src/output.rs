//! What is printed: tables, and objects as JSON or YAML. Aligned for a terminal, with tabs between the columns for everybody else.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write};

use serde::Serialize;
use serde_json::json;

use crate::error::Error;

/// In which form the answer is printed, if not as a table or a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// With further columns.
    Wide,
    /// As JSON.
    Json,
    /// As YAML.
    Yaml,
    /// Only the names, as kubectl takes them.
    Name,
}

/// How much somebody should care.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    #[default]
    Plain,
    Warning,
    Bad,
}

/// Standard output, and whether a person looks at it.
pub(crate) struct Screen {
    pub is_terminal: bool,
    pub has_colours: bool,
}

impl Screen {
    pub(crate) fn of_stdout() -> Self {
        let is_terminal = io::stdout().is_terminal();
        // https://no-color.org
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { is_terminal, has_colours: is_terminal && !unwanted }
    }

    pub(crate) fn paint(&self, text: &str, tone: Tone) -> String {
        match tone {
            Tone::Bad if self.has_colours => format!("\x1b[31m{text}\x1b[0m"),
            Tone::Warning if self.has_colours => format!("\x1b[33m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }
}

/// Text from outside, like a message in a status or a robot's name, may hold what moves a terminal's cursor, or ends a line.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let is_odd = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if text.contains(is_odd) {
        text.chars().map(|c| if is_odd(c) { '\u{fffd}' } else { c }).collect::<String>().into()
    } else {
        text.into()
    }
}

/// A line about what was done. Whether somebody reads it does not matter to that.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{}", printable(line));
}

/// The same on standard error.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr(), "{}", printable(line));
}

/// `1 account`, `2 accounts`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Rows of cells below a header.
pub(crate) struct Table {
    header: Vec<&'static str>,
    rows: Vec<(Vec<String>, Tone)>,
}

impl Table {
    pub(crate) fn new(header: Vec<&'static str>) -> Self {
        Self { header, rows: Vec::new() }
    }

    /// An empty cell is shown as `-`, so that each row has as many words as the header.
    pub(crate) fn push(&mut self, cells: Vec<String>, tone: Tone) {
        let shown = |cell: String| if cell.is_empty() { "-".to_owned() } else { printable(&cell).into_owned() };
        self.rows.push((cells.into_iter().map(shown).collect(), tone));
    }

    pub(crate) fn write(&self, out: &mut impl Write, screen: &Screen, with_header: bool) -> io::Result<()> {
        let header: Vec<String> = self.header.iter().map(ToString::to_string).collect();
        let header = with_header.then_some((&header, Tone::Plain));
        let rows = || header.into_iter().chain(self.rows.iter().map(|(cells, tone)| (cells, *tone)));
        let mut widths = vec![0; self.header.len()];
        for (cells, _) in rows() {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = cell.chars().count().max(*width);
            }
        }
        for (cells, tone) in rows() {
            let line = if screen.is_terminal { aligned(cells, &widths) } else { cells.join("\t") };
            writeln!(out, "{}", screen.paint(&line, tone))?;
        }
        Ok(())
    }
}

fn aligned(cells: &[String], widths: &[usize]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
    padded.collect::<Vec<_>>().join("   ").trim_end().to_owned()
}

/// Objects as kubectl prints several: in a List.
pub(crate) fn write_list(out: &mut impl Write, format: Format, items: &[impl Serialize]) -> Result<(), Error> {
    write_value(out, format, &json!({"apiVersion": "v1", "kind": "List", "items": items}))
}

/// One value as JSON, or as YAML.
pub(crate) fn write_value(out: &mut impl Write, format: Format, value: &impl Serialize) -> Result<(), Error> {
    let text = if format == Format::Yaml {
        serde_saphyr::to_string(value).map_err(|error| Error::Refused(format!("cannot be written as YAML: {error}")))?
    } else {
        serde_json::to_string_pretty(value).map_err(io::Error::from)?
    };
    Ok(writeln!(out, "{}", text.trim_end())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(screen: &Screen) -> String {
        let mut table = Table::new(vec!["NAME", "REASON"]);
        table.push(vec!["a".into(), "Pub\u{1b}[2Jlished\n".into()], Tone::Bad);
        table.push(vec!["longer".into(), String::new()], Tone::Plain);
        let mut out = Vec::new();
        table.write(&mut out, screen, true).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_aligned_for_people_and_cut_by_tabs_for_programs() {
        let program = Screen { is_terminal: false, has_colours: false };
        assert_eq!(written(&program), "NAME\tREASON\na\tPub\u{fffd}[2Jlished\u{fffd}\nlonger\t-\n");
        let person = Screen { is_terminal: true, has_colours: true };
        assert_eq!(
            written(&person),
            "NAME     REASON\n\x1b[31ma        Pub\u{fffd}[2Jlished\u{fffd}\x1b[0m\nlonger   -\n"
        );
    }

    #[test]
    fn text_from_outside_cannot_turn_a_line_around() {
        assert_eq!(printable("a\u{202e}b"), "a\u{fffd}b");
        assert!(matches!(printable("robot$team-ä+ci"), Cow::Borrowed(_)));
    }
}
