//! A client of Harbor's API for tests: nothing is retried, cached or hidden.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use reqwest::Method;
use serde_json::{Value, json};

use crate::crypto::install_crypto_provider;

const TIMEOUT: Duration = Duration::from_mins(1);
const PAGE: usize = 100;

/// What a robot login of the operator may do: manage project robots everywhere, and hand out the pairs behind the ten
/// permission names. It may not update robots.
const ROBOT_LOGIN: [(&str, &str); 13] = [
    ("artifact", "delete"),
    ("artifact-label", "create"),
    ("project", "read"),
    ("repository", "pull"),
    ("repository", "push"),
    ("robot", "create"),
    ("robot", "delete"),
    ("robot", "list"),
    ("robot", "read"),
    ("scan", "create"),
    ("tag", "create"),
    ("tag", "delete"),
    ("tag", "list"),
];

/// The access of a robot that the operator logs in with.
fn robot_login(further: &[(&str, &str)]) -> Vec<Value> {
    let pair = |(resource, action): &(&str, &str)| json!({"resource": resource, "action": action});
    ROBOT_LOGIN.iter().chain(further).map(pair).collect()
}

/// A name and its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// User name or full robot name.
    pub name: String,
    /// Password or robot secret.
    pub secret: String,
}

impl FromStr for Login {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (name, secret) = text.split_once(':').ok_or("a login is written user:password")?;
        Ok(Self { name: name.to_owned(), secret: secret.to_owned() })
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.secret)
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:…", self.name)
    }
}

/// What Harbor answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body: JSON, a string when it is none, null when there is none.
    pub body: Value,
}

impl Answer {
    /// The body, or an error that shows status and body unless the status is 2xx.
    pub fn ok(self) -> Result<Value> {
        if (200..300).contains(&self.status) {
            Ok(self.body)
        } else {
            bail!("Harbor answered {}: {}", self.status, self.body)
        }
    }
}

/// A Harbor, the stand-in or a real one, and its administrator.
#[derive(Clone, Debug)]
pub struct HarborClient {
    /// Scheme, host and port.
    pub url: String,
    /// The administrator.
    pub admin: Login,
    /// The certificate authority as PEM, when it is not one of the system's.
    pub ca: Option<String>,
    http: reqwest::Client,
}

impl HarborClient {
    /// A client of the Harbor at `url`.
    pub fn new(url: &str, admin: Login, ca: Option<String>) -> Result<Self> {
        // Connections belong to the runtime they were made in, and each test has its own: none is kept.
        Self::with_idle_connections(url, admin, ca, 0)
    }

    /// A client of the same Harbor that keeps its connections, for many calls from one runtime.
    pub fn with_kept_connections(&self) -> Result<Self> {
        Self::with_idle_connections(&self.url, self.admin.clone(), self.ca.clone(), usize::MAX)
    }

