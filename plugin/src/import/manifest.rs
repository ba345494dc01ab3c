//! The account that a robot becomes, and what has to be said beside it.

use harbor_robot_operator::api::{ObjectName, Permission};
use harbor_robot_operator::cluster::login::shape_of;
use harbor_robot_operator::domain::password;
use harbor_robot_operator::domain::permissions::{AccessSet, pair};
use harbor_robot_operator::domain::robot::{Home, Lifetime, Scope};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::ImportArgs;
use super::found::Found;
use super::secrets::Password;

const KINDS: &str = "harbor-robots.io/v1alpha1";
/// The name of a password's key.
pub(super) const KEY: &str = "password";
/// What is behind the name of an account's Secret where another one has the account's name.
const SECRET: &str = "harbor";
/// The second robot of an account has this behind its name.
const SECOND: &str = ".b";

/// An account for a robot.
pub(super) struct Manifest {
    /// Where the account goes; none for a SystemRobotAccount.
    pub(super) namespace: Option<String>,
    /// None if there can be no such account.
    pub(super) object: Option<Value>,
    /// What the object cannot say.
    pub(super) notes: Vec<String>,
    /// Today's secret, which the account keeps.
    pub(super) password: Option<SecretString>,
}

impl Manifest {
    pub(super) fn of(found: &Found, passwords: &[Password], registry: Option<(&str, &str)>, args: &ImportArgs) -> Self {
        let mut notes = found.unsaid.clone();
        let is_system = found.home == Home::System;
        let (name, password) =
            (object_name(found, args.beside, &mut notes), usable(passwords, args.beside, &mut notes));
        let namespace = if is_system { Ok(None) } else { namespace(found, password, args).map(Some) };
        let (Some((object, robot)), Ok(namespace)) = (name, &namespace) else {
            notes.extend(namespace.err());
            return Self { namespace: None, object: None, notes, password: None };
        };
        let mut spec = Map::new();
        if let Some((kind, name)) = registry {
            spec.insert("registryRef".to_owned(), json!({"kind": kind, "name": name}));
        }
        if robot != object {
            spec.insert("name".to_owned(), json!(robot));
        }
        if !found.description.trim().is_empty() {
            spec.insert("description".to_owned(), json!(found.description));
        }
        if !rights(found, &mut spec, &mut notes) {
            return Self {
                namespace: namespace.as_ref().map(ToString::to_string),
                object: None,
                notes,
                password: None,
            };
        }
        if found.disabled {
            spec.insert("disabled".to_owned(), json!(true));
        }
        let expires = found.lifetime.days().map_or_else(|| "Never".to_owned(), |days| format!("{days}d"));
        if found.lifetime == Lifetime::Never {
            notes.push("it never expires: with rotation: {interval: 90d} it is replaced all the same".to_owned());
        }
        spec.insert("expiresAfter".to_owned(), json!(expires));
        if !args.beside {
            spec.insert("adoptionPolicy".to_owned(), json!("IfUnowned"));
            if password.is_some() {
                let reference = json!({"name": format!("{object}-{KEY}"), "key": KEY});
                spec.insert("passwordSecretRef".to_owned(), reference);
            } else {
                notes.push("taken over it gets a new secret: whoever uses today's is out at once".to_owned());
            }
        }
        // Whoever made that Secret goes on with it.
        let is_taken = |(place, name): &(String, String)| {
            *name == object && namespace.as_ref().is_none_or(|namespace| place == namespace.as_str())
        };
        if passwords.iter().flat_map(|password| &password.places).any(is_taken) {
            spec.insert("secret".to_owned(), json!({"name": format!("{object}-{SECRET}")}));
        }
        let mut metadata = json!({"name": object});
        if let Some(namespace) = namespace {
            metadata["namespace"] = json!(namespace.as_str());
        }
        let kind = if is_system { "SystemRobotAccount" } else { "RobotAccount" };
        Self {
            namespace: namespace.as_ref().map(ToString::to_string),
            object: Some(json!({"apiVersion": KINDS, "kind": kind, "metadata": metadata, "spec": spec})),
            notes,
            password: password.map(|password| password.text.clone()),
        }
    }
}

/// The names of the object and of the robot; none if no object can have one like it.
fn object_name(found: &Found, beside: bool, notes: &mut Vec<String>) -> Option<(String, String)> {
    let Some(robot) = &found.name else {
        notes.push("where its name begins cannot be told: the login may not read Harbor's name prefix".to_owned());
        return None;
    };
    if robot.ends_with(SECOND) {
        notes.push(format!("names that end in {SECOND} are those of the second robot of an account"));
        return None;
    }
    let robot = if beside { format!("{robot}-2") } else { robot.clone() };
    let fitting =
        |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.') { c } else { '-' };
    let object: String = robot.to_ascii_lowercase().chars().map(fitting).collect();
    let object = object.trim_matches(['-', '.']).to_owned();
    if !ObjectName::is_valid(&object) {
        notes.push(format!("{robot:?} cannot be made into the name of an object"));
        return None;
    }
    Some((object, robot))
}

