//! A call's way: quirks, then Harbor's middlewares in their order, then the operation, then the log.

use std::sync::Arc;
use std::time::Instant;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};

use super::call::Call;
use super::reply::{Body, Reply};
use super::route::{self, Endpoint, Route};
use super::{configurations, front, login, members, projects, robots, robots_v1, system, token, users};
use crate::app::App;
use crate::clock::http_date;
use crate::control::{self, calls::Record, calls::UnderWay};
use crate::error::{ApiError, ApiResult};
use crate::state::Caller;

/// No more of a body is read.
const BODY_LIMIT: usize = 16 << 20;

/// The connection is to be closed without an answer.
#[derive(Debug)]
pub struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the answer was dropped on purpose")
    }
}

impl std::error::Error for Dropped {}

/// Answers one request.
pub async fn answer(app: Arc<App>, request: Request<Incoming>) -> Result<Response<Body>, Dropped> {
    let (parts, body) = request.into_parts();
    let path = merged(parts.uri.path());
    if let Some(rest) = path.strip_prefix("/_stand-in/") {
        return Ok(control::answer(&app, &parts, rest, &read(body).await).into_response());
    }
    let _under_way = UnderWay::begin(&app);
    let route = route::find(&path);
    let template = route.as_ref().map_or("(unknown)", |route| route.template);
    let plan = app.quirks().plan(parts.method.as_str(), template, &parts.uri.to_string());
    let started = Instant::now();
    tokio::time::sleep(plan.delay).await;
    let mut record = Record {
        method: parts.method.to_string(),
        path: template.to_owned(),
        target: path.clone(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        login: login::basic(&parts.headers).map(|(name, _)| name).unwrap_or_default(),
        auth: login::auth(&parts.headers),
        status: 0,
        at: app.state().clock.now_ms(),
        took: 0,
    };
    let served = match &plan.fault {
        Some(fault) if !fault.after_commit => None,
        _ => Some(serve(&app, &parts, body, path, route, &mut record).await),
    };
    let answer = match plan.fault {
        Some(fault) if fault.drop => {
            record.took = micros(started);
            app.calls().note(record);
            return Err(Dropped);
        }
        Some(fault) => fault.reply().into_response(),
        None => served.unwrap_or_else(|| Reply::from(ApiError::internal()).into_response()),
    };
    record.status = answer.status().as_u16();
    record.took = micros(started);
    app.calls().note(record);
    Ok(finished(&app, &parts, answer))
}

fn micros(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// Harbor takes several slashes for one.
fn merged(path: &str) -> String {
    let mut merged = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !merged.ends_with('/') {
            merged.push(c);
        }
    }
    merged
}

async fn read(body: Incoming) -> bytes::Bytes {
    Limited::new(body, BODY_LIMIT).collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default()
}

async fn serve(
    app: &Arc<App>,
    parts: &Parts,
    body: Incoming,
    path: String,
    route: Option<Route>,
    record: &mut Record,
) -> Response<Body> {
    let query = parts.uri.query().unwrap_or_default().to_owned();
    if query.contains(';') {
        return Reply::from(ApiError::bad_request("invalid semicolon separator in query")).into_response();
    }
    let csrf = login::csrf(app, &parts.method, &path, &parts.headers);
    let session = login::cookie(&parts.headers, login::SESSION_COOKIE);
    let session = session.filter(|session| app.state().knows_session(session)).map(str::to_owned);
    let mut answer = if let Some(refused) = csrf.refused {
        Reply::from(refused).into_response()
    } else {
        let registry = path.starts_with("/v2");
        let caller = login::caller(app, &parts.headers, registry, session.as_deref()).await;
        if caller.is_authenticated() {
            caller.name().clone_into(&mut record.login);
        }
        if is_read_only(app, &parts.method, &path) {
            let denied = "The system is in read only mode. Any modification is prohibited.";
            Reply::from(ApiError::denied(denied)).into_response()
        } else if registry {
            front::answer(app, parts, body, &caller).await
        } else {
            operate(app, parts, body, path, query, route, caller, session.clone(), record).await
        }
    };
    let headers = answer.headers_mut();
    let begins_session = headers.get("Set-Cookie").is_some_and(|cookie| cookie.as_bytes().starts_with(b"sid="));
    if session.is_none() && !begins_session {
        let cookie = login::session_cookie(&app.state().sessions.issue());
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            headers.append("Set-Cookie", cookie);
        }
    }
    for (name, value) in csrf.headers {
        if let (Ok(name), Ok(value)) = (hyper::header::HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    answer
}

/// Writes that read-only mode refuses; switching it off is not among them.
fn is_read_only(app: &App, method: &Method, path: &str) -> bool {
    let writes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let spared = (*method == Method::PUT && path.trim_end_matches('/') == "/api/v2.0/configurations")
        || (*method == Method::POST && path == "/c/login");
    writes && !spared && app.state().settings.read_only()
}

#[expect(clippy::too_many_arguments, reason = "the parts of one call, taken apart just before")]
async fn operate(
    app: &Arc<App>,
    parts: &Parts,
    body: Incoming,
    path: String,
    query: String,
    route: Option<Route>,
    caller: Caller,
    session: Option<String>,
    record: &mut Record,
) -> Response<Body> {
    let body = read(body).await;
    if route.as_ref().is_some_and(|route| matches!(route.endpoint, Endpoint::Login)) {
        (record.login, record.auth) = (login::field(&body, "principal"), "form");
    }
    let call =
        Call { method: parts.method.clone(), path, query, headers: parts.headers.clone(), body, caller, session };
    let old = |route: &Route| matches!(route.endpoint, Endpoint::RobotsV1(_) | Endpoint::RobotV1(..));
    let has_old = app.state().version.has_robots_v1();
    let Some(route) = route.filter(|route| has_old || !old(route)) else {
        let path = call.decoded_path();
        return Reply::from(ApiError::not_found(format!("path {path} was not found"))).into_response();
    };
    dispatch(app, &call, &route).await.unwrap_or_else(Reply::from).into_response()
}

async fn dispatch(app: &App, call: &Call, route: &Route) -> ApiResult<Reply> {
    if !route.methods.is_empty() && !route.methods.contains(&call.method.as_str()) {
        return Err(ApiError::method_not_allowed(call.method.as_str(), route.methods));
    }
    match &route.endpoint {
        Endpoint::Login => return login::log_in(app, call).await,
        Endpoint::Logout => return Ok(login::log_out(app, call)),
        Endpoint::Token => return Ok(token::issue(app, call)),
        Endpoint::Ping => return Ok(Reply::text(200, "Pong")),
        _ => call.negotiate()?,
    }
    match &route.endpoint {
        Endpoint::Robots => robots::collection(app, call).await,
        Endpoint::Robot(id) => robots::one(app, call, id).await,
        Endpoint::Projects => projects::collection(app, call),
        Endpoint::Project(project) => projects::one(app, call, project),
        Endpoint::Members(project) => members::collection(app, call, project),
        Endpoint::Member(project, id) => members::one(app, call, project, id),
        Endpoint::RobotsV1(project) => robots_v1::collection(app, call, project),
        Endpoint::RobotV1(project, id) => robots_v1::one(app, call, project, id),
        Endpoint::Repositories(project) => projects::repositories(app, call, project),
        Endpoint::Repository(project, name) => projects::repository(app, call, project, name),
        Endpoint::Users => users::collection(app, call),
        Endpoint::CurrentUser => users::current(app, call),
        Endpoint::SearchUsers => users::search(app, call),
        Endpoint::User(id) => users::one(app, call, id),
        Endpoint::Sysadmin(id) => users::sysadmin(app, call, id),
        Endpoint::Permissions => system::permissions(app, call),
        Endpoint::Configurations => configurations::one(app, call),
        Endpoint::SystemInfo => Ok(system::info(app, call)),
        Endpoint::Health => Ok(system::health()),
        Endpoint::Version => Ok(Reply::json(200, &serde_json::json!({"version": "v2.0"}))),
        Endpoint::Ping | Endpoint::Login | Endpoint::Logout | Endpoint::Token | Endpoint::Registry => {
            Err(ApiError::internal())
        }
    }
}

/// Every answer carries the request's id (the client's own, or one made up) and the date of this server's clock.
fn finished(app: &App, parts: &Parts, mut answer: Response<Body>) -> Response<Body> {
    let given = parts.headers.get("X-Request-Id").filter(|id| !id.is_empty()).cloned();
    let id = given.or_else(|| HeaderValue::try_from(uuid()).ok());
    let date = HeaderValue::try_from(http_date(app.state().clock.now_ms())).ok();
    for (name, value) in [("X-Request-Id", id), ("Date", date)] {
        if let Some(value) = value {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

fn uuid() -> String {
    let hex = format!("{:032x}", rand::random::<u128>());
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}