    fn with_idle_connections(url: &str, admin: Login, ca: Option<String>, idle: usize) -> Result<Self> {
        install_crypto_provider();
        let mut builder = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .pool_max_idle_per_host(idle)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none());
        if let Some(ca) = &ca {
            builder = builder.tls_certs_only([reqwest::Certificate::from_pem(ca.as_bytes())?]);
        } else if url.starts_with("http://") {
            builder = builder.tls_certs_only([]);
        }
        Ok(Self { url: url.trim_end_matches('/').to_owned(), admin, ca, http: builder.build()? })
    }

    /// `host:port` as in image names.
    pub fn host(&self) -> &str {
        self.url.split_once("://").map_or(&self.url, |(_, host)| host)
    }

    /// Calls the API as the administrator; `path` comes after `/api/v2.0`.
    pub async fn api(&self, method: Method, path: &str, body: Option<Value>) -> Result<Answer> {
        self.api_as(&self.admin, method, path, body).await
    }

    /// Calls the API as anyone; `path` comes after `/api/v2.0`.
    pub async fn api_as(&self, login: &Login, method: Method, path: &str, body: Option<Value>) -> Result<Answer> {
        self.call(Some(login), method, &format!("/api/v2.0{path}"), body).await
    }

    /// Calls any path of the server.
    pub async fn call(&self, login: Option<&Login>, method: Method, path: &str, body: Option<Value>) -> Result<Answer> {
        let mut request = self.http.request(method, format!("{}{path}", self.url)).header("X-Is-Resource-Name", "true");
        if let Some(login) = login {
            request = request.basic_auth(&login.name, Some(&login.secret));
        }
        if let Some(body) = &body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        let body = match serde_json::from_str(&text) {
            Ok(value) => value,
            Err(_) if text.is_empty() => Value::Null,
            Err(_) => Value::String(text),
        };
        Ok(Answer { status, body })
    }

    /// Makes a private project.
    pub async fn create_project(&self, name: &str) -> Result<()> {
        let body = json!({"project_name": name, "metadata": {"public": "false"}});
        self.api(Method::POST, "/projects", Some(body)).await?.ok().with_context(|| format!("project {name}"))?;
        Ok(())
    }

    /// Makes a system robot with these permission groups (Harbor's JSON) and gives its login.
    pub async fn create_system_robot(&self, name: &str, permissions: Value) -> Result<Login> {
        self.create_robot("system", name, permissions).await
    }

    async fn create_robot(&self, level: &str, name: &str, permissions: Value) -> Result<Login> {
        let body = json!({"name": name, "level": level, "duration": -1, "permissions": permissions});
        let made =
            self.api(Method::POST, "/robots", Some(body)).await?.ok().with_context(|| format!("robot {name}"))?;
        let text = |key: &str| made[key].as_str().map(str::to_owned).with_context(|| format!("no {key} in the answer"));
        Ok(Login { name: text("name")?, secret: text("secret")? })
    }

    /// Makes a robot for the operator to log in with: it may create, list, read and delete project robots everywhere
    /// with the pairs behind the ten permission names and those of `further`, but not update them.
    pub async fn create_robot_login(&self, name: &str, further: &[(&str, &str)]) -> Result<Login> {
        let groups = json!([
            {"kind": "system", "namespace": "/", "access": [{"resource": "project", "action": "list"}]},
            {"kind": "project", "namespace": "*", "access": robot_login(further)},
        ]);
        self.create_system_robot(name, groups).await
    }

    /// The same as a project robot, for its own project only: before Harbor 2.14.1 no other robot makes project robots.
    pub async fn create_project_robot_login(&self, project: &str, name: &str) -> Result<Login> {
        let groups = json!([{"kind": "project", "namespace": project, "access": robot_login(&[])}]);
        self.create_robot("project", name, groups).await
    }

    /// All robots of a project, as Harbor lists them.
    pub async fn robots(&self, project: &str) -> Result<Vec<Value>> {
        let project = self.api(Method::GET, &format!("/projects/{project}"), None).await?.ok()?;
        let id = project["project_id"].as_i64().context("a project has an id")?;
        let mut robots = Vec::new();
        for page in 1.. {
            let path = format!("/robots?q=Level%3Dproject%2CProjectID%3D{id}&page={page}&page_size={PAGE}");
            let Value::Array(more) = self.api(Method::GET, &path, None).await?.ok()? else {
                return Err(anyhow!("a list of robots is an array"));
            };
            let last = more.len() < PAGE;
            robots.extend(more);
            if last {
                break;
            }
        }
        Ok(robots)
    }

    /// Whether a credential logs in: what `docker login` asks.
    pub async fn verify(&self, name: &str, secret: &str) -> Result<bool> {
        let login = Login { name: name.to_owned(), secret: secret.to_owned() };
        let answer = self.call(Some(&login), Method::GET, "/service/token?service=harbor-registry", None).await?;
        match answer.status {
            200 => Ok(true),
            401 => Ok(false),
            _ => Err(anyhow!("the token service answered {}: {}", answer.status, answer.body)),
        }
    }
}