/// The password that the account keeps, if there is one that it can.
fn usable<'a>(passwords: &'a [Password], beside: bool, notes: &mut Vec<String>) -> Option<&'a Password> {
    match passwords {
        _ if beside => None,
        [] => None,
        [one] => match password::check(shape_of(one.text.expose_secret())) {
            Ok(()) => {
                let places: Vec<String> =
                    one.places.iter().map(|(namespace, name)| format!("{namespace}/{name}")).collect();
                notes.push(format!("today's secret is in {}; the account keeps it", places.join(", ")));
                Some(one)
            }
            Err(error) => {
                notes.push(format!("today's secret is none that Harbor takes as a chosen one: {error}"));
                None
            }
        },
        several => {
            let places: Vec<String> = several
                .iter()
                .flat_map(|password| &password.places)
                .map(|(namespace, name)| format!("{namespace}/{name}"))
                .collect();
            notes.push(format!("{} hold different secrets for it: delete those that do not log in", places.join(", ")));
            None
        }
    }
}

/// Where the account goes, or what is missing to know that.
fn namespace(found: &Found, password: Option<&Password>, args: &ImportArgs) -> Result<ObjectName, String> {
    let project = found.project().unwrap_or_default();
    let named = args.to.clone().or_else(|| password.and_then(Password::namespace));
    named
        .or_else(|| ObjectName::new(project).ok().filter(|name| !name.contains('.')))
        .ok_or_else(|| format!("no namespace is called like the project {project:?}: --to names one"))
}

/// What the robot may do, in the words of a spec. False if no account can hold just that.
fn rights(found: &Found, spec: &mut Map<String, Value>, notes: &mut Vec<String>) -> bool {
    let set = |pairs: &AccessSet| {
        let (names, access) = words(pairs);
        let mut set = Map::new();
        if !names.is_empty() {
            set.insert("permissions".to_owned(), json!(names));
        }
        if !access.is_empty() {
            set.insert("access".to_owned(), json!(access));
        }
        set
    };
    if let Home::Project(project) = &found.home {
        spec.insert("project".to_owned(), json!(project));
        let own = found.permissions.get(&Scope::Project(project.clone()));
        spec.extend(own.map(set).unwrap_or_default());
        let has_some = own.is_some_and(|pairs| !pairs.is_empty());
        if !has_some {
            notes.push("it has no permissions, and no account is without any".to_owned());
        }
        return has_some;
    }
    let mut projects = Map::new();
    let mut selected = Vec::new();
    for (scope, pairs) in &found.permissions {
        match scope {
            Scope::System => {
                let pairs: Vec<Value> =
                    pairs.iter().map(|pair| json!({"resource": pair.resource, "action": pair.action})).collect();
                spec.insert("systemAccess".to_owned(), json!(pairs));
            }
            Scope::AllProjects => drop(projects.insert("all".to_owned(), Value::Object(set(pairs)))),
            Scope::Project(name) => {
                let mut row = set(pairs);
                row.insert("project".to_owned(), json!(name));
                selected.push(Value::Object(row));
            }
        }
    }
    if !selected.is_empty() {
        if projects.is_empty() {
            projects.insert("selected".to_owned(), json!(selected));
        } else {
            notes.push(format!(
                "it has further rights in {} projects, and an account is for all projects or for some: {}",
                selected.len(),
                Value::from(selected)
            ));
            return false;
        }
    }
    if !projects.is_empty() {
        spec.insert("projects".to_owned(), Value::Object(projects));
    }
    true
}

/// Pairs as names of Harbor's page, and those that have none.
fn words(pairs: &AccessSet) -> (Vec<String>, Vec<Value>) {
    let mut names: Vec<Permission> = Vec::new();
    // Three of the ten names mean what another one means.
    for name in Permission::ALL {
        if pairs.contains(&pair(name)) && !names.iter().any(|known| pair(*known) == pair(name)) {
            names.push(name);
        }
    }
    let rest = pairs.iter().filter(|one| !names.iter().any(|name| pair(*name) == **one));
    let rest = rest.map(|pair| json!({"resource": pair.resource, "action": pair.action})).collect();
    (names.iter().map(|name| format!("{name:?}")).collect(), rest)
}
