use std::collections::BTreeMap;
use std::sync::Arc;

use url::Url;

use super::hdfs::{Deadlines, HdfsStorage};
use super::local::LocalStorage;
use super::{Kind, Storage, StorageError};

/// Opens the lake at `url`: `file:///folder` or `hdfs://host:port/folder`.
///
/// `hdfs_options` are for HDFS alone, see [`HdfsStorage::open`]; a local disk does without them.
///
/// # Errors
///
/// When the URL is of neither kind, and what [`LocalStorage::open`] and [`HdfsStorage::open`] refuse.
pub fn open(url: &str, hdfs_options: BTreeMap<String, String>) -> Result<Arc<dyn Storage>, StorageError> {
    let failed = |message: &str| StorageError::new(Kind::Other, "open", url, message);
    match url.split_once("://").map(|(scheme, _)| scheme) {
        Some("hdfs") => Ok(Arc::new(HdfsStorage::open(url, hdfs_options, Deadlines::default())?)),
        Some("file") => {
            let parsed = Url::parse(url).map_err(|error| failed(&error.to_string()))?;
            let root =
                parsed.to_file_path().map_err(|()| failed("a local lake is file:///folder, with three slashes"))?;
            Ok(Arc::new(LocalStorage::open(&root)?))
        }
        _ => Err(failed("a lake is at file:///folder or at hdfs://host:port/folder")),
    }
}
