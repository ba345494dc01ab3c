//! `/configurations`.

use hyper::Method;

use super::call::{Binding, Call, bound};
use super::reply::Reply;
use crate::app::App;
use crate::error::{ApiError, ApiResult};

/// `/configurations`, for system administrators only; robots never are.
pub fn one(app: &App, call: &Call) -> ApiResult<Reply> {
    let mut state = app.state();
    if call.method == Method::GET {
        state.require_login(&call.caller)?;
        if !state.is_admin(&call.caller) {
            return Err(ApiError::forbidden(call.caller.name()));
        }
        return Ok(Reply::json(200, &state.settings.view()));
    }
    let mut binding = Binding::default();
    let changes = binding.body(call, "configurations", |value| state.settings.read_changes(value));
    binding.done()?;
    state.require_login(&call.caller)?;
    if !state.is_admin(&call.caller) {
        return Err(ApiError::forbidden(call.caller.name()));
    }
    let version = state.version;
    state.settings.change(version, bound(changes))?;
    Ok(Reply::empty(200))
}
