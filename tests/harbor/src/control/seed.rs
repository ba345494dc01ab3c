//! Making projects and robots past the API: many at once, or such as the API would not make.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::body;
use crate::state::State;
use crate::state::grants::{self, Requested};
use crate::state::robots::Row;
use crate::state::rules;

#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    Count(usize),
    List(Vec<String>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Seed {
    projects: Names,
    #[serde(default)]
    public: bool,
    #[serde(default)]
    robots_per_project: usize,
}

fn read<T: serde::de::DeserializeOwned>(body: Value) -> Result<T, String> {
    serde_json::from_value(body).map_err(|error| error.to_string())
}

/// Makes projects, and pull robots in each; a project that is there already is used.
pub fn seed(state: &mut State, body: Value) -> Result<Value, String> {
    let seed: Seed = read(body)?;
    let names = match seed.projects {
        Names::Count(count) => (0..count).map(|at| format!("project-{at:05}")).collect(),
        Names::List(names) => names,
    };
    let now = state.clock.now_ms();
    let mut robots = 0;
    for name in &names {
        if !rules::is_name(name) {
            return Err(format!("{name} is no project name"));
        }
        let id = match state.projects.named(name) {
            Some(project) => project.id,
            None => state.projects.create(name, seed.public, 1, "admin", now),
        };
        for at in 0..seed.robots_per_project {
            let stored = format!("{name}+seed-{at:05}");
            if state.robots.named(&stored).is_some() {
                continue;
            }
            let access = grants::Access { resource: "repository".into(), action: "pull".into(), effect: String::new() };
            let groups = vec![grants::Group { scope: grants::Scope::Project(id), access: vec![access] }];
            state.robots.insert(Row { name: stored, project: id, ..blank(now) }, groups);
            robots += 1;
        }
    }
    Ok(json!({"projects": names.len(), "robots": robots}))
}

fn blank(now: i64) -> Row {
    Row {
        id: 0,
        name: String::new(),
        project: 0,
        description: String::new(),
        secret: Some(rules::draw_secret()),
        duration: -1,
        disabled: false,
        expires_at: -1,
        visible: true,
        creator_type: "local".into(),
        creator_ref: 1,
        created_ms: now,
        updated_ms: now,
    }
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawRobot {
    name: String,
    #[serde(default)]
    project: Option<String>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    secret: Option<String>,
    #[serde(default = "yes")]
    editable: bool,
    #[serde(default = "yes")]
    visible: bool,
    #[serde(default)]
    disable: bool,
    #[serde(default)]
    duration: Option<i64>,
    #[serde(default)]
    expires_at: Option<i64>,
    #[serde(default)]
    created_at: Option<i64>,
    #[serde(default)]
    creator_type: Option<String>,
    #[serde(default)]
    creator_ref: Option<i64>,
    #[serde(default)]
    permissions: Value,
}

/// Makes one robot as it is told, unchecked: `name` is the name as stored, `editable: false` one from before v2.2.
pub fn robot(state: &mut State, body: Value) -> Result<Value, String> {
    let raw: RawRobot = read(body)?;
    if state.robots.named(&raw.name).is_some() {
        return Err(format!("there is a robot {}", raw.name));
    }
    let project = match &raw.project {
        None => 0,
        Some(name) => state.projects.named(name).map(|project| project.id).ok_or(format!("no project {name}"))?,
    };
    let groups = groups(state, raw.permissions)?;
    let mut row = blank(state.clock.now_ms());
    row.name = raw.name;
    row.project = project;
    row.description = raw.description;
    row.secret = if raw.editable { raw.secret.or(row.secret) } else { None };
    row.visible = raw.visible;
    row.disabled = raw.disable;
    row.created_ms = raw.created_at.map_or(row.created_ms, |seconds| seconds * 1000);
    row.updated_ms = row.created_ms;
    row.duration = raw.duration.unwrap_or(-1);
    row.expires_at = raw.expires_at.unwrap_or_else(|| Row::expiry(row.created_ms, row.duration));
    row.creator_type = raw.creator_type.unwrap_or(row.creator_type);
    row.creator_ref = raw.creator_ref.unwrap_or(row.creator_ref);
    let (secret, name) = (row.secret.clone(), row.full_name(state.settings.prefix()));
    let id = state.robots.insert(row, groups);
    Ok(json!({"id": id, "name": name, "secret": secret}))
}

/// Replaces a robot's permissions, unchecked; `[]` makes the robot that Harbor cannot delete.
pub fn permissions(state: &mut State, id: i64, body: Value) -> Result<Value, String> {
    let groups = groups(state, body)?;
    let robot = state.robots.get_mut(id).ok_or(format!("no robot {id}"))?;
    robot.groups = groups;
    Ok(json!({}))
}

fn groups(state: &State, permissions: Value) -> Result<Vec<grants::Group>, String> {
    let permissions = match permissions {
        Value::Object(mut map) => map.remove("permissions").unwrap_or_default(),
        other => other,
    };
    let requested: Vec<Requested> = body::create(&json!({"permissions": permissions}))?.permissions;
    grants::resolve(&requested, &state.projects).map_err(|error| error.message)
}
