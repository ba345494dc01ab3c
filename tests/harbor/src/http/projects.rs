//! `/projects` and the repositories in them.

use hyper::Method;
use serde_json::{Value, json};

use super::call::{Binding, Call, bound};
use super::reply::Reply;
use super::robots::paged;
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::gojson::{Place, field};
use crate::query::{self, Page, Pattern};
use crate::state::projects::Project;
use crate::state::rights::ITSELF;
use crate::state::{Caller, State, rules};

/// `/projects`
pub fn collection(app: &App, call: &Call) -> ApiResult<Reply> {
    match call.method {
        Method::HEAD => head(app, call),
        Method::GET => list(app, call),
        _ => create(app, call),
    }
}

fn head(app: &App, call: &Call) -> ApiResult<Reply> {
    let Some(name) = call.param("project_name") else {
        return Err(ApiError::binding(&["project_name in query is required".into()]));
    };
    let state = app.state();
    state.require_login(&call.caller)?;
    state.projects.find(&name)?;
    Ok(Reply::empty(200))
}

fn view(state: &State, caller: &Caller, project: &Project) -> Value {
    let role = match caller {
        Caller::Person { id, .. } => project.role(*id).or_else(|| state.is_admin(caller).then_some(1)),
        _ => None,
    };
    project.view(role)
}

fn list(app: &App, call: &Call) -> ApiResult<Reply> {
    let mut binding = Binding::default();
    let page = binding.page(call);
    let public = binding.query_flag(call, "public");
    binding.done()?;
    let mut keywords = query::keywords(&call.param("q").unwrap_or_default())?;
    if let Some(name) = call.param("name") {
        keywords.insert("name".into(), Pattern::Fuzzy(name));
    }
    if let Some(owner) = call.param("owner") {
        keywords.insert("owner".into(), Pattern::Exact(owner));
    }
    if let Some(public) = public {
        keywords.insert("public".into(), Pattern::Exact(public.to_string()));
    }
    let state = app.state();
    let listing = state.list_projects(&call.caller, &keywords, &call.param("sort").unwrap_or_default(), page)?;
    let rows: Vec<Value> = listing.rows.iter().map(|project| view(&state, &call.caller, project)).collect();
    Ok(paged(call, &rows, listing.total, page))
}

#[derive(Default)]
struct ProjectBody {
    name: String,
    public: Option<String>,
}

fn read_body(value: &Value) -> Result<ProjectBody, String> {
    let place = Place::body("ProjectReq");
    let Some(map) = place.object(value)? else { return Ok(ProjectBody::default()) };
    let mut body = ProjectBody { name: place.text(map, "project_name")?.unwrap_or_default(), public: None };
    if let Some(metadata) = field(map, "metadata").and_then(Value::as_object) {
        body.public = place.element("ProjectMetadata", "metadata").text(metadata, "public")?;
    }
    if body.public.is_none() {
        body.public = place.flag(map, "public")?.map(|public| public.to_string());
    }
    Ok(body)
}

/// `metadata.public`, which is text.
fn public(body: &ProjectBody) -> ApiResult<Option<bool>> {
    match body.public.as_deref() {
        None | Some("") => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(other) => {
            Err(ApiError::bad_request(format!("metadata.public should only be 'true' or 'false', but got: '{other}'")))
        }
    }
}

fn create(app: &App, call: &Call) -> ApiResult<Reply> {
    let mut binding = Binding::default();
    let body = binding.body(call, "project", read_body);
    if body.as_ref().is_some_and(|body| body.name.chars().count() > 255) {
        binding.refuse("project_name in body should be at most 255 chars long");
    }
    binding.done()?;
    let body = bound(body);
    let mut state = app.state();
    state.require_login(&call.caller)?;
    if state.robot_of(&call.caller).is_some_and(|robot| robot.row.project != 0) {
        return Err(ApiError::forbidden("Only system level robot can create project"));
    }
    if state.settings.only_admin_creates_projects() && !state.may_in_system(&call.caller, "project", "create") {
        return Err(ApiError::forbidden("Only system admin can create project"));
    }
    let public = public(&body)?.unwrap_or_default();
    if !rules::is_name(&body.name) {
        return Err(ApiError::bad_request("project name is not in lower case or contains illegal characters"));
    }
    if state.projects.named(&body.name).is_some() {
        return Err(ApiError::conflict(format!("The project named {} already exists", body.name)));
    }
    // A robot owns nothing: the first administrator does.
    let owner = match &call.caller {
        Caller::Person { id, .. } => *id,
        _ => 1,
    };
    let owner_name = state.users.get(owner).map(|user| user.name.clone()).unwrap_or_default();
    let now = state.clock.now_ms();
    let id = state.projects.create(&body.name, public, owner, &owner_name, now);
    let by_name = call.header("X-Resource-Name-In-Location").is_some_and(|value| value == "true");
    let last = if by_name { body.name } else { id.to_string() };
    Ok(Reply::empty(201).with("Location", format!("{}/{last}", call.path.trim_end_matches('/'))))
}

