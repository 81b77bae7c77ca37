//! HTTP → [`Steering`]: paths, limits, credentials, problems, and the record of what was changed.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::rt::{spawn, time::timeout};
use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::api::{DriftTable, Time};
use super::authority::{Authority, Peer};
use super::guests::Guest;
use super::problem::Problem;
use super::steering::{AuditLog, ControlRecord, Steering};
use crate::clock::Clock;

/// What a caller may take of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Connections at once; at one more the oldest that waits for no command is shut down.
    pub connections: usize,
    /// Time for a request to arrive.
    pub request: Duration,
    /// Time for an answer that only looks.
    pub read: Duration,
    /// Time for an answer that changes something; it goes on after that, and the caller is told so.
    pub change: Duration,
    /// The same for a promotion and a requeue.
    pub promote: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 64 << 10,
            connections: 64,
            request: Duration::from_secs(10),
            read: Duration::from_secs(10),
            change: Duration::from_secs(60),
            promote: Duration::from_secs(3600),
        }
    }
}

/// What every route works with.
pub struct Control {
    /// The daemon.
    pub steering: Arc<dyn Steering>,
    /// The record of changes.
    pub audit: Arc<dyn AuditLog>,
    /// Time, for the record.
    pub clock: Arc<dyn Clock>,
    /// Who may change state, besides the members of `admin_group`.
    pub authority: Authority,
    /// Members of this group may too; looked up at each call, so that joining it needs no restart.
    pub admin_group: Option<String>,
    /// Limits.
    pub limits: Limits,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("authority", &self.authority).finish_non_exhaustive()
    }
}

/// Every path. What is not here yet is a 404, never a stub.
pub fn configure(config: &mut ServiceConfig) {
    let get = |path: &'static str, route: actix_web::Route| resource(path, "GET", route);
    let post = |path: &'static str, route: actix_web::Route| resource(path, "POST", route);
    config
        .service(get("/v1/status", web::get().to(status)))
        .service(get("/v1/lanes", web::get().to(lanes)))
        .service(get("/v1/tables", web::get().to(tables)))
        .service(get("/v1/drift", web::get().to(drift)))
        .service(get("/v1/drift/{table}", web::get().to(drift_of)))
        .service(get("/v1/supervision", web::get().to(supervision)))
        .service(get("/metrics", web::get().to(metrics)))
        .service(get("/healthz", web::get().to(healthz)))
        .service(get("/readyz", web::get().to(readyz)))
        .service(post("/v1/pause", web::post().to(pause)))
        .service(post("/v1/resume", web::post().to(resume)))
        .service(post("/v1/rewind", web::post().to(rewind)))
        .service(post("/v1/requeue", web::post().to(requeue)))
        .service(post("/v1/accept-topic", web::post().to(accept_topic)))
        .service(post("/v1/accept-loss", web::post().to(accept_loss)))
        .service(post("/v1/promote", web::post().to(promote)))
        .service(post("/v1/reload", web::post().to(reload)))
        .service(post("/v1/drain", web::post().to(drain)));
}

/// What answers every other path.
pub async fn nowhere(request: HttpRequest) -> HttpResponse {
    problem(&Problem::not_found(format!("there is no {}", request.path())))
}

fn resource(path: &'static str, method: &'static str, route: actix_web::Route) -> actix_web::Resource {
    let refuse = move |request: HttpRequest| async move {
        let detail = format!("{path} wants {method}, not {}", request.method());
        problem_with(&Problem::method_not_allowed(detail), Some(("allow", method)))
    };
    web::resource(path).route(route).default_service(web::to(refuse))
}

async fn status(control: Data<Control>) -> HttpResponse {
    look(&control, control.steering.status()).await
}

async fn lanes(control: Data<Control>) -> HttpResponse {
    look(&control, control.steering.lanes()).await
}

async fn tables(control: Data<Control>) -> HttpResponse {
    look(&control, control.steering.tables()).await
}

async fn drift(control: Data<Control>) -> HttpResponse {
    look(&control, control.steering.drift()).await
}

