use proptest::prelude::*;

use super::*;
use crate::flow::parse::WellFormed;
use crate::model::mapping::{Dtd, Limits};

const LIMIT: u64 = 1 << 20;

fn text(payload: &[u8]) -> Result<String, &'static str> {
    decode(payload, LIMIT).map(Cow::into_owned).map_err(|found| found.code.name())
}

/// The verdict on a whole message: its code and byte offset.
fn judge(payload: &[u8]) -> Result<(), (&'static str, u64, u32)> {
    let verdict = WellFormed::new(Limits::default(), Dtd::Refuse).check(payload);
    verdict.map_err(|found| (found.code.name(), found.byte_offset.unwrap(), found.line.unwrap()))
}

fn utf16(text: &str, is_little: bool, with_mark: bool) -> Vec<u8> {
    let units = with_mark.then_some(0xFEFF).into_iter().chain(text.encode_utf16());
    units.flat_map(|unit| if is_little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
}

fn declared_as(name: &str, content: &[u8]) -> Vec<u8> {
    [format!("<?xml version=\"1.0\" encoding=\"{name}\"?>").as_bytes(), b"<a>", content, b"</a>"].concat()
}

fn content(name: &str, bytes: &[u8]) -> Result<String, &'static str> {
    text(&declared_as(name, bytes)).map(|text| {
        let inside = text.split_once("<a>").unwrap().1;
        inside.strip_suffix("</a>").unwrap().to_owned()
    })
}

#[test]
fn utf8_is_read_where_it_lies() {
    for payload in ["<a>é</a>", "\u{FEFF}<a>é</a>", "<?xml version='1.0' encoding='utf-8'?><a>é</a>"] {
        let decoded = decode(payload.as_bytes(), LIMIT).unwrap();
        assert!(matches!(decoded, Cow::Borrowed(_)));
        assert_eq!(&*decoded, payload.trim_start_matches('\u{FEFF}'));
    }
    assert_eq!(text(b"\xEF\xBB\xBF<?xml version='1.0' encoding='UTF-8'?><a/>").map(|text| text.len()), Ok(42));
}

#[test]
fn utf16_is_read_by_mark_or_declaration() {
    let plain = "<a>é\u{10000}</a>";
    for is_little in [true, false] {
        assert_eq!(text(&utf16(plain, is_little, true)).as_deref(), Ok(plain));
        assert_eq!(
            text(&utf16(plain, is_little, false)),
            Err("xml.encoding-conflict"),
            "nothing says that it is UTF-16"
        );
        let own = if is_little { "utf-16LE" } else { "UTF-16be" };
        for name in ["UTF-16", "ISO-10646-UCS-2", own] {
            let declared = format!("<?xml version='1.0' encoding='{name}'?>{plain}");
            for with_mark in [true, false] {
                assert_eq!(text(&utf16(&declared, is_little, with_mark)).as_deref(), Ok(&*declared));
                assert_eq!(judge(&utf16(&declared, is_little, with_mark)), Ok(()));
            }
        }
        let other = if is_little { "UTF-16BE" } else { "UTF-16LE" };
        for name in [other, "UTF-8", "ISO-8859-1", "x-unheard-of"] {
            let declared = format!("<?xml version='1.0' encoding='{name}'?>{plain}");
            for (with_mark, mark) in [(true, 2), (false, 0)] {
                let verdict = judge(&utf16(&declared, is_little, with_mark));
                assert_eq!(verdict, Err(("xml.encoding-conflict", 2 * 30 + mark, 1)), "{name} {is_little}");
            }
        }
    }
}

#[test]
fn utf16_that_is_none_is_refused_where_it_breaks() {
    let mut lone = utf16("<a>\n", true, true);
    let at = lone.len() as u64;
    lone.extend([0x00, 0xD8, b'<', 0]);
    assert_eq!(judge(&lone), Err(("xml.encoding", at, 2)));
    let mut half = utf16("<a/>", false, true);
    half.push(0);
    assert_eq!(judge(&half), Err(("xml.encoding", 10, 1)));
}

