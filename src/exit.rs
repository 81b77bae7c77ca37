//! How the process ends. systemd must not restart on 77 and 78: only a person can help there.

use crate::fault::{Domain, Fault, Verdict};

/// Every exit code of `forebay`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Done.
    Done = 0,
    /// It ran, and the answer is no: `audit` failed, `check` found a problem.
    No = 1,
    /// Wrong usage.
    Usage = 2,
    /// A fault of Forebay itself (`EX_SOFTWARE`).
    Internal = 70,
    /// Temporary: try again (`EX_TEMPFAIL`).
    Temporary = 75,
    /// Not permitted: credentials or permissions (`EX_NOPERM`).
    NotPermitted = 77,
    /// The configuration is wrong (`EX_CONFIG`).
    Configuration = 78,
}

impl ExitCode {
    /// The code for a fault that ends the process.
    pub fn of(fault: &Fault) -> Self {
        match (fault.verdict, fault.domain) {
            (_, Domain::Internal) => Self::Internal,
            (Verdict::Retry | Verdict::Fenced, _) => Self::Temporary,
            (Verdict::Halt, _) if fault.is_about_permission() => Self::NotPermitted,
            (Verdict::Halt, Domain::User) => Self::Configuration,
            (Verdict::Halt, Domain::External) => Self::No,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_tells_systemd_whether_to_try_again() {
        assert_eq!(ExitCode::of(&Fault::retry("storage.unavailable", "")), ExitCode::Temporary);
        assert_eq!(ExitCode::of(&Fault::fenced("lake.fenced", "")), ExitCode::Temporary);
        assert_eq!(ExitCode::of(&Fault::halt("storage.denied", "")), ExitCode::NotPermitted);
        assert_eq!(ExitCode::of(&Fault::halt("kafka.authentication", "")), ExitCode::NotPermitted);
        assert_eq!(ExitCode::of(&Fault::halt("kafka.settings", "")), ExitCode::Configuration);
        assert_eq!(ExitCode::of(&Fault::internal("stage.panic", "")), ExitCode::Internal);
        let corrupt = Fault { domain: Domain::External, ..Fault::halt("storage.corrupt", "") };
        assert_eq!(ExitCode::of(&corrupt), ExitCode::No);
    }
}
