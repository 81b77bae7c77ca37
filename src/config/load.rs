//! `forebay.toml` → [`Settings`], with everything that is wrong at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::check;
use super::document::Document;
use super::kafka;
use super::model::{
    ControlSettings, KafkaSettings, LakeSettings, LimitSettings, LogSettings, PromoteSettings, RunSettings, Settings,
    SpoolSettings, SuperviseSettings,
};
use super::problem::Problem;
use super::quarantine;
use super::section::{Item, Section};
use super::table;
use crate::model::level::LogLevel;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// The environment of this process, less what is not text.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Reads the configuration at `path`, with the settings among `env` (`FOREBAY__SECTION__KEY`) laid over it.
///
/// # Errors
///
/// Everything that is wrong with it, with the environment and with the mappings it names.
pub fn load(path: &Path, env: impl Iterator<Item = (String, String)>) -> Result<Settings, Vec<Problem>> {
    let env: Vec<(String, String)> = env.collect();
    let variable = |wanted: &str| env.iter().find(|(name, _)| name == wanted).map(|(_, value)| PathBuf::from(value));
    let credentials = variable("CREDENTIALS_DIRECTORY");
    let document = Document::read(path, env).map_err(|problem| vec![problem])?;
    let settings = read(&document, credentials.as_deref());
    let (problems, places) = document.finish();
    match settings {
        Some(settings) if problems.is_empty() => Ok(Settings { places, ..settings }),
        _ => Err(problems),
    }
}

/// Reads `[kafka]` alone: for whoever has messages, and no table and no mapping yet.
///
/// # Errors
///
/// Everything that is wrong with the file as TOML and with that section.
pub fn load_kafka(path: &Path, env: impl Iterator<Item = (String, String)>) -> Result<KafkaSettings, Vec<Problem>> {
    let env: Vec<(String, String)> = env.collect();
    let credentials = env.iter().find(|(name, _)| name == "CREDENTIALS_DIRECTORY").map(|(_, dir)| PathBuf::from(dir));
    let document = Document::read(path, env).map_err(|problem| vec![problem])?;
    let kafka = kafka::read(&document.root().section("kafka"), credentials.as_deref());
    let (problems, _) = document.finish();
    if problems.is_empty() { Ok(kafka) } else { Err(problems) }
}

/// Reads `[control]` alone: for whoever talks to a daemon, which may run with another configuration than that of the
/// file.
///
/// # Errors
///
/// Everything that is wrong with the file as TOML and with that section.
pub fn load_control(path: &Path, env: impl Iterator<Item = (String, String)>) -> Result<ControlSettings, Vec<Problem>> {
    let document = Document::read(path, env).map_err(|problem| vec![problem])?;
    let control = read_control(document.root().section("control"));
    let (problems, _) = document.finish();
    if problems.is_empty() { Ok(control) } else { Err(problems) }
}

fn read(document: &Document, credentials: Option<&Path>) -> Option<Settings> {
    let file = document.root();
    let kafka = kafka::read(&file.section("kafka"), credentials);
    let lake = read_lake(file.section("lake"));
    let control = read_control(file.section("control"));
    let logs = read_logs(file.section("logs"));
    let limits = read_limits(file.section("limits"));
    let promote = read_promote(file.section("promote"));
    let run = read_run(file.section("run"));
    let supervise = read_supervise(file.section("supervise"));
    let unrouted = quarantine::read_unrouted(file.section("unrouted"));
    let sections = file.sections("table");
    if sections.is_empty() {
        file.problem("table", "there is no table", Some("write a [[table]] with name, topics and mapping".into()));
    }
    let tables: Vec<_> = sections.into_iter().map(table::read).collect();
    file.finish();
    check::tables(document, &tables, &limits);
    check::dead_letter_topics(document, &tables, &unrouted);
    if let Some(lake) = &lake {
        let folders =
            [("limits.spool.dir", &*limits.spool.dir), ("logs.dir", &*logs.dir), ("control.socket", &*control.socket)];
        check::folders(document, &lake.root, &folders);
    }
    let tables: Option<Vec<_>> = tables.into_iter().collect();
    let settings = Settings::new(kafka, "", tables?);
    Some(Settings { lake: lake?, control, logs, limits, promote, run, supervise, unrouted, ..settings })
}

