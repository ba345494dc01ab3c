//! An image index for two platforms in OCI's image layout. What goes in decides every byte: no time of day, no user of this
//! machine.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};

use super::binaries::Target;
use super::{Commit, NAME, sha256};

/// Nobody in particular, and not root; OpenShift chooses another one.
const USER: &str = "65532:65532";

/// Where programs look for certificate authorities on most Linux distributions.
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What was written.
pub(super) struct Image {
    /// The index' digest.
    pub digest: String,
    compressed: BTreeMap<&'static str, u64>,
}

impl Image {
    /// How many bytes a node of that platform downloads.
    pub(super) fn compressed(&self, target: Target) -> u64 {
        self.compressed[target.architecture()]
    }
}

/// Writes the layout to `folder`, anew.
pub(super) fn write(
    folder: &Path,
    programs: &[(Target, PathBuf)],
    certificates: &[u8],
    commit: &Commit,
) -> Result<Image> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    // Stores a blob; what refers to it.
    let store = |kind: &str, bytes: &[u8]| -> Result<Value> {
        let digest = sha256(bytes);
        fs::write(blobs.join(&digest), bytes)?;
        Ok(json!({"mediaType": kind, "digest": format!("sha256:{digest}"), "size": bytes.len()}))
    };
    let (mut manifests, mut compressed) = (Vec::new(), BTreeMap::new());
    for (target, program) in programs {
        let archive = layer(&fs::read(program)?, certificates)?;
        let layer = store(LAYER, &gzip(&archive)?)?;
        let config = config(*target, &format!("sha256:{}", sha256(&archive)), commit);
        let config = store(CONFIG, config.to_string().as_bytes())?;
        let size = [&layer, &config].iter().filter_map(|blob| blob["size"].as_u64()).sum();
        compressed.insert(target.architecture(), size);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer], "annotations": labels(commit),
        });
        let mut manifest = store(MANIFEST, manifest.to_string().as_bytes())?;
        manifest["platform"] = platform(*target);
        manifests.push(manifest);
    }
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests, "annotations": labels(commit)});
    let mut index = store(INDEX, index.to_string().as_bytes())?;
    let digest = index["digest"].as_str().context("a digest")?.to_owned();
    index["annotations"] = json!({"org.opencontainers.image.ref.name": env!("CARGO_PKG_VERSION")});
    let layout = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [index]});
    fs::write(folder.join("index.json"), layout.to_string())?;
    fs::write(folder.join("oci-layout"), json!({"imageLayoutVersion": "1.0.0"}).to_string())?;
    Ok(Image { digest, compressed })
}

/// The only layer: the program, and whom it trusts.
fn layer(program: &[u8], certificates: &[u8]) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |path: &str, mode: u32, content: Option<&[u8]>| -> Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(if content.is_some() { tar::EntryType::Regular } else { tar::EntryType::Directory });
        header.set_mode(mode);
        header.set_size(u64::try_from(content.unwrap_or_default().len())?);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        archive.append_data(&mut header, path, content.unwrap_or_default())?;
        Ok(())
    };
    let folders = CERTIFICATES.match_indices('/').map(|(end, _)| &CERTIFICATES[..=end]);
    for folder in folders {
        add(folder, 0o755, None)?;
    }
    add(CERTIFICATES, 0o644, Some(certificates))?;
    add(NAME, 0o755, Some(program))?;
    Ok(archive.into_inner()?)
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut writer = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    writer.write_all(bytes)?;
    Ok(writer.finish()?)
}

fn platform(target: Target) -> Value {
    json!({"os": "linux", "architecture": target.architecture()})
}

fn config(target: Target, layer: &str, commit: &Commit) -> Value {
    let mut config = platform(target);
    config["created"] = json!(commit.time);
    config["config"] = json!({
        "User": USER, "Entrypoint": [format!("/{NAME}")], "Cmd": ["run"], "WorkingDir": "/", "Labels": labels(commit),
    });
    config["rootfs"] = json!({"type": "layers", "diff_ids": [layer]});
    config["history"] = json!([{"created": commit.time, "created_by": "cargo xtask image"}]);
    config
}

