//! Log lines on standard error.
//!
//! Only our own level can be chosen. Others are capped, kube's client most of all: it logs answer bodies, and those can be
//! Secrets (at WARN when one does not parse, at DEBUG for errors).

use std::io;
use std::panic::PanicHookInfo;

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// `--log-format`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One line for people.
    #[default]
    Text,
    /// One JSON object a line: timestamp, level, target, message and the event's fields side by side.
    Json,
}

/// `--log-level`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// What a person has to look at.
    Error,
    /// What may need a person.
    Warn,
    /// What changed.
    #[default]
    Info,
    /// What was decided.
    Debug,
    /// Every call.
    Trace,
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
            Level::Trace => Self::TRACE,
        }
    }
}

/// Logs to standard error from now on; fails if the process logs already.
pub fn init(format: Format, level: Level) -> Result<(), TryInitError> {
    Dispatch::from(subscriber(format, level, io::stderr)).try_init()?;
    std::panic::set_hook(Box::new(tell_panic));
    Ok(())
}

/// What a panic says often quotes what it choked on, and that may be a secret: only what stands so in the source is told.
fn tell_panic(panic: &PanicHookInfo<'_>) {
    let at = panic.location().map(ToString::to_string).unwrap_or_default();
    let text = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("a text that may quote data");
    tracing::error!(at, text, "panicked: this is a bug, please report it");
}

fn filter(level: Level) -> Targets {
    let level = LevelFilter::from(level);
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("kube_client", LevelFilter::ERROR)
        .with_target(env!("CARGO_CRATE_NAME"), level)
}

fn subscriber<W>(format: Format, level: Level, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
    let registry = tracing_subscriber::registry().with(filter(level));
    match format {
        Format::Text => Box::new(registry.with(lines)),
        Format::Json => Box::new(registry.with(lines.json().flatten_event(true).with_span_list(false))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use k8s_openapi::api::core::v1::Secret;
    use kube::client::Body;
    use tracing::instrument::WithSubscriber;
    use tracing::{debug, error, info, trace, warn};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }

        fn subscriber(&self, format: Format, level: Level) -> Box<dyn Subscriber + Send + Sync> {
            let lines = self.clone();
            subscriber(format, level, move || lines.clone())
        }
    }

    #[test]
    fn third_party_lines_are_capped_whatever_the_level() {
        let lines = Lines::default();
        tracing::subscriber::with_default(lines.subscriber(Format::Text, Level::Trace), || {
            trace!("own trace");
            warn!(target: "kube_client::client", "body of a Secret");
            error!(target: "kube_client::client", "kube error");
            warn!(target: "kube_runtime::watcher", "runtime warning");
            info!(target: "hyper::proto", "hyper info");
            debug!(target: "rustls", "rustls debug");
        });
        let text = lines.text();
        for shown in ["own trace", "kube error", "runtime warning"] {
            assert!(text.contains(shown), "{shown} is missing in\n{text}");
        }
        for hidden in ["body of a Secret", "hyper info", "rustls debug"] {
            assert!(!text.contains(hidden), "{hidden} is in\n{text}");
        }
    }

    #[test]
    fn a_lower_level_caps_all() {
        let lines = Lines::default();
        tracing::subscriber::with_default(lines.subscriber(Format::Text, Level::Error), || {
            warn!("own warning");
            warn!(target: "hyper::proto", "hyper warning");
            error!("own error");
        });
        let text = lines.text();
        assert!(text.contains("own error") && !text.contains("warning"), "{text}");
    }

    #[test]
    fn a_json_line_has_the_fields_of_the_event_at_the_top() {
        let lines = Lines::default();
        tracing::subscriber::with_default(lines.subscriber(Format::Json, Level::Info), || {
            info!(address = %"127.0.0.1:8080", attempts = 3, "serving");
        });
        let line: serde_json::Value = serde_json::from_str(lines.text().trim()).unwrap();
        assert_eq!(line["message"], "serving");
        assert_eq!(line["address"], "127.0.0.1:8080");
        assert_eq!(line["attempts"], 3);
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["target"], "harbor_robot_operator::logging::tests");
        assert!(line["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')));
    }

    /// Has kube read a Secret that does not parse.
    async fn read_a_broken_secret(subscriber: impl Into<Dispatch>) {
        let answer = br#"{"kind": "Secret", "apiVersion": "v1", "metadata": 7, "data": {"password": "canary"}}"#;
        let service = tower::service_fn(move |_: http::Request<Body>| async move {
            Ok::<_, io::Error>(http::Response::new(Body::from(answer.to_vec())))
        });
        let client = kube::Client::new(service, "default");
        let secrets = kube::Api::<Secret>::default_namespaced(client);
        assert!(secrets.get("login").with_subscriber(subscriber).await.is_err());
    }

    #[tokio::test]
    async fn a_secret_that_kube_cannot_parse_does_not_reach_the_log() {
        let uncapped = Lines::default();
        let writer = uncapped.clone();
        let all = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(move || writer.clone());
        read_a_broken_secret(all.finish()).await;
        assert!(uncapped.text().contains("canary"), "kube no longer logs bodies, or this test does not see it");

        for format in [Format::Text, Format::Json] {
            let lines = Lines::default();
            read_a_broken_secret(lines.subscriber(format, Level::Trace)).await;
            assert!(!lines.text().contains("canary"), "{}", lines.text());
        }
    }
}
