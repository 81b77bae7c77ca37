//! Writing whole files: the ladder.
//!
//! A file on HDFS cannot be mended: when a DataNode of its pipeline is gone before the first byte is acknowledged,
//! the client gives up, and the NameNode may well name the same DataNode again. So a failed file is deleted and
//! written anew: twice with the replication that is wanted, then with the lowest that is allowed (one DataNode that
//! is alive is enough then), after which the wanted replication is set and the NameNode copies by itself.
//!
//! Nothing is ever deleted that this call did not create: an answer to `create` that was lost ends the ladder, and
//! each file created is deleted at most once, so that a delete that is executed late finds at worst nothing.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hdfs_native::client::WriteOptions;
use hdfs_native::file::FileWriter;
use hdfs_native::{Client, HdfsError};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::classify::Answer;
use crate::storage::Kind;

/// How much of a spool file is read at once.
const CHUNK: u64 = 256 * 1024;
/// Writes of one file, the first one included. With one of two DataNodes dead, a rung with one copy fails every other
/// time, and one file that fails fails its whole commit: ten such rungs leave one file in a thousand.
const RUNGS: u32 = 12;
/// Rungs with the replication that is wanted.
const FULL_RUNGS: u32 = 2;
/// Wait before the second rung; it doubles with each until it is ten times this.
const BACKOFF: Duration = Duration::from_millis(50);
/// How long cleaning up may take when the deadline has passed already.
pub(super) const CLEANUP: Duration = Duration::from_secs(5);

/// What a file shall hold, in a form that the client's threads can keep.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Bytes(Bytes),
    Spooled(Arc<File>, u64),
}

impl Source {
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Spooled(_, length) => *length,
        }
    }
}

/// How files of this lake are replicated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Replication {
    /// What is wanted; none: what the NameNode says.
    pub(super) wanted: Option<u32>,
    /// What a file may be written with when DataNodes are away.
    pub(super) floor: u32,
    /// Bytes of a block; none: what the NameNode says.
    pub(super) block: Option<u64>,
}

/// An error of a write, and whether the NameNode was silent, so that the session should not be used again.
pub(super) struct Failed {
    pub(super) answer: Answer,
    pub(super) is_silent: bool,
}

impl From<Answer> for Failed {
    fn from(answer: Answer) -> Self {
        Self { answer, is_silent: false }
    }
}

/// Writes one file, whole and closed, before `until`.
pub(super) async fn write_file(
    client: &Client,
    path: &str,
    source: &Source,
    replication: Replication,
    until: Instant,
) -> Result<(), Failed> {
    let mut wanted = replication.wanted;
    let mut rung = 0;
    loop {
        let lowered = (rung >= FULL_RUNGS && wanted.is_some_and(|wanted| wanted > replication.floor))
            .then_some(replication.floor);
        let mut options = WriteOptions::default().overwrite(false).create_parent(false);
        options.replication = lowered.or(wanted);
        options.block_size = replication.block;
        let writer = created(timeout_at(until, client.create(path, &options)).await)?;
        // Half of what is left, so that a DataNode that hangs leaves time for another try.
        let share = Instant::now() + until.saturating_duration_since(Instant::now()) / 2;
        let failed = match timeout_at(share, Box::pin(fill(client, path, writer, source))).await {
            Ok(Ok(())) => {
                if let (Some(_), Some(wanted)) = (lowered, wanted) {
                    // The file is whole and durable; with how many copies is the NameNode's business from here on.
                    let _ = timeout(CLEANUP, client.set_replication(path, wanted)).await;
                }
                return Ok(());
            }
            Ok(Err(answer)) => answer,
            Err(_) => {
                Answer::new(Kind::Unavailable, "the datanodes did not take the file in time: are they alive and fast?")
            }
        };
        if matches!(failed.kind, Kind::NotFound | Kind::Unknown) {
            return Err(failed.into());
        }
        if wanted.is_none() {
            wanted = replication_of(client, path).await;
        }
        removed(timeout(CLEANUP, client.delete(path, false)).await, &failed)?;
        rung += 1;
        let wait = BACKOFF * 2u32.pow(rung - 1).min(10) + BACKOFF.mul_f64(fastrand::f64());
        if rung == RUNGS || Instant::now() + wait >= until || !matches!(failed.kind, Kind::Unavailable) {
            return Err(failed.into());
        }
        sleep(wait).await;
    }
}

type Timed<T> = Result<Result<T, HdfsError>, tokio::time::error::Elapsed>;

fn created(answer: Timed<FileWriter>) -> Result<FileWriter, Failed> {
    match answer {
        Ok(Ok(writer)) => Ok(writer),
        Ok(Err(error)) => Err(Answer::of_mutation(&error).into()),
        Err(_) => {
            let answer = Answer::new(Kind::Unknown, "no answer to the create: is the namenode alive and reachable?");
            Err(Failed { answer, is_silent: true })
        }
    }
}

/// After a delete that is not known to be done the path may hold a piece of a file: the caller has to look.
fn removed(answer: Timed<bool>, why: &Answer) -> Result<(), Failed> {
    let (left, is_silent) = match answer {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => (Answer::of_mutation(&error), false),
        Err(_) => (Answer::new(Kind::Unknown, "no answer"), true),
    };
    let message = format!("{}; and the unfinished file may still be there: {}", why.message, left.message);
    let is_of_namenode = why.is_of_namenode || left.is_of_namenode;
    Err(Failed { answer: Answer { kind: Kind::Unknown, message, is_of_namenode }, is_silent })
}

async fn replication_of(client: &Client, path: &str) -> Option<u32> {
    let status = timeout(CLEANUP, client.get_file_info(path)).await.ok()?.ok()?;
    status.replication
}

/// Sends the bytes, closes the file and looks whether all of it is there.
async fn fill(client: &Client, path: &str, mut writer: FileWriter, source: &Source) -> Result<(), Answer> {
    let failed = |error: HdfsError| Answer::of_write(&error);
    match source {
        Source::Bytes(bytes) => {
            Box::pin(writer.write_bytes(bytes.clone())).await.map_err(failed)?;
        }
        Source::Spooled(file, length) => {
            let mut at = 0;
            while at < *length {
                let chunk = read_chunk(file.clone(), at, CHUNK.min(*length - at)).await?;
                at += chunk.len() as u64;
                Box::pin(writer.write_bytes(chunk)).await.map_err(failed)?;
            }
        }
    }
    Box::pin(writer.close()).await.map_err(failed)?;
    let status = client.get_file_info(path).await.map_err(|error| {
        let seen = Answer::of_look(&error);
        // Closed, but moved away meanwhile, or nobody there to ask.
        let kind = if seen.kind == Kind::NotFound { Kind::NotFound } else { Kind::Unknown };
        Answer::new(kind, format!("written and closed, but not seen: {}", seen.message))
    })?;
    if status.length as u64 == source.length() {
        return Ok(());
    }
    let message = format!("{} of {} bytes arrived", status.length, source.length());
    Err(Answer::new(Kind::Unavailable, message))
}

async fn read_chunk(file: Arc<File>, at: u64, length: u64) -> Result<Bytes, Answer> {
    let failed = |error: String| Answer::new(Kind::Other, format!("cannot read the spool file: {error}"));
    let read = tokio::task::spawn_blocking(move || {
        let mut chunk = vec![0; usize::try_from(length).map_err(std::io::Error::other)?];
        file.read_exact_at(&mut chunk, at)?;
        Ok::<_, std::io::Error>(Bytes::from(chunk))
    });
    read.await.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
}
