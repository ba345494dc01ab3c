//! Which projects there are, and their numeric ids, which Harbor's robot list asks for.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::StatusCode;

use super::call::Call;
use super::client::Client;
use super::names;
use super::paging::{List, Listed, MOST_PAGES};
use super::project_ids::Known;
use super::responses::ProjectRow;
use super::wire::Request;
use crate::registry::Error;

const PROJECTS: &str = "/api/v2.0/projects";

/// Rows of the page that a project is looked for in.
const PAGE: usize = 100;

/// How long an id is believed although its list of robots is empty.
const TRUST: Duration = Duration::from_secs(10);

/// Projects that are listed at most, and the bytes of their names.
const MOST_PROJECTS: usize = 32_000;
const MOST_BYTES: usize = 2 * 1024 * 1024;

/// After so many questions by name, as many pages of 100 projects are read at most: whoever uses many projects learns
/// their ids in far fewer requests, and the list never costs more than the questions did.
const READ_LIST_AFTER: [usize; 3] = [16, 64, 256];

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
        let not_found = || Error::ProjectNotFound(project.to_owned());
        if !names::possible(project) {
            return Err(not_found());
        }
        match self.project_by_name(project).await {
            // Whoever may not read a project gets 403 for it, existing or not.
            Err(Error::Forbidden { .. }) => match self.project_in_list(project).await? {
                Some(id) => Ok(id),
                None if self.finds_project(project).await? => Err(Error::CannotListProjects(project.to_owned())),
                None => Err(not_found()),
            },
            Err(Error::NotFound) => Err(not_found()),
            other => other,
        }
    }

    async fn project_by_name(&self, project: &str) -> Result<i64, Error> {
        let path = format!("{PROJECTS}/{project}");
        let reply = self.transport.send(&Request::new(Call::PROJECT_GET, path)).await?;
        let row: ProjectRow = reply.json()?;
        if row.name.0 == project { Ok(row.project_id) } else { Err(reply.bad("another project than asked for")) }
    }

    /// Robots see the projects of their permissions in the list even if they may not read one by name.
    async fn project_in_list(&self, project: &str) -> Result<Option<i64>, Error> {
        let query = format!("q={}&page_size={PAGE}&with_detail=false", names::encode(&format!("name={project}")));
        match self.transport.send(&Request::new(Call::PROJECT_LIST, PROJECTS).query(query)).await {
            Err(Error::Forbidden { .. }) => Ok(None),
            reply => {
                let mut found = None;
                reply?.rows(PAGE, |row: ProjectRow| {
                    if row.name.0 == project {
                        found.get_or_insert(row.project_id);
                    }
                    Ok(())
                })?;
                Ok(found)
            }
        }
    }

    /// The names of all projects that the login sees, at most 32,000: not all there are, nor all it has rights in (contract
    /// `33-projects`). One that is made, and rarely another, may be missing if many are deleted meanwhile: ask
    /// [`Self::project_exists`] before acting on an absence.
    ///
    /// Harbor answers the list to nobody as well, with the public projects alone, so the login is shown to be accepted
    /// before and after. What remains is a person's Basic, where there is no login by form, during one of the 1.5 s in
    /// which somebody else's wrong password locks the name.
    ///
    /// # Errors
    /// [`Error::ListTooLong`] if there are more; [`Error::Unauthorized`] if the login is not accepted.
    pub async fn projects(&self) -> Result<BTreeSet<String>, Error> {
        self.login_kind().await?;
        let names = self.read_projects(MOST_PAGES).await?.all()?;
        self.login_kind().await?;
        Ok(names.into_iter().collect())
    }

    /// Reads the list and remembers the ids. By id, so that a project made meanwhile comes last; `id` itself is no key of
    /// this list, and Harbor sorts by name instead.
    async fn read_projects(&self, most_pages: usize) -> Result<Listed<String>, Error> {
        let query = "with_detail=false&sort=project_id".to_owned();
        let list = List { call: Call::PROJECT_LIST, path: PROJECTS, query, what: "projects", most_pages };
        let (count, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let take = |row: ProjectRow| {
            let name = row.name.0;
            let count = count.fetch_add(1, Ordering::Relaxed);
            if count >= MOST_PROJECTS || bytes.fetch_add(name.len(), Ordering::Relaxed) + name.len() > MOST_BYTES {
                return Err(Error::ListTooLong { what: "projects", most: count });
            }
            self.projects.confirm(&name, row.project_id);
            Ok(Some(name))
        };
        self.transport.list(&list, &take).await
    }

    /// Whether there is a project of exactly this name, visible or not: Harbor tells every login (contract
    /// `33-projects`). The answer to HEAD has no body, so that a 404 of Harbor cannot be told from that of a proxy in
    /// front of a Harbor that is away: only a refusal with Harbor's own text means no.
    ///
    /// # Errors
    /// If Harbor does not answer or accept the login.
    pub async fn project_exists(&self, project: &str) -> Result<bool, Error> {
        if !names::possible(project) {
            return Ok(false);
        }
        if self.finds_project(project).await? {
            return Ok(true);
        }
        match self.project_by_name(project).await {
            // To whoever may not read a project it is refused, existing or not: then the first answer counts.
            Err(Error::ProjectNotFound(_) | Error::NotFound | Error::Forbidden { .. }) => Ok(false),
            reply => reply.map(|_| true),
        }
    }

    /// The one question that Harbor answers to every login.
    async fn finds_project(&self, project: &str) -> Result<bool, Error> {
        let query = format!("project_name={}", names::encode(project));
        let request = Request::new(Call::PROJECT_EXISTS, PROJECTS).query(query);
        Ok(self.transport.send(&request).await?.status != StatusCode::NOT_FOUND)
    }
}
