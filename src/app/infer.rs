//! `forebay infer`: a mapping from example messages, from a schema, or from both.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{look, say};
use crate::cli::{Global, Infer};
use crate::config;
use crate::exit::ExitCode;
use crate::fault::Fault;
use crate::flow::read::sample;
use crate::flow::read::settings::Settings as ClientSettings;
use crate::infer::{RowChoice, Samples, Schema};

/// Largest document that is looked at: one is held in memory at a time.
const MAX_BYTES: u64 = 1 << 30;
/// How often progress is told.
const TELL: Duration = Duration::from_secs(2);
/// Documents that were left out are told of up to this many.
const TOLD: u64 = 20;

pub(super) fn run(order: &Infer, global: &Global) -> Result<ExitCode, Fault> {
    let schema = order.xsd.as_deref().map(Schema::load).transpose()?;
    let mut taking = Taking { samples: Samples::new(schema), told: Instant::now(), is_quiet: global.quiet };
    for input in &order.inputs {
        match document(input) {
            Ok(bytes) => taking.take(&input.display().to_string(), &bytes),
            Err(error) => {
                say::problem(&format!("cannot read {}: {}", input.display(), error.to_string().to_lowercase()));
                return Ok(ExitCode::Usage);
            }
        }
    }
    if let Some(topic) = &order.topic {
        sample::newest(&client(global)?, topic, order.messages, |partition, offset, payload| {
            // A tombstone says nothing about messages.
            if let Some(payload) = payload {
                taking.take(&format!("{partition}@{offset}"), payload);
            }
        })?;
    }
    let row = order.row.clone().map_or(RowChoice::Proposed, RowChoice::Path);
    let (taken, left_out) = taking.samples.counts();
    if left_out > 0 {
        say::problem(&format!("{left_out} of {} documents were left out", taken + left_out));
    }
    let mapping = match taking.samples.mapping(&row) {
        Ok(mapping) => mapping,
        Err(why) => {
            say::problem(&why);
            let is_usage = matches!(row, RowChoice::Path(_)) && taken > 0;
            return Ok(if is_usage { ExitCode::Usage } else { ExitCode::No });
        }
    };
    match &order.out {
        Some(file) => write(file, &mapping)?,
        None if !global.json => say::result(&mapping)?,
        None => {}
    }
    if global.json {
        let text = if order.out.is_none() { Some(&mapping) } else { None };
        let said = serde_json::json!({ "documents": taken, "left_out": left_out, "out": order.out, "mapping": text });
        say::result(&format!("{said}\n"))?;
    }
    Ok(ExitCode::Done)
}

/// The client, from `[kafka]` alone: whoever infers a mapping has no table yet.
fn client(global: &Global) -> Result<ClientSettings, Fault> {
    let kafka =
        config::load_kafka(&global.config, config::environment()).map_err(|problems| look::as_fault(&problems))?;
    let user = kafka.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Ok(ClientSettings { user, ..ClientSettings::default() })
}

struct Taking {
    samples: Samples,
    told: Instant,
    is_quiet: bool,
}

impl Taking {
    fn take(&mut self, name: &str, bytes: &[u8]) {
        let added = self.samples.add(name, bytes);
        let (taken, left_out) = self.samples.counts();
        if let Err(why) = added {
            match left_out {
                0..=TOLD => say::problem(&format!("{name} is left out: {why}")),
                _ if left_out == TOLD + 1 => say::problem("more documents are left out; they are counted"),
                _ => {}
            }
        }
        if !self.is_quiet && self.told.elapsed() >= TELL {
            self.told = Instant::now();
            say::problem(&format!("{taken} documents read"));
        }
    }
}

/// One document; `-` is stdin.
fn document(input: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = MAX_BYTES + 1;
    if input == Path::new("-") {
        io::stdin().lock().take(most).read_to_end(&mut bytes)?;
    } else {
        File::open(input)?.take(most).read_to_end(&mut bytes)?;
    }
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("larger than 1 GiB, which no mapping allows"));
    }
    Ok(bytes)
}

/// Writes the mapping beside its place and moves it there: a file that is there is replaced whole or not at all.
fn write(file: &Path, mapping: &str) -> Result<(), Fault> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(format!(".{}~", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = File::create(&beside)
        .and_then(|mut out| out.write_all(mapping.as_bytes()).and_then(|()| out.sync_all()))
        .and_then(|()| std::fs::rename(&beside, file));
    written.map_err(|error| {
        // What is half written is of no use to anybody, and its removal may fail for the same reason.
        let _ = std::fs::remove_file(&beside);
        let error = error.to_string().to_lowercase();
        Fault::halt("infer.out", format!("cannot write {}: {error}", file.display()))
    })
}
