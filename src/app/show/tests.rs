use arrow::array::{ArrayRef, BinaryArray, Decimal128Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use clap::Parser;

use super::*;
use crate::cli::{Cli, Command};
use crate::flow::buffer::file::{FileSpec, OpenFile};
use crate::flow::spool::Spool;
use crate::model::table::Compression;
use crate::storage::Content;
use crate::storage::local::LocalStorage;

struct Lake {
    storage: Arc<dyn Storage>,
    dir: tempfile::TempDir,
}

impl Lake {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let storage = Arc::new(LocalStorage::open(&dir.path().join("lake")).unwrap());
        Self { storage, dir }
    }

    /// A file with these ids; `wide`: with one more column.
    fn put(&self, path: &str, ids: std::ops::Range<i64>, wide: bool) {
        let spool = Spool::open(&self.dir.path().join("spool"), 1 << 20).unwrap();
        let mut fields = vec![
            Field::new("id", DataType::Int64, false),
            Field::new("title", DataType::Utf8, true),
            Field::new("price", DataType::Decimal128(9, 2), false),
            Field::new("payload", DataType::Binary, false),
        ];
        let prices: Decimal128Array = ids.clone().map(|id| Some(i128::from(id * 100 + 5))).collect();
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(ids.clone().collect::<Int64Array>()),
            Arc::new(ids.clone().map(|id| (id % 2 == 0).then(|| format!("title {id}"))).collect::<StringArray>()),
            Arc::new(prices.with_precision_and_scale(9, 2).unwrap()),
            Arc::new(ids.clone().map(|id| Some(vec![b'a', id as u8])).collect::<BinaryArray>()),
        ];
        if wide {
            fields.push(Field::new("note", DataType::Utf8, true));
            columns.push(Arc::new(ids.map(|_| Some("new")).collect::<StringArray>()));
        }
        let schema = Arc::new(Schema::new(fields));
        let spec =
            FileSpec { schema: Arc::clone(&schema), compression: Compression::Zstd(1), row_group_bytes: 1 << 20 };
        let mut file = OpenFile::create(&spool, spec).unwrap();
        file.append(RecordBatch::try_new(schema, columns).unwrap()).unwrap();
        let file = file.finish(&[]).unwrap();
        let path = LakePath::parse(path).unwrap();
        self.storage.make_dirs(&path.parent()).unwrap();
        self.storage.create(&path, Content::Spooled(file.path())).unwrap();
    }

    fn show(&self, arguments: &str) -> Result<String, Fault> {
        let cli = Cli::parse_from(["forebay", "show"].into_iter().chain(arguments.split(' ')));
        let Command::Show(order) = cli.command else { panic!("another command") };
        let mut out = Vec::new();
        show(&self.storage, &order, cli.global.json, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }
}

fn lake() -> Lake {
    let lake = Lake::new();
    lake.put("raw/books/dt=2026-10-01/hr=05/b.parquet", 3..5, true);
    lake.put("raw/books/dt=2026-10-01/hr=04/a.parquet", 0..3, false);
    lake.put("raw/other/dt=2026-10-01/hr=04/a.parquet", 90..99, false);
    lake
}

#[test]
fn rows_are_shown_in_order_as_a_table() {
    let text = lake().show("raw.books --columns title,id,dt,hr").unwrap();
    let expected = "title    id  dt          hr\n\
                    title 0   0  2026-10-01  04\n\
                    \u{20}         1  2026-10-01  04\n\
                    title 2   2  2026-10-01  04\n\
                    \u{20}         3  2026-10-01  05\n\
                    title 4   4  2026-10-01  05\n";
    assert_eq!(text, expected);
}

#[test]
fn json_lines_keep_what_json_cannot_hold_and_the_order_of_columns() {
    let text = lake().show("raw.books --limit 1 --json").unwrap();
    let expected =
        r#"{"id":0,"title":"title 0","price":"0.05","payload":"YQA=","note":null,"dt":"2026-10-01","hr":"04"}"#;
    assert_eq!(text, format!("{expected}\n"));
}

#[test]
fn rows_are_chosen_by_value_also_of_columns_that_are_not_shown() {
    let lake = lake();
    assert_eq!(lake.show("raw.books --columns id --where price=3.05 --json").unwrap(), "{\"id\":3}\n");
    assert_eq!(lake.show("raw.books --columns id --where title= --limit 1 --json").unwrap(), "{\"id\":1}\n");
    assert_eq!(lake.show("raw.books --columns id --where hr=05 --json").unwrap(), "{\"id\":3}\n{\"id\":4}\n");
    assert_eq!(lake.show("raw.books --columns id --where id=77 --json").unwrap(), "");
}

#[test]
fn a_file_without_a_column_shows_nothing_there() {
    let lake = Lake::new();
    lake.put("processed/books/dt=2026-10-02/b.parquet", 0..1, true);
    lake.put("processed/books/dt=2026-10-03/a.parquet", 1..2, false);
    let text = lake.show("processed.books --columns note,id --json").unwrap();
    assert_eq!(text, "{\"note\":\"new\",\"id\":0}\n{\"note\":null,\"id\":1}\n");
}

#[test]
fn columns_that_came_later_are_shown_and_null_before() {
    let text = lake().show("raw.books --columns id,note --json").unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], lines[4]), (r#"{"id":0,"note":null}"#, r#"{"id":4,"note":"new"}"#));
    assert!(lake().show("raw.books --schema").unwrap().contains("note     string\n"));
    // And what a mapping has lost since.
    let lake = Lake::new();
    lake.put("raw/books/dt=2026-10-02/hr=01/a.parquet", 0..1, true);
    lake.put("raw/books/dt=2026-10-02/hr=02/a.parquet", 1..2, false);
    assert_eq!(
        lake.show("raw.books --columns note,id --where note=new --json").unwrap(),
        "{\"note\":\"new\",\"id\":0}\n"
    );
}

#[test]
fn the_schema_is_shown_in_the_words_of_a_mapping() {
    let text = lake().show("raw.books --schema").unwrap();
    assert!(text.contains("price    decimal(9,2)\n"), "{text}");
    assert!(text.contains("payload  binary\n"), "{text}");
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let lake = lake();
    let fault = lake.show("raw.books --columns tilte").unwrap_err();
    assert!(fault.message.contains("no column `tilte`: it has id, title, price"), "{fault}");
    assert!(lake.show("raw.books --where tilte=a").is_err());
    assert!(lake.show("raw.boks").unwrap_err().message.starts_with("raw.boks holds no file in file://"));
    assert_eq!(lake.show("raw.a/b").unwrap_err().event, "show.name");
}
