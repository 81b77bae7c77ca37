//! Real documents: UBL invoices among other UBL documents, as a second table beside the books.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::bad_input::send;
use crate::lake::{Account, Load, audit, python};
use crate::site::{Answer, Recipe, Site, mapping};
use crate::stack::{Stack, leave_out};

/// `FOREBAY_MESSAGES`: a folder of real documents, by kind.
fn documents() -> Option<Vec<PathBuf>> {
    let folder = PathBuf::from(std::env::var_os("FOREBAY_MESSAGES")?).join("ubl");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).ok()?.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "xml"));
    files.sort();
    Some(files)
}

fn file_name(file: &Path) -> &str {
    file.file_name().unwrap().to_str().unwrap()
}

#[test]
fn real_invoices_become_rows_that_say_what_another_parser_reads() {
    let Some(stack) = Stack::find("real invoices through the daemon") else { return };
    let Some(files) = documents() else {
        eprintln!("LEFT OUT: real invoices; set FOREBAY_MESSAGES to a folder that has a folder ubl of documents");
        return;
    };
    let invoices = format!("invoices-{}", uuid::Uuid::new_v4().simple());
    let tables = format!(
        "[[table]]\nname = \"invoices\"\ntopics = [\"{invoices}\"]\nmapping = \"{}\"\n[table.raw]\nroll_age = \"500ms\"\n\
         [table.processed]\nrecord_id = [\"invoice_id\", \"line_id\"]\ndate = \"issue_date\"\n",
        mapping("ubl_invoice.toml")
    );
    let mut site = Site::new(&stack, &Recipe { tables, ..Recipe::default() });
    let topic = site.topic.clone();
    site.create_topic(&topic, 4);
    site.create_topic(&invoices, 1);
    let payloads: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    let payloads: Vec<_> = payloads.iter().map(|payload| Some(payload.as_slice())).collect();
    let offsets = send(&site, &invoices, 0, &payloads);
    let books = Account::produce(&site, &Load { messages: 300, rate: None, seed: 41 });

    let mut run = site.start_with(&["--until-caught-up"]);
    assert_eq!(run.wait(), Some(0));
    audit(&site);
    let tables = site.json(&["audit"])["tables"].clone();
    let rows: usize = books.messages.iter().map(|message| message.line.rows.len()).sum();
    let of_books = |table: &&Value| table["table"] == "books";
    assert_eq!(tables.as_array().unwrap().iter().find(of_books).unwrap()["rows"], rows, "{tables}");
    compare_values(&site, &files, &offsets);
    examples_are_equal(&site, &files, &offsets);
}

/// Every value of every line, by a parser that shares nothing with the daemon.
fn compare_values(site: &Site, files: &[PathBuf], offsets: &[i64]) {
    let Some(python) = python() else { return leave_out("the values of the invoices: FOREBAY_TEST_PYTHON is not set") };
    let lines = files.iter().zip(offsets);
    let lines = lines.map(|(file, offset)| format!("{}\n", json!({"partition": 0, "offset": offset, "file": file})));
    let documents = site.dir.join("documents.jsonl");
    fs::write(&documents, lines.collect::<String>()).unwrap();
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/check_invoices.py"));
    command.args(["--table", "invoices", "--root", site.root.trim_start_matches("file://"), "--documents"]);
    let answer = Answer::of(command.arg(documents).output().unwrap());
    assert_eq!(answer.code, Some(0), "{}{}", answer.out, answer.err);
    let document = answer.json();
    println!("invoices: {} lines, {} values equal", document["rows"], document["values"]);
    let left: Vec<_> =
        document["without_rows"].as_array().unwrap().iter().filter(|one| one["is_invoice"] == true).collect();
    println!("invoices in quarantine: {left:?}");
    assert!(document["rows"].as_u64() > Some(0), "{document}");
}

/// The same invoice under different prefixes gives the same rows; an order is in quarantine with the reason.
fn examples_are_equal(site: &Site, files: &[PathBuf], offsets: &[i64]) {
    let rows = site.ok(&["--json", "show", "raw.invoices", "--limit", "100000"]).out;
    let rows: Vec<Value> = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let place = |name: &str| files.iter().position(|file| file_name(file) == name).map(|index| offsets[index]);
    let rows_of = |name: &str| -> Vec<Value> {
        let offset = place(name).unwrap_or_else(|| panic!("{name} is not among the documents"));
        let mut rows: Vec<Value> = rows.iter().filter(|row| row["kafka_offset"] == offset).cloned().collect();
        for row in &mut rows {
            row.as_object_mut().unwrap().retain(|name, _| !name.starts_with("kafka_"));
        }
        rows
    };
    let first = rows_of("UBL-Invoice-2.0-Example.xml");
    assert!(!first.is_empty() && first[0]["issue_date"] == "2005-06-21", "{first:?}");
    for number in 1..=4 {
        assert_eq!(rows_of(&format!("UBL-Invoice-2.0-Example-NS{number}.xml")), first, "NS{number}");
    }
    let order = place("UBL-Order-2.0-Example.xml").unwrap().to_string();
    let arguments = ["--json", "show", "quarantine.invoices", "--columns", "violations", "--where"];
    let order = site.ok(&[&arguments[..], &[&format!("kafka_offset={order}")]].concat()).json();
    assert_eq!(order["violations"][0]["code"], "shape.root", "{order}");
    only_what_is_no_invoice_is_refused(site, files, offsets);
}

/// What is in quarantine is another document than an invoice, or of 1967: a date before `date_min`, which is 1970 where
/// the table does not say otherwise.
fn only_what_is_no_invoice_is_refused(site: &Site, files: &[PathBuf], offsets: &[i64]) {
    let refused = site.ok(&["--json", "show", "quarantine.invoices", "--limit", "100000"]).out;
    let mut dated = Vec::new();
    for line in refused.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let at = offsets.iter().position(|offset| line["kafka_offset"] == *offset).unwrap();
        let first = &line["violations"][0];
        if first["code"] == "rule.date" {
            assert_eq!(first["path"], "/Invoice/cbc:IssueDate", "{line}");
            dated.push(file_name(&files[at]));
        } else {
            assert_eq!(first["code"], "shape.root", "{}: {line}", file_name(&files[at]));
        }
    }
    assert_eq!(dated, ["CENBII-Invoice-maximal.xml"]);
}
