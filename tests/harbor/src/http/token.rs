//! `/service/token`, and who the holder of such a token is.

use hyper::Method;
use rand::seq::SliceRandom;
use serde_json::{Value, json};

use super::call::Call;
use super::reply::Reply;
use crate::app::App;
use crate::clock::rfc3339_s;
use crate::state::{Caller, State};

const SERVICE: &str = "harbor-registry";
const ISSUER: &str = "harbor-token-issuer";
/// Clocks may differ by so many seconds.
const LEEWAY: i64 = 60;

/// `GET /service/token`: with a scope always 200, whoever asks; the token then has what the caller has.
pub fn issue(app: &App, call: &Call) -> Reply {
    if call.method != Method::GET {
        return Reply::text(405, "Method Not Allowed\n");
    }
    let service = call.param("service").unwrap_or_default();
    if service != SERVICE {
        return Reply::text(400, format!("Unable to handle service: {service}\n"));
    }
    let scopes: Vec<String> = call
        .params("scope")
        .iter()
        .flat_map(|scope| scope.split(' '))
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect();
    if scopes.is_empty() && !call.caller.is_authenticated() {
        return Reply::empty(401);
    }
    let state = app.state();
    let now_ms = state.clock.now_ms();
    let now = now_ms.div_euclid(1000);
    let lives = state.settings.token_minutes() * 60;
    let access = if scopes.is_empty() { Value::Null } else { access(&state, &call.caller, &scopes) };
    drop(state);
    let mut claims = json!({
        "iss": ISSUER, "aud": SERVICE, "exp": now + lives, "nbf": now, "iat": now,
        "jti": format!("{:016x}", rand::random::<u64>()), "access": access,
    });
    if call.caller.is_authenticated() {
        claims["sub"] = call.caller.name().into();
    }
    let token = app.key.sign(&claims);
    let body = json!({"token": token, "access_token": "", "expires_in": lives, "issued_at": rfc3339_s(now_ms)});
    Reply::typed(200, "application/json; charset=utf-8", body.to_string())
}

/// What the caller has on each scope: all of it, not only what was asked for, and in no order.
fn access(state: &State, caller: &Caller, scopes: &[String]) -> Value {
    // A project robot's rights are narrowed to the first project asked about; asking about another one first loses them.
    let own = state.robot_of(caller).map(|robot| robot.row.project).filter(|project| *project != 0);
    let mut lost = false;
    let mut entry = |scope: &String| {
        let parts: Vec<&str> = scope.split(':').collect();
        let (kind, name) = match parts.as_slice() {
            [kind] => (*kind, String::new()),
            [kind, name] => (*kind, (*name).to_owned()),
            [kind, name @ .., _] => (*kind, name.join(":")),
            [] => ("", String::new()),
        };
        let project = name.split_once('/').and_then(|(project, _)| state.projects.named(project));
        let mut actions = Vec::new();
        if let Some(project) = project.filter(|_| kind == "repository") {
            lost |= own.is_some_and(|own| own != project.id);
            let asker = if lost && own == Some(project.id) { &Caller::Nobody } else { caller };
            let may = |action: &&&str| state.may_in_project(asker, project.id, "repository", action);
            actions = ["pull", "push", "delete"].iter().filter(may).copied().collect();
            actions.shuffle(&mut rand::rng());
        } else if kind == "registry" && name == "catalog" && state.is_admin(caller) {
            actions.push("*");
        }
        json!({"type": kind, "name": name, "actions": actions})
    };
    scopes.iter().map(&mut entry).collect()
}

/// The holder of a token that this server issued and that has not expired. What has become of the robot since does not
/// matter.
pub fn holder(app: &App, token: &str) -> Option<Caller> {
    let claims = app.key.claims(token)?;
    let now = app.state().clock.now_ms().div_euclid(1000);
    if claims["aud"] != SERVICE || claims["iss"] != ISSUER || claims["exp"].as_i64()? + LEEWAY < now {
        return None;
    }
    let mut access: Vec<(String, Vec<String>)> = Vec::new();
    for entry in claims["access"].as_array().into_iter().flatten() {
        let project = entry["name"].as_str()?.split('/').next()?.to_owned();
        let actions = entry["actions"].as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        access.retain(|(held, _)| *held != project);
        access.push((project, actions));
    }
    let name = claims["sub"].as_str().unwrap_or_default().to_owned();
    Some(Caller::Token { name, access, issued: claims["iat"].as_i64()? })
}
