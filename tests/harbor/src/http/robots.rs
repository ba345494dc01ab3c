//! `/robots`.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use super::body;
use super::call::{Binding, Call, bound};
use super::reply::Reply;
use crate::app::App;
use crate::clock::rfc3339_ms;
use crate::error::{ApiError, ApiResult};
use crate::query;
use crate::state::State;
use crate::state::grants::Requested;
use crate::state::listing;

/// How long calls overlap whose clash a quirk is to show.
const OVERLAP: Duration = Duration::from_millis(5);

/// `/robots`
pub async fn collection(app: &App, call: &Call) -> ApiResult<Reply> {
    if call.method == Method::GET { list(app, call) } else { create(app, call).await }
}

/// `/robots/{id}`
pub async fn one(app: &App, call: &Call, id: &str) -> ApiResult<Reply> {
    match call.method {
        Method::GET => {
            let id = bind_id(id)?;
            let state = app.state();
            let robot = state.read_robot(&call.caller, id)?;
            Ok(Reply::json(200, &robot.view(state.settings.prefix(), &state.projects)))
        }
        Method::PUT => put(app, call, id).await,
        Method::PATCH => patch(app, call, id).await,
        _ => {
            let id = bind_id(id)?;
            app.state().delete_robot(&call.caller, id)?;
            Ok(Reply::empty(200))
        }
    }
}

fn bind_id(id: &str) -> ApiResult<i64> {
    let mut binding = Binding::default();
    let id = binding.path_int("robot_id", id);
    binding.done().map(|()| id)
}

fn list(app: &App, call: &Call) -> ApiResult<Reply> {
    let mut binding = Binding::default();
    let page = binding.page(call);
    binding.done()?;
    let state = app.state();
    state.require_login(&call.caller)?;
    let keywords = query::keywords(&call.param("q").unwrap_or_default())?;
    let whose = listing::whose(state.version, &keywords)?;
    let (level, project) = whose.level();
    state.require_on_robots(&call.caller, level, project, "list")?;
    let listing = state.list_robots(whose, &keywords, &call.param("sort").unwrap_or_default(), page)?;
    let prefix = state.settings.prefix();
    let rows: Vec<Value> = listing.rows.iter().map(|robot| robot.view(prefix, &state.projects)).collect();
    Ok(paged(call, &rows, listing.total, page))
}

/// A list with its headers.
pub fn paged(call: &Call, rows: &[Value], total: usize, page: query::Page) -> Reply {
    let reply = Reply::json(200, &json!(rows)).with("X-Total-Count", total.to_string());
    match query::links(&call.path, &call.query, total, page) {
        Some(links) => reply.with("Link", links),
        None => reply,
    }
}

async fn create(app: &App, call: &Call) -> ApiResult<Reply> {
    let mut binding = Binding::default();
    let body = binding.body(call, "robot", body::create);
    binding.done()?;
    let body = bound(body);
    beside_others(app, &body.permissions).await?;
    let mut state = app.state();
    let id = state.create_robot(&call.caller, &body)?;
    let made = created(&state, id);
    Ok(Reply::json(201, &made).with("Location", format!("{}/{id}", call.path.trim_end_matches('/'))))
}

/// The answer to a creation.
pub fn created(state: &State, id: i64) -> Value {
    let Some(robot) = state.robots.get(id) else { return Value::Null };
    json!({
        "id": id, "name": robot.row.full_name(state.settings.prefix()), "secret": robot.row.secret,
        "creation_time": rfc3339_ms(robot.row.created_ms), "expires_at": robot.row.expires_at,
    })
}

async fn put(app: &App, call: &Call, id: &str) -> ApiResult<Reply> {
    let mut binding = Binding::default();
    let body = binding.body(call, "robot", body::update);
    let id = binding.path_int("robot_id", id);
    binding.done()?;
    let body = bound(body);
    let mut read = app.state().read_for_update(&call.caller, id)?;
    beside_others(app, &body.permissions).await?;
    if app.quirks().lost_updates {
        tokio::time::sleep(OVERLAP).await;
    } else {
        read = app.state().read_for_update(&call.caller, id)?;
    }
    app.state().put_robot(&call.caller, read, &body)?;
    Ok(Reply::empty(200))
}

async fn patch(app: &App, call: &Call, id: &str) -> ApiResult<Reply> {
    let mut binding = Binding::default();
    let secret = binding.body(call, "robotSec", body::secret);
    let id = binding.path_int("robot_id", id);
    binding.done()?;
    let secret = bound(secret);
    let drawn = if app.quirks().lost_updates {
        let read = app.state().read_for_update(&call.caller, id)?;
        tokio::time::sleep(OVERLAP).await;
        app.state().patch_robot(&call.caller, read, &secret)?
    } else {
        let mut state = app.state();
        let read = state.read_for_update(&call.caller, id)?;
        state.patch_robot(&call.caller, read, &secret)?
    };
    Ok(Reply::json(200, &drawn.map_or_else(|| json!({}), |drawn| json!({"secret": drawn}))))
}

/// With the `deadlocks` quirk a write overlaps with others, and fails when its rows come in another order than theirs.
async fn beside_others(app: &App, groups: &[Requested]) -> ApiResult<()> {
    if !app.quirks().deadlocks {
        return Ok(());
    }
    let ticket = app.upserts().begin(groups);
    tokio::time::sleep(OVERLAP).await;
    match ticket {
        Some(ticket) => {
            app.upserts().end(ticket);
            Ok(())
        }
        None => Err(ApiError::internal()),
    }
}