#[test]
fn a_declared_encoding_is_read() {
    for (name, bytes, expected) in [
        ("ISO-8859-1", &b"\xE9\x80\xFF"[..], "é\u{80}ÿ"),
        ("latin1", b"\x9F", "\u{9F}"),
        ("Windows-1252", b"\x80\xE9", "€é"),
        ("ISO-8859-9", b"\x80\xFD", "\u{80}ı"),
        ("ISO-8859-15", b"\xA4", "€"),
        ("ISO-8859-7", b"\xE1", "α"),
        ("ISO-8859-11", b"\xA1\x81", "ก\u{81}"),
        ("windows-1251", b"\xC0", "А"),
        ("KOI8-R", b"\xC1", "а"),
        ("macintosh", b"\x8E", "é"),
        ("Shift_JIS", b"\x82\xA0", "あ"),
        ("EUC-JP", b"\xA4\xA2", "あ"),
        ("ISO-2022-JP", b"\x1B$B$\"\x1B(B", "あ"),
        ("EUC-KR", b"\xB0\xA1", "가"),
        ("GB2312", b"\xB0\xA1", "啊"),
        ("GB18030", b"\x81\x30\x81\x30\xB0\xA1", "\u{80}啊"),
        ("Big5", b"\xA4\x40", "一"),
        ("US-ASCII", b"x", "x"),
    ] {
        assert_eq!(content(name, bytes).as_deref(), Ok(expected), "{name}");
        assert_eq!(judge(&declared_as(name, bytes)), Ok(()), "{name}");
    }
}

#[test]
fn bytes_that_an_encoding_does_not_have_are_refused_and_never_replaced() {
    for (name, bytes) in [
        ("UTF-8", &b"\xE9"[..]),
        ("UTF-8", b"\xC0\x80"),
        ("UTF-8", b"\xED\xA0\x80"),
        ("UTF-8", b"\xF4\x90\x80\x80"),
        ("US-ASCII", b"\xC3\xA9"),
        ("Shift_JIS", b"\x82\x20"),
        ("EUC-KR", b"\xFF"),
        ("ISO-8859-7", b"\xFF"),
        ("ISO-8859-11", b"\xFF"),
        ("Big5", b"\x80"),
    ] {
        let payload = declared_as(name, &[b"\n.", bytes].concat());
        let start = payload.len() - bytes.len() - "</a>".len();
        assert_eq!(judge(&payload), Err(("xml.encoding", start as u64, 2)), "{name}");
    }
    assert_eq!(judge(b"<a>\xE9</a>"), Err(("xml.encoding", 3, 1)));
}

#[test]
fn an_encoding_that_is_not_known_is_named() {
    for name in ["x-unheard-of", "UTF-7", "UTF-32", "EBCDIC-CP-US", "ISO-2022-KR", "replacement"] {
        let payload = declared_as(name, b"");
        let found = decode(&payload, LIMIT).unwrap_err();
        assert_eq!((found.code.name(), found.place.at), ("xml.encoding-unknown", 30), "{name}");
        assert!(found.message.contains(name));
    }
    for (payload, name) in [
        (&b"\xFF\xFE\0\0<\0\0\0"[..], "UTF-32"),
        (b"\0\0\xFE\xFF\0\0\0<", "UTF-32"),
        (b"<\0\0\0", "UTF-32"),
        (b"\0\0\0<", "UTF-32"),
        (b"\x4C\x6F\xA7\x94", "EBCDIC"),
    ] {
        let found = decode(payload, LIMIT).unwrap_err();
        assert_eq!((found.code.name(), found.message.contains(name)), ("xml.encoding-unknown", true));
    }
}

#[test]
fn a_declaration_that_contradicts_the_bytes_is_refused() {
    for (payload, at) in [
        (&b"<?xml version='1.0' encoding='UTF-16'?><a/>"[..], 30),
        (b"<?xml version='1.0' encoding='utf-16le'?><a/>", 30),
        (b"\xEF\xBB\xBF<?xml version='1.0' encoding='UTF-16'?><a/>", 33),
        (b"\xEF\xBB\xBF<?xml version='1.0' encoding='ISO-8859-1'?><a/>", 33),
        (b"\xEF\xBB\xBF<?xml version='1.0' encoding='x-y'?><a/>", 33),
    ] {
        assert_eq!(judge(payload), Err(("xml.encoding-conflict", at, 1)));
    }
}

