//! Inputs, exit codes, and where what is said.

use serde_json::json;

use super::{BOOKS, Site};

pub(crate) const GOOD: &str = "<library branch=\"L7\">
  <book id=\"B1\" lang=\"en\"><record_id>1</record_id><title>River stone</title><price currency=\"EUR\">17.95</price>
    <added>2026-10-01T02:00:00+02:00</added></book>
</library>
";
pub(crate) const BAD: &str = "<library branch=\"L7\">
  <book id=\"B2\"><record_id>two</record_id><title>Distant summer</title>
    <price>17,95</price><added>2026-10-01T00:00:00Z</added></book>
</library>
";
pub(crate) const BROKEN: &str = "<library>
  <book id=\"B3\">
    <title>Silent harbour</tittle>
  </book>
</library>
";

const AUTHORS: &str = "version = 1
format = \"xml\"
[message]
rows = \"book\"
[on_error]
message = \"keep-good-rows\"
[[column]]
name = \"record_id\"
path = \"record_id\"
type = \"int64\"
[[child]]
name = \"book_authors\"
rows = \"author\"
[[child.column]]
name = \"name\"
path = \"name\"
type = \"string\"
";

fn site() -> Site {
    let site = Site::new();
    site.file("good.xml", GOOD);
    site.file("bad.xml", BAD);
    site.file("broken.xml", BROKEN);
    site.file("books.toml", std::fs::read(BOOKS).unwrap());
    site.file("authors.toml", AUTHORS);
    site
}

#[test]
fn the_readme_shows_what_comes_out() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let site = site();
    let said = site.run("try --mapping books.toml good.xml bad.xml broken.xml", "");
    assert_eq!(said.code, Some(1));
    // What stands at the end of lines is not shown.
    assert!(readme.contains(said.out.trim_end()), "{}", said.out);
    assert!(readme.contains(said.err.trim_end()), "{}", said.err);
}

#[test]
fn rows_and_violations_for_programs() {
    let site = site();
    let said = site.run("try --mapping books.toml --json good.xml bad.xml", "");
    let null = serde_json::Value::Null;
    let row = json!({
        "branch": "L7", "book_id": "B1", "lang": "en", "record_id": 1, "title": "River stone", "author_name": null,
        "author_country": null, "genre": null, "price": "17.95", "currency": "EUR", "publication_year": null,
        "added": "2026-10-01T00:00:00Z",
    });
    let violation = |code: &str, column: &str, line: u64, offset: u64, value: &str, message: &str| {
        json!({
            "code": code, "column": column, "path": format!("/library/book/{column}"), "line": line,
            "byte_offset": offset, "value": value, "message": message,
        })
    };
    let [id, price] = ["two", "17,95"].map(|value| BAD.find(value).unwrap() as u64);
    let violations = [
        violation("type.int", "record_id", 2, id, "two", "the value of record_id is not a whole number"),
        violation("type.decimal", "price", 3, price, "17,95", "the value of price is not a decimal"),
    ];
    assert_eq!(
        said.answers(),
        [
            json!({"input": "good.xml", "outcome": "rows", "rows": [row], "children": {}, "violations": []}),
            json!({"input": "bad.xml", "outcome": "quarantined", "rows": [], "children": {}, "violations": violations}),
        ]
    );
    assert!(
        said.out.starts_with("{\"input\":\"good.xml\",\"outcome\":\"rows\",\"rows\":[{\"branch\":\"L7\",\"book_id\":")
    );
    assert!(said.out.contains("\"violations\":[{\"code\":\"type.int\",\"column\":\"record_id\",\"path\":"));
    let broken = site.run("try --well-formed --json broken.xml", "");
    let at = BROKEN.find("</tittle>").unwrap();
    let violation = json!({
        "code": "xml.mismatched-end-tag", "column": null, "path": "/library/book/title", "line": 3, "byte_offset": at,
        "value": "</tittle>", "message": broken.answers()[0]["violations"][0]["message"],
    });
    assert_eq!(
        broken.answers(),
        [
            json!({"input": "broken.xml", "outcome": "quarantined", "rows": [], "children": {}, "violations": [violation]}),
        ]
    );
    assert_eq!(said.answers()[0]["rows"][0]["genre"], null);
}

