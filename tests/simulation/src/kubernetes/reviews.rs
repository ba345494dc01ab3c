//! What the API server says of tokens, and of what their owners may do. Nothing of it is stored.

use serde_json::{Value, json};

use super::status::{Cause, Refusal};

/// Tokens, paths that are no resources, and whether the owner of each may get it. The second of one name is another owner: its
/// ServiceAccount was deleted and made again.
pub const TOKENS: [(&str, &str, bool); 6] = [
    ("monitoring", "/metrics", true),
    ("monitoring", "/debug", false),
    ("monitoring made again", "/metrics", false),
    ("monitoring for less", "/metrics", false),
    ("team", "/metrics", false),
    ("nobody", "/metrics", false),
];

/// Who has a token.
fn owner(token: &str) -> Option<Value> {
    let of = |name: &str, uid: &str, scopes: &[&str]| {
        Some(json!({
            "username": format!("system:serviceaccount:{name}"), "uid": uid,
            "groups": ["system:serviceaccounts", "system:authenticated"], "extra": {"scopes": scopes},
        }))
    };
    match token {
        "monitoring" => of("monitoring:prometheus", "1", &["all"]),
        "monitoring made again" => of("monitoring:prometheus", "2", &["all"]),
        "monitoring for less" => of("monitoring:prometheus", "1", &["less"]),
        "team" => of("team-a:default", "3", &["all"]),
        _ => None,
    }
}

/// The answer to a review; `None` if the call is none.
pub fn review(method: &str, target: &str, body: &Value) -> Option<Result<Value, Refusal>> {
    let path = target.split('?').next().unwrap_or_default();
    match (method, path) {
        ("POST", "/apis/authentication.k8s.io/v1/tokenreviews") => Some(of_token(body)),
        ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews") => Some(of_access(body)),
        _ => None,
    }
}

fn of_token(body: &Value) -> Result<Value, Refusal> {
    let token = body["spec"]["token"].as_str().unwrap_or_default();
    if token.is_empty() {
        return Err(Refusal::bad("token is required for TokenReview in authentication"));
    }
    let mut answer = body.clone();
    answer["status"] = owner(token).map_or_else(
        || json!({"user": {}, "error": "[invalid bearer token]"}),
        |user| json!({"authenticated": true, "user": user}),
    );
    Ok(answer)
}

/// Rights are of one owner, whole as the token's review told him.
fn of_access(body: &Value) -> Result<Value, Refusal> {
    let spec = &body["spec"];
    let wanted = &spec["nonResourceAttributes"];
    if wanted.is_object() == spec["resourceAttributes"].is_object() {
        let cause =
            Cause::invalid("spec", "exactly one of nonResourceAttributes or resourceAttributes must be specified");
        return Err(Refusal::new(422, "Invalid", format!("{}: {}", cause.field, cause.message)));
    }
    let who = json!({
        "username": spec["user"], "uid": spec["uid"], "groups": spec["groups"], "extra": spec["extra"],
    });
    let may = Some(&who) == owner("monitoring").as_ref() && wanted["path"] == "/metrics" && wanted["verb"] == "get";
    let mut answer = body.clone();
    answer["status"] = json!({"allowed": may, "reason": if may { "a rule allows it" } else { "" }});
    Ok(answer)
}
