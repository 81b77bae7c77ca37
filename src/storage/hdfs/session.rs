//! The client and the runtime it lives on, and how a thread that may block waits for it.
//!
//! hdfs-native has no deadline on a NameNode call, may panic, and keeps tasks and connections alive as long as its
//! runtime lives (a lease renewer for each client). So client and runtime are one thing here, a session: calls run on
//! it and are waited for on a channel, and after a call that hung or panicked the next one gets a fresh session. The
//! old one ends with its last user, tasks, sockets, held locks and all; else a connection into a black hole would be
//! used again and again for as long as TCP believes in it.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdfs_native::{Client, ClientBuilder};
use tokio::runtime::{Builder, Runtime};

use super::classify::Answer;
use crate::storage::Kind;

/// Threads that drive the sockets; what takes CPU here is checksums.
const WORKERS: usize = 2;
/// Threads that read spool files.
const SPOOL_READERS: usize = 8;

/// Options that are ours, or that the client takes through its builder, not through the properties of Hadoop.
const CONF_DIR: &str = "hadoop.conf.dir";
const USER: &str = "hadoop.user.name";
const PRINCIPAL: &str = "hadoop.kerberos.principal";
const KEYTAB: &str = "hadoop.kerberos.keytab";
const CACHE: &str = "hadoop.kerberos.cache";

const PROXY_PROVIDER: &str = "dfs.client.failover.proxy.provider";
const PLAIN_PROXY: &str = "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider";

/// Properties that are set unless the options say otherwise. They go over what lies in the Hadoop folder, which was
/// written for clients that may wait for minutes.
const DEFAULTS: [(&str, &str); 6] = [
    // A call that finds nobody tells its caller within about two seconds; trying again is the caller's business.
    ("dfs.client.failover.max.attempts", "3"),
    ("dfs.client.failover.sleep.base.millis", "200"),
    ("dfs.client.failover.sleep.max.millis", "1000"),
    // A DataNode that does not answer costs one rung of the ladder, not a minute.
    ("dfs.client.socket-timeout", "10000"),
    ("dfs.client.block.write.replace-datanode-on-failure.enable", "true"),
    ("dfs.client.block.write.replace-datanode-on-failure.best-effort", "true"),
];

/// One client on one runtime.
pub(super) struct Session {
    client: Client,
    runtime: Option<Runtime>,
}

impl Session {
    fn open(authority: &str, options: &BTreeMap<String, String>) -> Result<Self, Answer> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .max_blocking_threads(SPOOL_READERS)
            .thread_name("hdfs")
            .enable_all()
            .build()
            .map_err(|error| Answer::new(Kind::Unavailable, format!("cannot start the client's threads: {error}")))?;
        let mut builder = ClientBuilder::new().with_url(authority).with_io_runtime(runtime.handle().clone());
        let mut properties = BTreeMap::from(DEFAULTS.map(|(key, value)| (key.to_owned(), value.to_owned())));
        // Never an observer: what it shows may be older than an answer that was lost, and we decide by looking.
        let nameservice = authority.rsplit('/').next().unwrap_or(authority);
        properties.insert(format!("{PROXY_PROVIDER}.{nameservice}"), PLAIN_PROXY.to_owned());
        for (key, value) in options {
            builder = match key.as_str() {
                CONF_DIR => builder.with_config_dir(value),
                USER => builder.with_user(value),
                PRINCIPAL => builder.with_kerberos_principal(value),
                KEYTAB => builder.with_kerberos_keytab(value),
                CACHE => builder.with_kerberos_cache(value),
                _ => {
                    properties.insert(key.clone(), value.clone());
                    builder
                }
            };
        }
        match builder.with_config(properties).build() {
            Ok(client) => Ok(Self { client, runtime: Some(runtime) }),
            Err(error) => {
                runtime.shutdown_background();
                let answer = Answer::of_look(&error);
                let hint = "is the address right, and does \"hadoop.conf.dir\" know the nameservice?";
                Err(Answer::new(answer.kind, format!("{}: {hint}", answer.message)))
            }
        }
    }

    /// A client for one more task.
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Starts `future` on the session's threads; none when the session is being dropped.
    pub(super) fn spawn<F>(&self, future: F) -> Option<tokio::task::AbortHandle>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.runtime.as_ref().map(|runtime| runtime.spawn(future).abort_handle())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Never waits for what hangs.
            runtime.shutdown_background();
        }
    }
}

/// Why a call has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// Not within this time.
    Deadline(Duration),
    /// The client panicked.
    Panicked,
}

impl Lost {
    /// For a look or for a mutation.
    pub(super) fn answer(self, is_mutation: bool) -> Answer {
        let kind = if is_mutation { Kind::Unknown } else { Kind::Unavailable };
        let message = match self {
            Self::Deadline(deadline) => {
                format!("no answer within {:.1} s: is the namenode alive and reachable?", deadline.as_secs_f64())
            }
            Self::Panicked => "the hdfs client panicked: its message is on standard error".to_owned(),
        };
        Answer::new(kind, message)
    }
}

