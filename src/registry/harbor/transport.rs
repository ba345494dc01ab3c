//! Sends a request as our login: what it carries, and what its answer tells of that. A session that Harbor no longer
//! knows is opened anew, and the request sent once more.

use super::call::Call;
use super::config::Config;
use super::config_error::ConfigError;
use super::credential::Shown;
use super::failure;
use super::login::{Carried, Door, Pass};
use super::wire::{Reply, Request, Try, Wire};
use crate::registry::Error;

/// A way to Harbor, and who we are there.
pub(super) struct Transport {
    pub(super) wire: Wire,
    pub(super) door: Door,
}

impl Transport {
    pub(super) fn new(config: Config) -> Result<Self, ConfigError> {
        let door = Door::new(config.username.clone());
        Ok(Self { wire: Wire::new(config)?, door })
    }

    pub(super) async fn send(&self, request: &Request<'_>) -> Result<Reply, Error> {
        if let Some(login) = &request.login {
            return self.wire.attempt(request, Shown::Basic(login)).await?.result;
        }
        // The second session that Harbor disowns right after it was opened is the last one, so this ends.
        loop {
            let pass = match self.door.carried(&self.wire).await? {
                Carried::Session(pass) => pass,
                Carried::Basic => {
                    let tried = self.wire.attempt(request, Shown::Basic(&self.wire.basic)).await?;
                    return self.door.judge(request.call, tried.result, tried.took);
                }
            };
            let tried = self.wire.attempt(request, Shown::Session(&pass.session)).await?;
            let disowned = disowns(&tried, request.call, &pass);
            let accepted = !disowned && tried.result.is_ok() && request.call.needs_login;
            self.door.settle(&pass, tried.handed, disowned, accepted);
            if !disowned {
                return tried.result;
            }
        }
    }
}

/// True if Harbor did not know the session, and so did nothing: 401, a CSRF 403, or, at what it answers to anybody,
/// another session in place of ours.
fn disowns(tried: &Try, call: Call, pass: &Pass) -> bool {
    match &tried.result {
        Err(Error::Unauthorized) => true,
        Err(error) => failure::is_csrf(error),
        Ok(_) => !pass.is_new() && !call.needs_login && pass.session.is_replaced_by(&tried.handed),
    }
}
