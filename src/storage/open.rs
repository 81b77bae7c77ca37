use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use url::Url;

use super::hdfs::HdfsStorage;
use super::local::LocalStorage;
use super::{Deadlines, Kind, LakePath, Punctual, Storage, StorageError};

/// Opens the lake at `url`: `file:///folder` or `hdfs://host:port/folder`.
///
/// `hdfs_options` are for HDFS alone, see [`HdfsStorage::open`]; a local disk does without them.
///
/// # Errors
///
/// When the URL is of neither kind, and what [`LocalStorage::open`] and [`HdfsStorage::open`] refuse.
pub fn open(url: &str, hdfs_options: BTreeMap<String, String>) -> Result<Arc<dyn Storage>, StorageError> {
    open_with(url, hdfs_options, HdfsStorage::open, LocalStorage::open)
}

/// Like [`open`], for somebody who only looks: on a local disk nothing is made or tried.
///
/// # Errors
///
/// As [`open`], and [`Kind::NotFound`] when a local lake is not there.
pub fn open_to_look(url: &str, hdfs_options: BTreeMap<String, String>) -> Result<Arc<dyn Storage>, StorageError> {
    open_with(url, hdfs_options, HdfsStorage::open_to_look, LocalStorage::open_to_look)
}

/// Whether a lake can be used at `url`, or made there; nothing is made or tried.
///
/// # Errors
///
/// As [`open_to_look`], but a lake that is not there yet is fine where one could be made.
pub fn probe(url: &str, hdfs_options: BTreeMap<String, String>) -> Result<(), StorageError> {
    match url.strip_prefix("file://") {
        Some(_) => LocalStorage::probe(&local_root(url)?),
        None => open_to_look(url, hdfs_options)?.list_or_empty(&LakePath::root()).map(drop),
    }
}

fn local_root(url: &str) -> Result<PathBuf, StorageError> {
    let failed = |message: &str| StorageError::new(Kind::Other, "open", url, message);
    let parsed = Url::parse(url).map_err(|error| failed(&error.to_string()))?;
    parsed.to_file_path().map_err(|()| failed("a local lake is file:///folder, with three slashes"))
}

fn open_with(
    url: &str,
    hdfs_options: BTreeMap<String, String>,
    open_hdfs: impl Fn(&str, BTreeMap<String, String>, Deadlines) -> Result<HdfsStorage, StorageError>,
    open_local: fn(&Path) -> Result<LocalStorage, StorageError>,
) -> Result<Arc<dyn Storage>, StorageError> {
    let failed = |message: &str| StorageError::new(Kind::Other, "open", url, message);
    match url.split_once("://").map(|(scheme, _)| scheme) {
        Some("hdfs") => Ok(Arc::new(open_hdfs(url, hdfs_options, Deadlines::default())?)),
        Some("file") => {
            let local = open_local(&local_root(url)?)?;
            Ok(Arc::new(Punctual::new(Arc::new(local), Deadlines::default())))
        }
        _ => Err(failed("a lake is at file:///folder or at hdfs://host:port/folder")),
    }
}
