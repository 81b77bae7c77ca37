//! The control socket from outside: HTTP over a Unix socket, by hand and by the client of the command line.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod hostile;

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use forebay::clock::SystemClock;
use forebay::control::api::{
    AcceptLossRequest, AcceptTopicRequest, AcceptedLoss, AcceptedTopic, Change, Daemon, DaemonState, DriftTables, Lane,
    LaneState, Lanes, MappingView, Node, PromoteRequest, Reloaded, RequeueRequest, Requeued, RewindRequest,
    RewindTarget, Rewound, Selection, Status, TableView, Tables, Time,
};
use forebay::control::authority::Authority;
use forebay::control::client::{Client, ClientError};
use forebay::control::problem::Problem;
use forebay::control::routes::{Control, Limits};
use forebay::control::socket::{ControlServer, own_uid};
use forebay::control::steering::{AuditLog, ControlRecord, Steering};
use serde_json::{Value, json};

/// A daemon with one lane that can be paused.
struct FakeDaemon {
    paused: Mutex<bool>,
    /// What the next reload meets.
    problems: Mutex<Vec<String>>,
    /// Promotions wait for this.
    promotions: tokio::sync::Semaphore,
}

fn mapping(version: u32) -> MappingView {
    MappingView { name: "books.toml".to_owned(), version, behind: Default::default() }
}

fn time() -> Time {
    Time("2026-10-01T00:00:00Z".parse().unwrap())
}

impl FakeDaemon {
    fn lane(&self) -> Lane {
        Lane {
            topic: "library".to_owned(),
            partition: 0,
            state: if *self.paused.lock().unwrap() { LaneState::Paused } else { LaneState::Running },
            generation: 1,
            epoch: Some(3),
            position: Some(120),
            committed: Some(100),
            high_watermark: Some(150),
            lag: Some(50),
            buffered_bytes: 4096,
            buffered_rows: 60,
            last_commit_at: Some(time()),
            last_fault: None,
            dead_letters: Vec::new(),
        }
    }

    fn lanes(&self) -> Lanes {
        Lanes { lanes: vec![self.lane()] }
    }

    fn turn(&self, selection: &Selection, paused: bool) -> Result<Change<Lanes>, Problem> {
        if !selection.takes("library", 0) {
            return Err(Problem::not_found("no lane is selected"));
        }
        let before = self.lanes();
        *self.paused.lock().unwrap() = paused;
        Ok(Change { before, after: self.lanes() })
    }
}

#[async_trait]
impl Steering for FakeDaemon {
    async fn status(&self) -> Result<Status, Problem> {
        Ok(Status {
            version: "0.1.0".to_owned(),
            state: DaemonState::Running,
            started_at: time(),
            uptime_seconds: 61,
            host: "node-1".to_owned(),
            pid: 7,
            group: "forebay".to_owned(),
            lake: "file:///lake".to_owned(),
            kafka_fault: None,
            lanes: self.lanes().lanes,
            tables: vec![TableView {
                name: "books".to_owned(),
                mapping: Some(mapping(1)),
                rows: 3,
                files: 1,
                quarantined: [("xml.syntax".to_owned(), 2)].into(),
                unmapped: 0,
                last_promotion: None,
            }],
        })
    }

    async fn lanes(&self) -> Result<Lanes, Problem> {
        Ok(self.lanes())
    }

    async fn tables(&self) -> Result<Tables, Problem> {
        Ok(Tables::default())
    }

    async fn drift(&self) -> Result<DriftTables, Problem> {
        Ok(DriftTables::default())
    }

    async fn supervision(&self) -> Result<Node, Problem> {
        // Never answers: a daemon that is stuck.
        std::future::pending().await
    }

    async fn pause(&self, selection: Selection) -> Result<Change<Lanes>, Problem> {
        self.turn(&selection, true)
    }

    async fn resume(&self, selection: Selection) -> Result<Change<Lanes>, Problem> {
        self.turn(&selection, false)
    }

