//! What may change under a running daemon, and what it has to be started again for.
//!
//! A reload takes a configuration whole or not at all. It may change the mappings, and of a table `when`,
//! `starting_offsets`, `on_offset_out_of_range`, `stop_when` and `[table.raw]`: a lane takes all of that up when it
//! begins a generation, and a generation ends with what it began with. Everything else is built once.

use std::collections::BTreeSet;

use super::model::{
    ControlSettings, KafkaSettings, LakeSettings, LimitSettings, LogSettings, PromoteSettings, RunSettings, Settings,
    SpoolSettings, SuperviseSettings,
};
use super::problem::Problem;
use crate::model::mapping::{Compatibility, Mapping, incompatibilities};
use crate::model::table::{ProcessedSettings, QuarantineSettings, Table, UnroutedSettings};

/// What keeps `new` from taking the place of `old` while the daemon runs, key by key; empty: nothing does.
pub fn refusals(old: &Settings, new: &Settings) -> Vec<Problem> {
    let mut found = Found { new, problems: Vec::new() };
    found.process(old);
    found.tables(&old.tables);
    found.problems
}

struct Found<'s> {
    new: &'s Settings,
    problems: Vec<Problem>,
}

impl Found<'_> {
    fn problem(&mut self, key: &str, message: impl Into<String>, help: &str) {
        self.problems.push(self.new.problem(key, message, Some(help.to_owned())));
    }

    /// Notes a key that differs where it must not.
    fn fixed(&mut self, key: &str, differs: bool) {
        if differs {
            self.problem(key, "has changed, and needs a restart", "restart the daemon, or put it back");
        }
    }

    /// Everything outside the tables.
    fn process(&mut self, old: &Settings) {
        let new = self.new;
        self.kafka(&old.kafka, &new.kafka);
        let LakeSettings { root, hadoop_conf_dir, hdfs } = &old.lake;
        self.fixed("lake.root", *root != new.lake.root);
        self.fixed("lake.hadoop.conf.dir", *hadoop_conf_dir != new.lake.hadoop_conf_dir);
        for name in hdfs.keys().chain(new.lake.hdfs.keys()).collect::<BTreeSet<_>>() {
            self.fixed(&format!("lake.hdfs.{name}"), hdfs.get(name) != new.lake.hdfs.get(name));
        }
        let ControlSettings { socket, allowed_uids, allowed_gids, admin_group } = &old.control;
        self.fixed("control.socket", *socket != new.control.socket);
        self.fixed("control.allowed_uids", *allowed_uids != new.control.allowed_uids);
        self.fixed("control.allowed_gids", *allowed_gids != new.control.allowed_gids);
        self.fixed("control.admin_group", *admin_group != new.control.admin_group);
        let LogSettings { dir, level, file_size, total_size } = &old.logs;
        self.fixed("logs.dir", *dir != new.logs.dir);
        self.fixed("logs.level", *level != new.logs.level);
        self.fixed("logs.file_size", *file_size != new.logs.file_size);
        self.fixed("logs.total_size", *total_size != new.logs.total_size);
        let LimitSettings { memory, spool: SpoolSettings { dir, size } } = &old.limits;
        self.fixed("limits.memory", *memory != new.limits.memory);
        self.fixed("limits.spool.dir", *dir != new.limits.spool.dir);
        self.fixed("limits.spool.size", *size != new.limits.spool.size);
        let PromoteSettings { interval, zone } = &old.promote;
        self.fixed("promote.interval", *interval != new.promote.interval);
        self.fixed("promote.zone", *zone != new.promote.zone);
        let RunSettings { drain, parsers } = &old.run;
        self.fixed("run.drain", *drain != new.run.drain);
        self.fixed("run.parsers", *parsers != new.run.parsers);
        let SuperviseSettings { intensity, period, backoff, backoff_max, parked_retry, hung_after } = &old.supervise;
        self.fixed("supervise.intensity", *intensity != new.supervise.intensity);
        self.fixed("supervise.period", *period != new.supervise.period);
        self.fixed("supervise.backoff", *backoff != new.supervise.backoff);
        self.fixed("supervise.backoff_max", *backoff_max != new.supervise.backoff_max);
        self.fixed("supervise.parked_retry", *parked_retry != new.supervise.parked_retry);
        self.fixed("supervise.hung_after", *hung_after != new.supervise.hung_after);
        let UnroutedSettings { topic, stop_when } = &old.unrouted;
        self.fixed("unrouted.topic", *topic != new.unrouted.topic);
        self.fixed("unrouted.stop_when", *stop_when != new.unrouted.stop_when);
    }

    /// The names only: a value may be a secret.
    fn kafka(&mut self, old: &KafkaSettings, new: &KafkaSettings) {
        let names: BTreeSet<&str> = old.iter().chain(new.iter()).map(|(name, _)| name).collect();
        for name in names {
            self.fixed(&format!("kafka.{name}"), old.get(name) != new.get(name));
        }
    }

    fn tables(&mut self, old: &[Table]) {
        let new = self.new;
        for table in old.iter().filter(|old| new.tables.iter().all(|table| table.name != old.name)) {
            let message = format!("table {} is gone, and that needs a restart", table.name);
            self.problem("table", message, "restart the daemon, or put it back");
        }
        for (index, table) in new.tables.iter().enumerate() {
            match old.iter().find(|old| old.name == table.name) {
                Some(old) => self.table(index, old, table),
                None => {
                    let message = format!("table {} is new, and that needs a restart", table.name);
                    self.problem(&format!("table[{index}].name"), message, "restart the daemon, or take it out");
                }
            }
        }
        let is_known = |table: &&Table| new.tables.iter().any(|other| other.name == table.name);
        let kept = new.tables.iter().filter(|table| old.iter().any(|other| other.name == table.name));
        if !old.iter().filter(is_known).map(|table| &table.name).eq(kept.map(|table| &table.name)) {
            let message = "the tables stand in another order, and that needs a restart";
            self.problem("table", message, "restart the daemon, or put them back");
        }
    }

    fn table(&mut self, index: usize, old: &Table, new: &Table) {
        let key = |name: &str| format!("table[{index}].{name}");
        let Table {
            name: _,
            topics,
            when: _,
            mapping,
            starting_offsets: _,
            on_offset_out_of_range: _,
            raw: _,
            quarantine: QuarantineSettings { payload, topic },
            stop_when: _,
            processed,
        } = old;
        self.fixed(&key("topics"), *topics != new.topics);
        self.fixed(&key("lineage"), mapping.lineage != new.mapping.lineage);
        self.fixed(&key("quarantine.payload"), *payload != new.quarantine.payload);
        self.fixed(&key("quarantine.topic"), *topic != new.quarantine.topic);
        match (processed, &new.processed) {
            (Some(old), Some(new)) => self.processed(&key("processed"), old, new),
            (old, new) => self.fixed(&key("processed"), old.is_some() != new.is_some()),
        }
        self.mapping(&key("mapping"), mapping, &new.mapping);
    }

    fn processed(&mut self, section: &str, old: &ProcessedSettings, new: &ProcessedSettings) {
        let ProcessedSettings { record_id, version, date, date_zone, on_bad_date, date_min, date_max, retire } = old;
        for (name, differs) in [
            ("record_id", *record_id != new.record_id),
            ("version", *version != new.version),
            ("date", *date != new.date),
            ("date_zone", *date_zone != new.date_zone),
            ("on_bad_date", *on_bad_date != new.on_bad_date),
            ("date_min", *date_min != new.date_min),
            ("date_max", *date_max != new.date_max),
            ("retire", *retire != new.retire),
        ] {
            self.fixed(&format!("{section}.{name}"), differs);
        }
    }

    fn mapping(&mut self, key: &str, old: &Mapping, new: &Mapping) {
        // The columns of Forebay are the table's, and have been compared.
        let new = Mapping { lineage: old.lineage.clone(), ..new.clone() };
        if *old == new {
            return;
        }
        if new.version <= old.version {
            let message = if old.version == new.version && old.name == new.name {
                format!("{} has changed and is still version {}", new.name, new.version)
            } else {
                format!(
                    "{} is version {}, and the daemon reads with version {} of {}",
                    new.name, new.version, old.version, old.name
                )
            };
            self.problem(key, message, &version_help(old.version));
        }
        if new.compatibility == Compatibility::Backward {
            for sentence in incompatibilities(old, &new) {
                let help = format!("or write compatibility = \"none\" in {}: readers then have to cope", new.name);
                self.problem(key, sentence, &help);
            }
        }
    }
}

/// What to do about a mapping that has changed under the version `old`.
pub fn version_help(old: u32) -> String {
    format!("take a version above {old}: ledger and quarantine tell by it which mapping read a message")
}

#[cfg(test)]
mod tests;
