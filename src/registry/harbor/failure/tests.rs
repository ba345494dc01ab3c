use super::*;

fn told(call: Call, status: u16, code: &str, message: &str) -> Error {
    let body = serde_json::json!({"errors": [{"code": code, "message": message}]}).to_string();
    refusal(call, StatusCode::from_u16(status).unwrap(), body.as_bytes(), None, &["s3cret"])
}

#[test]
fn each_refusal_of_harbor_has_its_meaning() {
    let scope = "permission scope is invalid. It must be equal to or more restrictive than the creator robot's permissions: robot$m";
    let fixed = "current config is init by env variable: CONFIG_OVERWRITE_JSON, it cannot be updated";
    let csrf = "CSRF token invalid";
    let text = |text: &str| text.to_owned();
    let cases = [
        (told(Call::ROBOT_LIST, 401, "UNAUTHORIZED", "unauthorized"), Error::Unauthorized),
        (
            told(Call::ROBOT_GET, 403, "FORBIDDEN", "forbidden"),
            Error::Forbidden { needs: "robot:read", message: text("forbidden") },
        ),
        (told(Call::ROBOT_CREATE, 403, "DENIED", scope), Error::ScopeExceeded(text(scope))),
        (
            told(Call::ROBOT_UPDATE, 403, "DENIED", scope),
            Error::Forbidden { needs: "project:update", message: text(scope) },
        ),
        (told(Call::ROBOT_CREATE, 403, "DENIED", "denied"), Error::LoginTooOld),
        (told(Call::ROBOT_UPDATE, 403, "DENIED", "editing of legacy robot is not allowed"), Error::Legacy),
        (
            told(Call::ROBOT_DELETE, 403, "DENIED", "The system is in read only mode. Any modification is prohibited."),
            Error::ReadOnly,
        ),
        (told(Call::ROBOT_REFRESH, 404, "NOT_FOUND", "robot 7 not found"), Error::NotFound),
        (told(Call::ROBOT_CREATE, 404, "NOT_FOUND", "project lib not found"), Error::ProjectNotFound(text("lib"))),
        (told(Call::ROBOT_CREATE, 409, "CONFLICT", "robot account 0:x already exists"), Error::Conflict),
        (
            told(Call::ROBOT_CREATE, 400, "BAD_REQUEST", "bad request permission: helm-chart:read"),
            Error::PermissionUnknown(text("helm-chart:read")),
        ),
        (told(Call::ROBOT_UPDATE, 400, "BAD_REQUEST", "cannot update the level or name of robot"), Error::Renamed),
        (told(Call::ROBOT_CREATE, 422, "X", "validation failure list:\nno"), {
            Error::Invalid(text("validation failure list: no"))
        }),
        (
            told(Call::CONFIGURATIONS, 403, "FORBIDDEN", "ann"),
            Error::Forbidden { needs: "", message: text("only a system administrator reads and changes the settings") },
        ),
        (
            told(Call::CONFIGURATIONS_UPDATE, 403, "FORBIDDEN", fixed),
            Error::Forbidden { needs: "", message: text(fixed) },
        ),
        (
            told(Call::CONFIGURATIONS_UPDATE, 403, "FORBIDDEN", csrf),
            Error::Forbidden { needs: "", message: text(csrf) },
        ),
        (told(Call::CATALOGUE, 404, "NOT_FOUND", "path /api/v2.0/permissions was not found"), Error::NotFound),
        (told(Call::ROBOT_LIST, 429, "", ""), Error::Busy(None)),
        (told(Call::ROBOT_LIST, 502, "", ""), Error::Server(502)),
    ];
    for (got, want) in cases {
        assert_eq!(got, want);
    }
}

#[test]
fn a_404_that_harbor_did_not_write_says_nothing_about_the_robot() {
    let html = refusal(Call::ROBOT_GET, StatusCode::NOT_FOUND, b"<html>default backend</html>", None, &[]);
    assert!(matches!(html, Error::BadAnswer { after_write: false, .. }), "{html}");
    assert!(matches!(told(Call::ROBOT_GET, 404, "NOT_FOUND", "path /x was not found"), Error::BadAnswer { .. }));
}

#[test]
fn a_403_that_harbor_did_not_write_says_nothing_about_the_login() {
    for body in
        [&b"<html>blocked by rule 949110</html>"[..], b"", br#"{"errors":[{"code":"WAF","message":"forbidden"}]}"#]
    {
        for call in [Call::ROBOT_UPDATE, Call::ROBOT_CREATE, Call::CURRENT_USER] {
            let error = refusal(call, StatusCode::FORBIDDEN, body, None, &[]);
            assert!(matches!(error, Error::BadAnswer { after_write: false, .. }), "{error}");
        }
    }
}

#[test]
fn texts_are_short_printable_and_free_of_secrets() {
    let long = format!("a\u{7}\u{202e}\n{}", "é".repeat(400));
    let Error::Invalid(message) = told(Call::ROBOT_CREATE, 400, "BAD_REQUEST", &long) else { panic!() };
    assert_eq!(message.chars().count(), 256);
    assert!(message.starts_with("a  é"), "{message}");
    let echoed = told(Call::ROBOT_REFRESH, 400, "BAD_REQUEST", "bad secret s3cret here");
    assert!(!format!("{echoed:?}{echoed}").contains("s3cret"));
}

#[test]
fn retry_after_is_read_in_both_forms() {
    let now: RegistryTime = "1994-11-06T08:49:07Z".parse().unwrap();
    assert_eq!(retry_after(" 120 ", now), Some(Duration::from_mins(2)));
    assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(30)));
    assert_eq!(retry_after("Sun, 06 Nov 1994 08:48:37 GMT", now), Some(Duration::ZERO));
    assert_eq!(retry_after("soon", now), None);
    for week in ["604800", "18446744073709551615", "18446744073709551616", "Sun, 13 Nov 1994 08:48:37 GMT"] {
        assert_eq!(retry_after(week, now), Some(LONGEST_WAIT), "{week}");
    }
    assert_eq!(retry_after("Thu, 30 Dec 9999 22:00:00 GMT", RegistryTime::MIN), Some(LONGEST_WAIT));
    assert_eq!(retry_after("", now), None);
}