    async fn rewind(&self, request: RewindRequest) -> Result<Rewound, Problem> {
        if request.partition != 0 {
            return Err(Problem::not_owner("node-2 owns library:1"));
        }
        let (before, after) = (self.lane(), self.lane());
        Ok(Rewound { before, after, dry_run: request.dry_run, to: 90, intervals: 1, messages: 10, undone: None })
    }

    async fn requeue(&self, request: RequeueRequest) -> Result<Requeued, Problem> {
        let RequeueRequest { table, code, dry_run, .. } = request;
        if code.is_some_and(|code| code != "type.int") {
            return Err(Problem::bad_request("no violation is called that"));
        }
        let (before, after) = (self.lanes(), self.lanes());
        Ok(Requeued { before, after, dry_run, table, lanes: Vec::new(), elsewhere: Vec::new() })
    }

    async fn accept_topic(&self, request: AcceptTopicRequest) -> Result<AcceptedTopic, Problem> {
        let AcceptTopicRequest { topic, .. } = request;
        let (lineage, topic_id) = (format!("{topic}~2"), "id".to_owned());
        let (before, after) = (self.lanes(), self.lanes());
        Ok(AcceptedTopic { topic, topic_id, lineage, was_accepted: false, before, after })
    }

    async fn accept_loss(&self, request: AcceptLossRequest) -> Result<AcceptedLoss, Problem> {
        if request.partition != 0 {
            return Err(Problem::not_owner("node-2 owns library:1"));
        }
        let (before, after) = (self.lane(), self.lane());
        Ok(AcceptedLoss { before, after, dry_run: request.dry_run, from: 90, to: 100 })
    }

    async fn promote(&self, _: PromoteRequest) -> Result<Change<Tables>, Problem> {
        self.promotions.acquire().await.unwrap().forget();
        Ok(Change { before: Tables::default(), after: Tables::default() })
    }

    async fn reload(&self) -> Result<Reloaded, Problem> {
        let problems = std::mem::take(&mut *self.problems.lock().unwrap());
        if !problems.is_empty() {
            return Err(Problem::configuration(problems));
        }
        let before = self.status().await?.tables;
        let after = vec![TableView { mapping: Some(mapping(2)), ..before[0].clone() }];
        let (before, after) = (Tables { tables: before }, Tables { tables: after });
        Ok(Reloaded { before, after, changed: vec!["books".to_owned()], lanes: self.lanes().lanes })
    }

    async fn drain(&self) -> Result<Change<Daemon>, Problem> {
        let state = |state| Daemon { state };
        Ok(Change { before: state(DaemonState::Running), after: state(DaemonState::Draining) })
    }

    fn metrics(&self) -> String {
        "# EOF\n".to_owned()
    }

    fn health(&self) -> Result<(), String> {
        Ok(())
    }

    fn readiness(&self) -> Result<(), String> {
        Err("no lane runs yet".to_owned())
    }
}

#[derive(Default)]
struct Records {
    calls: Mutex<Vec<ControlRecord>>,
    told: std::sync::Condvar,
}

impl AuditLog for Records {
    fn record(&self, call: &ControlRecord) {
        self.calls.lock().unwrap().push(call.clone());
        self.told.notify_all();
    }
}

impl Records {
    /// The records, once there are so many.
    fn wait_for(&self, count: usize) -> Vec<ControlRecord> {
        let calls = self.calls.lock().unwrap();
        let waited = self.told.wait_timeout_while(calls, Duration::from_secs(20), |calls| calls.len() < count);
        waited.unwrap().0.clone()
    }
}

struct Bench {
    server: ControlServer,
    records: Arc<Records>,
    daemon: Arc<FakeDaemon>,
    socket: PathBuf,
    _dir: tempfile::TempDir,
}

