//! Harbor's HTTP side: the middlewares in their order, and the handlers behind them.

pub mod body;
pub mod call;
pub mod configurations;
pub mod front;
pub mod login;
pub mod members;
pub mod pipeline;
pub mod projects;
pub mod proxy;
pub mod reply;
pub mod robots;
pub mod robots_v1;
pub mod route;
pub mod system;
pub mod token;
pub mod token_key;
pub mod users;
