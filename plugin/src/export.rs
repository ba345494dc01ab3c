//! `export`: the credential of an account in another form, read from its Secret.

use std::io::{self, Write as _};
use std::process::ExitCode;

use harbor_robot_operator::api::{Account, ObjectName, keys};
use harbor_robot_operator::cluster::{self, secret_template, within};
use harbor_robot_operator::decode::Lenient;
use harbor_robot_operator::domain::observed::RobotRef;
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use serde_json::Value;

use crate::cli::ExportArgs;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::target::shown;

const DOCKER_CONFIG: &str = ".dockerconfigjson";

/// What a Secret of an account holds. Not for the log.
struct Credential {
    docker_config: String,
    host: String,
    username: String,
    password: String,
}

pub(crate) async fn run(cluster: &Cluster, args: &ExportArgs) -> Result<ExitCode, Error> {
    let account = cluster.account(&args.account).await?;
    let secret = secret(cluster, &account).await?;
    let credential = credential(&secret).ok_or_else(|| {
        Error::Refused(format!("the Secret of {} holds no credential that can be read", shown(&account)))
    })?;
    let Credential { docker_config, host, username, password } = &credential;
    let mut out = io::stdout().lock();
    if args.docker_config {
        writeln!(out, "{docker_config}")?;
    } else if args.env {
        let [host, username, password] = [host, username, password].map(|text| quoted(text));
        writeln!(out, "export HARBOR_HOST={host} HARBOR_USERNAME={username} HARBOR_PASSWORD={password}")?;
    } else if args.login {
        // printf is built into shells: the password is in no list of processes.
        let [host, username, password] = [host, username, password].map(|text| quoted(text));
        writeln!(out, "printf %s {password} | docker login --username {username} --password-stdin {host}")?;
    } else {
        let file = serde_json::to_string(&robot_file(&account, &secret, &credential)?).map_err(io::Error::from)?;
        writeln!(out, "{file}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The first Secret that the status names: that of a RobotAccount is in its namespace, that of an account of the system in the
/// operator's.
async fn secret(cluster: &Cluster, account: &Account) -> Result<Secret, Error> {
    let first = account.status.as_ref().and_then(|status| status.secret_refs.first());
    let place =
        first.and_then(|secret| Some((ObjectName::new(&secret.namespace).ok()?, ObjectName::new(&secret.name).ok()?)));
    let Some((namespace, name)) = place else {
        let name = shown(account);
        return Err(Error::Refused(format!("no credential of {name} is published: kubectl robots status says why")));
    };
    let api: Api<Lenient<Secret>> = Api::namespaced(cluster.client.clone(), &namespace);
    let what = || format!("cannot read the Secret {namespace}/{name}");
    match within(api.get(&name)).await {
        Ok(found) => {
            let found = found.into_result().map_err(|error| Error::Refused(format!("{}: {error}", what())))?;
            is_of(&found, account).then_some(found).ok_or_else(|| {
                Error::Refused(format!(
                    "the Secret {namespace}/{name} is not of {}: it lacks the operator's label",
                    shown(account)
                ))
            })
        }
        Err(cluster::Error::NotFound) => Err(Error::Refused(format!("the Secret {namespace}/{name} is not there"))),
        Err(error) => Err(Error::Kubernetes(what(), error)),
    }
}

/// Whoever may write a status could name any Secret in it.
fn is_of(secret: &Secret, account: &Account) -> bool {
    let label = secret.metadata.labels.as_ref().and_then(|labels| labels.get(keys::LABEL_ACCOUNT_UID));
    label.is_some() && label == account.metadata.uid.as_ref()
}

fn credential(secret: &Secret) -> Option<Credential> {
    let docker_config = String::from_utf8(secret.data.as_ref()?.get(DOCKER_CONFIG)?.0.clone()).ok()?;
    let config: Value = serde_json::from_str(&docker_config).ok()?;
    // The host of images is the first of several; a map of JSON does not keep that order.
    let hosts = config["auths"].as_object()?;
    let host = docker_config.find("\"auths\"").and_then(|at| {
        let rest = &docker_config[at..];
        hosts.keys().min_by_key(|host| rest.find(&format!("{:?}", host.as_str())).unwrap_or(usize::MAX))
    })?;
    let text = |key: &str| config["auths"][host][key].as_str().map(ToOwned::to_owned);
    Some(Credential { host: host.clone(), username: text("username")?, password: text("password")?, docker_config })
}

/// The five keys of the file that Harbor's page offers for download.
fn robot_file(account: &Account, secret: &Secret, credential: &Credential) -> Result<Value, Error> {
    let robot = account.status.as_ref().and_then(|status| status.robot.as_ref());
    let noted = secret.metadata.annotations.as_ref().and_then(|notes| notes.get(keys::ANNOTATION_ROBOT_ID));
    let robot = robot.filter(|robot| robot.name == credential.username && noted == Some(&robot.id.to_string()));
    let robot = robot.ok_or_else(|| {
        Error::Refused(format!(
            "the Secret of {} holds another robot's credential than its status names: wait until the rotation is through",
            shown(account)
        ))
    })?;
    let (id, creation_time, name) = (robot.id, robot.creation_time, credential.username.clone());
    Ok(secret_template::robot_file(&secret_template::Credential {
        robot: RobotRef { id, creation_time, name },
        expiration_time: robot.expiration_time,
        secret: credential.password.as_str().into(),
    }))
}

/// One word of a shell, whatever it holds.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for text in ["robot$team-a+ci", "it's", "a b\"c`d$(e)\\f!", "", "-n"] {
            let script = format!("printf %s {}", quoted(text));
            let output = Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }

    #[test]
    fn the_first_host_is_the_one_of_images() {
        let text = r#"{"auths":{"z.example":{"username":"robot$a","password":"p"},"a.example":{"username":"robot$a","password":"p"}}}"#;
        let secret: Secret = serde_json::from_value(json!({"stringData": {}})).unwrap();
        let data = [(DOCKER_CONFIG.to_owned(), k8s_openapi::ByteString(text.as_bytes().to_vec()))];
        let secret = Secret { data: Some(data.into()), ..secret };
        let found = credential(&secret).unwrap();
        assert_eq!(
            (found.host.as_str(), found.username.as_str(), found.password.as_str()),
            ("z.example", "robot$a", "p")
        );
        assert!(credential(&Secret::default()).is_none());
    }
}
