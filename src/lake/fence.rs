//! Taking an epoch and fencing every lower one, for whatever has a control folder with `owner`, `stage`, `fenced`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::LakeError;
use super::mutate::{self, Expected, Moved};
use super::names::{Home, parse_epoch_segment, parse_owner};
use super::rfc3339;
use crate::failpoint;
use crate::model::offset::Epoch;
use crate::storage::{Content, Entry, Kind, LakePath, Storage, StorageError};

/// How many epochs one acquire tries before it hands its error on: each is given up when it was taken in a race or
/// when the answer to making its stage was lost.
const EPOCHS_TRIED: usize = 8;

/// Who takes an epoch: what its owner file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Machine.
    pub host: String,
    /// Process.
    pub pid: u32,
    /// Boot of that machine, so that a pid means something.
    pub boot_id: String,
    /// Kafka consumer group.
    pub group: String,
    /// Kafka cluster, where known.
    pub cluster_id: Option<String>,
    /// Kafka's id of the topic, where known; another id under the same name is a recreated topic.
    pub topic_id: Option<String>,
    /// Instance of the daemon, new at each start.
    pub instance: String,
    /// Version of Forebay.
    pub software: String,
    /// When, by the owner's own clock.
    #[serde(with = "rfc3339")]
    pub taken_at: Timestamp,
    /// Whether an operator said that another group's or cluster's chain may be gone on with.
    #[serde(default)]
    pub takes_over: bool,
}

/// An epoch that was taken and whose lower epochs are fenced.
#[derive(Debug, Clone)]
pub struct Tenure {
    /// Control folder.
    pub home: Home,
    /// The epoch.
    pub epoch: Epoch,
    /// Its stage: the only place where its owner creates anything.
    pub stage: LakePath,
    /// Modification time of the owner file, by the storage's clock.
    pub storage_time: Timestamp,
}

impl Tenure {
    /// The error of an owner whose time is over.
    pub fn fenced(&self) -> LakeError {
        LakeError::Fenced { home: self.home.path().clone(), epoch: self.epoch, by: None }
    }

    /// Whether somebody has taken over, as far as can be told: then the lake has gone on without this owner.
    pub(super) fn has_successor(&self, storage: &dyn Storage) -> bool {
        highest(&mutate::list(storage, &self.home.owners()).unwrap_or_default()) > self.epoch
    }

    /// Publishes a small file by a rename out of this stage. `false`: something is at `to` already.
    ///
    /// # Errors
    ///
    /// [`LakeError::Fenced`], or what storage answered.
    pub fn publish(&self, storage: &dyn Storage, bytes: &[u8], to: &LakePath) -> Result<bool, LakeError> {
        match mutate::publish(storage, &self.stage, bytes, to)? {
            Moved::Done => Ok(true),
            Moved::Taken(_) => Ok(false),
            Moved::Gone => Err(self.fenced()),
        }
    }
}

