//! `reload`: configuration and mappings again, under the running daemon. All of it takes effect, or none.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix::Addr;
use tokio::sync::{Mutex, oneshot};

use super::daemon::Daemon;
use super::look::client_problems;
use crate::config::{self, Problem, Settings};
use crate::fault::Fault;
use crate::model::offset::TopicPartition;
use crate::observe::events;
use crate::supervise::parts::Parts;
use crate::supervise::root::{RenewLanes, ReplaceTables, RootSupervisor};
use crate::supervise::tables::TableSet;

/// Reads the configuration again. Cheap to clone.
#[derive(Clone)]
pub struct Reloader {
    root: Addr<RootSupervisor>,
    parts: Arc<Parts>,
    config: PathBuf,
    /// What the daemon runs with. Locked from the reading to the replacing: one reload at a time.
    current: Arc<Mutex<Settings>>,
}

/// Why nothing has changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Refused {
    /// What is wrong with the configuration and the mappings, or cannot change under a running daemon; all of it.
    Problems(Vec<Problem>),
    /// The daemon cannot do it now.
    Fault(Fault),
}

/// What a reload did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// Tables whose mapping or settings are others now.
    pub changed: Vec<String>,
    /// The lanes that went over to them.
    pub lanes: Vec<TopicPartition>,
}

impl Reloader {
    /// Reloads for `daemon`, which was started with `settings` from the file `config`.
    pub fn new(daemon: &Daemon, settings: &Settings, config: &Path) -> Self {
        let (root, parts) = (daemon.root().clone(), Arc::clone(daemon.parts()));
        Self { root, parts, config: config.to_owned(), current: Arc::new(Mutex::new(settings.clone())) }
    }

    /// Reads the file again, the environment laid over it, and the mappings it names.
    ///
    /// # Errors
    ///
    /// Why nothing has changed.
    pub async fn reload(&self) -> Result<Reloaded, Refused> {
        let config = self.config.clone();
        self.replace_by(move || config::load(&config, config::environment())).await
    }

    /// Takes the settings that `load` gives, which may block. Answers when every lane that is concerned reads with them
    /// or cannot.
    ///
    /// # Errors
    ///
    /// Why nothing has changed.
    pub async fn replace_by<L>(&self, load: L) -> Result<Reloaded, Refused>
    where
        L: FnOnce() -> Result<Settings, Vec<Problem>> + Send + 'static,
    {
        let config = self.config.display().to_string();
        let changed = self.replace(load).await;
        match &changed {
            Ok(changed) => events::reloaded(&config, &changed.join(", ")),
            Err(Refused::Problems(problems)) => {
                let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
                events::reload_refused(&config, all.len(), &all.join("; "));
            }
            Err(Refused::Fault(fault)) => events::reload_refused(&config, 1, &fault.message),
        }
        let changed = changed?;
        let lanes =
            if changed.is_empty() { Vec::new() } else { self.root.send(RenewLanes).await.map_err(|_| gone())? };
        Ok(Reloaded { changed, lanes })
    }

    /// The names of the tables that have changed.
    async fn replace<L>(&self, load: L) -> Result<Vec<String>, Refused>
    where
        L: FnOnce() -> Result<Settings, Vec<Problem>> + Send + 'static,
    {
        let mut current = self.current.lock().await;
        let (old, before) = (current.clone(), self.parts.tables());
        let (answer, prepared) = oneshot::channel();
        let running = Arc::clone(&before);
        let thread = std::thread::Builder::new().name("reload".to_owned()).spawn(move || {
            // Whoever asked may have given up waiting; then nothing changes.
            let _ = answer.send(load().and_then(|new| prepare(&old, &running, new)));
        });
        match thread {
            Ok(thread) => self.parts.reaper.join(thread),
            Err(error) => return Err(Refused::Fault(Fault::retry("process.no-thread", error.to_string()))),
        }
        let panicked = |_| Refused::Fault(Fault::internal("reload.panicked", "the reload failed; see the log"));
        let (new, tables) = prepared.await.map_err(panicked)?.map_err(Refused::Problems)?;
        let indices = (0..tables.tables().len()).filter(|index| !tables.is_same(&before, *index));
        let changed: Vec<String> = indices.map(|index| tables.tables()[index].name.to_string()).collect();
        if !changed.is_empty() {
            let replaced = self.root.send(ReplaceTables(Arc::new(tables))).await.map_err(|_| gone())?;
            replaced.map_err(Refused::Fault)?;
        }
        *current = new;
        Ok(changed)
    }
}

fn gone() -> Refused {
    Refused::Fault(Fault::retry("root.gone", "the daemon has ended"))
}

/// Judges everything and compiles the mappings. Nothing has changed yet.
fn prepare(old: &Settings, running: &TableSet, new: Settings) -> Result<(Settings, TableSet), Vec<Problem>> {
    let mut problems = client_problems(&new);
    problems.extend(config::refusals(old, &new));
    if !problems.is_empty() {
        return Err(problems);
    }
    let tables = running.next(&new.tables).map_err(|fault| vec![new.problem("table", fault.message, None)])?;
    for (index, table) in new.tables.iter().enumerate() {
        let is_compiled_anew = !tables.parser_tables[index].is(&running.parser_tables[index]);
        if is_compiled_anew && old.tables[index].mapping == table.mapping {
            let (name, version) = (&table.mapping.name, table.mapping.version);
            let message = format!("the xml schema of {name} has changed, and {name} is still version {version}");
            let help = Some(config::version_help(version));
            problems.push(new.problem(&format!("table[{index}].mapping"), message, help));
        }
    }
    if problems.is_empty() { Ok((new, tables)) } else { Err(problems) }
}

#[cfg(test)]
mod tests;