fn read_lake(section: Section<'_>) -> Option<LakeSettings> {
    let help = "write root = \"hdfs://namenode:8020/lake\" or \"file:///var/lib/forebay/lake\"";
    let root = section.required("root", help).and_then(|item| read_root(&item));
    let hdfs = read_properties(&section.section("hdfs"));
    // `"hadoop.conf.dir"` in quotes, or hadoop.conf.dir without: two spellings of one key.
    let mut hadoop_conf_dir = section.get("hadoop.conf.dir").and_then(|item| read_folder(&item));
    for (name, item) in section.section("hadoop").flattened() {
        match name.as_str() {
            "conf.dir" => hadoop_conf_dir = read_folder(&item),
            _ => item.problem("unknown key", Some("properties of the HDFS client go to [lake.hdfs]".into())),
        }
    }
    section.finish();
    root.map(|root| LakeSettings { root, hadoop_conf_dir, hdfs })
}

fn read_root(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    let help = "write hdfs://namenode:8020/lake or file:///var/lib/forebay/lake";
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            item.problem(format!("{text:?} is not a URL: {error}"), Some(help.into()));
            return None;
        }
    };
    let message = match url.scheme() {
        "hdfs" if url.host_str().is_none_or(str::is_empty) => "it names no namenode and no nameservice".to_owned(),
        "file" if url.host_str().is_some_and(|host| !host.is_empty()) => {
            "a local path begins after three slashes".to_owned()
        }
        "hdfs" | "file" if url.query().is_some() || url.fragment().is_some() => "it has a ? or a #".to_owned(),
        "hdfs" | "file" if !url.username().is_empty() || url.password().is_some() => "it has a user".to_owned(),
        "hdfs" | "file" if url.path().trim_end_matches('/').is_empty() => "it has no folder".to_owned(),
        "hdfs" | "file" => return Some(text.trim_end_matches('/').to_owned()),
        scheme => format!("a lake on {scheme} is not available in this version"),
    };
    item.problem(message, Some(help.into()));
    None
}

fn read_folder(item: &Item<'_>) -> Option<PathBuf> {
    let path = PathBuf::from(item.text()?);
    if !path.is_dir() {
        item.problem(format!("{} is not a folder", path.display()), None);
        return None;
    }
    Some(path)
}

fn read_properties(section: &Section<'_>) -> BTreeMap<String, String> {
    section.flattened().into_iter().filter_map(|(name, item)| Some((name, item.scalar()?))).collect()
}

fn read_path(item: &Item<'_>) -> Option<PathBuf> {
    let path = item.text()?;
    if path.trim().is_empty() {
        item.problem("is empty", Some("write a path".into()));
        return None;
    }
    Some(PathBuf::from(path))
}

