//! What Harbor says of itself, of our login, and of a robot's credential.

use reqwest::{Method, StatusCode};
use secrecy::SecretString;

use super::client::Client;
use super::failure::Call;
use super::transport::Request;
use super::wire::{ConfigurationsRow, SystemInfoRow, TokenRow, UserRow};
use crate::registry::{Error, LoginKind, ServerInfo};

impl Client {
    pub(super) async fn server_info(&self) -> Result<ServerInfo, Error> {
        let login = self.login_kind().await?;
        let request = Request::new(Call::SystemInfo, Method::GET, "/api/v2.0/systeminfo");
        let info: SystemInfoRow = self.transport.send(&request).await?.json()?;
        if login == LoginKind::Administrator {
            self.learn_prefix(self.configured_prefix().await?.as_deref());
        }
        Ok(ServerInfo {
            version: info.harbor_version.filter(|version| !version.is_empty()),
            registry_host: info.registry_url.filter(|host| !host.is_empty()),
            login,
            robot_name_prefix: self.prefix(),
            read_only: info.read_only.unwrap_or_default(),
        })
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

    async fn configured_prefix(&self) -> Result<Option<String>, Error> {
        let request = Request::new(Call::Configurations, Method::GET, "/api/v2.0/configurations");
        match self.transport.send(&request).await {
            Err(Error::Forbidden { .. }) => Ok(None),
            reply => Ok(reply?.json::<ConfigurationsRow>()?.robot_name_prefix.map(|prefix| prefix.value)),
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
