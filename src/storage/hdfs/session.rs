//! The client and the runtime it lives on, and how a thread that may block waits for it.
//!
//! hdfs-native has no deadline on a NameNode call, may panic, and keeps tasks and connections alive as long as its
//! runtime lives (a lease renewer for each client). So client and runtime are one thing here, a session: calls run on
//! it and are waited for on a channel, and after a call that hung or panicked the next one gets a fresh session. The
//! old one ends with its last user, tasks, sockets, held locks and all; else a connection into a black hole would be
//! used again and again for as long as TCP believes in it. A session talks to one NameNode; where there are several,
//! one that does not answer, or is not the active one, ends with its session, and the next session goes on to the next.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hdfs_native::{Client, ClientBuilder};
use tokio::runtime::{Builder, Runtime};

use super::classify::Answer;
use super::namenodes::{NameNodes, prove_by_root};
use crate::storage::{Kind, runtime};

/// Threads that read spool files.
const SPOOL_READERS: usize = 8;

/// Options that are ours, or that the client takes through its builder, not through the properties of Hadoop.
pub(super) const CONF_DIR: &str = "hadoop.conf.dir";
const USER: &str = "hadoop.user.name";
const PRINCIPAL: &str = "hadoop.kerberos.principal";
const KEYTAB: &str = "hadoop.kerberos.keytab";
const CACHE: &str = "hadoop.kerberos.cache";

const PROXY_PROVIDER: &str = "dfs.client.failover.proxy.provider";
const PLAIN_PROXY: &str = "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider";

/// Properties that are set unless the options say otherwise. They go over what lies in the Hadoop folder, which was
/// written for clients that may wait for minutes.
const DEFAULTS: [(&str, &str); 5] = [
    ("dfs.client.failover.sleep.base.millis", "200"),
    ("dfs.client.failover.sleep.max.millis", "1000"),
    // A DataNode that does not answer costs one rung of the ladder, not a minute.
    ("dfs.client.socket-timeout", "10000"),
    ("dfs.client.block.write.replace-datanode-on-failure.enable", "true"),
    ("dfs.client.block.write.replace-datanode-on-failure.best-effort", "true"),
];

const TRIES: &str = "dfs.client.failover.max.attempts";
/// How often a single NameNode is asked again that refuses the connection.
const TRIES_OF_ONE: &str = "3";
/// How long several are asked in turns for one that is active, and the wait when all of them have refused.
const PATIENCE: Duration = Duration::from_secs(3);
const BETWEEN_ROUNDS: Duration = Duration::from_millis(200);

/// What a lake is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// To look, changing nothing: what a deposed NameNode shows is believed.
    Look,
    /// To change it.
    Change,
}

/// One client on one runtime.
pub(super) struct Session {
    client: Client,
    runtime: Option<Runtime>,
    /// Whether nothing speaks against believing what it shows.
    is_proven: Arc<AtomicBool>,
}

impl Session {
    fn open(
        authority: &str,
        options: &BTreeMap<String, String>,
        namenodes: &NameNodes,
        purpose: Use,
    ) -> Result<Self, Answer> {
        let runtime =
            runtime::start(Builder::new_multi_thread().thread_name("hdfs").max_blocking_threads(SPOOL_READERS))
                .map_err(|error| {
                    Answer::new(Kind::Unavailable, format!("cannot start the client's threads: {error}"))
                })?;
        let mut builder = ClientBuilder::new().with_url(authority).with_io_runtime(runtime.handle().clone());
        let mut properties = BTreeMap::from(DEFAULTS.map(|(key, value)| (key.to_owned(), value.to_owned())));
        // Never an observer: what it shows may be older than an answer that was lost, and we decide by looking.
        let nameservice = authority.rsplit('/').next().unwrap_or(authority);
        properties.insert(format!("{PROXY_PROVIDER}.{nameservice}"), PLAIN_PROXY.to_owned());
        // A call that finds nobody tells its caller within about two seconds; trying again is the caller's business.
        let tries = if namenodes.choice() == 0 { TRIES_OF_ONE } else { "0" };
        properties.insert(TRIES.to_owned(), tries.to_owned());
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
        properties.extend(namenodes.property());
        match builder.with_config(properties).build() {
            Ok(client) => {
                let is_proven = Arc::new(AtomicBool::new(purpose == Use::Look || namenodes.choice() == 0));
                Ok(Self { client, runtime: Some(runtime), is_proven })
            }
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

    /// Ends well when what the session's NameNode shows may be believed, see [`namenodes`](super::namenodes).
    pub(super) fn proof(&self, root: String) -> impl Future<Output = Result<(), Answer>> + Send + 'static {
        let (client, is_proven) = (self.client(), Arc::clone(&self.is_proven));
        async move {
            if !is_proven.load(Ordering::Relaxed) {
                prove_by_root(&client, &root).await?;
                is_proven.store(true, Ordering::Relaxed);
            }
            Ok(())
        }
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
    purpose: Use,
    namenodes: NameNodes,
    /// Of the lake, absolute.
    root: String,
    current: Mutex<Option<Arc<Session>>>,
}

impl Sessions {
    /// Makes the first session; connects to nobody yet.
    pub(super) fn open(
        authority: String,
        root: String,
        options: BTreeMap<String, String>,
        purpose: Use,
    ) -> Result<Self, Answer> {
        let namenodes = NameNodes::of(&authority, &options);
        let first = Arc::new(Session::open(&authority, &options, &namenodes, purpose)?);
        Ok(Self { authority, options, purpose, namenodes, root, current: Mutex::new(Some(first)) })
    }

    /// How many NameNodes there are to choose from; 0: there is no choice.
    pub(super) fn choice(&self) -> usize {
        self.namenodes.choice()
    }

    /// The session in use, or a fresh one.
    pub(super) fn current(&self) -> Result<Arc<Session>, Answer> {
        let mut current = self.lock();
        if let Some(session) = current.as_ref() {
            return Ok(session.clone());
        }
        let session = Arc::new(Session::open(&self.authority, &self.options, &self.namenodes, self.purpose)?);
        *current = Some(session.clone());
        Ok(session)
    }

    /// Lets `session` end with its last user.
    pub(super) fn discard(&self, session: &Arc<Session>) {
        let mut current = self.lock();
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, session)) {
            *current = None;
            self.namenodes.go_on();
        }
    }