/// The session in use, and how to make the next one.
pub(super) struct Sessions {
    authority: String,
    options: BTreeMap<String, String>,
    current: Mutex<Option<Arc<Session>>>,
}

impl Sessions {
    /// Makes the first session; connects to nobody yet.
    pub(super) fn open(authority: String, options: BTreeMap<String, String>) -> Result<Self, Answer> {
        let first = Arc::new(Session::open(&authority, &options)?);
        Ok(Self { authority, options, current: Mutex::new(Some(first)) })
    }

    /// The session in use, or a fresh one.
    pub(super) fn current(&self) -> Result<Arc<Session>, Answer> {
        let mut current = self.lock();
        if let Some(session) = current.as_ref() {
            return Ok(session.clone());
        }
        let session = Arc::new(Session::open(&self.authority, &self.options)?);
        *current = Some(session.clone());
        Ok(session)
    }

    /// Lets `session` end with its last user.
    pub(super) fn discard(&self, session: &Arc<Session>) {
        let mut current = self.lock();
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, session)) {
            *current = None;
        }
    }

    /// Runs one call and waits for it no longer than `deadline`.
    pub(super) fn call<T, F>(
        &self,
        deadline: Duration,
        is_mutation: bool,
        call: impl FnOnce(Client) -> F,
    ) -> Result<T, Answer>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let session = self.current()?;
        let (sender, receiver) = sync_channel(1);
        let future = call(session.client());
        let task = session.spawn(async move {
            // Nobody listens any more when the deadline has passed.
            let _ = sender.send(future.await);
        });
        let lost = match receiver.recv_timeout(deadline) {
            Ok(answer) => return Ok(answer),
            Err(RecvTimeoutError::Timeout) => Lost::Deadline(deadline),
            Err(RecvTimeoutError::Disconnected) => Lost::Panicked,
        };
        // What has not been sent yet is never sent: without this a retry in the client might do it much later.
        if let Some(task) = task {
            task.abort();
        }
        self.discard(&session);
        Err(lost.answer(is_mutation))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Session>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Nobody listens at its address, and nobody is asked.
    fn sessions() -> Sessions {
        Sessions::open("hdfs://127.0.0.1:1".into(), BTreeMap::new()).unwrap()
    }

    /// Says when it is dropped.
    struct Dropped(std::sync::mpsc::Sender<()>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
        }
    }

    #[test]
    fn an_answer_keeps_the_session() {
        let sessions = sessions();
        let before = sessions.current().unwrap();
        assert_eq!(sessions.call(LONG, true, |_| async { 7 }), Ok(7));
        assert!(Arc::ptr_eq(&before, &sessions.current().unwrap()));
    }

    #[test]
    fn a_call_that_hangs_ends_at_its_deadline_and_with_its_session() {
        let sessions = sessions();
        let before = sessions.current().unwrap();
        for (is_mutation, kind) in [(false, Kind::Unavailable), (true, Kind::Unknown)] {
            let (dropped, ended) = std::sync::mpsc::channel();
            let answer = sessions.call(Duration::from_millis(20), is_mutation, |_| async move {
                let _guard = Dropped(dropped);
                pending::<()>().await;
            });
            assert_eq!(answer.unwrap_err().kind, kind);
            ended.recv_timeout(LONG).expect("what was not sent yet must not be sent later");
        }
        assert!(!Arc::ptr_eq(&before, &sessions.current().unwrap()));
        assert_eq!(sessions.call(LONG, false, |_| async { 7 }), Ok(7));
    }

    #[test]
    fn a_call_that_blocks_its_thread_ends_at_its_deadline() {
        let sessions = sessions();
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let answer = sessions.call(Duration::from_millis(20), true, |_| async move { blocked.recv().is_ok() });
        assert_eq!(answer.unwrap_err().kind, Kind::Unknown);
        assert_eq!(sessions.call(LONG, false, |_| async { 7 }), Ok(7));
        drop(release);
    }

    #[test]
    fn a_call_that_panics_is_an_answer() {
        let sessions = sessions();
        let before = sessions.current().unwrap();
        let answer: Result<(), Answer> = sessions.call(LONG, true, |_| async { panic!("on purpose") });
        assert_eq!(answer.unwrap_err().kind, Kind::Unknown);
        assert!(!Arc::ptr_eq(&before, &sessions.current().unwrap()));
    }

    #[test]
    fn a_nameservice_that_nobody_knows_is_told_at_the_start() {
        let answer = Sessions::open("hdfs://nameservice".into(), BTreeMap::new()).map(|_| ()).unwrap_err();
        assert!(answer.message.contains("hadoop.conf.dir"), "{answer:?}");
    }
}
