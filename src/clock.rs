//! The one place that reads the wall clock.

/// The time now.
#[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is told to use")]
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
