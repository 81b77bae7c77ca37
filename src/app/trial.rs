//! `forebay try`: messages from files, stdin or lines through the daemon's own stages, and what comes of them.
//!
//! ```text
//! input ─▶ Batch (messages, at most a few MB) ─▶ stages (parser, rules) ─▶ Answer ─▶ json, or people + excerpt
//! ```
//!
//! Answers come in the order of the inputs. What has been read is answered before more is waited for. Memory: a batch
//! of messages with its rows, and one message as long as the mapping allows; what is longer is counted and not kept.

mod answer;
mod excerpt;
mod input;
mod people;
mod stages;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Read, StdoutLock, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::glyphs::tamed;
use super::{look, say};
use crate::cli::{Global, Try};
use crate::config::mapping;
use crate::exit::ExitCode;
use crate::fault::Fault;
use crate::model::batch::Outcome;
use crate::model::drift::DriftPath;
use crate::model::mapping::Lineage;
use answer::Answer;
use input::{Batch, Lines, Messages};
use people::People;
use stages::Judge;

/// How often it is told how far it is, when stdout is not a terminal.
const TELL: Duration = Duration::from_secs(5);

/// Paths that no column takes are told up to this many.
const TOLD_PATHS: usize = 10;

pub(super) fn run(order: &Try, global: &Global) -> Result<ExitCode, Fault> {
    let inputs = match inputs(&order.inputs) {
        Ok(inputs) => inputs,
        Err(why) => {
            say::problem(why);
            return Ok(ExitCode::Usage);
        }
    };
    let judge = match &order.mapping {
        Some(file) => {
            let mapping = mapping::read(file, &Lineage::default()).map_err(|problems| look::as_fault(&problems))?;
            Judge::by_mapping(mapping)?
        }
        None => Judge::of_form(),
    };
    let mut trial = Trial::new(judge, global);
    for (number, input) in inputs.iter().enumerate() {
        let goes_on = match trial.take(number, input, &inputs, order.lines) {
            Ok(goes_on) => goes_on,
            Err(Stop::Unreadable(error)) => {
                trial.tally.unreadable += 1;
                let goes_on = trial.answer(&inputs)?;
                say::problem(&format!("cannot read {}: {}", input.display(), error.to_string().to_lowercase()));
                goes_on
            }
            Err(Stop::Fault(fault)) => return Err(fault),
        };
        if !goes_on {
            return Ok(trial.tally.exit_code());
        }
    }
    trial.answer(&inputs)?;
    if !global.quiet {
        say::problem(&trial.tally.text(order.mapping.is_some()));
        tell_untaken(&trial.judge.untaken());
    }
    Ok(trial.tally.exit_code())
}

/// What came and no column takes, as one line.
fn tell_untaken(untaken: &[(Option<&str>, DriftPath)]) {
    let path = |(child, found): &(Option<&str>, DriftPath)| {
        let table = child.map(|child| format!("{child}: ")).unwrap_or_default();
        let times = if found.count == 1 { "once".to_owned() } else { format!("{} times", found.count) };
        format!("{table}{} ({times})", tamed(&found.path))
    };
    let told: Vec<String> = untaken.iter().take(TOLD_PATHS).map(path).collect();
    let more = untaken.len().saturating_sub(TOLD_PATHS);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    if !told.is_empty() {
        say::problem(&format!("no column takes {}{more}", told.join(", ")));
    }
}

/// The inputs that are meant; stdin when none is named and it is not a terminal.
fn inputs(given: &[PathBuf]) -> Result<Vec<PathBuf>, &'static str> {
    let is_stdin = |input: &&PathBuf| input.as_path() == Path::new(STDIN);
    if given.iter().filter(is_stdin).count() > 1 {
        return Err("- (stdin) can be read only once");
    }
    if given.is_empty() {
        return match io::stdin().is_terminal() {
            true => Err("nothing to try: name files, or - for stdin; see forebay try --help"),
            false => Ok(vec![PathBuf::from(STDIN)]),
        };
    }
    Ok(given.to_vec())
}

/// The input that stands for stdin.
const STDIN: &str = "-";

