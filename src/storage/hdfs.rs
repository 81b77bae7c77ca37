//! The lake on HDFS.
//!
//! Everything the protocols need is one NameNode call and atomic there: a create that does not overwrite, a rename
//! that does not overwrite, neither of which makes a parent (`create_parent` is false, `overwrite` is false, always).
//! Calls run on the client's own threads (`session`), errors are judged in one place (`classify`), and whole files
//! are written with a ladder of tries (`write`).
//!
//! **Memory**: the client queues up to about 13 MB a file while it is written. All writes of one [`HdfsStorage`]
//! together keep below [`IN_FLIGHT`], whoever calls; a file that finds no room waits for it.

mod classify;
mod kerberos;
mod namenodes;
mod session;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdfs_native::client::FileStatus;
use hdfs_native::{Client, HdfsError};
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::time::timeout_at;

use self::classify::Answer;
use self::namenodes::{found, prove, prove_by_root};
use self::session::{Lost, Sessions, Use};
use self::write::{CLEANUP, Replication, Source, write_file};
use super::{Content, Deadlines, Entry, Kind, LakePath, Storage, StorageError, check_range, open_spooled, say};

/// Bytes of all files that are being written which the client may hold in its queues.
pub const IN_FLIGHT: u64 = 64 * 1024 * 1024;
/// What one file can hold of them: two queues of a hundred packets of 64 KiB.
const IN_FLIGHT_FILE: u64 = 13 * 1024 * 1024;
/// Files of one [`Storage::write_all`] that are written at the same time: a close takes none or 500 ms.
const AT_ONCE: usize = 16;
/// The semaphore counts KiB.
const KIB: u64 = 1024;

/// Mode of directories before the NameNode's umask.
const DIR_MODE: u32 = 0o755;

const SCHEME: &str = "hdfs://";

/// A lake below one directory of one HDFS namespace.
pub struct HdfsStorage {
    url: String,
    /// Absolute, without a slash at its end; empty for `/`.
    root: String,
    sessions: Sessions,
    deadlines: Deadlines,
    replication: Replication,
    in_flight: Arc<Semaphore>,
}

impl HdfsStorage {
    /// Opens the lake at `url`, e.g. `hdfs://namenode:8020/lake`, or `hdfs://nameservice/lake` with `hadoop.conf.dir`.
    ///
    /// Nobody is asked yet: a NameNode that is away is found out by the first call. One storage a process is enough
    /// and best, since the client keeps one connection and one lease for all.
    ///
    /// `options` are Hadoop's properties, over those of the folder: among them `dfs.replication`, `dfs.blocksize` (in
    /// bytes) and `dfs.client.block.write.replace-datanode-on-failure.min-replication` (what a file may be written
    /// with while DataNodes are away, 1 by default). Besides, `hadoop.conf.dir`, `hadoop.user.name` and
    /// `hadoop.kerberos.{principal,keytab,cache}`.
    ///
    /// # Errors
    ///
    /// When the URL is none, the folder cannot be read, or it does not know the nameservice.
    pub fn open(url: &str, options: BTreeMap<String, String>, deadlines: Deadlines) -> Result<Self, StorageError> {
        Self::open_for(Use::Change, url, options, deadlines)
    }

