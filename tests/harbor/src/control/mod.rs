//! The test controls under `/_stand-in/`. They ask for no login and are not in the call log.

pub mod calls;
pub mod quirks;
pub mod seed;

use bytes::Bytes;
use hyper::http::request::Parts;
use serde_json::{Value, json};

use crate::app::App;
use crate::http::reply::Reply;

/// Answers one control call; what cannot be read is 400 with the reason.
pub fn answer(app: &App, parts: &Parts, path: &str, body: &Bytes) -> Reply {
    let value = if body.is_empty() { Ok(json!({})) } else { serde_json::from_slice(body) };
    let outcome = value.map_err(|error| error.to_string()).and_then(|value| act(app, parts, path, value));
    match outcome {
        Ok(Some(value)) => Reply::json(200, &value),
        Ok(None) => Reply::text(404, format!("no control {} {path}\n", parts.method)),
        Err(reason) => Reply::text(400, format!("{reason}\n")),
    }
}

fn act(app: &App, parts: &Parts, path: &str, body: Value) -> Result<Option<Value>, String> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let number = |key: &str| body[key].as_i64().ok_or_else(|| format!("{key} must be a whole number"));
    Ok(Some(match (parts.method.as_str(), segments.as_slice()) {
        ("POST", ["age"]) => {
            app.state().age(number("days")?);
            json!({})
        }
        ("POST", ["advance"]) => {
            let seconds = number("seconds")?;
            let mut state = app.state();
            state.clock.advance(seconds);
            json!({"now": state.clock.now_ms()})
        }
        ("POST", ["snapshot"]) => {
            let backup = app.state().backup();
            *app.backup() = Some(backup);
            json!({})
        }
        ("POST", ["restore"]) => {
            let backup = app.backup().clone().ok_or("there is no snapshot")?;
            app.state().restore(backup);
            json!({})
        }
        ("GET", ["calls"]) => app.calls().view(last(parts)),
        ("DELETE", ["calls"]) => {
            app.calls().reset();
            json!({})
        }
        ("POST", ["sessions", "forget"]) => json!({"forgotten": app.state().sessions.forget()}),
        ("POST", ["sessions", "csrf-key"]) => {
            app.state().sessions.change_csrf_key();
            json!({})
        }
        ("GET", ["sessions"]) => json!({"loggedIn": app.state().sessions.ids()}),
        ("GET", ["quirks"]) => quirks_view(app),
        ("PUT", ["quirks"]) => {
            let read_only = app.quirks().change(body)?;
            if let Some(on) = read_only {
                app.state().settings.set_read_only(on);
            }
            quirks_view(app)
        }
        ("POST", ["seed"]) => seed::seed(&mut app.state(), body)?,
        ("DELETE", ["projects", name]) => {
            let mut state = app.state();
            let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned();
            let id = state.projects.named(&name).map(|project| project.id).ok_or(format!("no project {name}"))?;
            state.delete_project(id);
            json!({})
        }
        ("POST", ["robots"]) => seed::robot(&mut app.state(), body)?,
        ("POST", ["robots", id, "permissions"]) => {
            let id = id.parse().map_err(|_| "the robot's id must be a number")?;
            seed::permissions(&mut app.state(), id, body)?
        }
        _ => return Ok(None),
    }))
}

fn quirks_view(app: &App) -> Value {
    let read_only = app.state().settings.read_only();
    app.quirks().view(read_only)
}

fn last(parts: &Parts) -> usize {
    let query = parts.uri.query().unwrap_or_default();
    let last = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "last");
    last.and_then(|(_, value)| value.parse().ok()).unwrap_or(usize::MAX)
}