async fn drift_of(control: Data<Control>, name: web::Path<String>) -> HttpResponse {
    let answer = async {
        let (name, all) = (name.into_inner(), control.steering.tables().await?);
        if !all.tables.iter().any(|table| table.name == name) {
            return Err(Problem::not_found(format!("there is no table {name}")));
        }
        let found = control.steering.drift().await?.tables.into_iter().find(|table| table.table == name);
        Ok(found.unwrap_or(DriftTable { table: name, ..DriftTable::default() }))
    };
    look(&control, answer).await
}

async fn supervision(control: Data<Control>) -> HttpResponse {
    look(&control, control.steering.supervision()).await
}

async fn metrics(control: Data<Control>) -> HttpResponse {
    let text = control.steering.metrics();
    HttpResponse::Ok().content_type("application/openmetrics-text; version=1.0.0; charset=utf-8").body(text)
}

async fn healthz(control: Data<Control>) -> HttpResponse {
    well(control.steering.health())
}

async fn readyz(control: Data<Control>) -> HttpResponse {
    well(control.steering.readiness())
}

fn well(answer: Result<(), String>) -> HttpResponse {
    match answer {
        Ok(()) => HttpResponse::Ok().json(serde_json::json!({ "ok": true })),
        Err(reason) => problem(&Problem::unavailable(reason)),
    }
}

async fn pause(control: Data<Control>, request: HttpRequest, body: Payload) -> HttpResponse {
    let limit = control.limits.change;
    change(control, request, body, limit, |steering, selection| async move { steering.pause(selection).await }).await
}

async fn resume(control: Data<Control>, request: HttpRequest, body: Payload) -> HttpResponse {
    let limit = control.limits.change;
    change(control, request, body, limit, |steering, selection| async move { steering.resume(selection).await }).await
}

async fn rewind(control: Data<Control>, request: HttpRequest, body: Payload) -> HttpResponse {
    let limit = control.limits.change;
    change(control, request, body, limit, |steering, order| async move { steering.rewind(order).await }).await
}

async fn accept_topic(control: Data<Control>, request: HttpRequest, body: Payload) -> HttpResponse {
    let limit = control.limits.change;
    change(control, request, body, limit, |steering, order| async move { steering.accept_topic(order).await }).await
}

async fn accept_loss(control: Data<Control>, request: HttpRequest, body: Payload) -> HttpResponse {
    let limit = control.limits.change;
    change(control, request, body, limit, |steering, order| async move { steering.accept_loss(order).await }).await
}

async fn requeue(control: Data<Control>, request: HttpRequest, body: Payload) -> HttpResponse {
    let limit = control.limits.promote;
    change(control, request, body, limit, |steering, order| async move { steering.requeue(order).await }).await
}

async fn promote(control: Data<Control>, request: HttpRequest, body: Payload) -> HttpResponse {
    let limit = control.limits.promote;
    change(control, request, body, limit, |steering, order| async move { steering.promote(order).await }).await
}

async fn reload(control: Data<Control>, request: HttpRequest, body: Payload) -> HttpResponse {
    let limit = control.limits.change;
    change(control, request, body, limit, |steering, _: Empty| async move { steering.reload().await }).await
}

async fn drain(control: Data<Control>, request: HttpRequest, body: Payload) -> HttpResponse {
    let limit = control.limits.change;
    change(control, request, body, limit, |steering, _: Empty| async move { steering.drain().await }).await
}

/// A body without members.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Empty {}

/// Answers a question in time.
async fn look<T: Serialize>(control: &Control, answer: impl Future<Output = Result<T, Problem>>) -> HttpResponse {
    match timeout(control.limits.read, answer).await {
        Ok(Ok(found)) => HttpResponse::Ok().json(found),
        Ok(Err(refused)) => problem(&refused),
        Err(_) => problem(&Problem::timeout("the daemon did not answer; see its log")),
    }
}

