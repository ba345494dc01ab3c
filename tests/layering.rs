//! The layers of `src` as `src/lib.rs` draws them, read off the source: which module may name which, which crates a layer
//! may use, and where the bytes of a secret may be looked at.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Layer, the layers it may name, the crates it may use (`*`: any).
const LAYERS: [(&str, &[&str], &[&str]); 11] = [
    (
        "api",
        &[],
        &[
            "k8s_openapi",
            "kube",
            "schemars",
            "serde",
            "serde_json",
            "serde_saphyr",
            "serde_with_macros",
            "thiserror",
            "jiff",
        ],
    ),
    ("domain", &["api", "deadline"], &["jiff", "k8s_openapi", "serde", "strsim", "thiserror"]),
    ("registry", &["domain", "api", "deadline", "gate"], &["*"]),
    ("cluster", &["registry", "domain", "api", "decode", "gate"], &["*"]),
    ("deadline", &[], &[]),
    ("decode", &[], &["jiff", "k8s_openapi", "kube", "serde", "serde_json", "serde_path_to_error"]),
    ("gate", &["deadline"], &["futures", "thiserror", "tokio"]),
    ("engine", &["deadline"], &["futures", "hashbrown", "thiserror", "tokio", "tokio_util", "tracing"]),
    (
        "leader",
        &["deadline", "decode", "gate"],
        &["futures", "jiff", "k8s_openapi", "kube", "rand", "serde", "serde_json", "thiserror", "tokio", "tracing"],
    ),
    ("metrics", &[], &["prometheus_client"]),
    (
        "controllers",
        &["cluster", "registry", "domain", "api", "engine", "gate", "leader", "metrics", "clock", "deadline", "decode"],
        &["*"],
    ),
];

/// Of the registry, the cluster modules share the classes of errors and nothing else.
const CLUSTER_FROM_REGISTRY: &str = "crate::registry::Class";

/// What a pure layer has no use for: waiting, reading clocks (a moment may be handed in), and the outside world.
const IMPURE: [&str; 8] = ["async ", ".await", "SystemTime", "::now()", "std::fs", "std::io", "std::net", "std::env"];

/// Arithmetic with these panics on values that come from outside; `RegistryTime` saturates. Between `Instant`s and
/// `Duration`s clippy refuses it (`arithmetic_side_effects`, see `src/lib.rs`).
const RAW_TIMES: [&str; 2] = ["jiff::Timestamp", "Timestamp::"];

/// A panic under a lock must not become one of everybody who takes it later.
const POISONED: [&str; 6] = [
    ".lock().expect(",
    ".lock().unwrap()",
    ".read().expect(",
    ".read().unwrap()",
    ".write().expect(",
    ".write().unwrap()",
];

/// Its queue is a machine that is sound or of no use: then a new process begins.
const MAY_POISON: &str = "src/engine/driver.rs";

/// The only places that look at the bytes of a secret.
const SEES_SECRETS: [&str; 4] =
    ["src/cluster/secrets.rs", "src/cluster/secret_template", "src/cluster/login.rs", "src/registry/harbor/"];

struct Source {
    /// Relative to the package.
    path: String,
    /// Without comments and without unit tests, which may use what they like.
    code: String,
}

fn sources(folder: &Path, found: &mut Vec<Source>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs")
            && name != "tests.rs"
            && !name.ends_with("_tests.rs")
            && !name.ends_with("_properties.rs")
        {
            let text = fs::read_to_string(&path).unwrap();
            let code = without_tests(&text);
            let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            let path = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            found.push(Source { path, code: code.join("\n") });
        }
    }
}

/// Leaves out the items that only tests have.
fn without_tests(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            code += line;
            code.push('\n');
            continue;
        }
        let indent = &line[..line.len() - line.trim_start().len()];
        // Further attributes, then an item of one line, or one with a block.
        let item = lines.by_ref().find(|line| !line.trim().starts_with("#["));
        if !item.is_some_and(|item| item.ends_with([';', ','])) {
            lines.by_ref().find(|line| *line == format!("{indent}}}"));
        }
    }
    code
}

fn all_sources() -> Vec<Source> {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 50, "{} files", found.len());
    found
}

