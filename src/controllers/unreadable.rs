//! Objects that cannot be read: told about once, and else left alone.

use std::sync::Arc;

use super::Context;
use crate::cluster::events::unreadable_reference;
use crate::cluster::{explain, unreadable};
use crate::decode::Unreadable;
use crate::engine::Outcome;

/// A watch showed an object that cannot be read.
pub(super) fn found(ctx: &Arc<Context>, object: Unreadable) {
    if ctx.gaps.unreadable(&object) {
        tell(ctx, object);
    }
}

/// A pass over an account found that it cannot be read: whoever puts it right is heard of by the watch.
pub(super) fn account(ctx: &Arc<Context>, object: Unreadable) -> Outcome {
    if ctx.gaps.unreadable(&object) {
        tell(ctx, object);
    } else {
        say(ctx, object);
    }
    Outcome::Settled { wake: None }
}

fn tell(ctx: &Arc<Context>, object: Unreadable) {
    let text = explain(&object);
    let name = object.name();
    tracing::warn!(kind = object.kind, name, message = text, "an object cannot be read and is left out");
    let event = ctx.event(unreadable_reference(&object), true, unreadable::REASON, text);
    let gate = ctx.gaps.gate();
    tokio::spawn(async move {
        let _turn = gate.acquire().await;
        event.await;
    });
    say(ctx, object);
}

/// Says in the object's own conditions what is wrong, beside whatever goes on. Of an account that is Ready the credential
/// lives on, but not for ever: when it expires it is looked at again.
fn say(ctx: &Arc<Context>, object: Unreadable) {
    let (ctx, gate) = (Arc::clone(ctx), ctx.gaps.gate());
    tokio::spawn(async move {
        let _turn = gate.acquire().await;
        match unreadable::say(&ctx.client, &object, ctx.wall_time().into()).await {
            Ok(Some(expiry)) if expiry > ctx.now() => {
                if let Some(key) = ctx.index.key_of(&object.metadata) {
                    ctx.wake_at(key, ctx.instant_of(expiry, ctx.now()));
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(kind = object.kind, name = object.name(), %error, "what is wrong was not said in its status");
            }
        }
    });
}