/// Carries out a command and keeps the record, also of what was refused.
///
/// The command runs as a task of its own: a caller who hangs up or waits too long neither stops it half-way nor takes
/// its line out of the record.
async fn change<R, T, F>(
    control: Data<Control>,
    request: HttpRequest,
    body: Payload,
    limit: Duration,
    run: impl FnOnce(Arc<dyn Steering>, R) -> F + 'static,
) -> HttpResponse
where
    R: DeserializeOwned + Serialize + 'static,
    T: Serialize + 'static,
    F: Future<Output = Result<T, Problem>> + 'static,
{
    let peer = request.conn_data::<Peer>().copied();
    let command = request.path().to_owned();
    let order = match admit::<R>(&control, peer, body).await {
        Ok(order) => order,
        Err(refused) => {
            keep(&control, peer, command, Value::Null, &Err(refused.clone()));
            return problem(&refused);
        }
    };
    let _served = request.conn_data::<Guest>().map(Guest::serve);
    let task = spawn(async move {
        // What was read from JSON can be written as JSON.
        let asked = serde_json::to_value(&order).unwrap_or_default();
        let answer = run(Arc::clone(&control.steering), order).await;
        let answer = answer.and_then(|changed| {
            serde_json::to_value(changed).map_err(|error| Problem::internal(format!("the answer is lost: {error}")))
        });
        keep(&control, peer, command, asked, &answer);
        answer
    });
    match timeout(limit, task).await {
        Ok(Ok(Ok(changed))) => HttpResponse::Ok().json(changed),
        Ok(Ok(Err(refused))) => problem(&refused),
        Ok(Err(_)) => problem(&Problem::internal("the command failed inside the daemon; see its log")),
        Err(_) => problem(&Problem::timeout("the command goes on; see the status for how it ended")),
    }
}

/// Who asks may ask, and what is asked can be understood.
async fn admit<R: DeserializeOwned>(control: &Control, peer: Option<Peer>, body: Payload) -> Result<R, Problem> {
    let Some(peer) = peer else {
        return Err(Problem::forbidden("the system does not say who calls"));
    };
    let authority = match &control.admin_group {
        Some(group) => control.authority.clone().with_group(group),
        None => control.authority.clone(),
    };
    if !authority.may_change(peer) {
        let group = control.admin_group.as_deref().map(|group| format!(" or a member of {group}")).unwrap_or_default();
        return Err(Problem::forbidden(format!("user {} may only look; ask root{group}", peer.uid)));
    }
    let limits = &control.limits;
    let too_large = || Problem::too_large(format!("a body of more than {} bytes", limits.body_bytes));
    let body = match timeout(limits.request, body.to_bytes_limited(limits.body_bytes)).await {
        Err(_) => return Err(Problem::request_timeout("the body did not arrive")),
        Ok(Err(_)) => return Err(too_large()),
        Ok(Ok(Err(error))) => return Err(Problem::bad_request(format!("the body cannot be read: {error}"))),
        Ok(Ok(Ok(body))) => body,
    };
    let body = if body.trim_ascii().is_empty() { b"{}" } else { &body[..] };
    serde_json::from_slice(body).map_err(|error| Problem::bad_request(error.to_string()))
}

fn keep(control: &Control, peer: Option<Peer>, command: String, request: Value, answer: &Result<Value, Problem>) {
    let member = |name: &str| answer.as_ref().ok().and_then(|changed| changed.get(name)).cloned().unwrap_or_default();
    control.audit.record(&ControlRecord {
        ts: Time(control.clock.now()),
        peer,
        command,
        request,
        status: answer.as_ref().map_or_else(|refused| refused.status, |_| 200),
        before: member("before"),
        after: member("after"),
        error: answer.as_ref().err().map(|refused| refused.detail.clone()),
    });
}

fn problem(problem: &Problem) -> HttpResponse {
    problem_with(problem, None)
}

fn problem_with(problem: &Problem, header: Option<(&'static str, &'static str)>) -> HttpResponse {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    if let Some(header) = header {
        response.insert_header(header);
    }
    let body = serde_json::to_string(problem).unwrap_or_default();
    response.content_type("application/problem+json").body(body)
}
