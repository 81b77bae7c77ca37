//! What can be typed: the commands, their options and their help.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{ArgGroup, Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jiff::Timestamp;

use crate::model::level::LogLevel;
use crate::model::violation::Code;
use crate::observe::read::LogQuery;

mod values;

pub use values::{Equals, Lane, LaneChoice, RewindTo, Since, Target, Zone};

/// Where the configuration is when nobody says otherwise.
pub const DEFAULT_CONFIG: &str = "/etc/forebay/forebay.toml";

/// Keeps a data lake fed from Kafka: XML in, typed Parquet out, every message accounted for.
#[derive(Debug, Clone, Parser)]
#[command(name = "forebay", version)]
#[command(after_help = EXIT_CODES)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 it ran and the answer is no; 2 wrong usage; 70 internal fault; \
75 temporary, try again; 77 not permitted; 78 configuration.";

const NOT_A_LOSS: &str = "A file of the lake that is gone is not meant. Where a data file is gone, `forebay rewind` reads its \
messages again as long as Kafka has them; a ledger file has to come back from a backup.";

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Configuration file
    #[arg(long, global = true, value_name = "FILE", env = "FOREBAY_CONFIG", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// Control socket of the daemon [default: the one of the configuration]
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Answer for machines: one document, or one line a record
    #[arg(long, global = true)]
    pub json: bool,
    /// Say more; twice: everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Say nothing but errors and the answer
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// When to use colours; NO_COLOR is respected
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = Color::Auto)]
    pub color: Color,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Whether to use colours on a stream that is a terminal, or is not.
    pub fn on(self, is_terminal: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        }
    }
}

/// The commands, in the order in which somebody meets them.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Run the daemon
    Run(Run),
    /// Show the whole pipeline on this machine alone: an embedded Kafka and a lake on local disk
    Demo(Demo),
    /// Tell every problem of the configuration and the mappings at once
    Check(Check),
    /// Show what becomes of messages, by a mapping or as XML alone, without a daemon
    Try(Try),
    /// Write a mapping from example messages, from an XML Schema, or from both
    Infer(Infer),
    /// Prove or disprove the promises from what is in the lake, and from where Kafka begins and ends if it answers
    Audit(Audit),
    /// Tell what every file of the lake is, and what nobody needs; --repair moves that aside
    Fsck(Fsck),
    /// Show what the daemon is doing
    Status,
    /// Tell what arrived and no column of a table takes, as columns to add to its mapping
    Drift(Drift),
    /// Stop reading, of everything or of some topics or partitions; what is read is still committed
    Pause(Lanes),
    /// Go on reading; a lane that has halted or is parked begins anew
    Resume(Lanes),
    /// Read a Kafka partition again from an earlier offset, RAW is cut back to it; or take that back
    Rewind(Rewind),
    /// Take quarantined messages of a table through today's mapping again; what is good now reaches RAW
    Requeue(Requeue),
    /// Go on with a topic that was deleted and created again, as a topic of its own: TOPIC~2 in the lake
    AcceptTopic(AcceptTopic),
    /// Go on behind messages that Kafka has deleted before they were read; the ledger says that they are lost
    #[command(after_help = NOT_A_LOSS)]
    AcceptLoss(AcceptLoss),
    /// Promote RAW to Processed now instead of at the next tick
    Promote(Promote),
    /// Read configuration and mappings again: the daemon goes on with them, or as before if anything is wrong
    Reload,
    /// Commit what is in flight, and end the daemon
    Drain,
    /// Read the log files
    Logs(Logs),
    /// Show rows of a zone: raw.TABLE, processed.TABLE, quarantine.TABLE, ledger.TOPIC
    Show(Show),
    /// Write example messages to a topic
    Produce(Produce),
    /// Create, widen or delete a topic
    #[command(subcommand)]
    Topic(Topic),
    /// Print the completions for a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the manual page
    Man,
}

/// `forebay run`
#[derive(Debug, Clone, Args)]
pub struct Run {
    /// Read to the end offsets seen at the start, commit, promote, and end
    #[arg(long)]
    pub until_caught_up: bool,
    /// Go on with a lake that another consumer group or cluster has filled so far
    #[arg(long)]
    pub take_over: bool,
}

/// `forebay demo`
#[derive(Debug, Clone, Args)]
pub struct Demo {
    /// How many messages
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub messages: u64,
    /// Messages a second [default: as fast as it goes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub rate: Option<u64>,
    /// Folder for the lake, in DIR/lake [default: a new one below the temporary folder]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Keep the log too, and write what was sent to DIR/sent.jsonl
    #[arg(long)]
    pub keep: bool,
}