fn read_control(section: Section<'_>) -> ControlSettings {
    let default = ControlSettings::default();
    let numbers = |key| {
        let numbers = section.get(key).and_then(|item: Item<'_>| item.wholes(0..=i64::from(u32::MAX)));
        numbers.into_iter().flatten().filter_map(|number| u32::try_from(number).ok()).collect::<Vec<u32>>()
    };
    let allowed_uids = numbers("allowed_uids");
    let allowed_gids = numbers("allowed_gids");
    let admin_group = section.get("admin_group").and_then(|item| read_group(&item));
    let socket = section.get("socket").and_then(|item| read_socket(&item)).unwrap_or(default.socket);
    section.finish();
    ControlSettings { socket, allowed_uids, allowed_gids, admin_group }
}

fn read_socket(item: &Item<'_>) -> Option<PathBuf> {
    // What the kernel takes, less the byte that ends it.
    const LONGEST: usize = 107;
    let path = read_path(item)?;
    if path.as_os_str().len() > LONGEST {
        item.problem("too long for a socket", Some(format!("take at most {LONGEST} bytes")));
        return None;
    }
    Some(path)
}

/// Number of a group of this machine.
fn read_group(item: &Item<'_>) -> Option<String> {
    let name = item.text()?;
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    if !groups.lines().any(|line| line.split(':').next() == Some(name)) {
        let help = "take a group of /etc/group, or its number in allowed_gids".to_owned();
        item.problem(format!("there is no group {name:?} on this machine"), Some(help));
        return None;
    }
    Some(name.to_owned())
}

fn read_logs(section: Section<'_>) -> LogSettings {
    let default = LogSettings::default();
    let logs = LogSettings {
        dir: section.get("dir").and_then(|item| read_path(&item)).unwrap_or(default.dir),
        level: section.get("level").and_then(|item| item.choice(&LogLevel::ALL)).unwrap_or(default.level),
        file_size: section
            .get("file_size")
            .and_then(|item| item.size(64 << 10..=16 << 30))
            .unwrap_or(default.file_size),
        total_size: section
            .get("total_size")
            .and_then(|item| item.size(64 << 10..=1 << 40))
            .unwrap_or(default.total_size),
    };
    if logs.total_size < logs.file_size {
        section.problem("total_size", "smaller than file_size", Some("make it several times larger".into()));
    }
    section.finish();
    logs
}

fn read_limits(section: Section<'_>) -> LimitSettings {
    let default = LimitSettings::default();
    let memory = section.get("memory").and_then(|item| item.size(16 << 20..=1 << 40)).unwrap_or(default.memory);
    let inner = section.section("spool");
    let spool = SpoolSettings {
        dir: inner.get("dir").and_then(|item| read_path(&item)).unwrap_or(default.spool.dir),
        size: inner.get("size").and_then(|item| item.size(1 << 20..=1 << 44)).unwrap_or(default.spool.size),
    };
    inner.finish();
    section.finish();
    LimitSettings { memory, spool }
}

fn read_promote(section: Section<'_>) -> PromoteSettings {
    let default = PromoteSettings::default();
    let promote = PromoteSettings {
        interval: section.get("interval").and_then(|item| item.duration(SECOND..=DAY)).unwrap_or(default.interval),
        zone: section.get("zone").and_then(|item| table::read_zone(&item)).unwrap_or(default.zone),
    };
    section.finish();
    promote
}

fn read_run(section: Section<'_>) -> RunSettings {
    let default = RunSettings::default();
    let run = RunSettings {
        drain: section.get("drain").and_then(|item| item.duration(SECOND..=HOUR)).unwrap_or(default.drain),
        parsers: section
            .get("parsers")
            .and_then(|item| usize::try_from(item.whole(1..=1024)?).ok())
            .unwrap_or(default.parsers),
    };
    section.finish();
    run
}

fn read_supervise(section: Section<'_>) -> SuperviseSettings {
    let default = SuperviseSettings::default();
    let duration =
        |key, least, default| section.get(key).and_then(|item: Item<'_>| item.duration(least..=DAY)).unwrap_or(default);
    let moment = Duration::from_millis(1);
    let supervise = SuperviseSettings {
        intensity: section
            .get("intensity")
            .and_then(|item| u32::try_from(item.whole(1..=1000)?).ok())
            .unwrap_or(default.intensity),
        period: duration("period", SECOND, default.period),
        backoff: duration("backoff", moment, default.backoff),
        backoff_max: duration("backoff_max", moment, default.backoff_max),
        parked_retry: duration("parked_retry", SECOND, default.parked_retry),
        hung_after: duration("hung_after", SECOND, default.hung_after),
    };
    if supervise.backoff > supervise.backoff_max {
        section.problem("backoff_max", "shorter than backoff", Some("make it longer".into()));
    }
    section.finish();
    supervise
}