    /// Like [`Self::open`], for somebody who only looks.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn open_to_look(
        url: &str,
        options: BTreeMap<String, String>,
        deadlines: Deadlines,
    ) -> Result<Self, StorageError> {
        Self::open_for(Use::Look, url, options, deadlines)
    }

    fn open_for(
        purpose: Use,
        url: &str,
        options: BTreeMap<String, String>,
        deadlines: Deadlines,
    ) -> Result<Self, StorageError> {
        let failed = |answer: Answer| StorageError::new(answer.kind, "open", url, answer.message);
        let other = |message: String| failed(Answer::new(Kind::Other, message));
        let rest = url.strip_prefix(SCHEME).ok_or_else(|| other(format!("the url must begin with {SCHEME}")))?;
        let (authority, root) = rest.split_once('/').unwrap_or((rest, ""));
        let root = root.trim_end_matches('/');
        if authority.is_empty() || LakePath::parse(root).is_none() {
            return Err(other(format!("the url must be {SCHEME}host:port/folder")));
        }
        let number = |key: &str| match options.get(key).map(|value| (value, value.parse::<u64>())) {
            None => Ok(None),
            Some((_, Ok(number))) => Ok(Some(number)),
            Some((value, Err(_))) => Err(other(format!("option {key} must be a number, not `{value}`"))),
        };
        let copies = |key: &str| Ok::<_, StorageError>(number(key)?.and_then(|copies| u32::try_from(copies).ok()));
        let replication = Replication {
            wanted: copies("dfs.replication")?,
            floor: copies("dfs.client.block.write.replace-datanode-on-failure.min-replication")?.unwrap_or(1).max(1),
            block: number("dfs.blocksize")?,
        };
        let absolute = format!("/{root}");
        Ok(Self {
            url: format!("{SCHEME}{authority}/{root}"),
            root: absolute.trim_end_matches('/').to_owned(),
            sessions: Sessions::open(format!("{SCHEME}{authority}"), absolute, options, purpose).map_err(failed)?,
            deadlines,
            replication,
            in_flight: Arc::new(Semaphore::new(usize::try_from(IN_FLIGHT / KIB).unwrap_or(Semaphore::MAX_PERMITS))),
        })
    }

    fn absolute(&self, path: &LakePath) -> String {
        match path.as_str() {
            "" if self.root.is_empty() => "/".to_owned(),
            "" => self.root.clone(),
            below => format!("{}/{below}", self.root),
        }
    }

    fn look<T, F>(
        &self,
        operation: &'static str,
        path: &LakePath,
        bytes: u64,
        call: impl Fn(Client, String) -> F,
    ) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Answer>> + Send + 'static,
    {
        let deadline = self.deadlines.with_bytes(self.deadlines.look, bytes);
        let answer = self.sessions.call(deadline, false, |client| call(client, self.absolute(path)));
        answer.map_err(|answer| self.error(operation, path, answer))
    }

    fn mutate<T, F>(
        &self,
        operation: &'static str,
        path: &LakePath,
        call: impl Fn(Client, String) -> F,
    ) -> Result<(), StorageError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, HdfsError>> + Send + 'static,
    {
        let answer = self.sessions.call(self.deadlines.mutation, true, |client| {
            let call = call(client, self.absolute(path));
            async { call.await.map(drop).map_err(|error| Answer::of_mutation(&error)) }
        });
        answer.map_err(|answer| self.error(operation, path, answer))
    }

    fn source(&self, path: &LakePath, content: Content<'_>) -> Result<Source, StorageError> {
        let spooled = match content {
            Content::Bytes(bytes) => return Ok(Source::Bytes(Bytes::copy_from_slice(bytes))),
            Content::Spooled(spooled) => open_spooled(path, spooled)?,
        };
        let length = spooled.metadata().map(|metadata| metadata.len());
        let length = length.map_err(|error| {
            let message = format!("cannot read the spool file: {}", say(&error));
            self.error("create", path, Answer::new(Kind::Other, message))
        })?;
        Ok(Source::Spooled(Arc::new(spooled), length))
    }

    /// Writes all `sources` on one session and waits for their answers; none where no answer came.
    fn write_sources(
        &self,
        sources: Vec<(usize, String, Source)>,
        (allowed, until): (Duration, tokio::time::Instant),
        answers: &mut [Option<Result<(), Answer>>],
    ) {
        let session = match self.sessions.current() {
            Ok(session) => session,
            Err(answer) => {
                sources.iter().for_each(|(index, ..)| answers[*index] = Some(Err(answer.clone())));
                return;
            }
        };
        let (sender, receiver) = channel();
        let at_once = Arc::new(Semaphore::new(AT_ONCE));
        let tasks: Vec<_> = sources
            .into_iter()
            .filter_map(|(index, path, source)| {
                let (client, sender, replication) = (session.client(), sender.clone(), self.replication);
                let (at_once, in_flight) = (at_once.clone(), self.in_flight.clone());
                session.spawn(async move {
                    let share = source.length().min(IN_FLIGHT_FILE) / KIB + 1;
                    // Neither semaphore is ever closed: what can fail is the time.
                    let room = timeout_at(until, async {
                        let turn = at_once.acquire_owned().await;
                        (turn, in_flight.acquire_many_owned(u32::try_from(share).unwrap_or(u32::MAX)).await)
                    });
                    let answer = match room.await {
                        Ok(_held) => Box::pin(write_file(&client, &path, &source, replication, until)).await,
                        Err(_) => {
                            Err(Answer::new(Kind::Unavailable, "other writes left no room for it in time").into())
                        }
                    };
                    let _ = sender.send((index, answer));
                })
            })
            .collect();
        drop(sender);
        let end = until.into_std() + CLEANUP * 3;
        let mut left = tasks.len();
        while left > 0 {
            let lost = match receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok((index, answer)) => {
                    match &answer {
                        Err(failed) if failed.is_silent => self.sessions.discard(&session),
                        Err(failed) => self.sessions.judge(&session, &failed.answer),
                        Ok(()) => {}
                    }
                    answers[index] = Some(answer.map_err(|failed| failed.answer));
                    left -= 1;
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => Lost::Deadline(allowed),
                Err(RecvTimeoutError::Disconnected) => Lost::Panicked,
            };
            tasks.iter().for_each(tokio::task::AbortHandle::abort);
            self.sessions.discard(&session);
            answers
                .iter_mut()
                .filter(|answer| answer.is_none())
                .for_each(|answer| *answer = Some(Err(lost.answer(true))));
            return;
        }
    }

    fn entry(&self, operation: &'static str, path: LakePath, status: &FileStatus) -> Result<Entry, StorageError> {
        let millis = i64::try_from(status.modification_time).unwrap_or(i64::MAX);
        let modified = Timestamp::from_millisecond(millis).map_err(|error| {
            self.error(operation, &path, Answer::new(Kind::Corrupt, format!("its modification time is none: {error}")))
        })?;
        Ok(Entry { path, bytes: if status.isdir { 0 } else { status.length as u64 }, modified, is_dir: status.isdir })
    }

    fn error(&self, operation: &'static str, path: &LakePath, answer: Answer) -> StorageError {
        let path = if path.as_str().is_empty() { &self.url } else { path.as_str() };
        StorageError::new(answer.kind, operation, path, answer.message)
    }
}

