//! Answers that a Harbor, or a proxy before it, gives for a while instead of its own: the stand-in's faults.

use std::sync::atomic::Ordering;
use std::time::Duration;

use harbor_stand_in::control::quirks::Fault;
use serde_json::json;

use crate::world::{HOSTS, World};

/// What goes wrong with the calls to a Harbor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A proxy before it lets nobody change anything: 403 and a page.
    Fence,
    /// It says 403 of each change of a robot.
    Forbidden,
    /// It says 422 to each new robot.
    Unprocessable,
    /// It says 400 to each change of a robot.
    BadRequest,
    /// It says that it does not know the pair that everybody asks for.
    PairUnknown,
    /// It lets nobody in: 401 of everything.
    Unauthorized,
    /// It says 409 to each new robot.
    Conflict,
    /// It asks to wait, for so long as the header says.
    Busy(&'static str),
    /// A page with 502 comes instead of each answer; what was asked is done.
    LostPage,
    /// A page with 500 comes instead of lists.
    FailedLists,
    /// A page with 200 comes instead of each answer.
    CaptivePortal,
    /// Answers to changes are `{` and no more; what was asked is done.
    CutShort,
    /// Connections end without an answer; what was asked is done.
    Dropped,
    /// Each call takes six seconds.
    Slow,
}

const ROBOTS: &str = "/api/v2.0/robots";
const ROBOT: &str = "/api/v2.0/robots/{id}";
const PAGE: &str = "<html><head><title>Error</title></head><body><center>nginx</center></body></html>";

fn fault(method: Option<&str>, path: Option<&str>, status: u16, body: &str) -> Fault {
    let fault = json!({"status": status, "body": body, "count": 0, "method": method, "path": path});
    serde_json::from_value(fault).expect("these are fields of a fault")
}

/// Changes of robots.
fn writes(status: u16, body: &str) -> Vec<Fault> {
    let all = [("POST", ROBOTS), ("PUT", ROBOT), ("PATCH", ROBOT), ("DELETE", ROBOT)];
    all.into_iter().map(|(method, path)| fault(Some(method), Some(path), status, body)).collect()
}

fn said(code: &str, message: &str) -> String {
    json!({"errors": [{"code": code, "message": message}]}).to_string()
}

impl Trouble {
    /// All of them but a pair that it says not to know: robots lose that pair for an hour at their next change, also where
    /// Harbor's own list has it.
    pub const ALL: [Self; 16] = [
        Self::Fence,
        Self::Forbidden,
        Self::Unprocessable,
        Self::BadRequest,
        Self::Unauthorized,
        Self::Conflict,
        Self::Busy("7"),
        Self::Busy("90"),
        Self::Busy("86400"),
        Self::Busy("soon"),
        Self::LostPage,
        Self::FailedLists,
        Self::CaptivePortal,
        Self::CutShort,
        Self::Dropped,
        Self::Slow,
    ];

    fn faults(self) -> Vec<Fault> {
        let everything = |status, body: &str| vec![fault(None, None, status, body)];
        let done = |faults: Vec<Fault>| faults.into_iter().map(|fault| Fault { after_commit: true, ..fault }).collect();
        match self {
            Self::Fence => writes(403, PAGE),
            Self::Forbidden => writes(403, &said("FORBIDDEN", "forbidden")),
            Self::Unprocessable => vec![fault(Some("POST"), Some(ROBOTS), 422, &said("UNPROCESSABLE", "not this one"))],
            Self::BadRequest => writes(400, &said("BAD_REQUEST", "a policy refuses this")),
            Self::PairUnknown => writes(400, &said("BAD_REQUEST", "bad request permission: repository:pull"))
                .into_iter()
                .take(2)
                .collect(),
            Self::Unauthorized => everything(401, &said("UNAUTHORIZED", "unauthorized")),
            Self::Conflict => vec![fault(Some("POST"), Some(ROBOTS), 409, &said("CONFLICT", "conflict"))],
            Self::Busy(after) => {
                let busy = fault(None, None, 429, "");
                vec![Fault { headers: [("Retry-After".to_owned(), after.to_owned())].into(), ..busy }]
            }
            Self::LostPage => done(everything(502, PAGE)),
            Self::FailedLists => vec![fault(Some("GET"), Some(ROBOTS), 500, PAGE)],
            Self::CaptivePortal => everything(200, PAGE),
            Self::CutShort => done(writes(200, "{")),
            Self::Dropped => done(vec![Fault { drop: true, ..fault(None, None, 500, "") }]),
            Self::Slow => Vec::new(),
        }
    }

    /// The operator learns by it what its login may do or what Harbor knows, wrongly, and goes by that for an hour.
    pub fn teaches(self) -> bool {
        matches!(self, Self::Fence | Self::Forbidden | Self::PairUnknown)
    }

    pub(super) fn run(self, world: &mut World, harbor: usize, seconds: u64) {
        world.mistaught |= self.teaches();
        world.asked_to_rest |= self == Self::Busy("86400");
        let trouble = world.troubles[harbor].fetch_add(1, Ordering::Relaxed) + 1;
        let app = world.harbors[HOSTS[harbor]].clone();
        let mut quirks = app.quirks();
        quirks.fail = self.faults();
        quirks.latency_ms = if self == Self::Slow { 6_000 } else { 0 };
        drop(quirks);
        let latest = world.troubles[harbor].clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            if latest.load(Ordering::Relaxed) == trouble {
                end(&app);
            }
        });
    }
}

fn end(app: &harbor_stand_in::app::App) {
    let mut quirks = app.quirks();
    quirks.fail.clear();
    quirks.latency_ms = 0;
}

impl World {
    /// Every Harbor answers as it would.
    pub(crate) fn end_troubles(&self) {
        for (host, troubles) in HOSTS.into_iter().zip(&self.troubles) {
            // One that is to end later ends nothing of what comes then.
            troubles.fetch_add(1, Ordering::Relaxed);
            end(&self.harbors[host]);
        }
    }

    /// From now on a Harbor fails on calls with this in their URL.
    pub(crate) fn fail_on(&self, harbor: usize, part: &str) {
        self.fail_with(harbor, part, 500);
    }

    /// The same, with this status.
    pub(crate) fn fail_with(&self, harbor: usize, part: &str, status: u16) {
        let failing = Fault { uri: Some(part.to_owned()), ..fault(None, None, status, "") };
        self.harbor(harbor).quirks().fail = vec![failing];
    }

    /// The next change of a robot is refused, by somebody whose words are Harbor's.
    pub(crate) fn refuse_once(&self, harbor: usize, robot: i64) {
        let refusal = fault(Some("PUT"), None, 403, &said("FORBIDDEN", "forbidden"));
        let refusal = Fault { uri: Some(format!("{ROBOTS}/{robot}")), count: 1, ..refusal };
        self.harbor(harbor).quirks().fail = vec![refusal];
    }
}