/// The project that a path names: by id if it is a number, unless the header says that it is a name.
pub fn named<'a>(state: &'a State, call: &Call, text: &str) -> ApiResult<&'a Project> {
    match text.parse::<i64>() {
        Ok(id) if !call.is_resource_name() => {
            state.projects.get(id).ok_or_else(|| ApiError::not_found(format!("project {id} not found")))
        }
        _ => state.projects.find(text),
    }
}

/// The project's id, if the caller may do this there; an administrator passes and sees 404.
pub fn require(state: &State, call: &Call, text: &str, resource: &str, action: &str) -> ApiResult<i64> {
    let found = named(state, call, text);
    let id = found.as_ref().ok().map(|project| project.id);
    state.require_in_project(&call.caller, id, resource, action)?;
    found.map(|project| project.id)
}

/// `/projects/{project}`
pub fn one(app: &App, call: &Call, text: &str) -> ApiResult<Reply> {
    let mut state = app.state();
    match call.method {
        Method::GET => {
            let id = require(&state, call, text, ITSELF, "read")?;
            let project = state.projects.get(id).map(|project| view(&state, &call.caller, project));
            Ok(Reply::json(200, &project.unwrap_or_default()))
        }
        Method::PUT => {
            let mut binding = Binding::default();
            let body = binding.body(call, "project", read_body);
            binding.done()?;
            let id = require(&state, call, text, ITSELF, "update")?;
            let public = public(&bound(body))?;
            let now = state.clock.now_ms();
            if let Some(project) = state.projects.get_mut(id) {
                project.public = public.unwrap_or(project.public);
                project.updated_ms = now;
            }
            Ok(Reply::empty(200))
        }
        _ => {
            let id = require(&state, call, text, ITSELF, "delete")?;
            if state.projects.get(id).is_some_and(|project| !project.repositories.is_empty()) {
                return Err(ApiError::precondition(
                    "precondition failed: the project contains repositories, can not be deleted",
                ));
            }
            state.delete_project(id);
            Ok(Reply::empty(200))
        }
    }
}

/// `/projects/{project}/repositories`
pub fn repositories(app: &App, call: &Call, text: &str) -> ApiResult<Reply> {
    let mut binding = Binding::default();
    let page: Page = binding.page(call);
    binding.done()?;
    let state = app.state();
    let id = require(&state, call, text, "repository", "list")?;
    let names = state.projects.get(id).into_iter().flat_map(|project| &project.repositories);
    let rows: Vec<Value> = names.map(|name| json!({"name": name, "project_id": id})).collect();
    let (skip, take) = page.window();
    let shown: Vec<Value> = rows.iter().skip(skip).take(take).cloned().collect();
    Ok(paged(call, &shown, rows.len(), page))
}

/// `/projects/{project}/repositories/{repository}`: forgets the repository, whose layers stay in the registry.
pub fn repository(app: &App, call: &Call, text: &str, repository: &str) -> ApiResult<Reply> {
    let mut state = app.state();
    let id = require(&state, call, text, "repository", "delete")?;
    let project = state.projects.get_mut(id).ok_or_else(ApiError::internal)?;
    let full = format!("{}/{repository}", project.name);
    if !project.repositories.remove(&full) {
        return Err(ApiError::not_found(format!("repository {full} not found")));
    }
    Ok(Reply::empty(200))
}