impl Storage for HdfsStorage {
    fn url(&self) -> &str {
        &self.url
    }

    fn list(&self, dir: &LakePath) -> Result<Vec<Entry>, StorageError> {
        let statuses = self.look("list", dir, 0, |client, path| async move {
            let statuses = client.list_status(&path, false).await.map_err(|error| Answer::of_look(&error))?;
            // A file is listed as itself.
            match statuses.first() {
                Some(status) if !status.isdir && status.path == path => {
                    Err(Answer::new(Kind::Corrupt, "it is a file, not a directory"))
                }
                _ => Ok(statuses),
            }
        })?;
        let name = |status: &FileStatus| status.path.rsplit('/').next().unwrap_or_default().to_owned();
        statuses.iter().map(|status| self.entry("list", dir.join(name(status)), status)).collect()
    }

    fn stat(&self, path: &LakePath) -> Result<Entry, StorageError> {
        let status = self.look("stat", path, 0, |client, path| async move {
            client.get_file_info(&path).await.map_err(|error| Answer::of_look(&error))
        })?;
        self.entry("stat", path.clone(), &status)
    }

    fn confirm(&self, path: &LakePath) -> Result<Entry, StorageError> {
        let root = self.absolute(&LakePath::root());
        let status = self.look("confirm", path, 0, |client, path| {
            let root = root.clone();
            async move {
                let shown = found(client.get_file_info(&path).await)?;
                match &shown {
                    // A path that the journal takes a time for was in it before.
                    Some(shown) => prove(&client, &path, shown).await?,
                    None => prove_by_root(&client, &root).await?,
                }
                shown.ok_or_else(|| Answer::new(Kind::NotFound, "it is not there"))
            }
        })?;
        self.entry("confirm", path.clone(), &status)
    }

