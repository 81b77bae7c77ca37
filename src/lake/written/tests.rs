use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use arrow::datatypes::{DataType, Field};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;

use super::*;
use crate::storage::faulty::{FaultyStorage, Injected, Operation};
use crate::storage::local::LocalStorage;

/// A file of the books that was written so long ago, with one column of this name.
fn write(root: &Path, path: &str, column: &str, version: Option<u32>, seconds_ago: u64) {
    let path = root.join("raw/books").join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let schema = Arc::new(Schema::new(vec![Field::new(column, DataType::Int32, true)]));
    let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), schema, None).unwrap();
    for (key, value) in version.iter().flat_map(|version| {
        [("forebay.mapping", "books.toml".to_owned()), ("forebay.mapping_version", version.to_string())]
    }) {
        writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
    }
    writer.close().unwrap();
    touch(&path, seconds_ago);
}

fn touch(path: &Path, seconds_ago: u64) {
    let then = SystemTime::now() - Duration::from_secs(seconds_ago);
    File::options().append(true).open(path).unwrap().set_modified(then).unwrap();
}

#[test]
fn the_newest_file_that_can_be_read_tells_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let (root, local) = (dir.path(), LocalStorage::open(dir.path()).unwrap());
    let told = |storage: &dyn Storage| {
        let written = newest_written(storage, "books").unwrap()?;
        Some((written.schema.field(0).name().clone(), written.mapping.map(|(_, version)| version)))
    };
    assert_eq!(told(&local), None);
    write(root, "dt=2026-10-15/hr=23/a.parquet", "b", None, 5);
    assert_eq!(told(&local), Some(("b".to_owned(), None)));
    write(root, "dt=2026-10-16/hr=02/z.parquet", "c", Some(1), 900);
    write(root, "dt=2026-10-16/hr=10/z.parquet", "d", Some(2), 800);
    write(root, "dt=2026-10-16/hr=10/a.parquet", "e", Some(3), 700);
    assert_eq!(told(&local), Some(("e".to_owned(), Some(3))), "the last one of the newest folder");
    let damaged = root.join("raw/books/dt=2026-10-16/hr=10/b.parquet");
    std::fs::write(&damaged, "PAR1").unwrap();
    assert_eq!(told(&local), Some(("e".to_owned(), Some(3))));
    // One that is taken away between the look at its folder and the look at it.
    let faulty = FaultyStorage::new(Arc::new(local));
    faulty.inject(Injected::Fail(Kind::NotFound), |call| {
        call.operation == Operation::Read && call.path.as_str().ends_with("hr=10/a.parquet")
    });
    assert_eq!(told(&faulty), Some(("d".to_owned(), Some(2))));
    faulty.inject(Injected::Fail(Kind::Denied), |_| true);
    assert!(newest_written(&faulty, "books").is_err());
}
