//! What Harbor says of itself, of our login, and of a robot's credential.

use reqwest::StatusCode;
use secrecy::SecretString;

use super::bounded::Text;
use super::call::Call;
use super::client::Client;
use super::credential::Shown;
use super::login::Kind;
use super::responses::{CatalogueRow, SystemInfoRow, TokenRow, UserRow};
use super::wire::Request;
use crate::registry::{Catalogue, Error, LoginKind, ServerInfo};

impl Client {
    /// Version, host and kind of login.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if the login is not accepted: Harbor answers `/systeminfo` to anybody, so the login is
    /// asked for by `/users/current`.
    pub async fn info(&self) -> Result<ServerInfo, Error> {
        self.transport.wire.limits.ask_again();
        let login = self.login_kind().await?;
        let request = Request::new(Call::SYSTEM_INFO, "/api/v2.0/systeminfo");
        let info: SystemInfoRow = self.transport.send(&request).await?.json()?;
        if login == LoginKind::Administrator {
            match self.settings().await {
                // Somebody took the right away in between.
                Err(Error::Forbidden { .. }) => {}
                settings => drop(settings?),
            }
        }
        Ok(ServerInfo {
            version: info.harbor_version.map(|Text(version)| version).filter(|version| !version.is_empty()),
            registry_host: info.registry_url.map(|Text(host)| host).filter(|host| !host.is_empty()),
            read_only: info.read_only == Some(true),
            login,
        })
    }

    /// Whether what answers there tells strangers what a Harbor tells them. Other servers answer 401 to a login, too.
    ///
    /// # Errors
    /// If there is no such answer.
    pub async fn is_harbor(&self) -> Result<bool, Error> {
        let request = Request::new(Call::SYSTEM_INFO, "/api/v2.0/systeminfo");
        let tried = self.transport.wire.attempt(&request, Shown::Nothing).await?;
        let info: SystemInfoRow = tried.result?.json()?;
        Ok(info.auth_mode.is_some())
    }

    pub(super) async fn login_kind(&self) -> Result<LoginKind, Error> {
        let request = Request::new(Call::CURRENT_USER, "/api/v2.0/users/current");
        let reply = self.transport.send(&request).await?;
        if reply.status == StatusCode::PRECONDITION_FAILED {
            self.transport.door.belongs_to(Kind::Robot);
            return Ok(LoginKind::Robot);
        }
        let user: UserRow = reply.json()?;
        self.transport.door.belongs_to(Kind::Person);
        Ok(if user.sysadmin_flag { LoginKind::Administrator } else { LoginKind::User })
    }

    /// The pairs that this Harbor knows. `None` if it does not say: before 2.10, or to any login but that of a system
    /// administrator or of an administrator of some project.
    ///
    /// # Errors
    /// If Harbor does not answer or accept the login.
    pub async fn catalogue(&self) -> Result<Option<Catalogue>, Error> {
        let request = Request::new(Call::CATALOGUE, "/api/v2.0/permissions");
        match self.transport.send(&request).await {
            Err(Error::Forbidden { .. } | Error::NotFound) => Ok(None),
            // 2.16 says this to strangers alone. Should a version say it to a login that it else accepts, it means no.
            Err(Error::Unauthorized) => self.login_kind().await.map(|_| None),
            reply => Ok(Some(reply?.json::<CatalogueRow>()?.into())),
        }
    }

    /// Whether this credential logs in. The token service is asked without a scope: with one, Harbor answers 200 to
    /// anybody. A refused credential costs Harbor 1.5 s.
    ///
    /// # Errors
    /// If Harbor answers neither 200 nor 401.
    pub async fn verify(&self, name: &str, secret: &SecretString) -> Result<bool, Error> {
        let request =
            Request::new(Call::VERIFY, "/service/token").query("service=harbor-registry".into()).login(name, secret);
        let reply = self.transport.send(&request).await?;
        if reply.status == StatusCode::UNAUTHORIZED {
            return Ok(false);
        }
        reply.json::<TokenRow>().map(|_| true)
    }
}
