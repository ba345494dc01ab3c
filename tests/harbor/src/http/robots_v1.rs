//! The robot endpoints of v1 under a project, which Harbor had up to v2.12.

use hyper::Method;
use serde_json::{Value, json};

use super::call::{Binding, Call, bound};
use super::projects::require;
use super::reply::Reply;
use super::robots::{created, paged};
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::gojson::Place;
use crate::query;
use crate::state::grants::{Access, Requested};
use crate::state::listing::Whose;
use crate::state::rules;
use crate::state::update::CreateBody;

#[derive(Default)]
struct Body {
    name: String,
    description: String,
    disable: bool,
    access: Vec<Access>,
}

fn read_body(value: &Value) -> Result<Body, String> {
    let place = Place::body("RobotCreateV1");
    let Some(map) = place.object(value)? else { return Ok(Body::default()) };
    let inner = place.element("Access", "access");
    let mut access = Vec::new();
    for value in place.list(map, "access", "[]*models.Access")?.into_iter().flatten() {
        let Some(map) = inner.object(value)? else { continue };
        let resource = inner.text(map, "resource")?.unwrap_or_default();
        access.push(Access {
            // `/project/<id>/repository`: the last part is the resource.
            resource: resource.rsplit('/').next().unwrap_or_default().to_owned(),
            action: inner.text(map, "action")?.unwrap_or_default(),
            effect: inner.text(map, "effect")?.unwrap_or_default(),
        });
    }
    Ok(Body {
        name: place.text(map, "name")?.unwrap_or_default(),
        description: place.text(map, "description")?.unwrap_or_default(),
        disable: place.flag(map, "disable")?.unwrap_or_default(),
        access,
    })
}

/// `/projects/{project}/robots`
pub fn collection(app: &App, call: &Call, text: &str) -> ApiResult<Reply> {
    let mut binding = Binding::default();
    if call.method == Method::GET {
        let page = binding.page(call);
        binding.done()?;
        let state = app.state();
        let project = require(&state, call, text, "robot", "list")?;
        let keywords = query::keywords(&call.param("q").unwrap_or_default())?;
        let listing = state.list_robots(Whose::Project(project), &keywords, "", page)?;
        let prefix = state.settings.prefix();
        let rows: Vec<Value> = listing.rows.iter().map(|robot| robot.view(prefix, &state.projects)).collect();
        return Ok(paged(call, &rows, listing.total, page));
    }
    let body = binding.body(call, "robot", read_body);
    binding.done()?;
    let body = bound(body);
    let mut state = app.state();
    rules::robot_name(&body.name)?;
    let project = require(&state, call, text, "robot", "create")?;
    let namespace = state.projects.get(project).map(|project| project.name.clone()).unwrap_or_default();
    let group = Requested { kind: "project".into(), namespace, access: body.access, ..Requested::default() };
    let days = state.settings.value("robot_token_duration").as_i64().unwrap_or(30);
    let create = CreateBody {
        name: body.name,
        description: body.description,
        level: "project".into(),
        duration: days,
        permissions: vec![group],
    };
    let id = state.create_robot(&call.caller, &create)?;
    // `expires_at` of the body is ignored, and from v2.11 on nothing sets the duration: the robot is born expired.
    if state.version.refuses_duration_zero()
        && let Some(robot) = state.robots.get_mut(id)
    {
        robot.row.duration = 0;
        robot.row.expires_at = robot.row.created_ms.div_euclid(1000);
    }
    let made = created(&state, id);
    Ok(Reply::json(201, &made).with("Location", format!("{}/{id}", call.path.trim_end_matches('/'))))
}

/// `/projects/{project}/robots/{id}`; PUT switches `disable` and nothing else.
pub fn one(app: &App, call: &Call, text: &str, id: &str) -> ApiResult<Reply> {
    let mut binding = Binding::default();
    let body = if call.method == Method::PUT { binding.body(call, "robot", read_body) } else { None };
    let id = binding.path_int("robot_id", id);
    binding.done()?;
    let action = match call.method {
        Method::GET => "read",
        Method::PUT => "update",
        _ => "delete",
    };
    let mut state = app.state();
    let project = require(&state, call, text, "robot", action)?;
    let robot = state.robots.get(id).filter(|robot| robot.row.project == project);
    let robot = robot.ok_or_else(|| ApiError::not_found(format!("robot {id} not found")))?;
    if action == "read" {
        return Ok(Reply::json(200, &json!(robot.view(state.settings.prefix(), &state.projects))));
    }
    if action == "delete" {
        state.delete_robot(&call.caller, id)?;
    } else {
        let now = state.clock.now_ms();
        if let Some(robot) = state.robots.get_mut(id) {
            robot.row.disabled = bound(body).disable;
            robot.row.updated_ms = now;
        }
    }
    Ok(Reply::empty(200))
}
