//! The NameNodes of a nameservice, one after the other.
//!
//! Of several NameNodes one is active, and a client that finds a standby goes on to the next. hdfs-native would do that
//! by itself; here it talks to one at a time, for two reasons:
//!
//! * One that was deposed while it stood still goes on answering looks from what it has in its memory, until it wants
//!   to write its journal (["may be out of date until that NameNode shuts down when trying to write to the
//!   JournalNodes"][ha]). So before a session looks anywhere, its NameNode writes its journal for us once ([`prove`]);
//!   and that proves something of later looks only if these go to the same one.
//! * One that neither answers nor refuses would be the first to be asked again by each new client.
//!
//! [ha]: https://hadoop.apache.org/docs/r3.4.2/hadoop-project-dist/hadoop-hdfs/HDFSHighAvailabilityWithQJM.html

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use hdfs_native::client::FileStatus;
use hdfs_native::{Client, HdfsError};

use super::classify::Answer;
use super::session::CONF_DIR;
use crate::storage::Kind;

const IDS: &str = "dfs.ha.namenodes";

/// Which NameNode is talked to.
#[derive(Debug)]
pub(super) struct NameNodes {
    /// The property that lists them.
    key: String,
    /// Empty when the address is that of a single one.
    ids: Vec<String>,
    now: AtomicUsize,
}

impl NameNodes {
    /// Those of the nameservice `authority`, from the options or the Hadoop folder.
    pub(super) fn of(authority: &str, options: &BTreeMap<String, String>) -> Self {
        let nameservice = authority.rsplit('/').next().unwrap_or(authority);
        let key = format!("{IDS}.{nameservice}");
        let is_address = nameservice.contains(':');
        let listed = options.get(&key).cloned().or_else(|| configured(options, &key)).filter(|_| !is_address);
        let ids = listed.iter().flat_map(|ids| ids.split(',')).map(|id| id.trim().to_owned());
        Self { key, ids: ids.filter(|id| !id.is_empty()).collect(), now: AtomicUsize::new(0) }
    }

    /// How many there are to choose from; 0: there is no choice.
    pub(super) fn choice(&self) -> usize {
        self.ids.len()
    }

    /// The property that names the one whose turn it is, and no other.
    pub(super) fn property(&self) -> Option<(String, String)> {
        let at = self.now.load(Ordering::Relaxed).checked_rem(self.ids.len())?;
        Some((self.key.clone(), self.ids.get(at)?.clone()))
    }

    /// The next one's turn.
    pub(super) fn go_on(&self) {
        self.now.fetch_add(1, Ordering::Relaxed);
    }
}

/// A property as the Hadoop folder has it, where hdfs-native looks for that.
fn configured(options: &BTreeMap<String, String>, key: &str) -> Option<String> {
    let from_home = || Some(Path::new(&env::var_os("HADOOP_HOME")?).join("etc/hadoop"));
    let dir = options.get(CONF_DIR).map(PathBuf::from);
    let dir = dir.or_else(|| env::var_os("HADOOP_CONF_DIR").map(PathBuf::from)).or_else(from_home)?;
    // What cannot be read is told when the client is made.
    let files = ["hdfs-site.xml", "core-site.xml"].map(|name| fs::read_to_string(dir.join(name)).unwrap_or_default());
    files.iter().find_map(|text| property_in(text, key))
}

/// The value of a property of a file of Hadoop's; the last one where it is set twice.
fn property_in(text: &str, key: &str) -> Option<String> {
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    let document = roxmltree::Document::parse_with_options(text, options).ok()?;
    let child = |property: roxmltree::Node<'_, '_>, name: &str| {
        property.children().find(|node| node.has_tag_name(name)).and_then(|node| node.text().map(str::to_owned))
    };
    let properties = document.root_element().children().filter(|node| node.has_tag_name("property"));
    let is_it = |property: &roxmltree::Node<'_, '_>| child(*property, "name").as_deref() == Some(key);
    properties.rev().find(is_it).and_then(|property| child(property, "value"))
}

/// Has the NameNode write its journal, which only the active one can: it sets the time of `path` to what it is. What it
/// has shown before is durable then, and was the newest there was.
pub(super) async fn prove(client: &Client, path: &str, shown: &FileStatus) -> Result<(), Answer> {
    // Minus one: the time of access stays as it is.
    client.set_times(path, shown.modification_time, u64::MAX).await.map_err(|error| Answer::of_look(&error))
}

/// [`prove`] by the root of the lake. Where there is none yet nobody has anything to show.
pub(super) async fn prove_by_root(client: &Client, root: &str) -> Result<(), Answer> {
    match found(client.get_file_info(root).await)? {
        Some(shown) => prove(client, root, &shown).await,
        None => Ok(()),
    }
}

/// None: it is not there.
pub(super) fn found(answer: Result<FileStatus, HdfsError>) -> Result<Option<FileStatus>, Answer> {
    match answer {
        Ok(status) => Ok(Some(status)),
        Err(error) => match Answer::of_look(&error) {
            answer if answer.kind == Kind::NotFound => Ok(None),
            answer => Err(answer),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn turns(namenodes: &NameNodes, turns: usize) -> Vec<Option<String>> {
        let turn = |_| {
            let now = namenodes.property().map(|(_, id)| id);
            namenodes.go_on();
            now
        };
        (0..turns).map(turn).collect()
    }

    #[test]
    fn a_nameservice_has_one_namenode_after_the_other() {
        let namenodes = NameNodes::of("hdfs://ns", &options(&[("dfs.ha.namenodes.ns", "a, b ,c")]));
        let turns = turns(&namenodes, 4);
        assert_eq!(turns, ["a", "b", "c", "a"].map(|id| Some(id.to_owned())));
        assert_eq!(namenodes.property().unwrap().0, "dfs.ha.namenodes.ns");
    }

    #[test]
    fn an_address_is_that_of_one() {
        for authority in ["hdfs://ns:8020", "hdfs://other"] {
            let namenodes =
                NameNodes::of(authority, &options(&[("dfs.ha.namenodes.ns", "a,b"), (CONF_DIR, "/nowhere")]));
            assert_eq!((namenodes.choice(), turns(&namenodes, 2)), (0, vec![None, None]), "{authority}");
        }
    }

    #[test]
    fn they_are_read_from_the_hadoop_folder() {
        let dir = tempfile::tempdir().unwrap();
        let site = r#"<?xml version="1.0"?><!DOCTYPE configuration [<!ENTITY second "b">]>
            <configuration>
              <property><name>dfs.ha.namenodes.ns</name><value>old</value></property>
              <property><name>dfs.ha.namenodes.ns</name><value>a,&second;</value><final>true</final></property>
            </configuration>"#;
        fs::write(dir.path().join("hdfs-site.xml"), site).unwrap();
        let folder = options(&[(CONF_DIR, dir.path().to_str().unwrap())]);
        let both = ["a", "b"].map(|id| Some(id.to_owned()));
        assert_eq!(turns(&NameNodes::of("hdfs://ns", &folder), 2), both);
        fs::rename(dir.path().join("hdfs-site.xml"), dir.path().join("core-site.xml")).unwrap();
        assert_eq!(turns(&NameNodes::of("hdfs://ns", &folder), 2), both);
    }
}
