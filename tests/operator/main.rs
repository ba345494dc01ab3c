//! The operator as its own process against a real API server and the Harbor stand-in. One module a subject; each test
//! has a `Scene` of its own (namespace, stand-in, registry object, operator) and all share one control plane.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]
#![allow(clippy::needless_pass_by_value, reason = "json!(…) reads best as an argument by value")]

mod adoption;
mod again;
mod attacks;
mod bulk;
mod canary;
mod clocks;
mod consumers;
mod crash;
mod damaged;
mod days;
mod drift;
mod fairness;
mod faulty;
mod grants;
mod hands;
mod hostile;
mod in_place;
mod installation;
mod kstatus;
mod leading;
mod lessons;
mod life;
mod login_expiry;
mod logins;
mod metrics;
mod modes;
mod namespaces;
mod network;
mod orphans;
mod overlap;
mod own_password;
mod ownership;
mod permissions;
mod person;
mod prober;
mod rbac;
mod recovery;
mod refused_writes;
mod registry;
mod renewal;
mod restored;
mod robot_file;
mod robot_login;
mod rotation;
mod samples;
mod scene;
mod secret;
mod service_accounts;
mod settings;
mod storms;
mod suspend;
mod system;
mod system_robots;
mod teardown;
mod telling;
mod tenants;
mod tokens;
mod trouble;
mod ungranted;
mod untold;
mod update;
mod versions;
