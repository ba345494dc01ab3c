//! The numeric ids of projects, which Harbor's robot list asks for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use tokio::time::Instant;

use super::client::Client;
use super::failure::Call;
use super::limits::KeyedLocks;
use super::names;
use super::transport::Request;
use super::wire::ProjectRow;
use crate::registry::Error;

/// How long an id is believed although its list of robots is empty.
const TRUST: Duration = Duration::from_secs(10);

/// After so many questions by name, as many pages of 100 projects are read at most: whoever uses many projects learns
/// their ids in far fewer requests, and the list never costs more than the questions did.
const READ_LIST_AFTER: [usize; 3] = [16, 64, 256];

/// Ids by name. A name keeps its id until the project is deleted and made again.
#[derive(Debug, Default)]
pub(super) struct ProjectIds {
    known: Mutex<HashMap<String, Known>>,
    /// One question at a time per name: the accounts of a project start together.
    locks: KeyedLocks<String>,
    /// Questions by name so far.
    asked: AtomicUsize,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    id: i64,
    confirmed: Instant,
}

impl ProjectIds {
    /// Harbor gave this id, or robots of the project under it.
    pub(super) fn confirm(&self, project: &str, id: i64) {
        let known = Known { id, confirmed: Instant::now() };
        let mut map = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match map.get_mut(project) {
            Some(entry) => *entry = known,
            None => drop(map.insert(project.to_owned(), known)),
        }
    }

    /// The id turned out wrong.
    pub(super) fn forget(&self, project: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(project);
    }

    fn get(&self, project: &str) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(project).copied()
    }
}

impl Client {
    /// A project's id: remembered, or asked for.
    pub(super) async fn project_id(&self, project: &str) -> Result<i64, Error> {
        match self.projects.get(project) {
            Some(known) => Ok(known.id),
            None => self.project_id_unless(project, |_| true).await,
        }
    }

    /// A project's id, asked for anew if none was confirmed lately.
    pub(super) async fn fresh_project_id(&self, project: &str) -> Result<i64, Error> {
        self.project_id_unless(project, |known| known.confirmed.elapsed() < TRUST).await
    }

    async fn project_id_unless(&self, project: &str, trust: impl Fn(&Known) -> bool) -> Result<i64, Error> {
        let _alone = self.projects.locks.lock(project.to_owned()).await;
        if let Some(known) = self.projects.get(project).filter(trust) {
            return Ok(known.id);
        }
        self.projects.forget(project);
        let asked = self.projects.asked.fetch_add(1, Ordering::Relaxed) + 1;
        // It only saves requests: if it fails, the question by name finds out why.
        if READ_LIST_AFTER.contains(&asked)
            && self.read_projects(asked).await.is_ok()
            && let Some(known) = self.projects.get(project)
        {
            return Ok(known.id);
        }
        let id = self.ask_for_project(project).await?;
        self.projects.confirm(project, id);
        Ok(id)
    }

    async fn ask_for_project(&self, project: &str) -> Result<i64, Error> {
        let not_found = || Error::ProjectNotFound { project: project.to_owned() };
        if !names::possible(project) {
            return Err(not_found());
        }
        match self.project_by_name(project).await {
            // Whoever may not read a project gets 403 for it, existing or not.
            Err(Error::Forbidden { .. }) => match self.project_in_list(project).await? {
                Some(id) => Ok(id),
                None if self.project_exists(project).await? => {
                    Err(Error::CannotListProjects { project: project.to_owned() })
                }
                None => Err(not_found()),
            },
            Err(Error::NotFound) => Err(not_found()),
            other => other,
        }
    }

    async fn project_by_name(&self, project: &str) -> Result<i64, Error> {
        let path = format!("/api/v2.0/projects/{project}");
        let reply = self.transport.send(&Request::new(Call::ProjectGet, Method::GET, path).by_name()).await?;
        let row: ProjectRow = reply.json()?;
        if row.name == project { Ok(row.project_id) } else { Err(reply.bad("another project than asked for")) }
    }

    /// Robots see the projects of their permissions in the list even if they may not read one by name.
    async fn project_in_list(&self, project: &str) -> Result<Option<i64>, Error> {
        let query = format!("q={}", names::encode(&format!("name={project}")));
        match self.project_page(query).await {
            Err(Error::Forbidden { .. }) => Ok(None),
            rows => Ok(rows?.into_iter().find(|row| row.name == project).map(|row| row.project_id)),
        }
    }

    async fn read_projects(&self, most_pages: usize) -> Result<(), Error> {
        for page in 1..=most_pages {
            let rows = self.project_page(format!("sort=name&page={page}")).await?;
            let last = rows.len() < 100;
            for row in rows {
                self.projects.confirm(&row.name, row.project_id);
            }
            if last {
                break;
            }
        }
        Ok(())
    }

    async fn project_page(&self, query: String) -> Result<Vec<ProjectRow>, Error> {
        let query = format!("{query}&page_size=100&with_detail=false");
        let request = Request::new(Call::ProjectList, Method::GET, "/api/v2.0/projects").query(query);
        self.transport.send(&request).await?.json()
    }

    /// The one question that Harbor answers to every login.
    async fn project_exists(&self, project: &str) -> Result<bool, Error> {
        let query = format!("project_name={}", names::encode(project));
        let request = Request::new(Call::ProjectExists, Method::HEAD, "/api/v2.0/projects").query(query);
        Ok(self.transport.send(&request).await?.status != StatusCode::NOT_FOUND)
    }
}
