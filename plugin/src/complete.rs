//! What kubectl asks for when somebody presses Tab behind `kubectl robots`: it runs `kubectl_complete-robots`, a link to this
//! program, with the words so far, and reads a candidate a line, then what the shell may do besides
//! (<https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/>, cobra's directives).

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgMatches, Args as _, Command, CommandFactory as _, FromArgMatches as _, ValueHint};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::cli::{Cli, Connection};
use crate::cluster::{Cluster, Scope};
use crate::output::printable;
use crate::target::typed;

const NAME: &str = "kubectl_complete-robots";
/// Nobody waits longer for a list of names.
const PATIENCE: Duration = Duration::from_secs(2);
/// More names than that nobody reads.
const MOST: usize = 1_000;

/// What the shell does with the candidates, as cobra numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Directive {
    /// It completes names of files, too.
    Default = 0,
    /// It does not.
    NoFiles = 4,
}

/// What may come next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// These words, each with what it does.
    Words(Vec<(String, String)>),
    /// A file.
    File,
    /// An account of the cluster.
    Account,
    /// Something that nobody can guess.
    Anything,
}

/// True if the program was run by that name.
pub(crate) fn is_asked_for() -> bool {
    let name = std::env::args_os().next();
    name.as_deref().map(Path::new).and_then(Path::file_stem) == Some(OsStr::new(NAME))
}

pub(crate) fn run() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (so_far, last) = words.split_last().map_or((&[][..], ""), |(last, so_far)| (so_far, last.as_str()));
    let (candidates, directive) = match next(so_far, last) {
        Next::Words(words) => (words, Directive::NoFiles),
        Next::File => (Vec::new(), Directive::Default),
        Next::Account => (accounts(so_far), Directive::NoFiles),
        Next::Anything => (Vec::new(), Directive::NoFiles),
    };
    let mut out = io::stdout().lock();
    for (word, about) in candidates.iter().filter(|(word, _)| word.starts_with(last)) {
        let _ = if about.is_empty() { writeln!(out, "{}", printable(word)) } else { writeln!(out, "{word}\t{about}") };
    }
    let _ = writeln!(out, ":{}", directive as u8);
    ExitCode::SUCCESS
}

/// What may come at the place of the last word, which is not whole yet.
fn next(so_far: &[String], last: &str) -> Next {
    let mut root = Cli::command();
    root.build();
    let (mut command, mut value_of): (&Command, Option<&Arg>) = (&root, None);
    for word in so_far {
        if value_of.take().is_some() {
            continue;
        }
        if let Some(found) = command.find_subcommand(word) {
            command = found;
        } else if word.starts_with('-') && !word.contains('=') {
            value_of = option(command, word).filter(|arg| arg.get_action().takes_values());
        }
    }
    if let Some(arg) = value_of {
        return value(arg);
    }
    if last.starts_with('-') {
        return Next::Words(options(command));
    }
    if command.has_subcommands() {
        let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
        return Next::Words(
            shown.map(|command| (command.get_name().to_owned(), first_line(command.get_about()))).collect(),
        );
    }
    command.get_positionals().next().map_or(Next::Anything, value)
}

fn option<'c>(command: &'c Command, word: &str) -> Option<&'c Arg> {
    command.get_arguments().find(|arg| {
        let short = arg.get_short().is_some_and(|short| *word == *format!("-{short}"));
        short || arg.get_long().is_some_and(|long| word.strip_prefix("--") == Some(long))
    })
}

fn options(command: &Command) -> Vec<(String, String)> {
    let named = command.get_arguments().filter(|arg| !arg.is_hide_set());
    named.filter_map(|arg| Some((format!("--{}", arg.get_long()?), first_line(arg.get_help())))).collect()
}

