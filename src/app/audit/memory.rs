//! What an audit has found right, kept for the next one in the user's cache: who looks at a lake leaves nothing in it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::lake::audit::Known;
use crate::observe::events;

/// The file for the lake at `url`; none without a place for caches.
pub(super) fn file_of(url: &str) -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")))?;
    let plain: String = url.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(80).collect();
    Some(cache.join("forebay").join(format!("audit-{plain}-{:08x}.json", crc32fast::hash(url.as_bytes()))))
}

/// What it says; nothing when it cannot be read.
pub(super) fn read(file: &Path) -> Known {
    fs::read(file).map_or_else(|_| Known::nothing(), |bytes| Known::decode(&bytes))
}

/// Leaves it for the next audit, whole or not at all. One that cannot be left costs the next one time, nothing else.
pub(super) fn write(file: &Path, known: &Known) {
    let left = || -> std::io::Result<()> {
        let fresh = file.with_extension(format!("{}.new", std::process::id()));
        fs::create_dir_all(file.parent().unwrap_or(file))?;
        fs::write(&fresh, known.encode()?)?;
        fs::rename(&fresh, file)
    };
    if let Err(error) = left() {
        events::left_undone("audit.not-remembered", &file.display(), &error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::audit::{Depth, audit_raw};
    use crate::storage::local::LocalStorage;

    #[test]
    fn what_is_left_is_found_again_and_what_is_damaged_counts_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let lake = LocalStorage::open(&dir.path().join("lake")).unwrap();
        let known = audit_raw(&lake, Depth::DataFooters).unwrap().known;
        let file = dir.path().join("cache").join("a.json");
        assert_eq!(read(&file), Known::nothing());
        write(&file, &known);
        assert_eq!(read(&file), known);
        fs::write(&file, "{").unwrap();
        assert_eq!(read(&file), Known::nothing());
    }
}