/// Why an input is not read further.
enum Stop {
    /// It cannot be.
    Unreadable(io::Error),
    /// Nothing else can be either.
    Fault(Fault),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

struct Trial {
    judge: Judge,
    batch: Batch,
    tally: Tally,
    out: BufWriter<StdoutLock<'static>>,
    /// Who shows it; none: programs read it.
    people: Option<People>,
    told: Option<Instant>,
}

impl Trial {
    fn new(judge: Judge, global: &Global) -> Self {
        let is_terminal = io::stdout().is_terminal();
        Self {
            judge,
            batch: Batch::default(),
            tally: Tally::default(),
            out: BufWriter::with_capacity(64 << 10, io::stdout().lock()),
            people: (!global.json).then(|| People::new(global.color.on(is_terminal))),
            told: (!global.quiet && !is_terminal).then(Instant::now),
        }
    }

    /// Reads an input, and answers what has been read whenever there is enough of it. Whether anybody still listens.
    fn take(&mut self, number: usize, input: &Path, inputs: &[PathBuf], is_lines: bool) -> Result<bool, Stop> {
        let source: Box<dyn Read> = if input == Path::new(STDIN) {
            // It may take its time.
            if !self.answer(inputs)? {
                return Ok(false);
            }
            Box::new(io::stdin())
        } else {
            let file = File::open(input)?;
            if file.metadata()?.is_dir() {
                return Err(io::Error::other("it is a folder; name the files in it").into());
            }
            Box::new(file)
        };
        let most = self.judge.longest();
        let mut messages = Messages::new(source, if is_lines { Lines::Each } else { Lines::Whole }, number, most);
        while messages.add_to(&mut self.batch)? {
            if (self.batch.is_full() || messages.may_wait()) && !self.answer(inputs)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Judges what has been read and shows what came of it. Whether anybody still listens.
    fn answer(&mut self, inputs: &[PathBuf]) -> Result<bool, Fault> {
        while !self.batch.is_empty() {
            if !self.answer_piece(inputs)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn answer_piece(&mut self, inputs: &[PathBuf]) -> Result<bool, Fault> {
        let (judged, rest) = self.judge.judge(std::mem::take(&mut self.batch))?;
        self.batch = rest.unwrap_or_default();
        let (out, tally, people) = (&mut self.out, &mut self.tally, &mut self.people);
        let shown = judged.each(inputs, |answer: &Answer<'_>| {
            tally.add(answer);
            match people {
                Some(people) => people.write(answer, out),
                None => answer.write_json(out),
            }
        });
        let shown = shown.and_then(|()| out.flush());
        let is_closed = shown.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        say::finish(shown)?;
        if let Some(told) = self.told.as_mut().filter(|told| told.elapsed() >= TELL) {
            *told = Instant::now();
            say::problem(&format!("{} messages so far", self.tally.messages()));
        }
        Ok(!is_closed)
    }
}

/// What became of all of them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    good: u64,
    partial: u64,
    quarantined: u64,
    /// Rows, those of child tables not counted.
    rows: u64,
    /// Inputs that could not be read, or not to their end.
    unreadable: u64,
}

impl Tally {
    fn add(&mut self, answer: &Answer<'_>) {
        match answer.outcome {
            Outcome::Partial => self.partial += 1,
            Outcome::Quarantined => self.quarantined += 1,
            Outcome::Rows | Outcome::Filtered | Outcome::Tombstone => self.good += 1,
        }
        self.rows += answer.tables.first().map_or(0, |table| table.len() as u64);
    }

    fn messages(&self) -> u64 {
        self.good + self.partial + self.quarantined
    }

    fn exit_code(&self) -> ExitCode {
        match (self.unreadable, self.partial + self.quarantined) {
            (0, 0) => ExitCode::Done,
            (0, _) => ExitCode::No,
            _ => ExitCode::Usage,
        }
    }

    fn text(&self, has_mapping: bool) -> String {
        let count = |number: u64, noun: &str| format!("{number} {noun}{}", if number == 1 { "" } else { "s" });
        let messages = count(self.messages(), "message");
        let mut text = if has_mapping {
            let rows = count(self.rows, "row");
            format!("{messages}, {rows}; {} partial, {} quarantined", self.partial, self.quarantined)
        } else {
            format!("{messages}: {} well-formed, {} quarantined", self.good, self.quarantined)
        };
        if self.unreadable > 0 {
            text.push_str(&format!("; {} could not be read", count(self.unreadable, "input")));
        }
        text
    }
}