/// `src/domain/plan.rs` and `src/metrics.rs` → `domain`, `metrics`.
fn layer_of(path: &str) -> String {
    let inside: PathBuf = path.strip_prefix("src/").unwrap().into();
    inside.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// How often `super::` may follow on itself before the path leaves the layer.
fn depth(path: &str) -> usize {
    let levels = path.matches('/').count();
    if path.ends_with("/mod.rs") { levels - 2 } else { levels - 1 }
}

/// The names of all paths that begin with `from`, like `crate::`, one segment long; groups are opened.
fn names_after(code: &str, from: &str) -> BTreeSet<String> {
    let segment = |text: &str| {
        text.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_owned()
    };
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(from) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &code[at + from.len()..];
        match rest.strip_prefix('{') {
            None => drop(names.insert(segment(rest))),
            Some(group) => {
                let mut level = 0;
                let mut piece = String::new();
                for c in group.chars() {
                    match c {
                        '{' => level += 1,
                        '}' if level == 0 => break,
                        '}' => level -= 1,
                        ',' if level == 0 => names.extend([segment(&std::mem::take(&mut piece))]),
                        _ => {}
                    }
                    if c != ',' || level > 0 {
                        piece.push(c);
                    }
                }
                names.insert(segment(&piece));
            }
        }
    }
    names.remove("");
    names
}

/// The package's dependencies as they are written in code.
fn crates() -> Vec<String> {
    let manifest = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let names =
        section.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split([' ', '.', '=']).next());
    names.filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

fn uses_crate(code: &str, name: &str) -> bool {
    let path = format!("{name}::");
    let starts_a_path = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
    code.match_indices(&path).any(|(at, _)| starts_a_path(at)) || code.contains(&format!("use {name};"))
}

/// Every breach of a file, as text.
fn breaches(source: &Source, crates: &[String]) -> Vec<String> {
    let Source { path, code } = source;
    let layer = layer_of(path);
    let Some((_, layers, allowed)) = LAYERS.iter().find(|(name, _, _)| *name == layer) else { return Vec::new() };
    let mut found = Vec::new();
    for name in names_after(code, "crate::") {
        if name != layer && !layers.contains(&name.as_str()) {
            found.push(format!("{path} names crate::{name}"));
        }
    }
    if path != MAY_POISON {
        found.extend(POISONED.iter().filter(|word| code.contains(*word)).map(|word| format!("{path} has {word}")));
    }
    let out = "super::".repeat(depth(path) + 1);
    if code.contains(&out) {
        found.push(format!("{path} leaves its layer by {out}"));
    }
    if layer == "cluster" && code.matches("crate::registry::").count() != code.matches(CLUSTER_FROM_REGISTRY).count() {
        found.push(format!("{path} names more of crate::registry than Class"));
    }
    let foreign = crates.iter().filter(|name| uses_crate(code, name));
    let foreign = foreign.filter(|name| !allowed.contains(&"*") && !allowed.contains(&name.as_str()));
    found.extend(foreign.map(|name| format!("{path} uses the crate {name}")));
    if layer == "domain" {
        let words = IMPURE.iter().chain(&RAW_TIMES);
        found.extend(words.filter(|word| code.contains(*word)).map(|word| format!("{path} has {word}")));
    }
    found
}

#[test]
fn imports_only_point_down_the_layers() {
    let crates = crates();
    assert!(crates.contains(&"kube".to_owned()) && crates.contains(&"k8s_openapi".to_owned()), "{crates:?}");
    let found: Vec<String> = all_sources().iter().flat_map(|source| breaches(source, &crates)).collect();
    assert_eq!(found, Vec::<String>::new());
}

/// The module of a folder that a file belongs to: `src/cluster/secrets.rs` and what is below → `secrets`. `None` for the
/// folder's own file.
fn module_of<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    let inside = path.strip_prefix("src/")?.strip_prefix(folder)?.strip_prefix('/')?;
    let module = inside.split('/').next()?.trim_end_matches(".rs");
    (module != "mod").then_some(module)
}

