//! Projects, their members and the repositories that were pushed to them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

use crate::clock::rfc3339_ms;
use crate::error::{ApiError, ApiResult};
use crate::query::Cell;

/// A person's part in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Member id.
    pub id: i64,
    /// The person.
    pub user: i64,
    /// 1 project admin, 2 developer, 3 guest, 4 maintainer, 5 limited guest.
    pub role: i64,
}

/// One project.
#[derive(Debug, Clone)]
pub struct Project {
    /// Project id, never used again.
    pub id: i64,
    /// Name.
    pub name: String,
    /// Anybody may pull.
    pub public: bool,
    /// User id of the owner.
    pub owner: i64,
    /// Name of the owner.
    pub owner_name: String,
    /// When created, milliseconds.
    pub created_ms: i64,
    /// When changed, milliseconds.
    pub updated_ms: i64,
    /// Members.
    pub members: Vec<Member>,
    /// Repositories by full name.
    pub repositories: BTreeSet<String>,
}

impl Project {
    /// The project as the API shows it.
    pub fn view(&self, role: Option<i64>) -> Value {
        let mut view = json!({
            "project_id": self.id, "name": self.name, "owner_id": self.owner, "owner_name": self.owner_name,
            "metadata": {"public": self.public.to_string()}, "repo_count": self.repositories.len(),
            "creation_time": rfc3339_ms(self.created_ms), "update_time": rfc3339_ms(self.updated_ms),
            "cve_allowlist": {
                "id": self.id, "project_id": self.id, "items": [],
                "creation_time": "0001-01-01T00:00:00.000Z", "update_time": "0001-01-01T00:00:00.000Z",
            },
        });
        if let Some(role) = role {
            view["current_user_role_id"] = role.into();
            view["current_user_role_ids"] = json!([role]);
        }
        view
    }

    /// The value of a list column; `None` for an unknown key.
    pub fn cell(&self, key: &str) -> Option<Cell<'_>> {
        Some(match key {
            "name" | "Name" => Cell::Text(&self.name),
            "project_id" | "ProjectID" => Cell::Int(self.id),
            "owner_id" | "OwnerID" => Cell::Int(self.owner),
            "owner" => Cell::Text(&self.owner_name),
            "public" => Cell::Flag(self.public),
            "creation_time" | "CreationTime" => Cell::Time(self.created_ms),
            "update_time" | "UpdateTime" => Cell::Time(self.updated_ms),
            _ => return None,
        })
    }

    /// A person's role here.
    pub fn role(&self, user: i64) -> Option<i64> {
        self.members.iter().find(|member| member.user == user).map(|member| member.role)
    }
}

/// All projects.
#[derive(Debug, Clone, Default)]
pub struct Projects {
    by_id: HashMap<i64, Project>,
    by_name: BTreeMap<String, i64>,
    last_id: i64,
    last_member: i64,
}

impl Projects {
    /// Adds a project; the name must be free.
    pub fn create(&mut self, name: &str, public: bool, owner: i64, owner_name: &str, now_ms: i64) -> i64 {
        self.last_id += 1;
        self.last_member += 1;
        let id = self.last_id;
        let project = Project {
            id,
            name: name.into(),
            public,
            owner,
            owner_name: owner_name.into(),
            created_ms: now_ms,
            updated_ms: now_ms,
            members: vec![Member { id: self.last_member, user: owner, role: 1 }],
            repositories: BTreeSet::new(),
        };
        self.by_id.insert(id, project);
        self.by_name.insert(name.into(), id);
        id
    }

    /// By id.
    pub fn get(&self, id: i64) -> Option<&Project> {
        self.by_id.get(&id)
    }

    /// By id, to change.
    pub fn get_mut(&mut self, id: i64) -> Option<&mut Project> {
        self.by_id.get_mut(&id)
    }

    /// By exact name.
    pub fn named(&self, name: &str) -> Option<&Project> {
        self.by_name.get(name).and_then(|id| self.by_id.get(id))
    }

    /// By name, with Harbor's errors.
    pub fn find(&self, name: &str) -> ApiResult<&Project> {
        if name.contains(' ') {
            return Err(ApiError::bad_request(format!("invalid project name: '{name}'")));
        }
        self.named(name).ok_or_else(|| ApiError::not_found(format!("project {name} not found")))
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = &Project> {
        self.by_name.values().filter_map(|id| self.by_id.get(id))
    }

    /// Removes a project; its name is free again, its id is not.
    pub fn remove(&mut self, id: i64) {
        if let Some(project) = self.by_id.remove(&id) {
            self.by_name.remove(&project.name);
        }
    }

    /// Adds a member; `None` when the person is one already.
    pub fn join(&mut self, project: i64, user: i64, role: i64) -> Option<i64> {
        self.last_member += 1;
        let id = self.last_member;
        let project = self.by_id.get_mut(&project)?;
        if project.role(user).is_some() {
            return None;
        }
        project.members.push(Member { id, user, role });
        Some(id)
    }
}
