//! Why a client cannot be made.

/// Why no client can be made. A person has to change the registry object or its Secret.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// Not `http(s)://host[:port]`.
    #[error("the URL must be http:// or https:// with a host and optionally a port, nothing else")]
    Url,
    /// The host is an address that [`Reach`](super::Reach) does not allow.
    #[error("the URL's address is not allowed")]
    Address,
    /// No PEM certificate in `roots`.
    #[error("the CA bundle holds no valid PEM certificate")]
    Roots,
    /// The system's certificates cannot be loaded, or `user_agent` is not a header value.
    #[error("the HTTP client cannot be set up")]
    Setup,
}