fn control(daemon: &Arc<FakeDaemon>, records: &Arc<Records>, authority: Authority) -> Control {
    let patience = Duration::from_millis(200);
    Control {
        steering: Arc::clone(daemon) as Arc<dyn Steering>,
        audit: Arc::clone(records) as Arc<dyn AuditLog>,
        clock: Arc::new(SystemClock),
        authority,
        admin_group: Some("no-such-group".to_owned()),
        limits: Limits { read: patience, promote: patience, ..Limits::default() },
    }
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("control.sock");
        let daemon = Arc::new(FakeDaemon {
            paused: Mutex::new(false),
            problems: Mutex::default(),
            promotions: tokio::sync::Semaphore::new(0),
        });
        let records = Arc::new(Records::default());
        let authority = Authority { own_uid: own_uid(), ..Authority::default() };
        let server = ControlServer::start(&socket, control(&daemon, &records, authority)).unwrap();
        Self { server, records, daemon, socket, _dir: dir }
    }

    fn client(&self) -> Client {
        Client::new(&self.socket).unwrap()
    }
}

/// One request as `curl --unix-socket` makes it: status, content type and body.
fn http(socket: &Path, method: &str, path: &str, body: &str) -> (u16, String, String) {
    let mut stream = UnixStream::connect(socket).unwrap();
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    // A server that has refused already may have closed its side.
    let _ = stream.write_all(body.as_bytes());
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let kind = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default();
    (status, kind.to_owned(), body.to_owned())
}

fn problem(socket: &Path, method: &str, path: &str, body: &str) -> Problem {
    let (status, kind, body) = http(socket, method, path, body);
    assert_eq!(kind, "application/problem+json", "{body}");
    let problem: Problem = serde_json::from_str(&body).unwrap();
    assert_eq!(problem.status, status);
    problem
}