#[test]
fn child_rows_say_whose_they_are() {
    let site = site();
    let book = |id: &str, authors: &[&str]| {
        let authors: String = authors.iter().map(|name| format!("<author><name>{name}</name></author>")).collect();
        format!("<book><record_id>{id}</record_id>{authors}</book>")
    };
    let message = format!("<l>{}{}{}</l>", book("1", &["A", "B"]), book("x", &["C"]), book("3", &["D"]));
    let said = site.run("try --mapping authors.toml --json", &message);
    let answer = &said.answers()[0];
    assert_eq!((said.code, &answer["outcome"], &answer["input"]), (Some(1), &json!("partial"), &json!("-")));
    assert_eq!(answer["rows"], json!([{"record_id": 1}, {"record_id": 3}]));
    let author = |row: i32, ordinal: i32, name: &str| json!({"row_index": row, "ordinal": ordinal, "name": name});
    assert_eq!(answer["children"], json!({"book_authors": [author(0, 0, "A"), author(0, 1, "B"), author(2, 0, "D")]}));
    assert_eq!(answer["violations"][0]["code"], "type.int");
    let said = site.run("try --mapping authors.toml --json -", "<l><book><record_id>1</record_id></book></l>");
    let whole = "{\"input\":\"-\",\"outcome\":\"rows\",\"rows\":[{\"record_id\":1}],\"children\":{\"book_authors\":[]},\
                 \"violations\":[]}\n";
    assert_eq!((said.code, said.out.as_str()), (Some(0), whole));
    let said = site.run("try --mapping authors.toml", &message);
    for part in [
        "-: partial, 2 rows\n",
        "row_index  record_id\n        0          1\n        2          3\n",
        "\nbook_authors: 3 rows\nrow_index  ordinal  name\n        0        0  A\n",
        "-:1:",
    ] {
        assert!(said.out.contains(part), "{}", said.out);
    }
}

#[test]
fn it_ends_as_its_answer_is() {
    let site = site();
    site.file("odd.toml", "version = 1\nformat = \"xml\"\n[[column]]\nname = \"a\"\npath = \"a[\"\ntype = \"int\"\n");
    std::fs::create_dir(site.path().join("folder")).unwrap();
    for (line, code, words) in [
        ("try --mapping books.toml good.xml", 0, &["1 message, 1 row; 0 partial, 0 quarantined"][..]),
        ("try --mapping books.toml good.xml bad.xml good.xml", 1, &["3 messages, 2 rows; 0 partial, 1 quarantined"]),
        ("try --well-formed good.xml bad.xml", 0, &["2 messages: 2 well-formed, 0 quarantined"]),
        ("try --well-formed broken.xml good.xml", 1, &["2 messages: 1 well-formed, 1 quarantined"]),
        ("try good.xml", 2, &["--mapping", "--well-formed"]),
        ("try --well-formed --mapping books.toml good.xml", 2, &["cannot be used with"]),
        ("try --well-formed - -", 2, &["stdin"]),
        ("try --well-formed good.xml nowhere.xml good.xml", 2, &["cannot read nowhere.xml: no such file", "1 input"]),
        ("try --well-formed folder good.xml", 2, &["cannot read folder: it is a folder", "1 message:"]),
        ("try --well-formed --lines folder", 2, &["cannot read folder: it is a folder"]),
        ("try --mapping nowhere.toml good.xml", 78, &["nowhere.toml"]),
        ("try --mapping odd.toml good.xml", 78, &["odd.toml:5:1: column.path", "odd.toml:6:1: column.type", "int32"]),
    ] {
        let said = site.run(line, "");
        assert_eq!(said.code, Some(code), "{line}: {}{}", said.out, said.err);
        for word in words {
            assert!(said.err.contains(word), "{line} does not say {word}: {}", said.err);
        }
        assert!(code < 2 || said.code == Some(2) || said.out.is_empty(), "{line}: {}", said.out);
    }
    let both = site.run("try --json --well-formed good.xml nowhere.xml broken.xml", "");
    let inputs: Vec<_> = both.answers().iter().map(|answer| answer["input"].clone()).collect();
    assert_eq!((both.code, inputs), (Some(2), vec![json!("good.xml"), json!("broken.xml")]));
}

