//! The client of the control socket that the command line uses. Blocking.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::blocking::{Client as Http, RequestBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::fault::{Domain, Fault, Verdict};

/// Host name in the requests; the socket decides where they go.
const BASE: &str = "http://forebay";
/// Longer than any limit of the server, so that the server says what happened.
const PATIENCE: Duration = Duration::from_secs(2 * 3600);

/// Why there is no answer, or not the one asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no daemon listens at {socket}: {detail}; start it, or name its socket with --socket", socket = socket.display())]
    NotRunning {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// The caller may not connect.
    #[error("{socket} may not be used by this user; ask for the group of the socket", socket = socket.display())]
    Denied {
        /// The socket.
        socket: PathBuf,
    },
    /// The daemon said no.
    #[error("{0}")]
    Problem(Problem),
    /// The daemon went away or did not make sense.
    #[error("{0}")]
    Broken(String),
}

impl From<ClientError> for Fault {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        match error {
            ClientError::NotRunning { .. } => Self::retry("control.not-running", message),
            ClientError::Denied { .. } => Self::halt("control.denied", message),
            ClientError::Broken(_) => Self::retry("control.broken", message),
            ClientError::Problem(problem) => match problem.status {
                403 => Self::halt("control.denied", message),
                // The answer is no, and it is the caller's to change the question.
                400..=499 => {
                    Self { domain: Domain::External, verdict: Verdict::Halt, event: "control.refused", message }
                }
                503 | 504 => Self::retry("control.unavailable", message),
                _ => Self { domain: Domain::Internal, verdict: Verdict::Halt, event: "control.failed", message },
            },
        }
    }
}

/// A daemon behind its socket.
#[derive(Debug)]
pub struct Client {
    http: Http,
    socket: PathBuf,
}

impl Client {
    /// A client for the daemon that listens at `socket`. Connects when it is first used.
    ///
    /// # Errors
    ///
    /// [`ClientError::Broken`] when the client cannot be made.
    pub fn new(socket: &Path) -> Result<Self, ClientError> {
        let http = Http::builder().unix_socket(socket).timeout(PATIENCE).build();
        let http = http.map_err(|error| ClientError::Broken(format!("no client for the control socket: {error}")))?;
        Ok(Self { http, socket: socket.to_owned() })
    }

    /// `GET path`. With [`serde_json::Value`] as `T`: the document as the daemon wrote it.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.json(self.http.get(format!("{BASE}{path}")))
    }

    /// `GET path` as text, for `/metrics`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub fn get_text(&self, path: &str) -> Result<String, ClientError> {
        self.send(self.http.get(format!("{BASE}{path}")))
    }

    /// `POST path` with a JSON body.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub fn post<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, ClientError> {
        self.json(self.http.post(format!("{BASE}{path}")).json(body))
    }

    fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        let text = self.send(request)?;
        serde_json::from_str(&text).map_err(|error| {
            ClientError::Broken(format!("the daemon's answer is of another version: {error}; use its own forebay"))
        })
    }

    fn send(&self, request: RequestBuilder) -> Result<String, ClientError> {
        let answer = request.send().map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        let text = answer.text().map_err(|error| self.unreachable(&error))?;
        if status.is_success() {
            return Ok(text);
        }
        Err(match serde_json::from_str(&text) {
            Ok(problem) => ClientError::Problem(problem),
            Err(_) => ClientError::Broken(format!("the daemon answered {status}")),
        })
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(current) = cause {
            if let Some(error) = current.downcast_ref::<io::Error>() {
                return self.by_kind(error);
            }
            cause = current.source();
        }
        ClientError::Broken(format!("the daemon at {} went away before it answered", self.socket.display()))
    }

    fn by_kind(&self, error: &io::Error) -> ClientError {
        let socket = self.socket.clone();
        match error.kind() {
            io::ErrorKind::PermissionDenied => ClientError::Denied { socket },
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::InvalidInput => {
                ClientError::NotRunning { socket, detail: error.to_string() }
            }
            _ => ClientError::Broken(format!("the daemon at {} went away: {error}", socket.display())),
        }
    }
}