    fn read(&self, path: &LakePath, from: u64, to: u64) -> Result<Bytes, StorageError> {
        let asked = path;
        self.look("read", path, to.saturating_sub(from), |client, path| {
            let lake_path = asked.clone();
            async move {
                let failed = |error: HdfsError| Answer::of_look(&error);
                let reader = client.read(&path).await.map_err(failed)?;
                // The reader panics on a range that is not in the file.
                check_range(&lake_path, from, to, Some(reader.file_length() as u64))
                    .map_err(|error| Answer::new(error.kind, error.message))?;
                let outside = |_| Answer::new(Kind::Other, "the range does not fit into memory");
                let (from, length) =
                    (usize::try_from(from).map_err(outside)?, usize::try_from(to - from).map_err(outside)?);
                reader.read_range(from, length).await.map_err(failed)
            }
        })
    }

    fn create(&self, path: &LakePath, content: Content<'_>) -> Result<(), StorageError> {
        self.write_all(&[(path.clone(), content)]).pop().unwrap_or(Ok(()))
    }

    /// Takes a copy of what is given as bytes; what is spooled is read while it is sent.
    fn write_all(&self, files: &[(LakePath, Content<'_>)]) -> Vec<Result<(), StorageError>> {
        let mut answers = vec![None; files.len()];
        let mut sources = Vec::with_capacity(files.len());
        let mut unread = BTreeMap::new();
        for (index, (path, content)) in files.iter().enumerate() {
            match self.source(path, *content) {
                Ok(source) => sources.push((index, self.absolute(path), source)),
                Err(error) => {
                    unread.insert(index, error);
                }
            }
        }
        let bytes = sources.iter().map(|(_, _, source)| source.length()).sum();
        let allowed = self.deadlines.with_bytes(self.deadlines.write, bytes);
        let until = tokio::time::Instant::now() + allowed;
        // Where the NameNode refused to create a file nothing was done, and the next one may be the active one.
        for _ in 0..=self.sessions.choice() {
            self.write_sources(sources.clone(), (allowed, until), &mut answers);
            let is_refused = |answer: &Option<Result<(), Answer>>| matches!(answer, Some(Err(answer)) if answer.is_of_namenode && answer.kind == Kind::Unavailable);
            sources.retain(|(index, ..)| is_refused(&answers[*index]));
            if sources.is_empty() {
                break;
            }
        }
        let answer = |(index, answer): (usize, Option<Result<(), Answer>>)| match unread.remove(&index) {
            Some(error) => Err(error),
            None => {
                let answer = answer.unwrap_or_else(|| Err(Lost::Panicked.answer(true)));
                answer.map_err(|answer| self.error("create", &files[index].0, answer))
            }
        };
        answers.into_iter().enumerate().map(answer).collect()
    }

    fn make_dirs(&self, dir: &LakePath) -> Result<(), StorageError> {
        self.mutate("make_dirs", dir, |client, path| async move { client.mkdirs(&path, DIR_MODE, true).await })
    }

    fn rename(&self, from: &LakePath, to: &LakePath) -> Result<(), StorageError> {
        let target = self.absolute(to);
        let renamed = self.mutate("rename", from, |client, path| {
            let target = target.clone();
            async move { client.rename(&path, &target, false).await }
        });
        renamed.map_err(|error| StorageError { message: format!("to {to}: {}", error.message), ..error })
    }

    fn delete(&self, path: &LakePath) -> Result<(), StorageError> {
        if *path == LakePath::root() {
            return Err(self.error("delete", path, Answer::new(Kind::Other, "the root is never deleted")));
        }
        let deleted = self.mutate("delete", path, |client, path| async move { client.delete(&path, true).await });
        deleted.or_else(|error| if error.kind == Kind::NotFound { Ok(()) } else { Err(error) })
    }
}
