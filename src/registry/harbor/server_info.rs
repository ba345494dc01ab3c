//! What Harbor says of itself, of our login, and of a robot's credential.

use reqwest::{Method, StatusCode};
use secrecy::SecretString;

use super::bounded::Text;
use super::client::Client;
use super::failure::Call;
use super::responses::{CatalogueRow, SystemInfoRow, TokenRow, UserRow};
use super::transport::Request;
use crate::registry::{Catalogue, Error, LoginKind, ServerInfo};

impl Client {
    pub(super) async fn server_info(&self) -> Result<ServerInfo, Error> {
        self.transport.limits.ask_again();
        let login = self.login_kind().await?;
        let request = Request::new(Call::SystemInfo, Method::GET, "/api/v2.0/systeminfo");
        let info: SystemInfoRow = self.transport.send(&request).await?.json()?;
        if login == LoginKind::Administrator {
            match self.read_settings().await {
                // Somebody took the right away in between.
                Err(Error::Forbidden { .. }) => {}
                settings => drop(settings?),
            }
        }
        Ok(ServerInfo {
            version: info.harbor_version.map(|Text(version)| version).filter(|version| !version.is_empty()),
            registry_host: info.registry_url.map(|Text(host)| host).filter(|host| !host.is_empty()),
            login,
        })
    }

    pub(super) async fn greets_strangers(&self) -> Result<bool, Error> {
        let request = Request::new(Call::SystemInfo, Method::GET, "/api/v2.0/systeminfo");
        let info: SystemInfoRow = self.transport.send_as_nobody(&request).await?.json()?;
        Ok(info.auth_mode.is_some())
    }

    pub(super) async fn login_kind(&self) -> Result<LoginKind, Error> {
        let request = Request::new(Call::CurrentUser, Method::GET, "/api/v2.0/users/current");
        let reply = self.transport.send(&request).await?;
        if reply.status == StatusCode::PRECONDITION_FAILED {
            self.transport.door.is_a_robot();
            return Ok(LoginKind::Robot);
        }
        let user: UserRow = reply.json()?;
        self.transport.door.is_a_person();
        Ok(if user.sysadmin_flag { LoginKind::Administrator } else { LoginKind::User })
    }

    /// The pairs that this Harbor knows; `None` if it does not tell them to this login, or not at all (before 2.10).
    pub(super) async fn known_pairs(&self) -> Result<Option<Catalogue>, Error> {
        let request = Request::new(Call::Catalogue, Method::GET, "/api/v2.0/permissions");
        match self.transport.send(&request).await {
            Err(Error::Forbidden { .. } | Error::NotFound) => Ok(None),
            // 2.16 says this to strangers alone. Should a version say it to a login that it else accepts, it means no.
            Err(Error::Unauthorized) => self.login_kind().await.map(|_| None),
            reply => Ok(Some(reply?.json::<CatalogueRow>()?.into())),
        }
    }

    /// Asked without a scope: with one, Harbor answers 200 to anybody.
    pub(super) async fn logs_in(&self, name: &str, secret: &SecretString) -> Result<bool, Error> {
        let request = Request::new(Call::Verify, Method::GET, "/service/token")
            .query("service=harbor-registry".into())
            .login(name, secret);
        let reply = self.transport.send(&request).await?;
        if reply.status == StatusCode::UNAUTHORIZED {
            return Ok(false);
        }
        reply.json::<TokenRow>().map(|_| true)
    }
}
