//! The password that the account chooses for its robot.

use super::{Gathered, Stop};
use crate::api::ObjectName;
use crate::cluster::login::{self, PasswordProblem};
use crate::controllers::accounts::Pass;
use crate::controllers::index::PasswordSeen;
use crate::domain::plan::CustomPassword;
use crate::domain::report::Failure;

impl Pass<'_> {
    /// An own password that is not there or not usable stops the first credential; later on the published one goes on
    /// in its place, so that a password Secret that somebody deletes never costs a login.
    pub(super) async fn read_password(&self, gathered: &mut Gathered) -> Result<(), Stop> {
        let Some(source) = &self.desired.own_password else { return Ok(()) };
        let published = gathered.live.credential.as_ref().map(|credential| credential.secret.clone());
        let (client, namespace) = (&self.ctx.client, &self.secret_namespace);
        let mut read = login::read_password(client, namespace, source, published.as_ref()).await?;
        if self.ctx.registries.is_a_login(&self.ctx.settings, namespace, &source.name) {
            let text = format!(
                "Secret {} of spec.passwordSecretRef is the login of a registry and would be published; name another one",
                source.name
            );
            (read.text, read.is_published) = (Err(PasswordProblem::Invalid(text)), false);
        }
        if let Ok(secret) = ObjectName::new(&source.name) {
            self.ctx.index.update(self.key, |entry| {
                entry.password = Some(Box::new(PasswordSeen { secret, version: read.version }));
            });
        }
        // Without a published credential there is nothing to differ from: it is lost, and replaced for that.
        let differs = read.text.is_ok() && published.is_some() && !read.is_published;
        gathered.observed.own = if differs { CustomPassword::Differs } else { CustomPassword::Published };
        gathered.own_password = match read.text {
            Ok(wished) => Some(wished),
            Err(problem) => {
                let failure = password_failure(&problem);
                if published.is_none() && self.desired.enabled {
                    return Err(Stop::Wish { failure, lost: true });
                }
                gathered.password_problem = Some(failure);
                published
            }
        };
        Ok(())
    }
}

fn password_failure(problem: &PasswordProblem) -> Failure {
    let reason = match problem {
        PasswordProblem::Missing(_) => "PasswordMissing",
        PasswordProblem::Invalid(_) => "PasswordInvalid",
        PasswordProblem::NotMarked(_) => "SecretNotMarked",
    };
    Failure::lasting(reason, problem.to_string())
}
