//! Whether what a table is going to write can be read together with what it has written. A reload holds mappings
//! against the ones before; at the start only the lake knows what was before.

use crate::fault::Fault;
use crate::lake::{Written, newest_written};
use crate::model::mapping::{Compatibility, Mapping, clashes_with_files};
use crate::model::table::Table;
use crate::storage::Storage;

/// Event of the fault of a lane whose table has files that its mapping does not fit.
pub const SCHEMA_CLASH: &str = "lane.schema-clash";

/// What keeps the rows of a table and of its child tables from standing beside its newest files in RAW: a sentence for
/// each column, with what to do, unless the mapping says that readers have to cope; and a version that goes back.
///
/// # Errors
///
/// What storage answered.
pub fn clashes(storage: &dyn Storage, table: &Table) -> Result<Vec<String>, Fault> {
    let mut found = clashes_of(storage, table, &table.name, None)?;
    if table.mapping.compatibility == Compatibility::Backward {
        for (child, _) in table.mapping.descendants() {
            found.extend(clashes_of(storage, table, &child.name, Some(&child.name))?);
        }
    }
    Ok(found)
}

fn clashes_of(storage: &dyn Storage, table: &Table, name: &str, child: Option<&str>) -> Result<Vec<String>, Fault> {
    let Some(Written { path, schema, mapping }) = newest_written(storage, name)? else { return Ok(Vec::new()) };
    let Mapping { name: ours, version, compatibility, .. } = &*table.mapping;
    let mut found = Vec::new();
    if let Some((theirs, newer)) = mapping.as_ref().filter(|(_, newer)| newer > version && child.is_none()) {
        found.push(format!(
            "{ours} is version {version}, and {path} was read with version {newer} of {theirs}; take version {newer} or a \
             higher one"
        ));
    }
    if *compatibility == Compatibility::Backward {
        let by = mapping.map(|(name, version)| format!(" ({name}, version {version})")).unwrap_or_default();
        let clashes = clashes_with_files(&schema, &table.mapping, child).unwrap_or_default();
        found.extend(clashes.into_iter().map(|sentence| {
            format!("{sentence}, or write compatibility = \"none\" in {ours}, and readers have to cope; see {path}{by}")
        }));
    }
    Ok(found)
}

/// The same as a fault that halts a lane.
///
/// # Errors
///
/// That fault, or what storage answered.
pub fn refuse_clashes(storage: &dyn Storage, table: &Table) -> Result<(), Fault> {
    let found = clashes(storage, table)?;
    if found.is_empty() {
        return Ok(());
    }
    let message = format!("table {}: {}; then say `forebay reload`", table.name, found.join("; "));
    Err(Fault::halt(SCHEMA_CLASH, message))
}
