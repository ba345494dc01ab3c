//! What the documentation says: links lead somewhere, manifests are taken by the API server, commands are understood by the
//! programs that they call.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails where it unwraps")]

mod commands;
mod links;
mod manifests;
mod pages;
