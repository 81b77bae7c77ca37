//! Every real message there is: the shape of the answers, and that a mapping inferred from a message takes it.

use std::path::{Path, PathBuf};

use forebay::model::violation::Code;
use serde_json::Value;

use super::Site;

/// The real messages, where `FOREBAY_MESSAGES` says they are.
fn messages() -> Vec<PathBuf> {
    let Some(root) = std::env::var_os("FOREBAY_MESSAGES").map(PathBuf::from) else {
        println!("left out: FOREBAY_MESSAGES names no folder of messages");
        return Vec::new();
    };
    let folder = |folder: &Path| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = folder(&root).flat_map(|below| folder(&below).collect::<Vec<_>>()).collect();
    found.sort();
    assert!(found.len() > 50, "{} messages", found.len());
    found
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn assert_shape(answer: &Value, path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(keys(answer), ["children", "input", "outcome", "rows", "violations"]);
    assert_eq!(answer["input"].as_str().unwrap(), path.to_str().unwrap());
    let violations = answer["violations"].as_array().unwrap();
    for violation in violations {
        assert_eq!(keys(violation), ["byte_offset", "code", "column", "line", "message", "path", "value"]);
        assert!(Code::from_name(violation["code"].as_str().unwrap()).is_some());
        assert!(violation["byte_offset"].as_u64().unwrap() <= bytes.len() as u64);
        let line = usize::try_from(violation["line"].as_u64().unwrap()).unwrap();
        assert!((1..=bytes.iter().filter(|byte| **byte == b'\n').count() + 1).contains(&line));
        assert!(violation["value"].is_null() || violation["value"].as_str().unwrap().chars().count() <= 64);
        assert!(!violation["message"].as_str().unwrap().is_empty());
    }
    match answer["outcome"].as_str().unwrap() {
        "rows" => assert!(violations.is_empty()),
        "partial" => assert!(!violations.is_empty() && !answer["rows"].as_array().unwrap().is_empty()),
        "quarantined" => {
            assert!(!violations.is_empty() && answer["rows"].as_array().unwrap().is_empty());
            assert!(answer["children"].as_object().unwrap().is_empty());
        }
        other => panic!("{other}"),
    }
}

#[test]
fn the_answers_have_their_shape() {
    let messages = messages();
    if messages.is_empty() {
        return;
    }
    let site = Site::new();
    let said = site.command("try --well-formed --json").args(&messages).output().unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    let answers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), messages.len());
    for (answer, path) in answers.iter().zip(&messages) {
        assert_shape(answer, path);
        assert!(answer["rows"].as_array().unwrap().is_empty());
    }
    assert!(answers.iter().filter(|answer| answer["outcome"] == "rows").count() > 90, "{text}");
}

#[test]
fn a_mapping_takes_the_messages_it_was_inferred_from() {
    let site = Site::new();
    for path in messages() {
        let shown = path.display();
        let inferred = site.run(&format!("infer --quiet --out m.toml {shown}"), "");
        let form = site.run(&format!("try --quiet --json --well-formed {shown}"), "");
        assert_eq!(inferred.code, form.code, "{shown}: {}{}", inferred.err, form.out);
        if form.code == Some(1) {
            continue;
        }
        let said = site.run(&format!("try --json --mapping m.toml {shown}"), "");
        let answers = said.answers();
        assert_eq!((said.code, answers.len()), (Some(0), 1), "{shown}: {}{}", said.err, said.out);
        assert_shape(&answers[0], &path);
        assert!(!answers[0]["rows"].as_array().unwrap().is_empty(), "{shown}");
    }
}
