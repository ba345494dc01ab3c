//! What tells a client where and who it is: `/systeminfo`, `/permissions`, `/health`, `/ping`, `/api/version`.

use serde_json::{Value, json};

use super::call::Call;
use super::reply::Reply;
use crate::app::App;
use crate::catalogue;
use crate::clock::rfc3339_ms;
use crate::error::{ApiError, ApiResult};
use crate::state::Caller;

/// The commit that a version is said to be built from.
const COMMIT: &str = "c50c7ddd";

/// `/systeminfo`: little for anybody, more for whoever is logged in.
pub fn info(app: &App, call: &Call) -> Reply {
    let state = app.state();
    let setting = |key: &str| state.settings.value(key);
    let mut info = json!({
        "auth_mode": setting("auth_mode"), "banner_message": setting("banner_message"), "oidc_provider_name": "",
        "primary_auth_mode": setting("primary_auth_mode"), "self_registration": setting("self_registration"),
    });
    let version = format!("{}-{COMMIT}", state.version);
    if !state.version.hides_version() {
        info["harbor_version"] = json!(version);
    }
    if call.caller.is_authenticated() {
        let external = app.external_url();
        let registry = external.split_once("://").map_or(external, |(_, host)| host);
        let more = json!({
            "current_time": rfc3339_ms(state.clock.now_ms()), "external_url": external, "registry_url": registry,
            "project_creation_restriction": setting("project_creation_restriction"), "has_ca_root": app.has_ca(),
            "harbor_version": version, "registry_storage_provider_name": "filesystem",
            "read_only": state.settings.read_only(), "notification_enable": setting("notification_enable"),
        });
        if let (Value::Object(info), Value::Object(more)) = (&mut info, more) {
            info.extend(more);
        }
    }
    Reply::json(200, &info)
}

/// `/permissions`: the catalogue for administrators; a project administrator sees the project part.
pub fn permissions(app: &App, call: &Call) -> ApiResult<Reply> {
    let state = app.state();
    if !state.version.has_catalogue() {
        return Err(ApiError::not_found(format!("path {} was not found", call.path)));
    }
    if !call.caller.is_authenticated() {
        return Err(ApiError::unauthorized_with(""));
    }
    let admin = state.is_admin(&call.caller);
    let project_admin = match call.caller {
        Caller::Person { id, .. } => state.projects.all().any(|project| project.role(id) == Some(1)),
        _ => false,
    };
    if !admin && !project_admin {
        return Err(ApiError::forbidden("forbidden: only admins(system and project) can access permissions"));
    }
    let of_kind = |kind: &str| catalogue::of_kind(state.version, kind);
    let system = if admin { of_kind("system") } else { Value::Null };
    Ok(Reply::json(200, &json!({"system": system, "project": of_kind("project")})))
}

/// `/health`
pub fn health() -> Reply {
    let names = ["core", "database", "jobservice", "portal", "redis", "registry", "registryctl"];
    let components: Vec<Value> = names.iter().map(|name| json!({"name": name, "status": "healthy"})).collect();
    Reply::json(200, &json!({"status": "healthy", "components": components}))
}