#[test]
fn questions_are_answered_in_json() {
    let bench = Bench::new();
    let (status, kind, body) = http(&bench.socket, "GET", "/v1/status", "");
    assert_eq!((status, kind.as_str()), (200, "application/json"));
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["lanes"][0]["state"], "running");
    assert_eq!(body["lanes"][0]["last_commit_at"], "2026-10-01T00:00:00Z");
    assert_eq!(body["tables"][0]["quarantined"], json!({ "xml.syntax": 2 }));
    assert_eq!(http(&bench.socket, "GET", "/v1/lanes", "").0, 200);
    assert_eq!(http(&bench.socket, "GET", "/v1/tables", "").2, r#"{"tables":[]}"#);
    assert_eq!(http(&bench.socket, "GET", "/healthz", "").2, r#"{"ok":true}"#);
    let (status, kind, body) = http(&bench.socket, "GET", "/metrics", "");
    assert_eq!((status, body.as_str()), (200, "# EOF\n"));
    assert!(kind.starts_with("application/openmetrics-text"));
    assert_eq!(problem(&bench.socket, "GET", "/readyz", "").detail, "no lane runs yet");
    assert!(bench.records.calls.lock().unwrap().is_empty());
    bench.server.stop();
}

#[test]
fn what_is_wrong_with_a_request_is_a_problem_document() {
    let bench = Bench::new();
    let socket = &bench.socket;
    assert_eq!(problem(socket, "GET", "/v1/nothing", "").name(), "not-found");
    assert_eq!(problem(socket, "POST", "/v1/compact", "{}").name(), "not-found");
    assert_eq!(problem(socket, "GET", "/v1/pause", "").detail, "/v1/pause wants POST, not GET");
    assert_eq!(problem(socket, "POST", "/v1/status", "").name(), "method-not-allowed");
    assert_eq!(problem(socket, "POST", "/v1/pause", "{").name(), "bad-request");
    assert!(problem(socket, "POST", "/v1/pause", r#"{"lane":[]}"#).detail.contains("`lane`"));
    assert_eq!(problem(socket, "POST", "/v1/drain", r#"{"now":true}"#).name(), "bad-request");
    assert_eq!(problem(socket, "POST", "/v1/pause", &"x".repeat(70 << 10)).name(), "too-large");
    assert_eq!(problem(socket, "GET", "/v1/supervision", "").name(), "timeout");
    bench.server.stop();
}

#[test]
fn a_change_answers_with_both_states_and_leaves_a_record_with_its_caller() {
    let bench = Bench::new();
    let (status, _, body) = http(&bench.socket, "POST", "/v1/pause", r#"{"lanes":["library:0"]}"#);
    let body: Value = serde_json::from_str(&body).unwrap();
    let states = (&body["before"]["lanes"][0]["state"], &body["after"]["lanes"][0]["state"]);
    assert_eq!((status, states), (200, (&json!("running"), &json!("paused"))));
    // No body at all means everything.
    assert_eq!(http(&bench.socket, "POST", "/v1/resume", "").0, 200);
    assert_eq!(problem(&bench.socket, "POST", "/v1/pause", r#"{"lanes":["other"]}"#).name(), "not-found");
    let records = bench.records.wait_for(3);
    let peer = records[0].peer.unwrap();
    assert_eq!((peer.uid, peer.pid), (own_uid(), Some(std::process::id() as i32)));
    assert_eq!((records[0].command.as_str(), records[0].status), ("/v1/pause", 200));
    assert_eq!(records[0].request, json!({ "lanes": ["library:0"] }));
    assert_eq!(records[0].after["lanes"][0]["state"], "paused");
    assert_eq!((records[2].status, records[2].error.as_deref()), (404, Some("no lane is selected")));
    bench.server.stop();
}

#[test]
fn a_reload_answers_with_both_versions_or_with_all_that_is_wrong() {
    let bench = Bench::new();
    *bench.daemon.problems.lock().unwrap() = vec!["forebay.toml:3: a".to_owned(), "forebay.toml:9: b".to_owned()];
    let refused = problem(&bench.socket, "POST", "/v1/reload", "");
    assert_eq!((refused.status, refused.name(), refused.problems.len()), (422, "configuration", 2));
    let (status, _, body) = http(&bench.socket, "POST", "/v1/reload", "");
    let body: Value = serde_json::from_str(&body).unwrap();
    let version = |state: &str| body[state]["tables"][0]["mapping"]["version"].clone();
    assert_eq!((status, version("before"), version("after")), (200, json!(1), json!(2)), "{body}");
    assert_eq!((&body["changed"], &body["lanes"][0]["state"]), (&json!(["books"]), &json!("running")));
    assert_eq!(problem(&bench.socket, "GET", "/v1/reload", "").name(), "method-not-allowed");
    assert_eq!(problem(&bench.socket, "POST", "/v1/reload", r#"{"table":"books"}"#).name(), "bad-request");
    let records = bench.records.wait_for(3);
    assert_eq!(records[0].error.as_deref(), Some("forebay.toml:3: a; forebay.toml:9: b"));
    assert_eq!((records[1].status, &records[1].command), (200, &"/v1/reload".to_owned()));
    assert_eq!(records[1].after["tables"][0]["mapping"]["version"], 2);
    *bench.daemon.problems.lock().unwrap() = vec!["forebay.toml:3: a".to_owned(), "forebay.toml:9: b".to_owned()];
    let said = bench.client().post::<_, Reloaded>("/v1/reload", &json!({})).unwrap_err().to_string();
    assert_eq!(said, "the configuration is refused, nothing has changed:\nforebay.toml:3: a\nforebay.toml:9: b");
    bench.server.stop();
}

#[test]
fn the_client_speaks_the_same_types() {
    let bench = Bench::new();
    let client = bench.client();
    let status: Status = client.get("/v1/status").unwrap();
    assert_eq!((status.lanes[0].name().as_str(), status.lanes[0].lag), ("library:0", Some(50)));
    let drained: Change<Daemon> = client.post("/v1/drain", &json!({})).unwrap();
    assert_eq!(drained.after.state, DaemonState::Draining);
    let mut order = RewindRequest {
        topic: "library".to_owned(),
        partition: 0,
        to: Some(RewindTarget::Offset(95)),
        undo: false,
        expect: Some(100),
        reason: Some("a test".to_owned()),
        dry_run: true,
    };
    let mut again = RequeueRequest {
        table: "books".to_owned(),
        code: Some("type.int".to_owned()),
        from: Some(time()),
        reason: None,
        dry_run: true,
    };
    let requeued: Requeued = client.post("/v1/requeue", &again).unwrap();
    assert_eq!((requeued.table.as_str(), requeued.dry_run), ("books", true));
    again.code = Some("type.itn".to_owned());
    let refused = client.post::<_, Requeued>("/v1/requeue", &again).unwrap_err();
    assert!(matches!(&refused, ClientError::Problem(problem) if problem.status == 400), "{refused:?}");
    let rewound: Rewound = client.post("/v1/rewind", &order).unwrap();
    assert_eq!((rewound.to, rewound.dry_run), (90, true));
    order.partition = 1;
    let refused = client.post::<_, Rewound>("/v1/rewind", &order).unwrap_err();
    let ClientError::Problem(problem) = refused else { panic!("{refused}") };
    assert_eq!((problem.status, problem.detail.as_str()), (409, "node-2 owns library:1"));
    let mut loss = AcceptLossRequest {
        topic: "library".to_owned(),
        partition: 0,
        reason: Some("a test".to_owned()),
        dry_run: true,
    };
    let lost: AcceptedLoss = client.post("/v1/accept-loss", &loss).unwrap();
    assert_eq!((lost.from, lost.to, lost.dry_run), (90, 100, true));
    loss.partition = 1;
    let refused = client.post::<_, AcceptedLoss>("/v1/accept-loss", &loss).unwrap_err();
    assert!(matches!(&refused, ClientError::Problem(problem) if problem.status == 409), "{refused:?}");
    assert_eq!(client.get_text("/metrics").unwrap(), "# EOF\n");
    bench.server.stop();
    let gone = client.get::<Status>("/v1/status").unwrap_err();
    assert!(matches!(gone, ClientError::NotRunning { .. }), "{gone:?}");
}

#[test]
fn a_command_that_takes_too_long_goes_on_and_is_recorded_when_it_ends() {
    let bench = Bench::new();
    assert_eq!(problem(&bench.socket, "POST", "/v1/promote", "{}").name(), "timeout");
    assert!(bench.records.calls.lock().unwrap().is_empty());
    bench.daemon.promotions.add_permits(1);
    let records = bench.records.wait_for(1);
    assert_eq!((records[0].command.as_str(), records[0].status), ("/v1/promote", 200));
    bench.server.stop();
}

#[test]
fn a_stale_socket_is_replaced_a_living_one_and_another_file_are_not() {
    let bench = Bench::new();
    let mode = std::fs::metadata(&bench.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let again = || {
        let authority = Authority { own_uid: own_uid(), ..Authority::default() };
        ControlServer::start(&bench.socket, control(&bench.daemon, &bench.records, authority))
    };
    let fault = again().unwrap_err();
    assert_eq!(fault.event, "control.socket-in-use");
    assert_eq!(http(&bench.socket, "GET", "/healthz", "").0, 200);
    bench.server.stop();
    assert!(!bench.socket.exists());
    // What a process that was killed leaves behind.
    drop(std::os::unix::net::UnixListener::bind(&bench.socket).unwrap());
    let server = again().unwrap();
    assert_eq!(http(&bench.socket, "GET", "/healthz", "").0, 200);
    server.stop();
    std::fs::write(&bench.socket, b"precious").unwrap();
    let fault = again().unwrap_err();
    assert_eq!(fault.event, "control.socket");
    assert_eq!(std::fs::read(&bench.socket).unwrap(), b"precious");
}