#[test]
fn a_malformed_declaration_is_left_to_its_own_check() {
    assert_eq!(judge(b"<?xml encoding='ISO-8859-1' version='1.0'?><a/>").unwrap_err().0, "xml.declaration");
    assert_eq!(judge(b"<?xml version='1.0' encoding='8'?><a/>").unwrap_err().0, "xml.declaration");
    assert_eq!(judge(b"<?xml version='1.0' encoding='ISO-8859-1'").unwrap_err().0, "xml.unclosed");
    assert_eq!(
        judge(&utf16("<?xml version='1.0' encoding='UTF-16' x='y'?><a/>", true, true)).unwrap_err().0,
        "xml.declaration"
    );
}

#[test]
fn the_limit_holds_after_decoding_too() {
    let payload = declared_as("windows-1252", &[0x80; 100]);
    let length = content("windows-1252", &[0x80; 100]).unwrap().len();
    assert_eq!(length, 300);
    assert!(decode(&payload, payload.len() as u64 + 200).is_ok());
    let found = decode(&payload, payload.len() as u64 + 199).unwrap_err();
    assert_eq!(found.code.name(), "limit.bytes");
    let decoded = decode(&payload, LIMIT).unwrap();
    let Cow::Owned(decoded) = decoded else { panic!("it is decoded") };
    assert_eq!(decoded.capacity(), decoded.len(), "exactly what it needs");
}

#[test]
fn places_are_those_of_the_payload() {
    let lines = "<?xml version='1.0' encoding='UTF-16'?>\n<a>\u{10000}é\n";
    let long = "é".repeat(3 * CHUNK);
    let mut message = format!("{lines}<b>{long}</b>\n<c></d>");
    message.push_str("</a>");
    let place = message.find("</d>").unwrap();
    let units = message[..place].encode_utf16().count() as u64;
    for is_little in [true, false] {
        assert_eq!(judge(&utf16(&message, is_little, true)), Err(("xml.mismatched-end-tag", 2 + 2 * units, 4)));
        assert_eq!(judge(&utf16(&message, is_little, false)), Err(("xml.mismatched-end-tag", 2 * units, 4)));
    }
    let latin = declared_as("ISO-8859-1", &[&[0xE9; 5000][..], b"\n</b>"].concat());
    let at = latin.len() as u64 - "</b></a>".len() as u64;
    assert_eq!(judge(&latin), Err(("xml.mismatched-end-tag", at, 2)));
}

proptest! {
    /// Whatever the place, it comes back as the byte that its character begins with.
    #[test]
    fn origins_are_where_characters_begin(
        text in proptest::collection::vec(prop_oneof![Just('a'), Just('é'), Just('€'), Just('\u{10000}')], 0..3000),
        picks in proptest::collection::vec(any::<proptest::sample::Index>(), 1..5),
        is_little in any::<bool>(),
    ) {
        let text: String = text.into_iter().collect();
        let payload = utf16(&text, is_little, true);
        let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let mut offsets: Vec<usize> = picks.iter().map(|pick| starts[pick.index(starts.len())]).collect();
        offsets.sort_unstable();
        let (read, form) = readable(&payload, LIMIT);
        prop_assert_eq!(&*read, &text);
        let expected: Vec<usize> = offsets.iter().map(|&at| 2 + 2 * text[..at].encode_utf16().count()).collect();
        prop_assert_eq!(origins(&payload, form, &offsets), expected);
    }

    /// What is read is what encoding_rs reads at once; what it would replace is refused.
    #[test]
    fn nothing_is_replaced(name in proptest::sample::select(vec!["windows-1252", "Shift_JIS", "GB18030", "EUC-KR", "Big5", "ISO-8859-7", "EUC-JP"]), bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let payload = declared_as(name, &bytes);
        let (whole, _, is_bad) = Encoding::for_label(name.as_bytes()).unwrap().decode(&payload);
        match decode(&payload, LIMIT) {
            Ok(text) => prop_assert_eq!(text, whole),
            Err(found) => {
                prop_assert_eq!(found.code.name(), "xml.encoding");
                prop_assert!(is_bad);
                let (readable, _) = readable(&payload, LIMIT);
                prop_assert!(whole.starts_with(&*readable));
                prop_assert_eq!(readable.len(), found.place.at);
            }
        }
    }
}
