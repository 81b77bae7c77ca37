//! What must hold of a lane's lake: a checker that knows only the manual.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use forebay::lake::audit::{Depth, audit_raw};
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::world::{END, World};

/// What a ledger file says of itself.
type Footer = Arc<serde_json::Value>;

impl World {
    /// What must hold in every state of storage, in the middle of everything: the chain has no hole and no overlap,
    /// what it names is there, and whoever lists the data directories sees no offset twice, unless a revision goes on.
    ///
    /// A state that was found sound once is not looked at again.
    pub(crate) fn check_any_state(&self) -> Result<(), String> {
        let state = self.memory.fingerprint();
        if !self.sound.lock().unwrap().contains(&state) {
            self.look_at_state()?;
            self.sound.lock().unwrap().insert(state);
        }
        Ok(())
    }

    fn look_at_state(&self) -> Result<(), String> {
        self.chain()?;
        let table = |path: &str| path.split('/').nth(1).unwrap().to_owned();
        let raw = self.memory.files("raw");
        let mut ranges: Vec<_> = raw.keys().map(|path| (table(path), interval_of(path).0)).collect();
        ranges.sort_unstable();
        let is_revising = self.is_revising();
        let is_twice = |one: &(String, (i64, i64)), next: &(String, (i64, i64))| {
            one.0 == next.0 && next.1.0 < one.1.1 && !(is_revising && one == next)
        };
        match ranges.windows(2).find(|pair| is_twice(&pair[0], &pair[1])) {
            Some(pair) => Err(format!("a directory reader sees offsets twice: {pair:?}")),
            None => Ok(()),
        }
    }

    fn floor(&self) -> Option<i64> {
        self.memory.files(&self.home("floor")).keys().map(|path| number(path, 0)).max()
    }

    /// What must hold when one owner at a time is at work: whatever it was answered is still so.
    pub(crate) fn check_answered(&self) -> Result<(), String> {
        let head = self.chain()?.last().map(|(path, _)| interval_of(path).0.1).or(self.floor()).unwrap_or(0);
        let answered = *self.answered.lock().unwrap();
        if head < answered {
            return Err(format!("an owner was told that the chain ends at {answered}, and it ends at {head}"));
        }
        Ok(())
    }

    /// Whether revisions were begun and are not done.
    fn is_revising(&self) -> bool {
        let files = self.memory.files(&self.home("revision"));
        let count = |ending: &str| files.keys().filter(|path| path.ends_with(ending)).count();
        count(".json") > count(".done")
    }

    /// What must hold besides when an owner has settled in: nothing is half done.
    pub(crate) fn check_in_order(&self) -> Result<(), String> {
        self.check_any_state()?;
        let chain = self.chain()?;
        if self.is_revising() || chain.len() != self.memory.files("ledger").len() {
            return Err("a revision is not finished".into());
        }
        let files = chain.iter().flat_map(|(_, footer)| footer["files"].as_array().unwrap());
        let named: BTreeSet<&str> = files.map(|file| file["path"].as_str().unwrap()).collect();
        let data = self.memory.files("raw").into_keys().chain(self.memory.files("quarantine").into_keys());
        if let Some(orphan) = data.into_iter().find(|path| !named.contains(path.as_str())) {
            return Err(format!("no ledger file names {orphan}"));
        }
        let fenced = self.memory.files(&self.home("fenced"));
        if !fenced.is_empty() {
            return Err(format!("left behind: {:?}", fenced.keys()));
        }
        Ok(())
    }

