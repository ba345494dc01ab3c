//! `spec.serverSettings`: Harbor's own settings for robots, kept as the registry object says. They belong to the whole
//! Harbor, so two objects cannot both have a say, and a new name prefix renames every robot of everybody at once.

use super::ServedRegistry;
use crate::api::{RegistryKey, RegistryKind, ServerSettings, keys};
use crate::controllers::Context;
use crate::domain::report::Failure;
use crate::registry::{Error, LoginKind, Settings, harbor};

/// Compares Harbor's settings with what is asked for and writes what differs. What stands in the way is kept for status.
/// Under a new prefix every robot has another name from now on, and what the Secrets hold is refused until a sweep saw it.
pub async fn keep_settings(ctx: &Context, name: &RegistryKey, client: &harbor::Client) -> Result<(), Error> {
    let Some(state) = ctx.registries.get(name) else { return Ok(()) };
    let problem = match &state.object.spec.server_settings {
        Some(_) if state.object.spec.suspend.unwrap_or_default() || state.is_deleting() => {
            state.swept.settings_problem.clone()
        }
        Some(wish) => keep(ctx, &state, wish, client).await?,
        None => None,
    };
    if problem != state.swept.settings_problem {
        ctx.registries.record_sweep(&state, |swept| swept.settings_problem = problem);
    }
    Ok(())
}

async fn keep(
    ctx: &Context,
    state: &ServedRegistry,
    wish: &ServerSettings,
    client: &harbor::Client,
) -> Result<Option<Failure>, Error> {
    let name = &state.key;
    if let Some(other) = older_rival(ctx, state) {
        let message = format!(
            "registry {name}: {other} has serverSettings for the same Harbor and is older; nothing of serverSettings is \
             written from here: take them out of one of the two"
        );
        return Ok(Some(Failure::lasting("SettingsConflict", message)));
    }
    if state.session.info.as_ref().is_none_or(|info| info.login != LoginKind::Administrator) {
        let message = format!(
            "registry {name}: serverSettings need the login of a Harbor administrator, which {} is not; give spec.auth \
             another login, or take serverSettings out",
            state.session.login_name
        );
        return Ok(Some(Failure::lasting("LoginNotAdministrator", message)));
    }
    let now = client.settings().await?;
    let (change, problem) = difference(state, wish, &now);
    let writes = change.robot_name_prefix.is_some() || change.robot_token_duration.is_some();
    if writes {
        client.change_settings(&change).await?;
        let (prefix, token_duration) = (change.robot_name_prefix, change.robot_token_duration);
        tracing::info!(registry = %name, prefix, token_duration, "Harbor's settings were changed");
    }
    Ok(problem)
}

/// What is to be written, and what cannot be.
fn difference(state: &ServedRegistry, wish: &ServerSettings, now: &Settings) -> (Settings, Option<Failure>) {
    let (name, mut change, mut failure) = (&state.key, Settings::default(), None);
    let fixed = |setting: &'static str| now.fixed.contains(&setting);
    let cannot = |setting: &str, field: &str| {
        let message = format!(
            "registry {name}: Harbor's setting {setting} is fixed by its environment (CONFIG_OVERWRITE_JSON) and differs; \
             change it there, or take serverSettings.{field} out"
        );
        Failure::lasting("SettingFixed", message)
    };
    let days = wish.robot_token_duration.as_ref().and_then(|text| text.strip_suffix('d')?.parse::<i64>().ok());
    if let Some(days) = days.filter(|days| now.robot_token_duration != Some(*days)) {
        if fixed(Settings::ROBOT_TOKEN_DURATION) {
            failure = Some(cannot(Settings::ROBOT_TOKEN_DURATION, "robotTokenDuration"));
        } else {
            change.robot_token_duration = Some(days);
        }
    }
    let Some(prefix) = wish.robot_name_prefix.as_ref().filter(|prefix| now.robot_name_prefix.as_ref() != Some(*prefix))
    else {
        return (change, failure);
    };
    if fixed(Settings::ROBOT_NAME_PREFIX) {
        return (change, Some(cannot(Settings::ROBOT_NAME_PREFIX, "robotNamePrefix")));
    }
    if state.annotation(keys::ANNOTATION_CONFIRM_PREFIX) == Some(prefix.as_str()) {
        change.robot_name_prefix = Some(prefix.clone());
    } else {
        let present = now.robot_name_prefix.as_deref().unwrap_or("unknown");
        let message = format!(
            "registry {name}: Harbor's prefix of robot names is {present}; making it {prefix} renames every robot of that \
             Harbor at once, also those of others, whose logins are refused from then on: confirm it by the annotation \
             {}: {prefix}, or take serverSettings.robotNamePrefix out",
            keys::ANNOTATION_CONFIRM_PREFIX
        );
        failure = Some(Failure::lasting("PrefixNotConfirmed", message));
    }
    (change, failure)
}

/// Another object with settings for the same Harbor that was there before this one.
fn older_rival(ctx: &Context, state: &ServedRegistry) -> Option<String> {
    let age = |state: &ServedRegistry| {
        let meta = &state.object.metadata;
        (meta.creation_timestamp.as_ref().map(|time| time.0), meta.uid.clone())
    };
    let all = ctx.registries.all();
    let rivals = all.iter().filter(|other| {
        other.object.kind == RegistryKind::ClusterHarborRegistry
            && other.object.metadata.uid != state.object.metadata.uid
            && other.object.spec.server_settings.is_some()
            && other.is_of_harbor(&state.object.spec.url)
            && age(other) < age(state)
    });
    rivals.map(|other| format!("ClusterHarborRegistry {}", other.object.name())).min()
}
