//! The one crypto provider of the tree.

use std::sync::OnceLock;

/// Makes ring the provider of this process. May be called often; a provider installed before stays.
pub fn install_crypto_provider() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        // An error means that the process has one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
