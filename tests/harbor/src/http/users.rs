//! `/users`.

use hyper::Method;
use serde_json::{Value, json};

use super::call::{Binding, Call, bound};
use super::reply::Reply;
use super::robots::paged;
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::gojson::Place;
use crate::state::Caller;

#[derive(Default)]
struct UserBody {
    name: String,
    password: String,
    realname: String,
    email: String,
}

fn read_body(value: &Value) -> Result<UserBody, String> {
    let place = Place::body("UserCreationReq");
    let Some(map) = place.object(value)? else { return Ok(UserBody::default()) };
    let text = |key: &str| place.text(map, key).map(Option::unwrap_or_default);
    Ok(UserBody {
        name: text("username")?,
        password: text("password")?,
        realname: text("realname")?,
        email: text("email")?,
    })
}

/// `/users`
pub fn collection(app: &App, call: &Call) -> ApiResult<Reply> {
    let mut binding = Binding::default();
    if call.method == Method::GET {
        let page = binding.page(call);
        binding.done()?;
        let state = app.state();
        state.require_in_system(&call.caller, "user", "list")?;
        let rows: Vec<Value> = state.users.all().map(crate::state::users::User::view).collect();
        let (skip, take) = page.window();
        let shown: Vec<Value> = rows.iter().skip(skip).take(take).cloned().collect();
        return Ok(paged(call, &shown, rows.len(), page));
    }
    let body = binding.body(call, "userReq", read_body);
    binding.done()?;
    let body = bound(body);
    let mut state = app.state();
    state.require_in_system(&call.caller, "user", "create")?;
    if crate::state::rules::secret(state.version, &body.password).is_err() {
        return Err(ApiError::bad_request(
            "the password or secret must be longer than 8 chars with at least 1 uppercase letter, 1 lowercase letter and 1 \
             number",
        ));
    }
    if body.email.is_empty() {
        return Err(ApiError::bad_request("email can't be empty"));
    }
    if body.realname.is_empty() {
        return Err(ApiError::bad_request("realname with illegal length"));
    }
    let now = state.clock.now_ms();
    let id = state.users.create(&body.name, &body.password, &body.realname, &body.email, now);
    let id =
        id.ok_or_else(|| ApiError::conflict(format!("user {} or email {} already exists", body.name, body.email)))?;
    Ok(Reply::empty(201).with("Location", format!("{}/{id}", call.path.trim_end_matches('/'))))
}

/// `/users/current`
pub fn current(app: &App, call: &Call) -> ApiResult<Reply> {
    let state = app.state();
    state.require_login(&call.caller)?;
    match &call.caller {
        Caller::Person { id, .. } => {
            let view = state.users.get(*id).map(crate::state::users::User::view);
            Ok(Reply::json(200, &view.unwrap_or_default()))
        }
        _ => Err(ApiError::precondition("get current user not available for security context: robot")),
    }
}

/// `/users/search`
pub fn search(app: &App, call: &Call) -> ApiResult<Reply> {
    let mut binding = Binding::default();
    let page = binding.page(call);
    let name = call.param("username");
    if name.is_none() {
        binding.refuse("username in query is required");
    }
    binding.done()?;
    let wanted = name.unwrap_or_default().to_lowercase();
    let state = app.state();
    state.require_login(&call.caller)?;
    let found = state.users.all().filter(|user| user.name.to_lowercase().contains(&wanted));
    let rows: Vec<Value> = found.map(|user| json!({"user_id": user.id, "username": user.name})).collect();
    let (skip, take) = page.window();
    let shown: Vec<Value> = rows.iter().skip(skip).take(take).cloned().collect();
    Ok(paged(call, &shown, rows.len(), page))
}

/// `/users/{id}`
pub fn one(app: &App, call: &Call, id: &str) -> ApiResult<Reply> {
    let mut binding = Binding::default();
    let id = binding.path_int("user_id", id);
    binding.done()?;
    let mut state = app.state();
    state.require_login(&call.caller)?;
    let own = matches!(call.caller, Caller::Person { id: own, .. } if own == id);
    let missing = || ApiError::not_found(format!("user {id} not found"));
    if call.method == Method::GET {
        if !own && !state.may_in_system(&call.caller, "user", "read") {
            return Err(ApiError::forbidden(format!("Not authorized to read user: {id}")));
        }
        return Ok(Reply::json(200, &state.users.get(id).ok_or_else(missing)?.view()));
    }
    if !state.may_in_system(&call.caller, "user", "delete") {
        return Err(ApiError::forbidden("Not authorized to delete users"));
    }
    if own || id == 1 {
        return Err(ApiError::forbidden(format!("User with ID {id} cannot be deleted")));
    }
    if state.users.remove(id) { Ok(Reply::empty(200)) } else { Err(missing()) }
}

/// `/users/{id}/sysadmin`
pub fn sysadmin(app: &App, call: &Call, id: &str) -> ApiResult<Reply> {
    let mut binding = Binding::default();
    let flag = binding.body(call, "sysadmin_flag", |value| {
        let place = Place::body("UserSysAdminFlag");
        Ok(place.object(value)?.map(|map| place.flag(map, "sysadmin_flag")).transpose()?.flatten().unwrap_or_default())
    });
    let id = binding.path_int("user_id", id);
    binding.done()?;
    let mut state = app.state();
    state.require_in_system(&call.caller, "user", "update")?;
    let user = state.users.get_mut(id).ok_or_else(|| ApiError::not_found(format!("user {id} not found")))?;
    user.sysadmin = flag.unwrap_or_default();
    Ok(Reply::empty(200))
}
