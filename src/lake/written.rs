//! What the newest file of a table in RAW was written as: how a mapping that changed while no daemon ran is told from
//! one that did not.

use arrow::datatypes::{Schema, SchemaRef};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::ParquetMetaData;
use std::sync::Arc;

use super::LakeError;
use super::footer::read_metadata;
use super::mutate::list;
use super::names::{parse_date_segment, parse_hour_segment, raw_root};
use crate::storage::{Entry, Kind, LakePath, Storage};

/// A file of RAW by its footer.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// Where it lies.
    pub path: LakePath,
    /// Its columns.
    pub schema: SchemaRef,
    /// Name and version of the mapping that its rows were read with; none where the file does not say.
    pub mapping: Option<(String, u32)>,
}

/// The newest file of a table that can be read: of the newest folder, the one that was written last. None when the
/// table has none. It costs three listings and one look at a footer.
///
/// # Errors
///
/// What storage answered.
pub fn newest_written(storage: &dyn Storage, table: &str) -> Result<Option<Written>, LakeError> {
    let dates = newest_first(list(storage, &raw_root().join(table))?, |dir| parse_date_segment(dir.path.name()));
    for date in dates {
        let hours = newest_first(list(storage, &date.path)?, |dir| parse_hour_segment(dir.path.name()));
        for hour in hours {
            let files = newest_first(list(storage, &hour.path)?, |file| (!file.is_dir).then_some(file.modified));
            for file in files {
                match read_metadata(storage, &file.path, file.bytes) {
                    Ok(metadata) => {
                        if let Some(written) = written(&file.path, &metadata) {
                            return Ok(Some(written));
                        }
                    }
                    // One that a rewind takes away just now, or that is damaged: `audit` tells.
                    Err(LakeError::Corrupt { .. }) => {}
                    Err(LakeError::Storage(error)) if error.kind == Kind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
    Ok(None)
}

fn newest_first<T: Ord>(entries: Vec<Entry>, order: impl Fn(&Entry) -> Option<T>) -> Vec<Entry> {
    let mut found: Vec<(T, Entry)> = entries.into_iter().filter_map(|entry| Some((order(&entry)?, entry))).collect();
    found.sort_by(|(a, _), (b, _)| b.cmp(a));
    found.into_iter().map(|(_, entry)| entry).collect()
}

fn written(path: &LakePath, metadata: &ParquetMetaData) -> Option<Written> {
    let file = metadata.file_metadata();
    let schema: Schema = parquet_to_arrow_schema(file.schema_descr(), None).ok()?;
    let says = |key: &str| {
        let pairs = file.key_value_metadata()?;
        pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
    };
    let version = says("forebay.mapping_version").and_then(|version| version.parse().ok());
    let mapping = says("forebay.mapping").map(str::to_owned).zip(version);
    Some(Written { path: path.clone(), schema: Arc::new(schema), mapping })
}

#[cfg(test)]
mod tests;
