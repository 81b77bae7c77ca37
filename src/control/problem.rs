//! Errors of the control socket as RFC 9457 problem details.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::fault::{Domain, Fault, Verdict};

/// A problem document. `kind` ends in a stable name that scripts may compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:forebay:problem:<name>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What kind of problem, for people.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What went wrong this time, and the next step.
    pub detail: String,
    /// Where several things are wrong: each of them. `detail` has them all in one text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// What every `type` begins with.
const URN: &str = "urn:forebay:problem:";

impl Problem {
    /// A problem named `name`.
    pub fn new(status: u16, name: &str, title: &str, detail: impl Into<String>) -> Self {
        let (kind, title, detail) = (format!("{URN}{name}"), title.to_owned(), detail.into());
        Self { kind, title, status, detail, problems: Vec::new() }
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(400, "bad-request", "the request cannot be understood", detail)
    }

    /// 403: the caller may look but not change.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(403, "forbidden", "not permitted", detail)
    }

    /// 404: there is no such path, lane or table.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(404, "not-found", "not found", detail)
    }

    /// 405: the path is there, the method is not.
    pub fn method_not_allowed(detail: impl Into<String>) -> Self {
        Self::new(405, "method-not-allowed", "method not allowed", detail)
    }

    /// 408: the request did not arrive in time.
    pub fn request_timeout(detail: impl Into<String>) -> Self {
        Self::new(408, "request-timeout", "the request did not arrive in time", detail)
    }

    /// 409: another daemon owns the Kafka partition; `detail` names it.
    pub fn not_owner(detail: impl Into<String>) -> Self {
        Self::new(409, "not-owner", "another daemon owns this Kafka partition", detail)
    }

    /// 409: the state is not one in which this can be done.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(409, "conflict", "not in this state", detail)
    }

    /// 413: the body is longer than the limit.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(413, "too-large", "the request is too large", detail)
    }

    /// 422: the configuration or a mapping is wrong, or cannot take the place of the one that runs.
    pub fn configuration(problems: Vec<String>) -> Self {
        let title = "the configuration is refused, nothing has changed";
        let detail = problems.join("; ");
        Self { problems, ..Self::new(422, "configuration", title, detail) }
    }

    /// 500: a fault of Forebay.
    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(500, "internal", "internal fault", detail)
    }

    /// 503: not now.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(503, "unavailable", "not available now", detail)
    }

    /// 504: no answer in time; what was asked may still happen.
    pub fn timeout(detail: impl Into<String>) -> Self {
        Self::new(504, "timeout", "no answer in time", detail)
    }

    /// The stable name at the end of `type`.
    pub fn name(&self) -> &str {
        self.kind.strip_prefix(URN).unwrap_or(&self.kind)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.problems.is_empty() {
            return write!(f, "{}: {}", self.title, self.detail);
        }
        write!(f, "{}:", self.title)?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n{problem}"))
    }
}

impl std::error::Error for Problem {}

impl From<Fault> for Problem {
    /// What a fault means to somebody who gave a command.
    fn from(fault: Fault) -> Self {
        match (fault.domain, fault.verdict) {
            (Domain::Internal, _) => Self::internal(fault.message),
            (_, Verdict::Fenced) => Self::not_owner(fault.message),
            (_, Verdict::Halt) => Self::conflict(fault.message),
            (_, Verdict::Retry) => Self::unavailable(fault.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_the_members_of_rfc_9457() {
        let json = serde_json::to_value(Problem::not_owner("node-2 owns library:3")).unwrap();
        assert_eq!(json["type"], "urn:forebay:problem:not-owner");
        assert_eq!((json["status"].as_u64(), json["detail"].as_str()), (Some(409), Some("node-2 owns library:3")));
        let read: Problem = serde_json::from_value(json).unwrap();
        assert_eq!(read.name(), "not-owner");
    }

    #[test]
    fn several_things_that_are_wrong_are_told_one_a_line_and_in_one_text() {
        let problem = Problem::configuration(vec!["a: wrong".to_owned(), "b: wrong too".to_owned()]);
        assert_eq!(problem.detail, "a: wrong; b: wrong too");
        assert!(problem.to_string().ends_with(":\na: wrong\nb: wrong too"), "{problem}");
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!((json["status"].as_u64(), json["problems"][1].as_str()), (Some(422), Some("b: wrong too")));
        assert!(serde_json::to_value(Problem::not_found("x")).unwrap().get("problems").is_none());
    }

    #[test]
    fn a_fault_becomes_the_problem_of_whoever_must_act() {
        let status = |fault: Fault| Problem::from(fault).status;
        assert_eq!(status(Fault::fenced("a", "b")), 409);
        assert_eq!(status(Fault::halt("a", "b")), 409);
        assert_eq!(status(Fault::retry("a", "b")), 503);
        assert_eq!(status(Fault::internal("a", "b")), 500);
    }
}
