//! The server on its Unix socket: one thread, one worker, an actix system of its own, so that a daemon that is busy or
//! stuck still answers.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use actix_web::dev::{Extensions, ServerHandle};
use actix_web::http::KeepAlive;
use actix_web::rt::System;
use actix_web::rt::net::UnixStream;
use actix_web::web::{self, Data};
use actix_web::{App, HttpServer};
use rustix::fs::{FlockOperation, flock};

use super::authority::Peer;
use super::guests::Guests;
use super::routes::{Control, configure, nowhere};
use crate::fault::Fault;
use crate::observe::events;

/// Who owns the socket and who is in its group may connect.
const SOCKET_MODE: u32 = 0o660;
/// Connections that carry out commands may be more than [`super::routes::Limits::connections`], by so many times.
const COMMANDS: usize = 2;
/// How long answers under way may take when the server stops, in seconds.
const STOP_SECONDS: u64 = 2;

/// A running control server.
#[derive(Debug)]
pub struct ControlServer {
    handle: ServerHandle,
    thread: JoinHandle<io::Result<()>>,
    socket: PathBuf,
    /// Held as long as the socket is ours.
    _lock: File,
}

impl ControlServer {
    /// Listens on `socket` and serves `control`. A socket that a dead process left is removed; one that a living
    /// process holds is a fault.
    ///
    /// # Errors
    ///
    /// A fault that names the socket and the next step.
    pub fn start(socket: &Path, control: Control) -> Result<Self, Fault> {
        let lock = take_lock(socket)?;
        let listener = listen(socket).map_err(|error| denied(socket, &error))?;
        let (started, answer) = channel();
        let control = Data::new(control);
        let thread = thread::Builder::new().name("control".to_owned());
        let thread = thread.spawn(move || serve(listener, control, &started));
        let thread = thread.map_err(|error| failed(socket, &error))?;
        // A thread that ends without a word has an error to tell.
        let Ok(handle) = answer.recv() else {
            return Err(match thread.join() {
                Ok(Err(error)) => failed(socket, &error),
                Ok(Ok(())) | Err(_) => Fault::internal("control.failed", "the control server ended at its start"),
            });
        };
        Ok(Self { handle, thread, socket: socket.to_owned(), _lock: lock })
    }

    /// Stops: answers under way have two seconds, then the socket is removed.
    pub fn stop(self) {
        // The request to stop is sent by the call; its future only says when it has been heard.
        drop(self.handle.stop(true));
        let ended = self.thread.join();
        if !matches!(ended, Ok(Ok(()))) {
            events::control_not_ended();
        }
        if let Err(error) = fs::remove_file(&self.socket) {
            events::left_undone("control.socket-left", &self.socket.display(), &error);
        }
    }
}

/// Takes the lock file beside the socket: whoever holds it may remove and make the socket. It is never removed itself,
/// or two processes could hold locks on two files of that name.
fn take_lock(socket: &Path) -> Result<File, Fault> {
    let mut path = socket.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let lock = lock.map_err(|error| denied(&path, &error))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Fault::halt(
            "control.socket-in-use",
            format!("another daemon listens at {}; stop it or set another control.socket", socket.display()),
        )),
        Err(error) => Err(failed(&path, &error.into())),
    }
}

fn listen(socket: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(socket) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(socket)?,
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is not a socket")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(socket)?;
    fs::set_permissions(socket, Permissions::from_mode(SOCKET_MODE))?;
    Ok(listener)
}

fn serve(listener: UnixListener, control: Data<Control>, started: &Sender<ServerHandle>) -> io::Result<()> {
    System::new().block_on(async move {
        let limits = control.limits;
        let guests = Guests::new(limits.connections);
        let app = move || App::new().app_data(control.clone()).configure(configure).default_service(web::to(nowhere));
        let server = HttpServer::new(app)
            .workers(1)
            .disable_signals()
            // One request a connection: a caller cannot queue up work that it does not wait for.
            .keep_alive(KeepAlive::Disabled)
            .max_connections(limits.connections * COMMANDS)
            .client_request_timeout(limits.request)
            .shutdown_timeout(STOP_SECONDS)
            .on_connect(move |connection, extensions| welcome(&guests, connection, extensions))
            .listen_uds(listener)?
            .run();
        // Nobody waits any more: then there is nothing to serve.
        if started.send(server.handle()).is_ok() { server.await } else { Ok(()) }
    })
}

/// Makes room for one more, and asks the kernel who it is, once, when it is still sure to be the one who connected.
fn welcome(guests: &Guests, connection: &dyn std::any::Any, extensions: &mut Extensions) {
    let Some(stream) = connection.downcast_ref::<UnixStream>() else { return };
    if let Some(guest) = guests.welcome(stream) {
        extensions.insert(guest);
    }
    if let Ok(credentials) = stream.peer_cred() {
        extensions.insert(Peer { uid: credentials.uid(), gid: credentials.gid(), pid: credentials.pid() });
    }
}

/// A fault that a person must see to when it is about permissions or the path, and that may pass otherwise.
fn denied(path: &Path, error: &io::Error) -> Fault {
    use io::ErrorKind::{AlreadyExists, InvalidInput, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    match error.kind() {
        PermissionDenied | NotFound | NotADirectory | AlreadyExists | InvalidInput | ReadOnlyFilesystem => Fault::halt(
            "control.socket",
            format!("cannot listen at {}: {error}; set control.socket to a place that can be written", path.display()),
        ),
        _ => failed(path, error),
    }
}

fn failed(path: &Path, error: &io::Error) -> Fault {
    Fault::retry("control.failed", format!("cannot listen at {}: {error}", path.display()))
}

/// The user that this process runs as, who may always change its state.
pub fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}