#[test]
fn without_an_input_it_is_stdin_and_an_empty_one_is_an_empty_message() {
    let site = site();
    for line in ["try --json --well-formed", "try --json --well-formed -", "try --json --mapping books.toml"] {
        let said = site.run(line, "");
        assert_eq!((said.code, &said.answers()[0]["violations"][0]["code"]), (Some(1), &json!("xml.empty")), "{line}");
    }
    assert_eq!(site.run("try --well-formed", GOOD).out, "-: well-formed\n");
    assert_eq!(site.run("try --mapping books.toml --quiet -", GOOD).err, "");
    let none = site.run("try --json --well-formed --lines", "");
    assert_eq!((none.code, none.out.as_str()), (Some(0), ""));
}

#[test]
fn each_line_is_a_message_and_every_line_is_answered() {
    let site = site();
    let good = GOOD.replace('\n', " ");
    let lines = format!("{good}\n\n{good}\r\n<a>\n{good}");
    site.file("lines", &lines);
    let said = site.run("try --json --lines --mapping books.toml lines -", &lines);
    let answers = said.answers();
    let outcomes: Vec<_> = answers.iter().map(|answer| answer["outcome"].as_str().unwrap()).collect();
    let of_one = ["rows", "quarantined", "rows", "quarantined", "rows"];
    assert_eq!((said.code, outcomes), (Some(1), [of_one, of_one].concat()));
    assert!(answers[..5].iter().all(|answer| answer["input"] == "lines"));
    assert!(answers[5..].iter().all(|answer| answer["input"] == "-"));
    let said = site.run("try --lines --well-formed lines", "");
    for part in ["lines:1: well-formed\n", "lines:2:1: xml.empty: ", "lines:4:4: xml.unclosed: ", "\n   4 | <a>\n"] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
}

#[test]
fn what_no_column_takes_is_told_where_the_mapping_counts_it() {
    let site = site();
    site.file("counting.toml", AUTHORS.replace("rows = \"book\"\n[", "rows = \"book\"\nunmapped = \"count\"\n["));
    let book =
        "<book id='1'><record_id>1</record_id><isbn>3</isbn><author><name>A</name><born>1</born></author></book>";
    let said = site.run("try --json --mapping counting.toml", format!("<l>{book}{book}<count>2</count></l>"));
    let wanted =
        "forebay: no column takes @id (2 times), isbn (2 times), /count (once), book_authors: born (2 times)\n";
    assert!(said.code == Some(0) && said.err.ends_with(wanted), "{}", said.err);
    let many: String = (0..12).map(|number| format!("<n{number}/>")).collect();
    let said = site.run("try --json --mapping counting.toml", format!("<l><book>{many}</book></l>"));
    assert!(said.err.contains("n0 (once), ") && said.err.ends_with(" (once), and 2 more\n"), "{}", said.err);
    let quiet = site.run("try --quiet --mapping counting.toml", format!("<l><book>{many}</book></l>"));
    assert_eq!(quiet.err, "");
}

#[test]
fn colours_are_for_those_who_want_them() {
    let site = site();
    let line = "try --mapping books.toml good.xml bad.xml";
    let plain = site.run(line, "");
    assert!(!plain.out.contains('\u{1b}'), "{}", plain.out);
    let always = site.run(&format!("{line} --color always"), "");
    assert!(always.out.contains("\u{1b}[31mtype.int\u{1b}[0m") && always.out.contains("\u{1b}[31m^\u{1b}[0m"));
    let strip = |text: &str| {
        let mut parts = text.split('\u{1b}');
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |all, part| all + part.split_once('m').unwrap().1)
    };
    assert_eq!(strip(&always.out), plain.out);
    assert_eq!(site.run(&format!("{line} --color never"), "").out, plain.out);
}

#[test]
fn what_a_message_holds_cannot_steer_the_terminal() {
    let site = site();
    let named = "a\u{1b}[2J.xml";
    site.file(named, "<library><book id='1\u{1b}'/></library>");
    let said = site.command("try --well-formed").arg(named).output().unwrap();
    let out = String::from_utf8(said.stdout).unwrap();
    assert!(out.contains("xml.character") && out.contains("<book id='1␛'") && !out.contains('\u{1b}'), "{out}");
    let value = "<library><book id='B'><record_id>\u{202e}1\u{85}2</record_id></book></library>";
    let said = site.run("try --mapping books.toml", value);
    assert!(said.out.contains("type.int") && !said.out.contains(['\u{202e}', '\u{85}']), "{}", said.out);
}
