//! The manifests of `deploy/samples/consumers`: each account becomes Ready, and its Secret is read as its program reads it.
//! Where the program itself cannot be had, the keys that its documentation names are compared.

use std::path::Path;
use std::process::Stdio;

use harbor_robot_world::scratch;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::Api;
use serde_json::{Value, json};

use crate::hands::{label, text};
use crate::samples::{everything, objects};
use crate::scene::{Scene, Setting};

struct Kitchen {
    scene: Scene,
    image: String,
    digest: String,
    /// The project, and the namespace of most.
    team: String,
}

impl Kitchen {
    async fn new() -> Self {
        let args = vec!["--private-registry-hosts=127.0.0.1".to_owned()];
        let scene = Scene::of_the_system(Setting { registry: everything(), args, ..Setting::default() }).await;
        let team = scene.namespace_with("a", &json!({}));
        scene.harbor.create_project(&team).await.unwrap();
        let image = format!("{}/{team}/app:1", scene.harbor.host());
        let push = ["--image", &image, "--username", &scene.harbor.admin.name];
        let digest = scene.plane.rig("push", push, &scene.harbor.admin.secret).ok().unwrap();
        Self { image, digest: digest.trim().to_owned(), team, scene }
    }

    /// Applies a sample; the Secret of its account.
    async fn secret_of(&self, sample: &str) -> Secret {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/samples/consumers").join(sample);
        let host = |text: &str| text.replace("harbor.example.com", self.scene.harbor.host());
        let mut all = objects(&self.scene, &file);
        for object in &mut all {
            *object = serde_json::from_str(&host(&object.to_string())).unwrap();
            object["metadata"]["namespace"] = json!(self.team);
        }
        self.scene.apply(json!({"apiVersion": "v1", "kind": "List", "items": all}));
        let name = all[0]["metadata"]["name"].as_str().unwrap();
        let account = format!("robotaccount/{name}");
        let wait = ["wait", &account, "-n", &self.team, "--for=condition=Ready", "--timeout=60s"];
        let told = self.scene.plane.kubectl(wait).ok();
        assert!(told.is_ok(), "{sample}: {told:?}\n{}", self.scene.log());
        let secrets: Api<Secret> = Api::namespaced(self.scene.client.clone(), &self.team);
        secrets.get(name).await.unwrap()
    }

    /// What crane finds that reads a key as `config.json`, by the parser of docker's own command line.
    fn digest_with(&self, secret: &Secret, key: &str) -> Result<String, String> {
        let folder = scratch().unwrap();
        let config = text(secret, key).ok_or_else(|| format!("no {key}"))?;
        std::fs::write(folder.join("config.json"), config).unwrap();
        let mut crane = self.scene.plane.rig_command("crane", ["digest", &self.image]);
        let output = crane.env("DOCKER_CONFIG", &folder).stdin(Stdio::null()).output().unwrap();
        let read = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(read(&output.stdout)) } else { Err(read(&output.stderr)) }
    }

    /// What Helm's registry client finds with the login in the Secret.
    fn digest_by_helm(&self, secret: &Secret) -> Result<String, String> {
        let config = scratch().unwrap().join("config.json");
        std::fs::write(&config, text(secret, ".dockerconfigjson").unwrap()).unwrap();
        let config = format!("--registry-config={}", config.display());
        let found = self.scene.plane.rig("helm-resolve", [config.as_str(), "--reference", &self.image], "");
        found.ok().map(|digest| digest.trim().to_owned()).map_err(|error| error.to_string())
    }

    async fn logs_in(&self, secret: &Secret, username: &str, password: &str) -> bool {
        let (name, password) = (text(secret, username).unwrap(), text(secret, password).unwrap());
        self.scene.harbor.verify(&name, &password).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_program_finds_the_credential_where_it_looks() {
    let kitchen = Kitchen::new().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/samples/consumers");
    let mut samples: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    samples.retain(|name| name != "README.md");
    samples.sort();
    let refused = kitchen.digest_with(&Secret::default(), ".dockerconfigjson");
    assert_eq!(refused, Err("no .dockerconfigjson".to_owned()));
    let nobody = serde_json::from_value(json!({"data": {"config.json": "e30="}})).unwrap();
    assert!(kitchen.digest_with(&nobody, "config.json").is_err(), "the project is private");
    let nobody = serde_json::from_value(json!({"data": {".dockerconfigjson": "e30="}})).unwrap();
    assert!(kitchen.digest_by_helm(&nobody).is_err(), "the project is private");
    for sample in &samples {
        let secret = kitchen.secret_of(sample).await;
        // Whatever else is asked for, pods pull with it.
        assert_eq!(kitchen.digest_with(&secret, ".dockerconfigjson"), Ok(kitchen.digest.clone()), "{sample}");
        let name = secret.metadata.name.as_deref().unwrap();
        let pulled = kitchen.scene.plane.pull(&kitchen.team, &[name], &kitchen.image);
        assert_eq!(pulled.map_err(|error| error.to_string()), Ok(kitchen.digest.clone()), "{sample}, by a kubelet");
        match sample.as_str() {
            "kaniko.yaml" | "buildkit.yaml" | "github-runners.yaml" | "compose-host.yaml" => {
                assert_eq!(kitchen.digest_with(&secret, "config.json"), Ok(kitchen.digest.clone()), "{sample}");
            }
            "argocd-repository.yaml" => {
                assert_eq!(label(&secret, "argocd.argoproj.io/secret-type"), Some("repository"));
                let url = format!("{}/{}", kitchen.scene.harbor.host(), kitchen.team);
                let keys = ["type", "enableOCI", "url"].map(|key| text(&secret, key).unwrap());
                assert_eq!(keys, ["helm".to_owned(), "true".to_owned(), url]);
                assert!(kitchen.logs_in(&secret, "username", "password").await);
            }
            "jenkins.yaml" => {
                assert_eq!(label(&secret, "jenkins.io/credentials-type"), Some("usernamePassword"));
                assert!(kitchen.logs_in(&secret, "username", "password").await);
            }
            "tekton.yaml" => {
                let accounts: Api<ServiceAccount> = Api::namespaced(kitchen.scene.client.clone(), &kitchen.team);
                let builder: Value = serde_json::to_value(accounts.get("builder").await.unwrap()).unwrap();
                let named = json!([{"name": "tekton"}]);
                assert_eq!((&builder["secrets"], &builder["imagePullSecrets"]), (&named, &named));
            }
            "flux-sources.yaml" => {
                assert_eq!(kitchen.digest_by_helm(&secret), Ok(kitchen.digest.clone()));
                assert_eq!(secret.data.unwrap().len(), 1, "the Secret as it is");
            }
            other => panic!("nobody says how the program of {other} reads its Secret"),
        }
    }
    assert_eq!(samples.len(), 8);
}
