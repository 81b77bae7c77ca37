//! `[kafka]`: names of the client library, passed through, less those that Forebay's promises rest on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::model::KafkaSettings;
use super::section::{Item, Section};

/// Settings that are Forebay's own: the value it takes (none: it depends), and why.
const OWN: [(&str, Option<&str>, &str); 14] = [
    ("enable.auto.commit", Some("false"), "the ledger in the lake is the commit"),
    ("enable.auto.offset.store", Some("false"), "the ledger in the lake is the commit"),
    ("auto.commit.interval.ms", None, "the ledger in the lake is the commit"),
    ("auto.offset.reset", Some("error"), "a position comes from the ledger, or else from table.starting_offsets"),
    ("isolation.level", Some("read_committed"), "messages of aborted transactions must not reach the lake"),
    ("partition.assignment.strategy", Some("cooperative-sticky"), "other strategies stop every lane at each rebalance"),
    ("group.protocol", Some("classic"), "the newer protocol is not available in this version"),
    ("enable.partition.eof", Some("true"), "reading to the end of a topic needs it"),
    ("check.crcs", Some("true"), "damaged messages must not reach the lake"),
    ("queued.max.messages.kbytes", None, "it follows from limits.memory and the number of partitions"),
    ("allow.auto.create.topics", Some("false"), "reading must not create topics"),
    ("enable.idempotence", Some("true"), "what forebay produces it produces once"),
    ("acks", Some("all"), "what forebay produces it produces durably"),
    ("plugin.library.paths", None, "foreign code is not loaded into the daemon"),
];

/// Reads `[kafka]`; `credentials` is the folder of `credential:NAME`.
pub(super) fn read(section: &Section<'_>, credentials: Option<&Path>) -> KafkaSettings {
    let mut values = BTreeMap::new();
    for (name, item) in section.flattened() {
        let Some(text) = item.scalar() else { continue };
        let Some(value) = resolve(&item, &text, section.document().folder(), credentials) else { continue };
        match OWN.iter().find(|(own, _, _)| *own == name) {
            // What agrees with Forebay is often pasted along with the rest, and does no harm.
            Some((_, Some(own), _)) if value.eq_ignore_ascii_case(own) => {}
            Some((_, own, why)) => {
                let fixed = own.map_or_else(String::new, |own| format!(" (it is {own})"));
                item.problem(format!("cannot be set{fixed}: {why}"), Some("remove it".to_owned()));
            }
            None => {
                values.insert(name, value);
            }
        }
    }
    if let Some(brokers) = values.remove("metadata.broker.list") {
        values.entry("bootstrap.servers".to_owned()).or_insert(brokers);
    }
    if let Some(brokers) = values.get("bootstrap.servers") {
        check_brokers(section, brokers);
    } else {
        let help = "write \"bootstrap.servers\" = \"host:9092\"".to_owned();
        section.problem("bootstrap.servers", "missing", Some(help));
    }
    if values.get("group.id").is_none_or(|group| group.trim().is_empty()) {
        section.problem("group.id", "missing", Some("write \"group.id\" = \"forebay\"".into()));
    }
    values.into_iter().collect()
}

/// A value, or what `file:PATH` or `credential:NAME` holds, without the line end.
fn resolve(item: &Item<'_>, text: &str, folder: &Path, credentials: Option<&Path>) -> Option<String> {
    let path = if let Some(path) = text.strip_prefix("file:") {
        folder.join(path.strip_prefix("//").unwrap_or(path))
    } else if let Some(name) = text.strip_prefix("credential:") {
        credential(item, name, credentials)?
    } else {
        return Some(text.to_owned());
    };
    match std::fs::read_to_string(&path) {
        Ok(secret) => Some(secret.trim_end_matches(['\r', '\n']).to_owned()),
        Err(error) => {
            item.problem(format!("{} cannot be read: {error}", path.display()), None);
            None
        }
    }
}

fn credential(item: &Item<'_>, name: &str, credentials: Option<&Path>) -> Option<PathBuf> {
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        item.problem("not the name of a credential", Some("write credential:NAME".into()));
        return None;
    }
    if credentials.is_none() {
        let help = "run as a service with LoadCredential=, or write file:/path".to_owned();
        item.problem("there are no credentials here: $CREDENTIALS_DIRECTORY is not set", Some(help));
    }
    credentials.map(|folder| folder.join(name))
}

fn check_brokers(section: &Section<'_>, brokers: &str) {
    for broker in brokers.split(',').map(str::trim) {
        let address = broker.rsplit_once("://").map_or(broker, |(_, address)| address);
        let port = address.rsplit_once(':').map(|(_, port)| port).filter(|_| !address.ends_with(']'));
        if address.is_empty() || port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port != 0)) {
            let help = "write host:port, with commas between several".to_owned();
            section.problem("bootstrap.servers", format!("{broker:?} is not an address"), Some(help));
        }
    }
}