/// The modules of a folder, and which of its other modules each names.
fn imports_within(folder: &str) -> BTreeMap<String, BTreeSet<String>> {
    let absolute = format!("crate::{}::", folder.replace('/', "::"));
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in all_sources() {
        if let Some(module) = module_of(&source.path, folder) {
            let relative = "super::".repeat(depth(&source.path) - folder.matches('/').count());
            let named = [&absolute, &relative].map(|from| names_after(&source.code, from));
            let others = named.into_iter().flatten().filter(|name| name != module);
            imports.entry(module.to_owned()).or_default().extend(others);
        }
    }
    let modules: BTreeSet<String> = imports.keys().cloned().collect();
    for named in imports.values_mut() {
        named.retain(|name| modules.contains(name));
    }
    imports
}

#[test]
fn modules_import_in_one_direction() {
    for folder in ["cluster", "controllers", "controllers/sweep", "registry/harbor"] {
        let mut imports = imports_within(folder);
        assert!(imports.values().any(|named| !named.is_empty()), "{folder}: {imports:?}");
        // Whoever names nobody is taken away, until nobody is left.
        while let Some(last) = imports.iter().find(|(_, named)| named.is_empty()).map(|(module, _)| module.clone()) {
            imports.remove(&last);
            for named in imports.values_mut() {
                named.remove(&last);
            }
        }
        assert!(imports.is_empty(), "a circle in {folder}: {imports:?}");
    }
}

#[test]
fn secrets_are_looked_at_in_four_places_only() {
    let others: Vec<String> = all_sources()
        .into_iter()
        .filter(|source| source.code.contains("expose_secret") || source.code.contains("ExposeSecret"))
        .map(|source| source.path)
        .filter(|path| !SEES_SECRETS.iter().any(|allowed| path.starts_with(allowed)))
        .collect();
    assert_eq!(others, Vec::<String>::new());
}

/// The only places that touch an object's version: made into a value without an order, or handed on as it is.
const TOUCHES_VERSIONS: [&str; 6] = [
    "src/cluster/objects.rs",
    "src/cluster/secrets.rs",
    "src/cluster/service_accounts.rs",
    "src/cluster/events.rs",
    "src/leader.rs",
    "src/uninstall/objects.rs",
];

/// After a restore of etcd versions begin anew below those that were seen: which of two is the later one nobody can tell.
#[test]
fn versions_of_objects_have_no_order() {
    let sources = all_sources();
    let others: Vec<&str> = sources
        .iter()
        .filter(|source| source.code.contains("resource_version") && !TOUCHES_VERSIONS.contains(&source.path.as_str()))
        .map(|source| source.path.as_str())
        .collect();
    assert_eq!(others, Vec::<&str>::new());
    for source in sources.iter().filter(|source| source.code.contains("resource_version")) {
        let ordered = source.code.lines().find(|line| {
            line.contains("resource_version")
                && [".parse", " < ", " > ", "<=", ">=", "cmp(", "max(", "min("].iter().any(|word| line.contains(word))
        });
        assert_eq!(ordered, None, "{}", source.path);
    }
    let objects = sources.iter().find(|source| source.path == "src/cluster/objects.rs").unwrap();
    let derived =
        objects.code.lines().zip(objects.code.lines().skip(1)).find(|(_, line)| line.contains("pub struct Version"));
    assert!(derived.is_some_and(|(derive, _)| !derive.contains("Ord")), "{derived:?}");
}

/// The machine's clock may be set at any moment. It is for people and for Kubernetes; robots are judged by `clock::steady`.
#[test]
fn the_wall_clock_judges_no_robot() {
    let reads = |word: &str| -> Vec<String> {
        let sources = all_sources().into_iter().filter(|source| source.code.contains(word));
        let mut paths: Vec<String> = sources.map(|source| source.path).collect();
        paths.sort();
        paths
    };
    assert_eq!(reads("clock::now"), ["src/controllers/mod.rs", "src/run.rs", "src/uninstall.rs"]);
    let told = ["accounts/ending.rs", "mod.rs", "registries/status.rs", "unreadable.rs"];
    assert_eq!(reads("wall_time()"), told.map(|file| format!("src/controllers/{file}")));
}

/// Where a namespace may be put into a path: the one function of `cluster`, and streams and the Lease, which are told by flags.
const ADDRESSES: [&str; 4] =
    ["src/cluster/mod.rs", "src/leader.rs", "src/controllers/watch.rs", "src/controllers/watch/stream.rs"];

