//! The caret is under the fault, whatever the line holds.

use super::{BOOKS, Site};

/// The characters above the carets, in their order.
fn above(out: &str) -> Vec<char> {
    let lines: Vec<&str> = out.lines().collect();
    let pairs = lines.windows(2).filter(|pair| pair[1].trim_start().starts_with("| ") && pair[1].ends_with('^'));
    // Wide characters take two columns, as in a terminal.
    let width =
        |character: char| if matches!(character, '\u{4e00}'..='\u{9fff}' | '\u{1f600}'..='\u{1f64f}') { 2 } else { 1 };
    let found = pairs.map(|pair| {
        let caret = pair[1].chars().count() - 1;
        let mut column = 0;
        pair[0].chars().find(|character| {
            column += width(*character);
            column > caret
        })
    });
    found.map(|found| found.unwrap_or('$')).collect()
}

fn utf16(text: &str) -> Vec<u8> {
    std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

#[test]
fn in_every_encoding_behind_tabs_and_wide_characters_and_in_long_lines() {
    let site = Site::new();
    let fillers = ["", "é ", "\t\t", "漢字 ", "😀\t漢", &"x".repeat(5000), &"漢".repeat(300), &"\t".repeat(100)];
    for (number, filler) in fillers.iter().enumerate() {
        for after in ["", &"y".repeat(5000)] {
            let text = format!(
                "<library>\r\n<book id='B'><genre>{filler}</genre><record_id>?</record_id><title>x{after}</title>\
                 <added>2026-01-01T00:00:00Z</added></book></library>"
            );
            let declared = |name: &str| format!("<?xml version='1.0' encoding='{name}'?>\n{text}");
            let listed = |name: &str| {
                let encoding = encoding_rs::Encoding::for_label(name.as_bytes()).unwrap();
                let declared = declared(name);
                let (bytes, _, has_failed) = encoding.encode(&declared);
                (!has_failed).then(|| bytes.into_owned())
            };
            let latin = text.chars().all(|character| u32::from(character) < 256);
            let latin = latin.then(|| {
                declared("ISO-8859-1")
                    .chars()
                    .map(|character| u8::try_from(u32::from(character)).unwrap())
                    .collect::<Vec<u8>>()
            });
            let forms = [
                Some(text.clone().into_bytes()),
                Some(utf16(&text)),
                latin,
                listed("Shift_JIS"),
                listed("ISO-2022-JP"),
                listed("GB18030"),
            ];
            for (form, bytes) in forms.into_iter().enumerate().filter_map(|(form, bytes)| Some((form, bytes?))) {
                site.file("m.xml", bytes);
                let said = site.run(&format!("try --mapping {BOOKS} m.xml"), "");
                assert_eq!((said.code, above(&said.out)), (Some(1), vec!['?']), "{number} {form}: {}", said.out);
                let column = "<book id='B'><genre></genre><record_id>".len() + filler.chars().count() + 1;
                let line = if form < 2 { 2 } else { 3 };
                assert!(said.out.starts_with(&format!("m.xml:{line}:{column}: type.int: ")), "{}", said.out);
                assert!(said.out.lines().all(|line| line.chars().count() < 140), "{}", said.out);
            }
        }
    }
}

#[test]
fn several_faults_of_one_message_each_have_their_line() {
    let site = Site::new();
    site.file(
        "m.xml",
        "<library>\n<book id='1'><record_id>!</record_id><price>漢</price></book>\n\n<book id='2'><record_id>?</record_id>\
         <title/><added>#</added></book></library>",
    );
    let said = site.run(&format!("try --mapping {BOOKS} m.xml"), "");
    // A missing value is told where its row begins, an empty one where it is.
    assert_eq!(above(&said.out), ['!', '漢', '<', '<', '?', '<', '#'], "{}", said.out);
    assert!(said.out.contains("column record_id, /library/book[1]/record_id, value \"!\"\n"), "{}", said.out);
}

#[test]
fn bytes_of_no_encoding_and_the_end_of_a_message_are_shown() {
    let site = Site::new();
    site.file("bytes.xml", b"<a>\n b\xFF c</a>");
    site.file("end.xml", "<a>\n <b>x");
    let said = site.run("try --well-formed bytes.xml end.xml", "");
    assert!(said.out.contains("bytes.xml:2:3: xml.encoding: "), "{}", said.out);
    assert!(said.out.contains("   2 |  b\u{FFFD} c</a>\n     |   ^\n"), "{}", said.out);
    assert!(said.out.contains("   2 |  <b>x\n"), "{}", said.out);
    assert_eq!(above(&said.out), ['\u{FFFD}', '$'], "{}", said.out);
}
