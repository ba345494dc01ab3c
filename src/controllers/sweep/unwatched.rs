//! Secrets that are in no watch: those of accounts where Secrets are not watched, logins of namespaces, chosen passwords.

use crate::api::ObjectName;
use crate::cluster::secret_template::SecretSummary;
use crate::cluster::{accounts, login, secrets};
use crate::controllers::accounts::is_settled;
use crate::controllers::index::State;
use crate::controllers::registries::ServedRegistry;
use crate::controllers::tracked::{Shown, Tracked};
use crate::controllers::{Context, Key};

/// Without a watch on Secrets: reads one by name and queues its account if it is not as the last pass left it.
pub(super) async fn check_secret(ctx: &Context, key: &Key) {
    let Some(entry) = ctx.index.get(key) else { return };
    let Some(namespace) = &key.namespace else {
        // A system account's Secrets are in many places, and each pass reads them.
        ctx.recheck(key);
        return;
    };
    let name = entry.secret_name.as_ref().unwrap_or(&key.name);
    match secrets::read_summary(&ctx.client, namespace, name).await {
        Ok(seen) if !entry.secret.is_left() => check_first_secret(ctx, key, entry.told.state, seen).await,
        Ok(Some(secret)) => {
            if ctx.index.see_secret(key, secret, Shown::Listed) {
                ctx.hint(key.clone());
            }
        }
        Ok(None) => ctx.recheck(key),
        Err(error) => tracing::warn!(account = %key, %error, "the Secret was not read"),
    }
}

/// No pass of this process has left a Secret: one that is as it should be is where to begin.
async fn check_first_secret(ctx: &Context, key: &Key, state: State, seen: Option<SecretSummary>) {
    let account = match accounts::read(&ctx.client, key.namespace.as_ref(), &key.name).await {
        Ok(Some(account)) if state != State::Suspended => account,
        Ok(_) => return,
        Err(error) => return tracing::warn!(account = %key, %error, "the account was not read"),
    };
    let published = account.status.as_ref().is_some_and(|status| status.robot.is_some());
    match seen {
        Some(secret) if is_settled(ctx, key, &account, &secret) => {
            ctx.index.update(key, |entry| entry.secret = Tracked::found(secret.version));
        }
        Some(_) => ctx.recheck(key),
        None if published && state == State::Ready => ctx.recheck(key),
        None => {}
    }
}

/// The login of a registry of a namespace is in no watch: has the registry probed if its Secret is another one.
pub(super) async fn check_login(ctx: &Context, state: &ServedRegistry) {
    if !state.is_tenants() {
        return;
    }
    let Ok(secret) = ObjectName::new(state.login_secret()) else { return };
    match login::secret_version(&ctx.client, state.secret_namespace(&ctx.settings), &secret).await {
        Ok(version) if version != state.login_version => ctx.probe(state.key.clone()),
        Ok(_) => {}
        Err(error) => tracing::warn!(registry = %state.key, %error, "the login Secret was not looked at"),
    }
}

/// Queues an account whose own password is in another version of its Secret than the one that the last pass read.
pub(super) async fn check_password(ctx: &Context, key: &Key) {
    let Some(seen) = ctx.index.get(key).and_then(|entry| entry.password) else { return };
    let namespace = key.namespace.as_ref().unwrap_or(&ctx.settings.resource_namespace);
    match login::secret_version(&ctx.client, namespace, &seen.secret).await {
        Ok(version) if version != seen.version => ctx.recheck(key),
        Ok(_) => {}
        Err(error) => tracing::warn!(account = %key, %error, "the Secret with the own password was not read"),
    }
}
