//! One thing that is wrong with a file, said the way a compiler says it.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// What stands in place of a file for a value that came from the environment.
pub const ENVIRONMENT: &str = "environment";

/// One thing that is wrong with the configuration or a mapping, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// The file, as it was named; `environment` for a variable.
    pub file: PathBuf,
    /// Line in that file, 1-based; none where the file as a whole, or the environment, is meant.
    pub line: Option<u32>,
    /// Column in that line, 1-based, in characters.
    pub column: Option<u32>,
    /// The key, with dots (`table.raw.roll_bytes`), or the name of the environment variable.
    pub key: String,
    /// What is wrong: a lowercase fragment.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
            if let Some(column) = self.column {
                write!(f, ":{column}")?;
            }
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(help) = &self.help {
            write!(f, "; {help}")?;
        }
        Ok(())
    }
}

/// The name among `known` that was probably meant.
pub(super) fn similar<'k>(given: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let given = given.to_lowercase();
    let distance = |name: &str| strsim::damerau_levenshtein(&given, &name.to_lowercase());
    known
        .into_iter()
        .map(|name| (distance(name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len().min(given.len()) / 4)
        .min()
        .map(|(_, name)| name)
}

/// `did you mean …?`, where something similar is known.
pub(super) fn did_you_mean<'k>(given: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    similar(given, known).map(|name| format!("did you mean {name}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_recognised_and_a_stranger_is_not() {
        let known = ["roll_bytes", "roll_rows", "roll_age", "compression"];
        assert_eq!(similar("roll_bytse", known), Some("roll_bytes"));
        assert_eq!(similar("Compression", known), Some("compression"));
        assert_eq!(similar("partition_by", known), None);
    }

    #[test]
    fn a_problem_reads_like_a_compiler_message() {
        let problem = Problem {
            file: PathBuf::from("config/forebay.toml"),
            line: Some(12),
            column: Some(3),
            key: "table.raw.roll_bytse".into(),
            message: "unknown key".into(),
            help: Some("did you mean roll_bytes?".into()),
        };
        assert_eq!(
            problem.to_string(),
            "config/forebay.toml:12:3: table.raw.roll_bytse: unknown key; did you mean roll_bytes?"
        );
    }
}
