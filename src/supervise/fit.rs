//! Whether what a table is going to write can be read together with what it has written. A reload holds mappings against
//! the ones before; at the start only the lake knows what was before.

use crate::fault::Fault;
use crate::lake::newest_written;
use crate::model::mapping::{Compatibility, clashes_with_files};
use crate::model::table::Table;
use crate::storage::Storage;

/// Event of the fault of a lane whose table has files that its mapping does not fit.
pub const SCHEMA_CLASH: &str = "lane.schema-clash";

/// What keeps the rows of a table and of its child tables from being read together with its newest files in RAW: a
/// sentence for each column, with what to do. Nothing when the mapping says that readers have to cope.
///
/// # Errors
///
/// What storage answered.
pub fn clashes(storage: &dyn Storage, table: &Table) -> Result<Vec<String>, Fault> {
    if table.mapping.compatibility == Compatibility::None {
        return Ok(Vec::new());
    }
    let mut found = clashes_of(storage, table, &table.name, None)?;
    for (child, _) in table.mapping.descendants() {
        found.extend(clashes_of(storage, table, &child.name, Some(&child.name))?);
    }
    Ok(found)
}

fn clashes_of(storage: &dyn Storage, table: &Table, name: &str, child: Option<&str>) -> Result<Vec<String>, Fault> {
    let Some(written) = newest_written(storage, name)? else { return Ok(Vec::new()) };
    let clashes = clashes_with_files(&written.schema, &table.mapping, child).unwrap_or_default();
    let by = written.mapping.map(|mapping| format!(" ({mapping})")).unwrap_or_default();
    Ok(clashes.into_iter().map(|sentence| format!("{sentence}; see {}{by}", written.path)).collect())
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
    let (name, mapping) = (&table.name, &table.mapping.name);
    let found = found.join("; ");
    let message = format!(
        "table {name}: {found}; or write compatibility = \"none\" in {mapping}, and readers have to cope; then say \
         `forebay reload`"
    );
    Err(Fault::halt(SCHEMA_CLASH, message))
}