    /// Lets `session` end when what it was answered says that another NameNode should be asked.
    pub(super) fn judge(&self, session: &Arc<Session>, answer: &Answer) {
        if answer.is_of_namenode && self.namenodes.choice() > 0 {
            self.discard(session);
        }
    }

    /// Runs one call and waits for it no longer than `deadline`. Of several NameNodes each is asked until one takes it.
    pub(super) fn call<T, F>(
        &self,
        deadline: Duration,
        is_mutation: bool,
        call: impl Fn(Client) -> F,
    ) -> Result<T, Answer>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Answer>> + Send + 'static,
    {
        let started = Instant::now();
        let until = started + deadline;
        let mut asked = 0;
        loop {
            let session = self.current()?;
            let answer = match self.call_on(&session, deadline, until, is_mutation, call(session.client())) {
                Err(answer) => answer,
                done => return done,
            };
            self.judge(&session, &answer);
            asked += 1;
            let choice = self.namenodes.choice();
            let is_refused = choice > 0 && answer.is_of_namenode && answer.kind == Kind::Unavailable;
            if !is_refused || Instant::now() + BETWEEN_ROUNDS >= until.min(started + PATIENCE) {
                return Err(answer);
            }
            if asked % choice == 0 {
                thread::sleep(BETWEEN_ROUNDS);
            }
        }
    }

    fn call_on<T, F>(
        &self,
        session: &Arc<Session>,
        deadline: Duration,
        until: Instant,
        is_mutation: bool,
        call: F,
    ) -> Result<T, Answer>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Answer>> + Send + 'static,
    {
        let (sender, receiver) = sync_channel(1);
        let proof = (!is_mutation).then(|| session.proof(self.root.clone()));
        let task = session.spawn(async move {
            let answer = async {
                if let Some(proof) = proof {
                    proof.await?;
                }
                call.await
            };
            // Nobody listens any more when the deadline has passed.
            let _ = sender.send(answer.await);
        });
        let lost = match receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(answer) => return answer,
            Err(RecvTimeoutError::Timeout) => Lost::Deadline(deadline),
            Err(RecvTimeoutError::Disconnected) => Lost::Panicked,
        };
        // What has not been sent yet is never sent: without this a retry in the client might do it much later.
        if let Some(task) = task {
            task.abort();
        }
        self.discard(session);
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
        Sessions::open("hdfs://127.0.0.1:1".into(), "/lake".into(), BTreeMap::new(), Use::Change).unwrap()
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
        assert_eq!(sessions.call(LONG, true, |_| async { Ok(7) }), Ok(7));
        assert!(Arc::ptr_eq(&before, &sessions.current().unwrap()));
    }

    #[test]
    fn a_call_that_hangs_ends_at_its_deadline_and_with_its_session() {
        let sessions = sessions();
        let before = sessions.current().unwrap();
        for (is_mutation, kind) in [(false, Kind::Unavailable), (true, Kind::Unknown)] {
            let (dropped, ended) = std::sync::mpsc::channel();
            let answer = sessions.call(Duration::from_millis(20), is_mutation, |_| {
                let guard = Dropped(dropped.clone());
                async move {
                    let _guard = guard;
                    pending::<Result<(), Answer>>().await
                }
            });
            assert_eq!(answer.unwrap_err().kind, kind);
            ended.recv_timeout(LONG).expect("what was not sent yet must not be sent later");
        }
        assert!(!Arc::ptr_eq(&before, &sessions.current().unwrap()));
        assert_eq!(sessions.call(LONG, false, |_| async { Ok(7) }), Ok(7));
    }

    #[test]
    fn a_call_that_blocks_its_thread_ends_at_its_deadline() {
        let sessions = sessions();
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let blocked = Arc::new(Mutex::new(blocked));
        let answer = sessions.call(Duration::from_millis(20), true, |_| {
            let blocked = Arc::clone(&blocked);
            async move { Ok(blocked.lock().unwrap().recv().is_ok()) }
        });
        assert_eq!(answer.unwrap_err().kind, Kind::Unknown);
        assert_eq!(sessions.call(LONG, false, |_| async { Ok(7) }), Ok(7));
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
        let answer = Sessions::open("hdfs://nameservice".into(), "/".into(), BTreeMap::new(), Use::Look);
        let answer = answer.map(|_| ()).unwrap_err();
        assert!(answer.message.contains("hadoop.conf.dir"), "{answer:?}");
    }
}
