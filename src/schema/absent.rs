//! What stands for XML schema in a build without the feature `xsd`: a mapping that asks for one is refused.

use std::convert::Infallible;
use std::path::Path;

/// Of these there is none.
#[derive(Debug, Clone)]
pub struct Schema(Infallible);

/// What a message has that its schema does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The rule of the recommendation.
    pub rule: &'static str,
    /// Byte offset in the message.
    pub at: Option<usize>,
    /// The value it is about.
    pub value: Option<String>,
    /// What is wrong.
    pub what: String,
}

impl Schema {
    /// Refuses.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn load(file: &Path) -> Result<Self, String> {
        Err(format!("{} is not used: this forebay was built without the feature xsd", file.display()))
    }

    /// Nothing to tell apart.
    pub fn digest(&self) -> u64 {
        match self.0 {}
    }

    /// There is no schema to follow.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn breaches(&self, _message: &str, _most: usize) -> Result<Vec<Breach>, String> {
        match self.0 {}
    }
}