fn value(arg: &Arg) -> Next {
    let possible = arg.get_possible_values();
    if !possible.is_empty() {
        return Next::Words(
            possible.iter().map(|value| (value.get_name().to_owned(), first_line(value.get_help()))).collect(),
        );
    }
    let is_file = matches!(arg.get_value_hint(), ValueHint::AnyPath | ValueHint::FilePath);
    match arg.get_value_names().and_then(|names| names.first()).map(clap::builder::Str::as_str) {
        Some("ACCOUNT") => Next::Account,
        _ if is_file => Next::File,
        _ => Next::Anything,
    }
}

/// A description takes one line.
fn first_line(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

/// The accounts of the namespace that the words name, and those of the system. Nothing that goes wrong is told: whoever asks
/// for candidates is in the middle of a line.
fn accounts(so_far: &[String]) -> Vec<(String, String)> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    let listed = runtime.block_on(async { tokio::time::timeout(PATIENCE, list(so_far)).await });
    listed.ok().flatten().unwrap_or_default()
}

async fn list(so_far: &[String]) -> Option<Vec<(String, String)>> {
    let cluster = Cluster::connect(&connection(so_far)?).await.ok()?;
    let scope = Scope { all_namespaces: false, selector: None };
    let of_namespace = cluster.robot_accounts(scope).try_collect::<Vec<_>>().await.unwrap_or_default();
    let of_system = cluster.system_robot_accounts(None).take(MOST).try_collect::<Vec<_>>().await.unwrap_or_default();
    let readable = of_namespace.into_iter().chain(of_system).filter_map(Result::ok);
    Some(readable.map(|account| (typed(&account), String::new())).take(MOST).collect())
}

/// Which cluster is meant, from words that are no whole command line.
fn connection(so_far: &[String]) -> Option<Connection> {
    let flags = Connection::augment_args(Command::new("").no_binary_name(true).ignore_errors(true));
    let mut words = Vec::new();
    let mut rest = so_far.iter();
    while let Some(word) = rest.next() {
        let name = word.split('=').next().unwrap_or_default();
        if let Some(arg) = option(&flags, name) {
            words.push(word.clone());
            if arg.get_action().takes_values() && !word.contains('=') {
                words.extend(rest.next().cloned());
            }
        }
    }
    let matches: ArgMatches = flags.try_get_matches_from(words).ok()?;
    Connection::from_arg_matches(&matches).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next_of(words: &str) -> Next {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let (last, so_far) = words.split_last().unwrap();
        next(so_far, last)
    }

    fn words(next: Next) -> Vec<String> {
        let Next::Words(words) = next else { panic!("{next:?}") };
        words.into_iter().map(|(word, _)| word).collect()
    }

    #[test]
    fn what_comes_next_is_known_from_the_words_before_it() {
        let commands = words(next_of(""));
        assert!(commands.contains(&"status".to_owned()) && commands.contains(&"plan".to_owned()), "{commands:?}");
        assert_eq!(words(next_of("-n team-a ")), commands, "the value of a flag is no command");
        for (line, expected) in [
            ("status ", Next::Account),
            ("status -n team-a c", Next::Account),
            ("revoke --reason leaked ", Next::Account),
            ("plan -f ", Next::File),
            ("status -n ", Next::Anything),
            ("doctor ", Next::Anything),
        ] {
            assert_eq!(next_of(line), expected, "{line}");
        }
        let flags = words(next_of("plan --"));
        assert!(flags.contains(&"--delete".to_owned()) && flags.contains(&"--namespace".to_owned()), "{flags:?}");
        assert_eq!(words(next_of("list -o ")), ["wide", "json", "yaml", "name"]);
        assert!(words(next_of("completion ")).contains(&"zsh".to_owned()));
    }

    #[test]
    fn the_cluster_that_is_meant_is_read_off_a_line_that_is_not_whole() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let found = connection(&words("status -o json --context=prod -n team-a --as me")).unwrap();
        assert_eq!(found.context.as_deref(), Some("prod"));
        assert_eq!(found.namespace.as_deref(), Some("team-a"));
        assert_eq!(found.as_user.as_deref(), Some("me"));
    }
}
