//! `/projects/{project}/members`.

use hyper::Method;
use serde_json::{Value, json};

use super::call::{Binding, Call, bound};
use super::projects::require;
use super::reply::Reply;
use super::robots::paged;
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::gojson::{Place, field};
use crate::state::State;
use crate::state::projects::Member;

#[derive(Default)]
struct MemberBody {
    role: i64,
    user: Option<i64>,
    name: String,
}

fn read_body(value: &Value) -> Result<MemberBody, String> {
    let place = Place::body("ProjectMember");
    let Some(map) = place.object(value)? else { return Ok(MemberBody::default()) };
    let mut body = MemberBody { role: place.int(map, "role_id")?.unwrap_or_default(), ..MemberBody::default() };
    if let Some(user) = field(map, "member_user").and_then(Value::as_object) {
        let inner = place.element("UserEntity", "member_user");
        body.user = inner.int(user, "user_id")?;
        body.name = inner.text(user, "username")?.unwrap_or_default();
    }
    Ok(body)
}

const ROLES: [&str; 5] = ["projectAdmin", "developer", "guest", "maintainer", "limitedGuest"];

fn role_name(role: i64) -> Option<&'static str> {
    usize::try_from(role - 1).ok().and_then(|at| ROLES.get(at).copied())
}

fn view(state: &State, project: i64, member: &Member) -> Value {
    json!({
        "id": member.id, "project_id": project, "entity_id": member.user, "entity_type": "u",
        "entity_name": state.users.get(member.user).map(|user| user.name.as_str()).unwrap_or_default(),
        "role_id": member.role, "role_name": role_name(member.role),
    })
}

/// `/projects/{project}/members`
pub fn collection(app: &App, call: &Call, text: &str) -> ApiResult<Reply> {
    let mut binding = Binding::default();
    if call.method == Method::GET {
        let page = binding.page(call);
        binding.done()?;
        let state = app.state();
        let id = require(&state, call, text, "member", "list")?;
        let members = state.projects.get(id).map(|project| project.members.clone()).unwrap_or_default();
        let wanted = call.param("entityname").unwrap_or_default();
        let rows: Vec<Value> = members
            .iter()
            .map(|member| view(&state, id, member))
            .filter(|row| row["entity_name"].as_str().is_some_and(|name| name.contains(&wanted)))
            .collect();
        let (skip, take) = page.window();
        let shown: Vec<Value> = rows.iter().skip(skip).take(take).cloned().collect();
        return Ok(paged(call, &shown, rows.len(), page));
    }
    let body = binding.body(call, "projectMember", read_body);
    binding.done()?;
    let body = bound(body);
    let mut state = app.state();
    let project = require(&state, call, text, "member", "create")?;
    if role_name(body.role).is_none() {
        return Err(ApiError::bad_request(format!("invalid role, please check the role id: {}", body.role)));
    }
    let user =
        body.user.and_then(|id| state.users.get(id)).or_else(|| state.users.named(&body.name)).map(|user| user.id);
    let user = user.ok_or_else(|| ApiError::not_found(format!("user {} not found", body.name)))?;
    match state.projects.join(project, user, body.role) {
        Some(id) => Ok(Reply::empty(201).with("Location", format!("/api/v2.0/projects/{text}/members/{id}"))),
        None => Err(ApiError::conflict("project member already exist")),
    }
}

/// `/projects/{project}/members/{id}`
pub fn one(app: &App, call: &Call, text: &str, id: &str) -> ApiResult<Reply> {
    let mut binding = Binding::default();
    let id = binding.path_int("mid", id);
    let role = if call.method == Method::PUT {
        binding.body(call, "role", |value| {
            let place = Place::body("RoleRequest");
            Ok(place.object(value)?.map(|map| place.int(map, "role_id")).transpose()?.flatten().unwrap_or_default())
        })
    } else {
        None
    };
    binding.done()?;
    let action = match call.method {
        Method::GET => "read",
        Method::PUT => "update",
        _ => "delete",
    };
    let mut state = app.state();
    let project = require(&state, call, text, "member", action)?;
    let missing = || ApiError::not_found(format!("the project member id {id} not found"));
    let members = &mut state.projects.get_mut(project).ok_or_else(ApiError::internal)?.members;
    let at = members.iter().position(|member| member.id == id).ok_or_else(missing)?;
    match (action, role) {
        ("read", _) => {
            let member = members[at];
            Ok(Reply::json(200, &view(&state, project, &member)))
        }
        ("update", role) => {
            members[at].role = role.unwrap_or_default();
            Ok(Reply::empty(200))
        }
        _ => {
            members.remove(at);
            Ok(Reply::empty(200))
        }
    }
}
