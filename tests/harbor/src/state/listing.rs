//! Lists of robots and projects: filter, sort, page.

use super::grants::Scope;
use super::projects::Project;
use super::robots::{Robot, Row};
use super::{Caller, State};
use crate::error::{ApiError, ApiResult};
use crate::query::{Cell, Keywords, Page, Pattern, sorting};
use crate::version::Version;

/// One page, and how many rows there are in all.
#[derive(Debug)]
pub struct Listing<'a, T> {
    /// The page.
    pub rows: Vec<&'a T>,
    /// All rows that fit.
    pub total: usize,
}

/// Sorts and cuts a page out.
fn page_of<'a, T>(
    mut rows: Vec<&'a T>,
    sort: &str,
    page: Page,
    cell: impl for<'b> Fn(&'b T, &str) -> Option<Cell<'b>>,
) -> Listing<'a, T> {
    for (key, descending) in sorting(sort).into_iter().rev() {
        rows.sort_by(|a, b| {
            let order = cell(a, key).zip(cell(b, key)).map_or(std::cmp::Ordering::Equal, |(a, b)| a.order(b));
            if descending { order.reverse() } else { order }
        });
    }
    let total = rows.len();
    let (skip, take) = page.window();
    Listing { rows: rows.into_iter().skip(skip).take(take).collect(), total }
}

/// Whose robots a list is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The system's.
    System,
    /// A project's.
    Project(i64),
    /// All, as `Level=system` had it up to v2.12.
    All,
}

impl Whose {
    /// The level that the caller needs rights at, and the project.
    pub fn level(self) -> (&'static str, Option<i64>) {
        match self {
            Self::Project(id) => ("project", Some(id)),
            Self::System | Self::All => ("system", None),
        }
    }
}

/// What the `Level` and `ProjectID` keywords say.
pub fn whose(version: Version, keywords: &Keywords) -> ApiResult<Whose> {
    let odd = |message: &str| if version.is_since_16() { ApiError::bad_request(message) } else { ApiError::panicked() };
    match keywords.get("Level") {
        None => Ok(Whose::System),
        Some(Pattern::Exact(level)) if level == "system" => {
            Ok(if version.separates_levels() { Whose::System } else { Whose::All })
        }
        Some(Pattern::Exact(level)) if level == "project" => {
            let id: i64 = match keywords.get("ProjectID") {
                None => return Err(ApiError::bad_request("must with project ID when to query project robots")),
                Some(Pattern::Exact(id)) => id.parse().map_err(|_| {
                    let since_16 = "ProjectID must be a positive integer";
                    ApiError::bad_request(if version.separates_levels() {
                        since_16
                    } else {
                        "Project ID must be int type."
                    })
                })?,
                Some(_) => return Err(odd("ProjectID must be a positive integer")),
            };
            if id <= 0 && version.separates_levels() {
                return Err(ApiError::bad_request("ProjectID must be a positive integer"));
            }
            Ok(Whose::Project(id))
        }
        Some(Pattern::Exact(_)) => Err(ApiError::bad_request("bad request error level input")),
        Some(_) => Err(odd("bad request error level input")),
    }
}

/// An unknown key is ignored, except that one in capitals ends in a panic of Harbor's database layer.
fn panics(key: &str) -> bool {
    key.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
}

impl State {
    /// The visible robots that fit the keywords.
    pub fn list_robots(
        &self,
        whose: Whose,
        keywords: &Keywords,
        sort: &str,
        page: Page,
    ) -> ApiResult<Listing<'_, Robot>> {
        let mut all = std::collections::BTreeMap::new();
        let listed = match whose {
            Whose::System => self.robots.listed(0),
            Whose::Project(id) => self.robots.listed(id),
            Whose::All => {
                all.extend(self.robots.all_listed().map(|(name, id)| (name.clone(), *id)));
                Some(&all)
            }
        };
        let Some(listed) = listed else { return Ok(Listing { rows: Vec::new(), total: 0 }) };
        let filters: Vec<_> = keywords.iter().filter(|(key, _)| *key != "Level" && *key != "ProjectID").collect();
        let robot = |id: &i64| self.robots.get(*id);
        if filters.is_empty() && sorting(sort).is_empty() {
            let (skip, take) = page.window();
            let rows = listed.values().skip(skip).take(take).filter_map(robot).collect();
            return Ok(Listing { rows, total: listed.len() });
        }
        let fits = |row: &Row| {
            for (key, pattern) in &filters {
                match row.cell(key) {
                    Some(cell) if !pattern.fits(cell)? => return Ok(false),
                    None if panics(key) => return Err(ApiError::panicked()),
                    _ => {}
                }
            }
            Ok(true)
        };
        if let [(key, Pattern::Exact(name))] = filters.as_slice()
            && *key == "name"
        {
            let rows: Vec<_> = listed.get(name.as_str()).and_then(robot).into_iter().collect();
            return Ok(page_of(rows, sort, page, |robot: &Robot, key| robot.row.cell(key)));
        }
        let mut rows = Vec::new();
        for robot in listed.values().filter_map(robot) {
            if fits(&robot.row)? {
                rows.push(robot);
            }
        }
        Ok(page_of(rows, sort, page, |robot: &Robot, key| robot.row.cell(key)))
    }

    /// The projects that the caller sees and that fit the keywords.
    pub fn list_projects(
        &self,
        caller: &Caller,
        keywords: &Keywords,
        sort: &str,
        page: Page,
    ) -> ApiResult<Listing<'_, Project>> {
        let robot = self.robot_of(caller);
        let all = self.may_in_system(caller, "project", "list")
            || robot.is_some_and(|robot| robot.groups.iter().any(|group| group.scope == Scope::AllProjects));
        let sees = |project: &Project| {
            all || project.public
                || match caller {
                    Caller::Person { id, .. } => project.role(*id).is_some(),
                    _ => robot.is_some_and(|robot| {
                        robot.groups.iter().any(|group| group.scope == Scope::Project(project.id))
                    }),
                }
        };
        let mut rows = Vec::new();
        'rows: for project in self.projects.all().filter(|project| sees(project)) {
            for (key, pattern) in keywords {
                if let Some(cell) = project.cell(key)
                    && !pattern.fits(cell)?
                {
                    continue 'rows;
                }
            }
            rows.push(project);
        }
        Ok(page_of(rows, sort, page, Project::cell))
    }
}