/// `forebay check`
#[derive(Debug, Clone, Args)]
pub struct Check {
    /// Try Kafka and storage too
    #[arg(long)]
    pub connect: bool,
}

/// `forebay try`
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("by").args(["mapping", "well_formed"]).required(true))]
pub struct Try {
    /// Mapping that makes rows of the messages
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,
    /// Only say whether they are well-formed, by the limits that hold when a mapping names none
    #[arg(long)]
    pub well_formed: bool,
    /// Each line of an INPUT is a message
    #[arg(long)]
    pub lines: bool,
    /// Files, each of them one message; - is stdin [default: stdin, when it is not a terminal]
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,
}

/// `forebay infer`
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("source").args(["xsd", "topic", "inputs"]).required(true).multiple(true))]
#[command(override_usage = "forebay infer [OPTIONS] [--xsd FILE] [--topic TOPIC] [INPUT]...")]
pub struct Infer {
    /// XML Schema that gives the types; what it includes and imports is read from its folder, never from the network
    #[arg(long, value_name = "FILE")]
    pub xsd: Option<PathBuf>,
    /// The element that is a row, by steps from the root, with the prefixes of the first sample's root (without
    /// samples: of the schema) or as {uri}name; . is the root itself [default: the repeated child that holds most of
    /// the content]
    #[arg(long, value_name = "PATH")]
    pub row: Option<String>,
    /// Take the newest messages of this topic
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
    /// How many of them
    #[arg(long, value_name = "N", requires = "topic", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub messages: u64,
    /// Write the mapping to this file [default: stdout]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Files, each of them one message; - is stdin
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,
}

/// `forebay audit`
#[derive(Debug, Clone, Args)]
pub struct Audit {
    /// Read every byte of RAW and quarantine, for its checksum; implies --afresh
    #[arg(long)]
    pub deep: bool,
    /// Look at the whole of each chain, also at what an earlier audit has found right
    #[arg(long)]
    pub afresh: bool,
}

/// `forebay fsck`
#[derive(Debug, Clone, Args)]
pub struct Fsck {
    /// Move what no owner can want any more to _forebay/lost+found; nothing is deleted. Safe beside a running daemon
    #[arg(long)]
    pub repair: bool,
}

/// `forebay pause`, `forebay resume`
#[derive(Debug, Clone, Args)]
pub struct Lanes {
    /// Which ones [default: all]
    #[arg(value_name = "TOPIC[:PARTITION]")]
    pub lanes: Vec<LaneChoice>,
}

/// `forebay drift`
#[derive(Debug, Clone, Args)]
pub struct Drift {
    /// The table, or child table
    #[arg(value_name = "TABLE")]
    pub table: String,
}

