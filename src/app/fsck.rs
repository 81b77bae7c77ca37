//! `forebay fsck`: what every file of the lake is, and what is in the way moved aside.

use super::glyphs::tamed;
use super::{daemon, look, say};
use crate::cli::{Fsck, Global};
use crate::exit::ExitCode;
use crate::fault::Fault;
use crate::lake::audit::Depth;
use crate::lake::fsck::{Action, Examination, Found, examine, repair};

/// `forebay fsck`.
pub(super) fn run(order: &Fsck, global: &Global) -> Result<ExitCode, Fault> {
    let settings = look::load(global)?;
    let lake = daemon::open_lake_to_look(&settings)?;
    let mut examined = examine(&lake, Depth::DataFooters)?;
    let repaired = if order.repair && examined.files.iter().any(|found| found.action == Action::Move) {
        repair(&*daemon::open_storage(&settings)?, &mut examined)
    } else {
        Ok(())
    };
    if global.verbose == 0 {
        examined.files.retain(|found| found.class.is_finding());
    }
    let text = if global.json { json(&examined)? } else { say::tame(&picture(&examined)) };
    say::result(&text)?;
    examined.unread.iter().for_each(|unread| say::problem(&format!("{}: {}", unread.what, unread.why)));
    repaired?;
    Ok(match examined.unread.first() {
        Some(unread) => ExitCode::of(&unread.fault),
        None if examined.ok => ExitCode::Done,
        None => ExitCode::No,
    })
}

fn json(examined: &Examination) -> Result<String, Fault> {
    let json = serde_json::to_string(examined);
    json.map(|text| text + "\n").map_err(|error| Fault::internal("fsck.json", error.to_string()))
}

/// The answer for people.
fn picture(examined: &Examination) -> String {
    let mut out = String::new();
    for (class, count) in &examined.classes {
        out.push_str(&format!("{:>10} files {:>16} bytes  {class}\n", count.files, count.bytes));
    }
    for found in &examined.files {
        out.push_str(&format!("{} {}", found.class, tamed(&found.path)));
        out.push_str(&found.what.as_ref().map(|what| format!(": {what}")).unwrap_or_default());
        out.push_str(&next_step(found));
        out.push('\n');
    }
    let left = examined.findings().filter(|found| found.moved_to.is_none()).count();
    out.push_str(&match (left, examined.unread.is_empty()) {
        (0, true) => "nothing is to be done\n".to_owned(),
        (0, false) => "nothing is known to be done, but not everything could be looked at\n".to_owned(),
        (left, _) => format!("something is to be done about {left} files\n"),
    });
    out
}

fn next_step(found: &Found) -> String {
    match (found.action, &found.moved_to) {
        (_, Some(place)) => format!("; moved to {place}"),
        (Action::Keep, None) => String::new(),
        (Action::Move, None) => "; `forebay fsck --repair` moves it to _forebay/lost+found".to_owned(),
        (Action::Wait, None) => "; look again after the next start of a daemon".to_owned(),
        (Action::Person, None) => "; restore it, or decide what it is: it is left as it is".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::fsck::Class;

    #[test]
    fn each_file_is_told_with_its_next_step() {
        let found = |class, action, moved_to: Option<&str>| Found {
            path: "raw/a".into(),
            bytes: 1,
            class,
            what: Some("why".into()),
            action,
            moved_to: moved_to.map(str::to_owned),
        };
        let files = vec![
            found(Class::Orphan, Action::Move, Some("_forebay/lost+found/raw/a")),
            found(Class::Short, Action::Person, None),
        ];
        let examined = Examination { ok: false, classes: [].into(), files, unread: Vec::new() };
        let text = picture(&examined);
        assert!(
            text.starts_with("orphan raw/a: why; moved to _forebay/lost+found/raw/a\nshort raw/a: why; "),
            "{text}"
        );
        assert!(text.ends_with("something is to be done about 1 files\n"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&json(&examined).unwrap()).unwrap();
        assert_eq!((&json["files"][0]["class"], &json["files"][1]["action"]), (&"orphan".into(), &"person".into()));
    }
}
