//! What Harbor checks before it looks at the caller: names, durations, levels, permissions, secrets.

use super::grants::Requested;
use crate::catalogue;
use crate::error::{ApiError, ApiResult};
use crate::version::Version;

/// Length of the description column, in characters.
const DESCRIPTION_CHARS: usize = 1024;
/// Length of the stored name's column, in characters.
const NAME_CHARS: usize = 255;
/// Durations stay below 2^31 - 1 days.
const DURATION_END: i64 = 2_147_483_647;

/// `^[a-z0-9]+(?:[._-][a-z0-9]+)*$`, the rule of robot and project names.
pub fn is_name(name: &str) -> bool {
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    name.split(['.', '_', '-']).all(word)
}

/// A robot's name on create.
pub fn robot_name(name: &str) -> ApiResult<()> {
    if is_name(name) {
        return Ok(());
    }
    Err(ApiError::bad_request("robot name is not in lower case or contains illegal characters"))
}

/// Duration, level and permissions, in the order in which Harbor complains.
pub fn robot(version: Version, duration: i64, level: &str, permissions: &[Requested]) -> ApiResult<()> {
    let bad = |text: String| Err(ApiError::bad_request(text));
    if !version.refuses_duration_zero() && !(-1..DURATION_END).contains(&duration) {
        return bad(format!("bad request error duration input: {duration}"));
    }
    if version.refuses_duration_zero() && duration != -1 && !(1..DURATION_END).contains(&duration) {
        return bad(format!(
            "bad request error duration input: {duration}, duration must be either -1(Never) or a positive integer"
        ));
    }
    if level != "system" && level != "project" {
        return bad(format!("bad request error level input: {level}"));
    }
    if !version.is_since_16() && permissions.iter().any(|group| group.null || group.null_access) {
        return Err(ApiError::panicked());
    }
    if permissions.is_empty() || permissions.iter().any(|group| group.null) {
        return bad("bad request empty permission".into());
    }
    if permissions.iter().any(|group| group.access.is_empty() || group.null_access) {
        return bad("bad request empty access".into());
    }
    if level == "project" && permissions.len() > 1 {
        return bad("bad request permission".into());
    }
    for group in permissions.iter().filter(|_| version.has_catalogue()) {
        if group.kind != "system" && group.kind != "project" {
            return bad(format!("bad request permission level: {}", group.kind));
        }
        let unknown =
            |access: &&super::grants::Access| !catalogue::holds(version, &group.kind, &access.resource, &access.action);
        if let Some(access) = group.access.iter().find(unknown) {
            return bad(format!("bad request permission: {}:{}", access.resource, access.action));
        }
    }
    Ok(())
}

/// A secret that the client chose. Bytes count, not characters.
pub fn secret(version: Version, secret: &str) -> ApiResult<()> {
    let has = |class: fn(&u8) -> bool| secret.as_bytes().iter().any(class);
    let longest = if version.limits_secrets() { 128 } else { usize::MAX };
    let fits = (8..=longest).contains(&secret.len())
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_digit);
    if fits {
        return Ok(());
    }
    if !version.limits_secrets() {
        return Err(ApiError::bad_request(
            "the secret must longer than 8 chars with at least 1 uppercase letter, 1 lowercase letter and 1 number",
        ));
    }
    Err(ApiError::bad_request(
        "the secret must be 8-128, inclusively, characters long with at least 1 uppercase letter, 1 lowercase letter and \
         1 number",
    ))
}

/// What the database's columns hold; more is its error, which Harbor answers with 500.
pub fn columns(stored_name: &str, description: &str) -> ApiResult<()> {
    let fits = stored_name.chars().count() <= NAME_CHARS
        && description.chars().count() <= DESCRIPTION_CHARS
        && !description.contains('\0');
    if fits { Ok(()) } else { Err(ApiError::internal()) }
}

/// A secret as Harbor draws it: 32 of `[A-Za-z0-9]`, drawn again until lower, upper and digit are in.
pub fn draw_secret() -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    loop {
        let drawn: String = (0..32).map(|_| char::from(LETTERS[rand::random_range(0..LETTERS.len())])).collect();
        if secret(Version::default(), &drawn).is_ok() {
            return drawn;
        }
    }
}