/// `forebay rewind`
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("target").args(["to", "undo"]).required(true))]
pub struct Rewind {
    /// Which Kafka partition
    #[arg(value_name = "TOPIC:PARTITION")]
    pub lane: Lane,
    /// Where to: an offset, or a time such as 2026-10-01T00:00:00Z; rounded down to the beginning of a file
    #[arg(long, value_name = "OFFSET|TIMESTAMP", allow_negative_numbers = true)]
    pub to: Option<RewindTo>,
    /// Take the newest rewind back instead: RAW is what it was before, as long as no more than that is read again
    #[arg(long)]
    pub undo: bool,
    /// Refuse unless this is the offset that would be read next
    #[arg(long, value_name = "OFFSET", value_parser = clap::value_parser!(i64).range(0..))]
    pub expect: Option<i64>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Show what would happen, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `forebay requeue`
#[derive(Debug, Clone, Args)]
pub struct Requeue {
    /// Whose quarantine; `_unrouted` for messages that no table took
    #[arg(value_name = "TABLE")]
    pub table: String,
    /// Only messages with such a violation, e.g. type.decimal
    #[arg(long, value_name = "CODE", value_parser = values::parse_code)]
    pub code: Option<Code>,
    /// Only messages with this Kafka timestamp or a later one: an age such as 1h, or a time such as
    /// 2026-10-01T00:00:00Z
    #[arg(long, value_name = "AGE|TIMESTAMP")]
    pub from: Option<Since>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Show what would happen, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `forebay accept-topic`
#[derive(Debug, Clone, Args)]
pub struct AcceptTopic {
    /// The topic
    #[arg(value_name = "TOPIC")]
    pub topic: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// `forebay accept-loss`
#[derive(Debug, Clone, Args)]
pub struct AcceptLoss {
    /// Which Kafka partition
    #[arg(value_name = "TOPIC:PARTITION")]
    pub lane: Lane,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Show which offsets would be recorded as lost, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `forebay promote`
#[derive(Debug, Clone, Args)]
pub struct Promote {
    /// Which tables [default: all]
    #[arg(value_name = "TABLE")]
    pub tables: Vec<String>,
}

/// `forebay logs`
#[derive(Debug, Clone, Args)]
pub struct Logs {
    /// Go on with what is written from now on
    #[arg(short, long)]
    pub follow: bool,
    /// From this time on: an age such as 1h, or a time such as 2026-10-01T00:00:00Z
    #[arg(long, value_name = "AGE|TIMESTAMP")]
    pub since: Option<Since>,
    /// This level and those above: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL")]
    pub level: Option<LogLevel>,
    /// Only events of this topic
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
    /// Only events of this Kafka partition
    #[arg(long, value_name = "PARTITION", value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: Option<i32>,
    /// Only events of this name, or of this family (`storage` for all of storage.*)
    #[arg(long, value_name = "NAME")]
    pub event: Option<String>,
}

impl Logs {
    /// The lines that are wanted.
    pub fn query(&self, now: Timestamp) -> LogQuery {
        LogQuery {
            since: self.since.map(|since| since.at(now)),
            level: self.level,
            topic: self.topic.clone(),
            partition: self.partition,
            event: self.event.clone(),
        }
    }
}

/// `forebay show`
#[derive(Debug, Clone, Args)]
pub struct Show {
    /// What to show
    #[arg(value_name = "ZONE.NAME")]
    pub target: Target,
    /// At most this many rows
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: u64,
    /// Only these columns
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// Only rows with this value; may be given again
    #[arg(long = "where", value_name = "COLUMN=VALUE")]
    pub filter: Vec<Equals>,
    /// Show the columns and their types instead
    #[arg(long)]
    pub schema: bool,
}

/// `forebay produce`
#[derive(Debug, Clone, Args)]
pub struct Produce {
    /// How many library messages
    #[arg(long, value_name = "N", required = true)]
    pub library: u64,
    /// Messages a second [default: as fast as it goes]
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u64).range(1..))]
    pub rate: Option<u64>,
    /// Share of messages that are broken
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = values::parse_share)]
    pub broken: f64,
    /// Share of messages that are sent again as they were
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = values::parse_share)]
    pub resent: f64,
    /// Share of messages that are sent again with other content
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = values::parse_share)]
    pub changed: f64,
    /// Share of books that come under the id of an earlier one
    #[arg(long, value_name = "SHARE", default_value_t = 0.03, value_parser = values::parse_share)]
    pub repeated: f64,
    /// Seed: the same seed gives the same messages
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// Number of the first message: an earlier run with the same seed sent those before
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub first: u64,
    /// Books in a message, about 380 bytes each
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    pub books: u64,
    /// The topic; created when it is not there
    #[arg(long, value_name = "TOPIC", default_value = "library")]
    pub topic: String,
    /// File that gets one JSON line for each delivered message: where it lies, and what must become of it
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// Kafka partitions of the topic, when it is created
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(i32).range(1..))]
    pub partitions: i32,
}

/// `forebay topic`
#[derive(Debug, Clone, Subcommand)]
pub enum Topic {
    /// Create a topic; fine when it is there
    Create {
        /// The topic
        topic: String,
        /// How many Kafka partitions
        #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(i32).range(1..))]
        partitions: i32,
        /// How many copies
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..))]
        replication: i32,
        /// A setting of the topic, such as retention.ms=86400000; may be given again
        #[arg(long = "set", value_name = "NAME=VALUE")]
        settings: Vec<Equals>,
    },
    /// Give a topic more Kafka partitions
    Widen {
        /// The topic
        topic: String,
        /// How many in all
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        partitions: u32,
    },
    /// Delete a topic and all that is in it
    Delete {
        /// The topic
        topic: String,
    },
}

/// Writes the completions for a shell.
///
/// # Errors
///
/// What `out` says.
pub fn write_completions(shell: Shell, out: &mut dyn Write) -> io::Result<()> {
    // The generator panics when it cannot write, as when its reader has had enough.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "forebay", &mut text);
    out.write_all(&text)
}

/// Writes the manual page.
///
/// # Errors
///
/// What `out` says.
pub fn write_manual(out: &mut dyn Write) -> io::Result<()> {
    clap_mangen::Man::new(Cli::command()).render(&mut &mut *out)
}

#[cfg(test)]
mod tests;