/// Takes the next epoch of `home` and fences every lower one.
///
/// 1. the epoch is taken by creating its owner file where none is;
/// 2. its stage is made; an unclear answer gives the epoch up, because the directory might still come after a later
///    owner has fenced;
/// 3. every lower stage is renamed away: by its old path nothing can be created, closed and renamed any more;
/// 4. the owners are listed again: a higher one wins, because an owner that stalled before its stage existed would
///    come back unfenced.
///
/// `policy` sees the newest owner before anything is done, and may refuse.
///
/// # Errors
///
/// [`LakeError::Fenced`] when a higher epoch appears, what `policy` refuses, or what storage answered.
pub fn take_epoch(
    storage: &dyn Storage,
    home: &Home,
    owner: &Owner,
    policy: &dyn Fn(&Owner) -> Result<(), LakeError>,
) -> Result<Tenure, LakeError> {
    let content = serde_json::to_vec_pretty(owner).map_err(|error| LakeError::Internal(error.to_string()))?;
    let mut owners = mutate::list(storage, &home.owners())?;
    if owners.is_empty() {
        mutate::make_dirs(storage, &home.owners())?;
    }
    if let Some(newest) = newest_owner(storage, home, &owners)? {
        policy(&newest)?;
    }
    let mut tried = Epoch(0);
    for _ in 0..EPOCHS_TRIED {
        let epoch = Epoch(highest(&owners).max(tried).0 + 1);
        tried = epoch;
        match storage.create(&home.owner(epoch), Content::Bytes(&content)) {
            Ok(()) => {}
            // Taken by another, or by us without our knowing: the number is spent either way.
            Err(error) if matches!(error.kind, Kind::AlreadyExists | Kind::Unknown) => {
                owners = mutate::list(storage, &home.owners())?;
                continue;
            }
            Err(error) => return Err(error.into()),
        }
        failpoint::reach("epoch.taken");
        let stage = home.stage(epoch);
        match storage.make_dirs(&stage) {
            Ok(()) => {}
            Err(error) if error.kind == Kind::Unknown => {
                owners = mutate::list(storage, &home.owners())?;
                continue;
            }
            Err(error) => return Err(error.into()),
        }
        failpoint::reach("epoch.staged");
        fence_lower(storage, home, epoch)?;
        failpoint::reach("epoch.fenced");
        owners = mutate::list(storage, &home.owners())?;
        let mine = owners.iter().find(|entry| parse_owner(entry.path.name()) == Some(epoch));
        let Some(mine) = mine.filter(|_| highest(&owners) == epoch) else {
            let fenced = LakeError::Fenced { home: home.path().clone(), epoch, by: None };
            return Err(name_successor(storage, home, fenced));
        };
        return Ok(Tenure { home: home.clone(), epoch, stage, storage_time: mine.modified });
    }
    let message = format!("{EPOCHS_TRIED} epochs were taken by others or given up after unclear answers");
    Err(StorageError::new(Kind::Unavailable, "take epoch", &home.owners(), message).into())
}

/// Who took the newest epoch of `home`; none when nobody ever did.
///
/// # Errors
///
/// What storage answered.
pub fn owner_of(storage: &dyn Storage, home: &Home) -> Result<Option<Owner>, LakeError> {
    let owners = mutate::list(storage, &home.owners())?;
    newest_owner(storage, home, &owners)
}

fn highest(owners: &[Entry]) -> Epoch {
    owners.iter().filter_map(|entry| parse_owner(entry.path.name())).max().unwrap_or(Epoch(0))
}

/// The newest owner whose file is whole: one that died while it wrote leaves a file that says nothing.
fn newest_owner(storage: &dyn Storage, home: &Home, owners: &[Entry]) -> Result<Option<Owner>, LakeError> {
    let mut epochs: Vec<(Epoch, u64)> =
        owners.iter().filter_map(|entry| Some((parse_owner(entry.path.name())?, entry.bytes))).collect();
    epochs.sort_unstable_by(|a, b| b.cmp(a));
    for (epoch, bytes) in epochs.into_iter().filter(|(_, bytes)| *bytes > 0) {
        let content = match storage.read(&home.owner(epoch), 0, bytes) {
            Ok(content) => content,
            Err(error) if error.kind == Kind::Corrupt => continue,
            Err(error) => return Err(error.into()),
        };
        if let Ok(owner) = serde_json::from_slice(&content) {
            return Ok(Some(owner));
        }
    }
    Ok(None)
}

/// Says in the error of a fenced owner who has taken over, if that can be read.
pub fn name_successor(storage: &dyn Storage, home: &Home, error: LakeError) -> LakeError {
    let LakeError::Fenced { home: path, epoch, by: None } = error else { return error };
    let owners = mutate::list(storage, &home.owners()).unwrap_or_default();
    let by = match newest_owner(storage, home, &owners) {
        Ok(Some(owner)) if highest(&owners) > epoch => {
            Some(format!("{} (pid {} on {}, group {})", highest(&owners), owner.pid, owner.host, owner.group))
        }
        _ => None,
    };
    LakeError::Fenced { home: path, epoch, by }
}

fn fence_lower(storage: &dyn Storage, home: &Home, epoch: Epoch) -> Result<(), LakeError> {
    for entry in mutate::list(storage, &home.stages())? {
        let Some(lower) = parse_epoch_segment(entry.path.name()).filter(|lower| *lower < epoch) else { continue };
        let to = home.fenced_stage(lower, uuid::Uuid::new_v4());
        match mutate::rename(storage, &entry.path, &to, Expected::Dir)? {
            // Gone: another acquirer has renamed it away under a name of its own.
            Moved::Done | Moved::Gone => {}
            Moved::Taken(there) => {
                return Err(LakeError::Conflict { path: to, detail: format!("{} bytes", there.bytes) });
            }
        }
    }
    Ok(())
}