/// The keys of OCI's image specification.
fn labels(commit: &Commit) -> Value {
    let mut labels = json!({
        "org.opencontainers.image.title": NAME,
        "org.opencontainers.image.description": "Harbor robot accounts as Kubernetes objects",
        "org.opencontainers.image.source": "https://github.com/harbor-robots/harbor-robot-operator",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
        "org.opencontainers.image.created": commit.time,
    });
    if !commit.revision.is_empty() {
        labels["org.opencontainers.image.revision"] = json!(commit.revision);
    }
    labels
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use harbor_robot_world::{scratch, workspace_root};

    use super::*;

    fn written(time: &str) -> (PathBuf, Image) {
        let folder = scratch().unwrap();
        let program = folder.join("program");
        fs::write(&program, b"program").unwrap();
        let programs = Target::ALL.map(|target| (target, program.clone()));
        let commit = Commit { revision: "abc".into(), time: time.into() };
        let image = write(&folder.join("oci"), &programs, b"certificates", &commit).unwrap();
        (folder.join("oci"), image)
    }

    fn blob(folder: &Path, reference: &Value) -> Vec<u8> {
        let digest = reference["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        let bytes = fs::read(folder.join("blobs/sha256").join(digest)).unwrap();
        assert_eq!(sha256(&bytes), digest);
        assert_eq!(bytes.len(), usize::try_from(reference["size"].as_u64().unwrap()).unwrap());
        bytes
    }

    fn read(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn each_platform_has_the_program_the_certificates_and_nothing_else() {
        let (folder, image) = written("2026-01-01T00:00:00Z");
        let layout = read(&fs::read(folder.join("index.json")).unwrap());
        assert_eq!(layout["manifests"][0]["digest"], image.digest);
        let index = read(&blob(&folder, &layout["manifests"][0]));
        let platforms: Vec<_> =
            index["manifests"].as_array().unwrap().iter().map(|m| &m["platform"]["architecture"]).collect();
        assert_eq!(platforms, ["amd64", "arm64"]);
        for manifest in index["manifests"].as_array().unwrap() {
            let manifest = read(&blob(&folder, manifest));
            let config = read(&blob(&folder, &manifest["config"]));
            assert_eq!(config["config"]["User"], "65532:65532", "a number: kubelet cannot look names up");
            assert_eq!(config["config"]["Entrypoint"], json!(["/harbor-robot-operator"]));
            let compressed = blob(&folder, &manifest["layers"][0]);
            let mut archive = Vec::new();
            flate2::read::GzDecoder::new(compressed.as_slice()).read_to_end(&mut archive).unwrap();
            assert_eq!(config["rootfs"]["diff_ids"], json!([format!("sha256:{}", sha256(&archive))]));
            let mut archive = tar::Archive::new(archive.as_slice());
            let entries = archive.entries().unwrap().map(|entry| {
                let entry = entry.unwrap();
                let (path, header) = (entry.path().unwrap().display().to_string(), entry.header());
                let who = (header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap());
                assert_eq!(who, (0, 0, 0), "{path}");
                (path, header.mode().unwrap(), entry.size())
            });
            let expected = [
                ("etc/", 0o755, 0),
                ("etc/ssl/", 0o755, 0),
                ("etc/ssl/certs/", 0o755, 0),
                ("etc/ssl/certs/ca-certificates.crt", 0o644, 12),
                ("harbor-robot-operator", 0o755, 7),
            ];
            assert_eq!(entries.collect::<Vec<_>>(), expected.map(|(path, mode, size)| (path.to_owned(), mode, size)));
        }
    }

    #[test]
    fn the_same_commit_makes_the_same_image() {
        let of = |time: &str| written(time).1.digest;
        assert_eq!(of("2026-01-01T00:00:00Z"), of("2026-01-01T00:00:00Z"));
        assert_ne!(of("2026-01-01T00:00:00Z"), of("2026-01-02T00:00:00Z"));
    }

    /// Whoever has a container engine gets the same from it.
    #[test]
    fn the_dockerfile_says_the_same() {
        let text = fs::read_to_string(workspace_root().join("Dockerfile")).unwrap();
        let says = |line: &str| assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        says(&format!("USER {USER}"));
        says(&format!("ENTRYPOINT [\"/{NAME}\"]"));
        says("CMD [\"run\"]");
        says("FROM scratch");
        assert!(text.contains(&format!(" /{CERTIFICATES}")), "{text}");
        let version = env!("CARGO_PKG_RUST_VERSION");
        assert!(text.contains(&format!("FROM --platform=$BUILDPLATFORM rust:{version}-")), "{version}\n{text}");
    }
}