    /// What must hold besides when it has read to the end.
    pub(crate) fn check_at_rest(&self) -> Result<(), String> {
        self.check_in_order()?;
        let started = self.started.lock().unwrap();
        let floor = self.floor().ok_or("no floor")?;
        if started.iter().any(|start| *start < floor) {
            return Err(format!("an owner read from {started:?}, the chain begins at {floor}: skipped"));
        }
        let mut seen = Vec::new();
        for (path, footer) in &self.chain()? {
            let ((from, to), _) = interval_of(path);
            let text: String = footer["files"].as_array().unwrap().iter().map(|file| self.text(file)).collect();
            let offsets = text.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse::<i64>().ok());
            let mut offsets: Vec<i64> = offsets.collect();
            offsets.sort_unstable();
            if offsets != (from..to).collect::<Vec<_>>() {
                return Err(format!("{path} covers [{from}, {to}), its files hold {offsets:?}"));
            }
            seen.extend(offsets);
        }
        if seen != (floor..END).collect::<Vec<_>>() {
            return Err(format!("from {floor} to {END} the lake holds {seen:?}"));
        }
        Ok(())
    }

    /// What `audit` says of the lake as it is.
    pub(crate) fn audit(&self) -> Result<(), String> {
        let audit = audit_raw(&*self.memory, Depth::Ledger).map_err(|error| error.to_string())?;
        let violations = audit.chain.violations.iter().chain(&audit.complete.violations);
        let violations: Vec<String> = violations.map(ToString::to_string).collect();
        if violations.is_empty() { Ok(()) } else { Err(format!("the audit says: {}", violations.join("; "))) }
    }

    pub(crate) fn home(&self, what: &str) -> String {
        format!("_forebay/raw/library/p00007/{what}")
    }

    fn text(&self, file: &serde_json::Value) -> String {
        let content = self.memory.content(file["path"].as_str().unwrap()).unwrap();
        String::from_utf8(content.to_vec()).unwrap().split_once(':').unwrap().1.to_owned()
    }

    /// Ledger files that count, by offset, each with its footer; an error when they are no chain or name what is not
    /// there. Of two that begin at one offset the higher epoch counts, and it has to cover the other.
    fn chain(&self) -> Result<Vec<(String, Footer)>, String> {
        let mut files: Vec<_> = self.memory.files("ledger").into_iter().collect();
        files.sort_by_key(|(path, _)| {
            let ((from, to), epoch) = interval_of(path);
            (from, Reverse(epoch), to)
        });
        let mut at = None;
        let mut chain: Vec<(String, Footer)> = Vec::new();
        for (path, content) in files {
            let ((from, to), epoch) = interval_of(&path);
            let newest = chain.last().map(|(path, _)| interval_of(path));
            if newest.is_some_and(|(range, newer)| range.0 <= from && to <= range.1 && newer > epoch) {
                continue;
            }
            if at.is_some_and(|at| at != from) {
                return Err(format!("expected {at:?}, found {path}"));
            }
            at = Some(to);
            let footer = self.footer(&path, content)?;
            for file in footer["files"].as_array().unwrap() {
                let path = file["path"].as_str().unwrap();
                let content = self.memory.content(path).ok_or_else(|| format!("{path} is named and not there"))?;
                if file["bytes"] != content.len() || file["crc32"] != crc32fast::hash(&content) {
                    return Err(format!("{path} is not what its ledger file says"));
                }
            }
            chain.push((path, footer));
        }
        Ok(chain)
    }

    fn footer(&self, path: &str, content: bytes::Bytes) -> Result<Footer, String> {
        let key = (path.to_owned(), crc32fast::hash(&content));
        if let Some(footer) = self.footers.lock().unwrap().get(&key) {
            return Ok(Arc::clone(footer));
        }
        let reader = SerializedFileReader::new(content).map_err(|error| format!("{path}: {error}"))?;
        let metadata = reader.metadata().file_metadata();
        let pairs = metadata.key_value_metadata().unwrap();
        let footer = pairs.iter().find(|pair| pair.key == "forebay.interval").unwrap().value.clone().unwrap();
        let footer: serde_json::Value = serde_json::from_str(&footer).unwrap();
        if footer["messages"] != metadata.num_rows() || footer["ledger"] != path {
            return Err(format!("{path} says something else of itself"));
        }
        let footer = Arc::new(footer);
        self.footers.lock().unwrap().insert(key, Arc::clone(&footer));
        Ok(footer)
    }
}

fn number(path: &str, part: usize) -> i64 {
    path.rsplit('/').next().unwrap().split('+').nth(part).unwrap().parse().unwrap()
}

/// Offsets and epoch that a file name tells.
fn interval_of(path: &str) -> ((i64, i64), u64) {
    let epoch = path.rsplit("+e").next().unwrap().trim_end_matches(".parquet").parse().unwrap();
    ((number(path, 2), number(path, 3)), epoch)
}
