//! The columns that `kubectl get` shows of each kind; those of priority 1 with `-o wide` only.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition as Column;

const READY: &str = r#".status.conditions[?(@.type=="Ready")].status"#;
const REASON: &str = r#".status.conditions[?(@.type=="Ready")].reason"#;

/// The columns of one of our kinds.
pub(super) fn of(kind: &str) -> Vec<Column> {
    let number = |name, path, description| column("integer", name, path, description);
    match kind {
        "RobotAccount" => of_account(vec![text("PROJECT", ".spec.project", "The Harbor project")]),
        "SystemRobotAccount" => of_account(vec![
            number(
                "PROJECTS",
                ".status.projects.count",
                "How many projects are named or match; nothing where it is all of them, or none",
            ),
            number("NAMESPACES", ".status.namespaceCount", "How many namespaces the Secret is wanted in"),
        ]),
        _ => vec![
            text("READY", READY, "Whether the operator's login works"),
            text("URL", ".spec.url", "Where the Harbor is"),
            text("VERSION", ".status.harborVersion", "Harbor's version"),
            text("LOGIN", ".status.login.kind", "What the operator logs in as: Administrator, User or Robot"),
            number("ACCOUNTS", ".status.accountCount", "How many accounts use it"),
            age(),
            wide(text("REASON", REASON, "Why the registry is ready or not")),
            wide(text(
                "LOGIN-EXPIRES",
                ".status.login.expirationTime",
                "When the operator's login expires; nothing means never, or that the login may not see it",
            )),
            wide(number("ORPHANS", ".status.orphanCount", "How many robots of this cluster have no account any more")),
            wide(number("UNMANAGED", ".status.unmanagedRobots.count", "How many robots nobody manages and renews")),
        ],
    }
}

/// The columns of both kinds of accounts, and those that say what the kind reaches.
fn of_account(reach: Vec<Column>) -> Vec<Column> {
    let first = [
        text("READY", READY, "Whether a credential that works is published now"),
        text("LOGIN", ".status.robot.name", "The user name to log in with"),
    ];
    let last = [
        text("EXPIRES", ".status.robot.expirationTime", "When the credential expires; nothing means never"),
        age(),
        wide(text("REASON", REASON, "Why the account is ready or not")),
        wide(column("boolean", "DISABLED", ".spec.disabled", "Whether the account is switched off")),
        wide(text("RENEWS", ".status.renewalTime", "When the credential will be replaced")),
        wide(text("REGISTRY", ".status.registry.name", "The registry object in use")),
        wide(text("SECRET", ".status.secretRefs[0].name", "The Secret with the credential")),
        wide(text("CREATED", ".status.robot.creationTime", "When the robot was created in Harbor")),
    ];
    first.into_iter().chain(reach).chain(last).collect()
}

fn column(type_: &str, name: &str, path: &str, description: &str) -> Column {
    Column {
        name: name.to_owned(),
        type_: type_.to_owned(),
        json_path: path.to_owned(),
        description: Some(description.to_owned()),
        ..Column::default()
    }
}

fn text(name: &str, path: &str, description: &str) -> Column {
    column("string", name, path, description)
}

fn age() -> Column {
    Column { description: None, ..column("date", "AGE", ".metadata.creationTimestamp", "") }
}

fn wide(column: Column) -> Column {
    Column { priority: Some(1), ..column }
}