/// Text that could be put into a path of the API server: it has to be an `ObjectName` (`api/names.rs`) instead.
fn unchecked_names(source: &Source) -> Vec<String> {
    let Source { path, code } = source;
    let mut found = Vec::new();
    for call in ["Api::namespaced(", ">::namespaced("] {
        if code.contains(call) && !ADDRESSES.contains(&path.as_str()) {
            found.push(format!("{path} has {call}"));
        }
    }
    if path.starts_with("src/cluster/") {
        let text = ["name: &str", "namespace: &str", "name: &String", "namespace: &String", "name: String"];
        let parameters = code.split("fn ").skip(1).filter_map(|rest| rest.split_once('(')).map(|(_, rest)| rest);
        for parameters in parameters {
            let signature = parameters.split('{').next().unwrap_or_default();
            let is_whole = |at: usize| !signature[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let told = text.iter().filter(|text| signature.match_indices(*text).any(|(at, _)| is_whole(at)));
            found.extend(told.map(|text| format!("{path} has a function with {text}")));
        }
        for split in ["split_once('/')", "rsplit_once('/')", "split('/')"] {
            if code.contains(split) {
                found.push(format!("{path} takes a name apart by {split}"));
            }
        }
    }
    found
}

#[test]
fn only_names_come_into_paths_of_the_api_server() {
    let found: Vec<String> = all_sources().iter().flat_map(unchecked_names).collect();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn an_unchecked_name_is_seen() {
    let of =
        |path: &str, code: &str| unchecked_names(&Source { path: path.to_owned(), code: code.to_owned() }).join("; ");
    assert_eq!(
        of("src/cluster/secrets.rs", "fn f() { let api: Api<Secret> = Api::namespaced(client, text); }"),
        "src/cluster/secrets.rs has Api::namespaced("
    );
    assert_eq!(
        of("src/controllers/sweep.rs", "let api = Api::<Secret>::namespaced(client, text);"),
        "src/controllers/sweep.rs has >::namespaced("
    );
    assert_eq!(
        of(
            "src/cluster/login.rs",
            "pub async fn read(\n    client: &Client,\n    name: &str,\n) -> Result<(), Error> {}"
        ),
        "src/cluster/login.rs has a function with name: &str"
    );
    assert_eq!(
        of("src/cluster/registries.rs", "match key.split_once('/') {}"),
        "src/cluster/registries.rs takes a name apart by split_once('/')"
    );
    assert_eq!(of("src/cluster/secret_template.rs", "fn passwords(username: &str) {}"), "");
    assert_eq!(of("src/cluster/login.rs", "async fn read(name: &ObjectName) { within(api.get_opt(name)).await }"), "");
}

#[test]
fn a_breach_is_seen() {
    let crates = crates();
    let of =
        |path: &str, code: &str| breaches(&Source { path: path.to_owned(), code: code.to_owned() }, &crates).join("; ");
    let plan = "src/domain/plan.rs";
    assert_eq!(of(plan, "use kube::Client;"), "src/domain/plan.rs uses the crate kube");
    assert_eq!(of(plan, "let c = kube::Client::x();"), "src/domain/plan.rs uses the crate kube");
    assert_eq!(
        of(plan, "use crate::{api::keys, cluster::{Error, within}};"),
        "src/domain/plan.rs names crate::cluster"
    );
    assert_eq!(of(plan, "use super::super::cluster;"), "src/domain/plan.rs leaves its layer by super::super::");
    assert_eq!(of("src/domain/mod.rs", "use super::cluster;"), "src/domain/mod.rs leaves its layer by super::");
    assert_eq!(of(plan, "async fn f() {}"), "src/domain/plan.rs has async ");
    assert_eq!(
        of("src/cluster/mod.rs", "use crate::registry::Error;"),
        "src/cluster/mod.rs names more of crate::registry than Class"
    );
    assert_eq!(of(plan, "use crate::api::keys;\nuse super::slots::Slot;\nuse jiff::SignedDuration;"), "");
    assert_eq!(of(plan, "use jiff::Timestamp;"), "src/domain/plan.rs has jiff::Timestamp");
    assert_eq!(of("src/metrics.rs", "self.x.lock().expect(\"why\")"), "src/metrics.rs has .lock().expect(");
    assert_eq!(
        of("src/controllers/accounts/mod.rs", "use super::Key;\nuse super::super::x;"),
        "src/controllers/accounts/mod.rs leaves its layer by super::super::"
    );
}
