//! The verdict on well-formedness against generated documents, their damage, and libxml2; and what hostile messages
//! cost.

#![expect(clippy::unwrap_used, reason = "tests")]

mod costs;
#[path = "../common/counting.rs"]
mod counting;
mod documents;
mod rows;

use std::io::Write;
use std::process::{Command, Stdio};

use fastrand::Rng;
use forebay::flow::parse::WellFormed;
use forebay::model::mapping::{Dtd, Limits};
use forebay::model::violation::Code;

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

fn judge() -> WellFormed {
    WellFormed::new(Limits::default(), Dtd::IgnoreExternal)
}

#[test]
fn what_the_grammar_makes_is_accepted() {
    let mut judge = judge();
    for seed in 0..5_000 {
        let document = documents::good(&mut Rng::with_seed(seed));
        if let Err(violation) = judge.check(document.as_bytes()) {
            panic!("seed {seed}: {violation:?}\n{document}");
        }
    }
}

/// Each byte of a document, changed into each of those that mean something to XML: always a clean verdict, with a place
/// inside the message, and the same one from a judge that has seen nothing before.
#[test]
fn every_damage_has_a_clean_verdict() {
    let mut seasoned = judge();
    for seed in 0..40 {
        let document = documents::good(&mut Rng::with_seed(seed)).into_bytes();
        for at in 0..document.len() {
            for byte in *b"<>&'\"/=:;!?-[] \n\0x1\x80\xC3\xFF" {
                let mut damaged = document.clone();
                damaged[at] = byte;
                let verdict = seasoned.check(&damaged);
                if at % 16 == 0 {
                    assert_eq!(verdict, judge().check(&damaged), "{}", String::from_utf8_lossy(&damaged));
                }
                if let Err(violation) = verdict {
                    assert!(violation.byte_offset.unwrap() <= damaged.len() as u64, "{violation:?}");
                    assert!(violation.line.unwrap() >= 1 && Code::from_name(violation.code.name()).is_some());
                }
            }
        }
    }
}

/// Where the two differ, and the clause that we hold to. `ours` and `theirs`: our code (`-` when it is accepted) and
/// one of the errors of libxml2 (`ok` when it is accepted).
struct Difference {
    ours: &'static str,
    theirs: &'static str,
    when: fn(&str) -> bool,
    #[expect(dead_code, reason = "for the reader")]
    clause: &'static str,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        ours: "xml.declaration",
        theirs: "ok",
        when: |text| text.contains("version=\"1.\"") || text.contains("version='1.'"),
        clause: "XML 1.0 [26]: VersionNum is '1.' and at least one digit",
    },
    Difference {
        ours: "xml.entity",
        theirs: "ok",
        when: |text| text.contains("SYSTEM") || text.contains("PUBLIC"),
        clause: "XML 1.0 4.1, entity declared: with an external subset that is not read, an unknown entity is no matter of \
                 well-formedness. It has no value either, and Forebay makes none up",
    },
    Difference {
        ours: "dtd.syntax",
        theirs: "ok",
        when: |text| {
            let name = text.split("<!DOCTYPE").nth(1).unwrap_or_default().trim_start();
            name.split([' ', '\n', '>']).next().is_some_and(|name| name.contains(':'))
        },
        clause: "Namespaces [16]: the name of a document type is a QName",
    },
    Difference {
        ours: "xml.reference",
        theirs: "ok",
        when: |text| text.contains("SYSTEM") || text.contains("PUBLIC"),
        clause: "the same; Namespaces, section 7: no entity name holds a colon",
    },
    Difference {
        ours: "xml.encoding-conflict",
        theirs: "ok",
        when: |_| true,
        clause: "XML 1.0 4.3.3: it is a fatal error to be in another encoding than the declaration names, and to be in another \
                 than UTF-8 with neither a byte order mark nor a declaration",
    },
    Difference {
        ours: "-",
        theirs: "WAR_NS_URI",
        when: |_| true,
        clause: "Namespaces, section 7: it is not required to check that namespace names are URI references",
    },
];

#[test]
fn our_verdict_is_that_of_libxml2() {
    let Some(python) = std::env::var_os("FOREBAY_TEST_PYTHON") else {
        println!("left out: FOREBAY_TEST_PYTHON is not set");
        return;
    };
    let first: u64 = std::env::var("FOREBAY_TEST_SEED").map_or(0, |seed| seed.parse().unwrap());
    let documents: Vec<Vec<u8>> = (first..first + 30_000)
        .map(|seed| {
            let mut random = Rng::with_seed(seed);
            match seed % 5 {
                0 => documents::good(&mut random).into_bytes(),
                1 => documents::encoded(&mut random),
                _ => documents::damaged(&mut random),
            }
        })
        .collect();
    let theirs = libxml2(&python, &documents);
    let (mut judge, mut refused, mut differ) = (judge(), 0, Vec::new());
    for ((document, theirs), seed) in documents.iter().zip(&theirs).zip(first..) {
        let verdict = judge.check(document);
        refused += u64::from(verdict.is_err());
        let ours = verdict.as_ref().map_or_else(|violation| violation.code.name(), |()| "-");
        // Letters of ASCII in UTF-16 are themselves and a NUL.
        let text = String::from_utf8_lossy(document).replace('\0', "");
        let is_known = |known: &Difference| {
            known.ours == ours && theirs.split(' ').any(|error| error == known.theirs) && (known.when)(&text)
        };
        if verdict.is_ok() != (theirs == "ok") && !DIFFERENCES.iter().any(is_known) {
            let place = verdict.err().map(|violation| (violation.byte_offset, violation.message));
            differ.push(format!("seed {seed}: ours {ours} {place:?}, theirs {theirs}\n{text:?}"));
        }
    }
    println!("{} documents, {refused} refused by us, {} differ", documents.len(), differ.len());
    assert!(differ.is_empty(), "{} differ, of them:\n{}", differ.len(), differ[..differ.len().min(40)].join("\n"));
}

fn libxml2(python: &std::ffi::OsStr, documents: &[Vec<u8>]) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/well_formed.py");
    let mut child = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = Vec::new();
    for document in documents {
        input.extend((document.len() as u32).to_be_bytes());
        input.extend(document);
    }
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    let verdicts: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(verdicts.len(), documents.len());
    verdicts
}
