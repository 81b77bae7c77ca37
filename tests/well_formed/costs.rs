//! What a verdict costs, whatever the message is made for. Memory is counted; time that grows faster than the message
//! would show as a test that does not end.

use forebay::flow::parse::WellFormed;
use forebay::model::mapping::{Dtd, Limits};

use crate::counting::{Cost, count};

const MEGABYTE: usize = 1 << 20;

/// Shapes of messages that are made to cost much, each of about so many bytes.
fn hostile(size: usize) -> Vec<(&'static str, Vec<u8>)> {
    let within = |inside: String| format!("<r>{inside}</r>").into_bytes();
    let fill = |unit: &str| unit.repeat(size / unit.len());
    let many = |unit: fn(usize) -> String| {
        let mut out = String::new();
        for number in 0.. {
            if out.len() >= size {
                break;
            }
            out.push_str(&unit(number));
        }
        out
    };
    let declared = |name: &str, byte: u8| {
        let head = format!("<?xml version='1.0' encoding='{name}'?><r>");
        [head.as_bytes(), &vec![byte; size], b"</r>"].concat()
    };
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let attributes =
        |count: usize, prefix: &str| (0..count).map(|number| format!(" {prefix}b{number}=''")).collect::<String>();
    let bindings = |count: usize| (0..count).map(|number| format!(" xmlns:p{number}='u{number}'")).collect::<String>();
    vec![
        ("tiny elements", within(fill("<a/>"))),
        ("tiny elements, broken at the end", within(fill("<a/>") + "</x>")),
        ("nesting", fill("<a>").into_bytes()),
        ("nesting again and again", within(("<a>".repeat(250) + &"</a>".repeat(250)).repeat(size / 1750))),
        ("names", within(many(|number| format!("<n{number}/>")))),
        ("long names", within(many(|number| format!("<{}{number}/>", "n".repeat(1000))))),
        ("a huge name", format!("<{}/>", fill("a")).into_bytes()),
        ("a huge name of an instruction", format!("<?{}?><r/>", fill("a")).into_bytes()),
        ("default namespaces", within(many(|number| format!("<a xmlns='u{number}'/>")))),
        ("prefixes", within(many(|number| format!("<p{number}:a xmlns:p{number}='u'/>")))),
        (
            "names under many bindings",
            format!(
                "<r{}>{}</r>",
                bindings(120),
                many(|number| format!("<p{}:a{number} xmlns:q='{number}'/>", number % 120))
            )
            .into_bytes(),
        ),
        ("one element of many bindings", format!("<r{}/>", bindings(size / 20)).into_bytes()),
        ("one element of many attributes", format!("<r{}/>", attributes(size / 10, "")).into_bytes()),
        ("elements of many attributes", within(format!("<a{}/>", attributes(4000, "")).repeat(size / 40_000))),
        (
            "elements of many prefixed attributes",
            format!(
                "<r xmlns:p='u' xmlns:q='v'>{}</r>",
                format!("<a{}/>", attributes(4000, "p:")).repeat(size / 48_000)
            )
            .into_bytes(),
        ),
        (
            "a huge URI",
            format!("<r xmlns:p='{}'>{}</r>", "u".repeat(size / 2), "<p:a p:b='' p:c=''/>".repeat(size / 40))
                .into_bytes(),
        ),
        ("huge URIs", within(format!("<a xmlns:p='{}' p:b='' p:c=''/>", "u".repeat(5000)).repeat(size / 5000))),
        ("comments", within(fill("<!---->"))),
        ("a comment of hyphens", within(format!("<!--{}-->", fill("- ")))),
        ("instructions", within(fill("<?p?>"))),
        ("an instruction of >", within(format!("<?p {}?>", fill(">")))),
        ("CDATA", within(fill("<![CDATA[]]>"))),
        ("text of brackets", within(fill("]] "))),
        ("references", within(fill("&lt;"))),
        ("references in an attribute", format!("<r a='{}'/>", fill("&#x41;")).into_bytes()),
        ("ampersands in an attribute", format!("<r a='{}'/>", fill("&")).into_bytes()),
        ("a long reference", within(format!("&#{}65;", fill("0")))),
        ("less-thans", within(fill("<"))),
        ("a quote", format!("<r a='{}", fill("x")).into_bytes()),
        ("a document type", format!("<!DOCTYPE r [{}]><r/>", fill("<!ENTITY a 'b'>")).into_bytes()),
        ("white space in the declaration", format!("<?xml {}version='1.0'?><r/>", fill(" ")).into_bytes()),
        ("a character at the end", within(fill("x") + "\u{1}")),
        ("almost U+FFFE", within(fill("\u{FFFD}"))),
        ("Latin-1", declared("ISO-8859-1", 0x80)),
        ("Windows-1252", declared("windows-1252", 0x80)),
        ("Shift_JIS that breaks", declared("Shift_JIS", 0x82)),
        ("UTF-16", utf16(&format!("\u{FEFF}<r>{}</r>", "\u{20AC}<a/>".repeat(size / 10)))),
        ("UTF-16, broken at the end", utf16(&format!("\u{FEFF}<r>{}</x>", "\u{20AC}".repeat(size / 2)))),
    ]
}

fn cost(message: &[u8]) -> Cost {
    let mut judge = WellFormed::new(Limits::default(), Dtd::Refuse);
    count(|| drop(judge.check(message)))
}

#[test]
fn no_verdict_takes_more_than_four_times_the_message() {
    for (shape, message) in hostile(MEGABYTE) {
        let cost = cost(&message);
        // The message itself is one of the four; a piece of it that is being decoded is bounded.
        assert!(
            cost.peak as usize <= 3 * message.len() + (64 << 10),
            "{shape}: {} bytes beside {}",
            cost.peak,
            message.len()
        );
    }
}

#[test]
fn a_judge_holds_on_to_little() {
    let mut judge = WellFormed::new(Limits::default(), Dtd::Refuse);
    let messages = hostile(MEGABYTE);
    let cost = count(|| {
        for (_, message) in &messages {
            drop(judge.check(message));
        }
        drop(judge.check(b"<a/>"));
    });
    assert!(cost.kept <= 4 << 20, "{cost:?}");
}

#[test]
fn nothing_is_kept_of_declarations_that_are_refused() {
    let mut judge = WellFormed::new(Limits::default(), Dtd::Refuse);
    let cost = count(|| {
        for number in 0..50 {
            let message = format!("<r xmlns:p='{number}{}' xmlns:q=''/>", "u".repeat(100_000));
            assert!(judge.check(message.as_bytes()).is_err());
        }
    });
    assert!(cost.kept <= 1 << 18, "{cost:?}");
}

#[test]
fn what_was_seen_before_takes_no_memory_for_elements_attributes_or_text() {
    let message = |count: usize| {
        let book = "<p:b id='1' p:x='&lt;' xml:lang='en'>a &amp; b<![CDATA[c]]><!-- d --><?e?><f/></p:b>";
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<r xmlns:p='u'>{}</r>", book.repeat(count))
    };
    let mut judge = WellFormed::new(Limits::default(), Dtd::Refuse);
    let costs = [10, 10, 10_000].map(|number| {
        let message = message(number);
        count(|| judge.check(message.as_bytes()).unwrap())
    });
    assert_eq!(costs[1].allocations, costs[2].allocations, "{costs:?}");
    assert!(costs[2].allocations <= 8, "what quick-xml's reader takes for itself: {costs:?}");
}
