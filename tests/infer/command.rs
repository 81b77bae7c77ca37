//! `forebay infer` as it is typed.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use forebay::flow::read::mock::EmbeddedKafka;
use forebay::flow::read::producer::{Outgoing, Producer};
use forebay::flow::read::settings::Settings;

const BOOKS: &str = include_str!("books.xml");
const CARS: &str = include_str!("cars.xml");

fn forebay(dir: &Path, line: &str, stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_forebay"))
        .args(line.split_whitespace())
        .current_dir(dir)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn site() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("books.xml"), BOOKS).unwrap();
    std::fs::write(dir.path().join("cars.xml"), CARS).unwrap();
    std::fs::write(dir.path().join("bad.xml"), "<catalog><book></catalog>").unwrap();
    dir
}

/// A file beside this one that holds what was once looked at by a person; `FOREBAY_BLESS=1` writes it anew.
fn assert_golden(name: &str, found: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/infer").join(name);
    if std::env::var_os("FOREBAY_BLESS").is_some() {
        std::fs::write(&file, found).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), found, "{name}");
}

#[test]
fn the_mappings_of_books_and_cars() {
    let site = site();
    for (name, document) in [("books", BOOKS), ("cars", CARS)] {
        let said = forebay(site.path(), &format!("infer {name}.xml"), "");
        assert_eq!((said.status.code(), text(&said.stderr)), (Some(0), ""));
        assert_golden(&format!("{name}.toml"), text(&said.stdout));
        super::assert_takes(text(&said.stdout), &[document], true);
    }
    // What the README shows is what comes out.
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let books = text(&forebay(site.path(), "infer books.xml", "").stdout).to_owned();
    let parts: Vec<&str> = books.split("\n\n").collect();
    let price = parts.iter().find(|part| part.contains("name = \"price\"")).unwrap();
    assert!(readme.contains(&parts[..3].join("\n\n")) && readme.contains(price), "{books}");
}

#[test]
fn a_file_stdin_and_what_cannot_be_read() {
    let site = site();
    let said = forebay(site.path(), "infer --out books.toml books.xml bad.xml -", BOOKS);
    assert_eq!((said.status.code(), text(&said.stdout)), (Some(0), ""));
    assert!(text(&said.stderr).contains("bad.xml is left out") && text(&said.stderr).contains("1 of 3 documents"));
    let written = std::fs::read_to_string(site.path().join("books.toml")).unwrap();
    assert!(written.contains("from 2 documents") && written.contains("#   bad.xml: "), "{written}");
    assert_eq!(std::fs::read_dir(site.path()).unwrap().count(), 4, "nothing else is left behind");
    let said = forebay(site.path(), "infer --json --row . books.xml", "");
    let document: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!((document["documents"].as_u64(), document["left_out"].as_u64()), (Some(1), Some(0)));
    assert!(document["mapping"].as_str().unwrap().contains("[[child]]\nname = \"catalog_book\""));
}

#[test]
fn the_newest_messages_of_a_topic() {
    let site = site();
    let kafka = EmbeddedKafka::start(&[("library", 3)]).unwrap();
    let servers = kafka.bootstrap_servers();
    // No lake and no table: whoever infers a mapping has none yet.
    let config = format!("[kafka]\n\"bootstrap.servers\" = \"{servers}\"\n\"group.id\" = \"forebay\"\n");
    std::fs::write(site.path().join("forebay.toml"), config).unwrap();
    let settings =
        Settings { user: [("bootstrap.servers".to_owned(), servers.to_owned())].into(), ..Settings::default() };
    let producer = Producer::connect(&settings, |_| {}).unwrap();
    let documents: Vec<String> =
        (0..30).map(|number| format!("<m><n>{number}</n>{}</m>", if number % 10 == 5 { "<" } else { "" })).collect();
    for (number, document) in documents.iter().enumerate() {
        let payload = (number % 10 != 7).then_some(document.as_bytes());
        let partition = i32::try_from(number % 3).ok();
        producer.send(Outgoing { number, topic: "library", partition, key: None, headers: &[], payload }).unwrap();
    }
    assert_eq!(producer.flush(Duration::from_secs(30)).unwrap(), 0);
    let said = forebay(site.path(), "infer --config forebay.toml --topic library --messages 15", "");
    assert_eq!(said.status.code(), Some(0), "{}", text(&said.stderr));
    // Numbers 15 to 29, without two tombstones and two that are broken.
    assert!(
        text(&said.stdout).contains("# seen 11 times in 11 m; null 0 %; longest 2; whole number"),
        "{}",
        text(&said.stdout)
    );
    assert!(
        text(&said.stdout).contains("Left out, because they cannot be read: 2\n#   library"),
        "{}",
        text(&said.stdout)
    );
    let said = forebay(site.path(), "infer --config forebay.toml --topic nowhere", "");
    assert!(!said.status.success() && text(&said.stderr).contains("nowhere"), "{}", text(&said.stderr));
}

#[test]
fn what_went_wrong_is_said_and_told_by_the_exit_code() {
    let site = site();
    for (line, code, said) in [
        ("infer", 2, "--xsd <FILE>"),
        ("infer --messages 5 books.xml", 2, "--topic"),
        ("infer nowhere.xml", 2, "cannot read nowhere.xml"),
        ("infer .", 2, "cannot read ."),
        ("infer bad.xml", 1, "no document could be taken"),
        ("infer --row shelf books.xml", 2, "what repeats: book"),
        ("infer --xsd nowhere.xsd", 78, "nowhere.xsd"),
        ("infer --out no/where.toml books.xml", 78, "cannot write no/where.toml"),
    ] {
        let output = forebay(site.path(), line, "");
        let errors = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(code), ""), "{line}: {errors}");
        assert!(errors.contains(said), "{line}: {errors}");
    }
}
