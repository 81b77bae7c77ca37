//! Every rule of XML 1.0 (fifth edition) and Namespaces in XML 1.0 that a document without a DTD can break: a document
//! that keeps it, one that breaks it, the code, and the byte at which it breaks.

use crate::flow::parse::WellFormed;
use crate::model::mapping::{Dtd, Limits};

/// Rule (production or constraint), good, bad, code, byte offset.
type Rule = (&'static str, &'static str, &'static str, &'static str, u64);

const DOCUMENT: &[Rule] = &[
    ("[1] a root", "<a/>", " ", "xml.no-root", 0),
    ("[1] a root", "<!--c--><?p?><a/>", "<!--c--><?p?>", "xml.no-root", 0),
    ("[1] one root", "<a><b/></a>", "<a/><b/>", "xml.second-root", 4),
    ("[1] one root", "<a></a> ", "<a></a><a></a>", "xml.second-root", 7),
    ("[22] nothing before the root", " \n<a/>", "x<a/>", "xml.text-outside-root", 0),
    (
        "[22] nothing before the root",
        "<?xml version='1.0'?>\n<a/>",
        "<?xml version='1.0'?>\n.<a/>",
        "xml.text-outside-root",
        22,
    ),
    ("[27] nothing after the root", "<a/>\n\t\r ", "<a/>\n]", "xml.text-outside-root", 5),
    ("[27] no reference outside", "<a/>", "<a/>&#32;", "xml.text-outside-root", 4),
    ("[27] no CDATA outside", "<a/>", "<![CDATA[]]><a/>", "xml.text-outside-root", 0),
    ("[27] white space is four characters", "<a/>\n", "<a/>\u{A0}", "xml.text-outside-root", 4),
    ("[27] white space is four characters", "<a/>\n", "<a/>\u{85}", "xml.text-outside-root", 4),
    ("a second mark is text", "\u{FEFF}<a/>", "\u{FEFF}\u{FEFF}<a/>", "xml.text-outside-root", 3),
    ("[39] closed", "<a></a>", "<a>", "xml.unclosed", 3),
    ("[39] closed", "<a><b/></a>", "<a><b></b>", "xml.unclosed", 10),
    ("[39] same name", "<a><b></b></a>", "<a><b></a></b>", "xml.mismatched-end-tag", 6),
    ("[39] same name, by letters", "<a></a>", "<a></A>", "xml.mismatched-end-tag", 3),
    (
        "[39] same name, as written",
        "<p:a xmlns:p='u' xmlns:q='u'></p:a>",
        "<p:a xmlns:p='u' xmlns:q='u'></q:a>",
        "xml.mismatched-end-tag",
        29,
    ),
    ("[39] an end needs a start", "<a/>", "<a/></a>", "xml.mismatched-end-tag", 4),
    ("[39] an end needs a start", "<a/>", "</a>", "xml.mismatched-end-tag", 0),
    ("[42] end tag", "<a></a\n>", "<a></ a>", "xml.mismatched-end-tag", 3),
    ("[42] end tag", "<a></a>", "<a></a b='c'>", "xml.mismatched-end-tag", 3),
    ("[42] end tag", "<a></a>", "<a></a/>", "xml.mismatched-end-tag", 3),
    ("[40] whole", "<a ></a>", "<a", "xml.unclosed", 0),
    ("[40] whole", "<a ></a>", "<a ", "xml.unclosed", 0),
    ("[40] whole", "<a b='c'/>", "<a b='c", "xml.unclosed", 6),
    ("[40] whole", "<a b='c'/>", "<a b", "xml.unclosed", 3),
    ("[40] whole", "<a/>", "<", "xml.unclosed", 0),
    ("[44] empty tag", "<a />", "<a / >", "xml.attribute", 3),
    ("[44] empty tag", "<a/>", "<a/ >", "xml.name", 0),
    ("[10] < only as markup", "<a>&lt;</a>", "<a> < </a>", "xml.name", 4),
    ("[10] < only as markup", "<a>&lt;</a>", "<a>1 <2</a>", "xml.name", 5),
];

const CHARACTERS: &[Rule] = &[
    ("[2] in text", "<a>\t\n\r\u{7F}\u{85}\u{FFFD}</a>", "<a>\u{8}</a>", "xml.character", 3),
    ("[2] in text", "<a>\u{D7FF}\u{E000}\u{10000}\u{10FFFF}</a>", "<a>\u{FFFF}</a>", "xml.character", 3),
    ("[2] in attributes", "<a b='\u{9F}'/>", "<a b='\u{1B}'/>", "xml.character", 6),
    ("[2] in comments", "<!--\u{80}--><a/>", "<!--\u{0}--><a/>", "xml.character", 4),
    ("[2] in instructions", "<?p \u{80}?><a/>", "<?p \u{C}?><a/>", "xml.character", 4),
    ("[2] in CDATA", "<a><![CDATA[\u{80}]]></a>", "<a><![CDATA[\u{FFFE}]]></a>", "xml.character", 12),
    ("[2] after the root", "<a/>\n", "<a/>\u{0}", "xml.character", 4),
    (
        "[66] in references",
        "<a>&#x9;&#xA;&#xD;&#x20;&#xD7FF;&#xE000;&#xFFFD;&#x10FFFF;</a>",
        "<a>.&#x0;</a>",
        "xml.reference",
        4,
    ),
    ("[66] in references", "<a>&#9;</a>", "<a>&#8;</a>", "xml.reference", 3),
    ("[66] no surrogates", "<a>&#x10000;</a>", "<a>&#xD800;&#xDC00;</a>", "xml.reference", 3),
    ("[66] no more than there are", "<a>&#1114111;</a>", "<a>&#1114112;</a>", "xml.reference", 3),
    ("[66] no more than there are", "<a>&#000000000000000000065;</a>", "<a>&#4294967361;</a>", "xml.reference", 3),
    ("[66] grammar", "<a>&#65;&#x4a;&#x4A;</a>", "<a>&#X41;</a>", "xml.reference", 3),
    ("[66] grammar", "<a>&#65;</a>", "<a>&#6A;</a>", "xml.reference", 3),
    ("[66] grammar", "<a>&#65;</a>", "<a>&#;</a>", "xml.reference", 3),
    ("[66] grammar", "<a>&#65;</a>", "<a>&# 65;</a>", "xml.reference", 3),
    ("[66] digits of ASCII", "<a>&#65;</a>", "<a>&#\u{661};</a>", "xml.reference", 3),
    ("[68] declared", "<a>&amp;&lt;&gt;&apos;&quot;</a>", "<a>&nbsp;</a>", "xml.entity", 3),
    ("[68] declared", "<a>&amp;</a>", "<a>&AMP;</a>", "xml.entity", 3),
    ("[68] declared", "<a b='&amp;'/>", "<a b='x&b;'/>", "xml.entity", 7),
    ("[68] grammar", "<a>&amp;</a>", "<a>&</a>", "xml.reference", 3),
    ("[68] grammar", "<a>&amp;</a>", "<a>&amp</a>", "xml.reference", 3),
    ("[68] grammar", "<a>&amp;</a>", "<a>&amp&amp;</a>", "xml.reference", 3),
    ("[68] grammar", "<a>&amp;</a>", "<a>&;</a>", "xml.reference", 3),
    ("[68] grammar", "<a>&amp;</a>", "<a>& amp;</a>", "xml.reference", 3),
    ("[68] grammar", "<a>&amp;</a>", "<a>x&", "xml.reference", 4),
    ("[68] grammar", "<a b='&amp;'/>", "<a b='&amp'/>", "xml.reference", 6),
    ("[68] grammar", "<a b='&amp;'/>", "<a b='a&b' c=';'/>", "xml.reference", 7),
    ("[69] means nothing", "<a>%b;</a>", "<a>&%b;</a>", "xml.reference", 3),
];

const PIECES: &[Rule] = &[
    ("[14] no ]]> in text", "<a>]] > ]]&gt;</a>", "<a>.]]></a>", "xml.cdata-end", 4),
    ("[14] no ]]> in text", "<a><![CDATA[x]]]]></a>", "<a><![CDATA[x]]>]]></a>", "xml.cdata-end", 16),
    ("[14] ]]> elsewhere", "<a b=']]>'><!-- ]]> --><?p ]]>?></a>", "<a>]]]></a>", "xml.cdata-end", 4),
    ("[15] no -- in comments", "<a><!-- - - --></a>", "<a><!-- a -- b --></a>", "xml.comment", 10),
    ("[15] no -- in comments", "<!----><a/>", "<!------><a/>", "xml.comment", 4),
    ("[15] no --- at the end", "<!--->x--><a/>", "<!-- --- ---><a/>", "xml.comment", 5),
    ("[15] no --- at the end", "<!-->x--><a/>", "<!-- a ---><a/>", "xml.comment", 7),
    ("[15] whole", "<a><!-- <b> & --></a>", "<a><!-- </a>", "xml.unclosed", 3),
    ("[15] whole", "<!----><a/>", "<!--><a/>", "xml.unclosed", 0),
    ("[15] whole", "<!----><a/>", "<a><!-", "xml.unclosed", 3),
    ("[15] grammar", "<!----><a/>", "<a><!- x --></a>", "xml.syntax", 3),
    ("[16] whole", "<a><?p > ?></a>", "<a><?p ></a>", "xml.unclosed", 3),
    ("[16] whole", "<?p?><a/>", "<?p", "xml.unclosed", 0),
    ("[16] a name", "<?p?><a/>", "<? p?><a/>", "xml.name", 2),
    ("[16] a name", "<?p ??><a/>", "<??><a/>", "xml.name", 2),
    ("[16] a name", "<?p?><a/>", "<?><a/>?>", "xml.name", 2),
    ("[16] a name", "<?_1?><a/>", "<?1?><a/>", "xml.name", 2),
    ("[16] white space after the name", "<?p ?x?><a/>", "<?p?x?><a/>", "xml.name", 2),
    ("[17] not xml", "<?xmlx?><a/>", "<a><?XmL?></a>", "xml.processing-instruction", 5),
    ("[17] not xml", "<?xml-stylesheet href='x'?><a/>", "<?XML version='1.0'?><a/>", "xml.processing-instruction", 2),
    ("[18] in elements only", "<a><![CDATA[<b>&]]></a>", "<a/><![CDATA[x]]>", "xml.text-outside-root", 4),
    ("[18] whole", "<a><![CDATA[]]></a>", "<a><![CDATA[ ]] </a>", "xml.unclosed", 3),
    ("[19] grammar", "<a><![CDATA[]]></a>", "<a><![cdata[x]]></a>", "xml.syntax", 3),
    ("[19] grammar", "<a><![CDATA[]]></a>", "<a><![CDATA x]]></a>", "xml.syntax", 3),
    ("[19] grammar", "<a><![CDATA[]]></a>", "<a><![ CDATA[x]]></a>", "xml.syntax", 3),
    ("[43] markup", "<a/>", "<a><!ELEMENT b ANY></a>", "xml.syntax", 3),
    ("[43] markup", "<a/>", "<a><!></a>", "xml.syntax", 3),
    ("[28] not in small letters", "<a/>", "<!doctype a><a/>", "xml.syntax", 0),
];

const DECLARATION: &[Rule] = &[
    ("[23]", "<?xml version='1.0'?><a/>", " <?xml version='1.0'?><a/>", "xml.declaration", 1),
    ("[23]", "<?xml version=\"1.0\" ?><a/>", "<a><?xml version='1.0'?></a>", "xml.declaration", 3),
    ("[23]", "<?xml\tversion = '1.0'\n?><a/>", "<!-- --><?xml version='1.0'?><a/>", "xml.declaration", 8),
    ("[23] a version", "<?xml version='1.0'?><a/>", "<?xml?><a/>", "xml.declaration", 5),
    ("[23] a version", "<?xml version='1.0'?><a/>", "<?xml encoding='UTF-8'?><a/>", "xml.declaration", 5),
    (
        "[23] order",
        "<?xml version='1.0' encoding='UTF-8' standalone='no'?><a/>",
        "<?xml version='1.0' standalone='no' encoding='UTF-8'?><a/>",
        "xml.declaration",
        36,
    ),
    ("[23] whole", "<?xml version='1.0'?><a/>", "<?xml version='1.0'>", "xml.unclosed", 0),
    ("[23] nothing else", "<?xml version='1.0'?><a/>", "<?xml version='1.0' x='y'?><a/>", "xml.declaration", 20),
    ("[26] 1.x", "<?xml version='1.1'?><a/>", "<?xml version='2.0'?><a/>", "xml.declaration", 15),
    ("[26] 1.x", "<?xml version='1.10'?><a/>", "<?xml version='1.0a'?><a/>", "xml.declaration", 15),
    (
        "[80] white space",
        "<?xml version='1.0' encoding='UTF-8'?><a/>",
        "<?xml version='1.0'encoding='UTF-8'?><a/>",
        "xml.declaration",
        19,
    ),
    (
        "[81] a name",
        "<?xml version='1.0' encoding='utf-8'?><a/>",
        "<?xml version='1.0' encoding='8bit'?><a/>",
        "xml.declaration",
        30,
    ),
    (
        "[32] yes or no",
        "<?xml version='1.0' standalone='yes'?><a/>",
        "<?xml version='1.0' standalone='Yes'?><a/>",
        "xml.declaration",
        32,
    ),
    ("[25] quotes", "<?xml version=\"1.0\"?><a/>", "<?xml version='1.0\"?><a/>", "xml.declaration", 15),
    ("[25] quotes", "<?xml version='1.0'?><a/>", "<?xml version=1.0?><a/>", "xml.declaration", 6),
];

const ATTRIBUTES: &[Rule] = &[
    ("[40] white space", "<a b='1'\tc='2'\n/>", "<a b='1'c='2'/>", "xml.attribute", 8),
    ("[25] =", "<a b = '1'/>", "<a b/>", "xml.attribute", 3),
    ("[25] =", "<a b\n=\n'1'/>", "<a b '1'/>", "xml.attribute", 3),
    ("[10] quotes", "<a b='\"' c=\"'\"/>", "<a b=1/>", "xml.attribute", 3),
    ("[10] quotes", "<a b='>'/>", "<a b='1\"/>", "xml.unclosed", 6),
    ("[10] quotes", "<a b=''/>", "<a b=/>", "xml.attribute", 3),
    ("[10] quotes", "<a b=''/>", "<a b=1'><c/></a>", "xml.attribute", 3),
    ("[10] no <", "<a b='&lt;'/>", "<a b='1<2'/>", "xml.attribute", 7),
    ("[41] a name", "<a b='1'/>", "<a ='1'/>", "xml.attribute", 3),
    ("[41] unique", "<a b='1' B='1'/>", "<a b='1' b='2'/>", "xml.duplicate-attribute", 9),
    ("[41] unique", "<a><b c='' d=''/></a>", "<a><b c='' d='' c=''/></a>", "xml.duplicate-attribute", 16),
];

const NAMES: &[Rule] = &[
    ("[4] start", "<_/>", "<1/>", "xml.name", 0),
    ("[4] start", "<é/>", "<-a/>", "xml.name", 0),
    ("[4] start", "<\u{10000}/>", "<.a/>", "xml.name", 0),
    ("[4] start", "<\u{37F}/>", "<\u{37E}/>", "xml.name", 0),
    ("[4] start", "<\u{EFFFF}/>", "<\u{F0000}/>", "xml.name", 0),
    ("[4a] rest", "<a-.1\u{B7}\u{300}/>", "<a;/>", "xml.name", 0),
    ("[4a] rest", "<a\u{2040}/>", "<a\u{2041}/>", "xml.name", 0),
    ("[4a] rest", "<a\u{F8}/>", "<a\u{D7}/>", "xml.name", 0),
    ("[5] attributes", "<a é='1'/>", "<a>.<b 1='1'/></a>", "xml.name", 7),
    ("[5] attributes", "<a b='1'/>", "<a /b='1'/>", "xml.name", 3),
    ("[5] a name", "<a/>", "<></>", "xml.name", 0),
];

const NAMESPACES: &[Rule] = &[
    ("NS [7] one colon", "<p:a xmlns:p='u'/>", "<p:a:b xmlns:p='u'/>", "xml.name", 0),
    ("NS [7] one colon", "<a xmlns:p='u' p:b=''/>", "<a xmlns:p='u' p:b:c=''/>", "xml.name", 15),
    ("NS [7] not first", "<a/>", "<:a/>", "xml.name", 0),
    ("NS [7] not last", "<a/>", "<a:/>", "xml.name", 0),
    ("NS [7] local part", "<p:a xmlns:p='u'/>", "<p:1 xmlns:p='u'/>", "xml.name", 0),
    ("NS [7] no colon in instructions", "<?p?><a/>", "<?p:q?><a/>", "xml.name", 2),
    ("NS prefix declared, element", "<p:a xmlns:p='u'/>", "<p:a/>", "xml.namespace-unbound", 0),
    ("NS prefix declared, attribute", "<a xmlns:p='u' p:b=''/>", "<a p:b=''/>", "xml.namespace-unbound", 3),
    (
        "NS prefix declared, inside",
        "<a xmlns:p='u'><p:b/></a>",
        "<a><b xmlns:p='u'/><p:b/></a>",
        "xml.namespace-unbound",
        19,
    ),
    (
        "NS prefix declared, skipped too",
        "<a><b><c xml:lang=''/></b></a>",
        "<a><b><c p:lang=''/></b></a>",
        "xml.namespace-unbound",
        9,
    ),
    ("NS [1] a name", "<a xmlns:p='u'/>", "<a xmlns:1='u'/>", "xml.name", 3),
    ("NS [1] a name", "<a xmlns='u'/>", "<a xmlns:='u'/>", "xml.name", 3),
    ("NS no undeclaring", "<a xmlns=''/>", "<a xmlns:p=''/>", "xml.namespace-undeclared", 3),
    (
        "NS no undeclaring",
        "<a xmlns:p='u'><b xmlns:p='v'/></a>",
        "<a xmlns:p='u'><b xmlns:p=''/></a>",
        "xml.namespace-undeclared",
        18,
    ),
    (
        "NS reserved xml",
        "<a xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns:xml='u'/>",
        "xml.namespace-reserved",
        3,
    ),
    (
        "NS reserved xml",
        "<a xml:space='x'/>",
        "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
        "xml.namespace-reserved",
        3,
    ),
    ("NS reserved xml", "<xml:a/>", "<a xmlns='http://www.w3.org/XML/1998/namespace'/>", "xml.namespace-reserved", 3),
    (
        "NS reserved xmlns",
        "<a xmlns:xmlnsx='u'/>",
        "<a xmlns:xmlns='http://www.w3.org/2000/xmlns/'/>",
        "xml.namespace-reserved",
        3,
    ),
    ("NS reserved xmlns", "<a/>", "<a xmlns:p='http://www.w3.org/2000/xmlns/'/>", "xml.namespace-reserved", 3),
    ("NS reserved xmlns", "<a/>", "<a xmlns='http://www.w3.org/2000/xmlns&#x2F;'/>", "xml.namespace-reserved", 3),
    ("NS reserved xmlns", "<a/>", "<xmlns:a/>", "xml.namespace-reserved", 0),
    (
        "NS attributes unique",
        "<a xmlns:p='u' xmlns:q='v' p:b='' q:b='' b=''/>",
        "<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>",
        "xml.duplicate-attribute",
        34,
    ),
    (
        "NS attributes unique",
        "<p:a xmlns:p='u' xmlns='u' p:b='' b=''/>",
        "<a xmlns:p='u'><b xmlns:q='&#x75;' q:b='' p:b=''/></a>",
        "xml.duplicate-attribute",
        42,
    ),
    (
        "NS attributes unique",
        "<a xmlns:p='u' xmlns='u' p:b='' b=''/>",
        "<a xmlns:p='u\t' xmlns:q='u ' p:b='' q:b=''/>",
        "xml.duplicate-attribute",
        36,
    ),
];

fn judge(payload: &[u8], limits: Limits, dtd: Dtd) -> Result<(), (&'static str, u64)> {
    let verdict = WellFormed::new(limits, dtd).check(payload);
    verdict.map_err(|violation| (violation.code.name(), violation.byte_offset.unwrap()))
}

fn hold(rules: &[Rule], limits: Limits, dtd: Dtd) {
    let mut wrong = Vec::new();
    for &(rule, good, bad, code, at) in rules {
        for (message, expected) in [(good, Ok(())), (bad, Err((code, at)))] {
            let verdict = judge(message.as_bytes(), limits, dtd);
            if verdict != expected {
                wrong.push(format!("{rule}: {message:?} is {verdict:?} and not {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_is_held() {
    for rules in [DOCUMENT, CHARACTERS, PIECES, DECLARATION, ATTRIBUTES, NAMES, NAMESPACES] {
        hold(rules, Limits::default(), Dtd::Refuse);
        hold(rules, Limits::default(), Dtd::IgnoreExternal);
    }
}

#[test]
fn a_document_type_is_refused_or_passed_over() {
    let good = "<?xml version='1.0'?><!-- --><!DOCTYPE a PUBLIC 'p' 's'> <a>&amp;</a>";
    assert_eq!(judge(good.as_bytes(), Limits::default(), Dtd::IgnoreExternal), Ok(()));
    assert_eq!(judge(good.as_bytes(), Limits::default(), Dtd::Refuse), Err(("dtd.refused", 29)));
    let rules: &[Rule] = &[
        ("[22] once", "<!DOCTYPE a><a/>", "<!DOCTYPE a><!DOCTYPE a><a/>", "dtd.syntax", 12),
        ("[22] before the root", "<!DOCTYPE a><a/>", "<a/><!DOCTYPE a>", "dtd.syntax", 4),
        ("[22] before the root", "<!DOCTYPE a><a/>", "<a><!DOCTYPE a></a>", "dtd.syntax", 3),
        (
            "[22] after the declaration",
            "<!DOCTYPE a><a/>",
            "<!DOCTYPE a><?xml version='1.0'?><a/>",
            "xml.declaration",
            12,
        ),
        ("[28] a name", "<!DOCTYPE a><b/>", "<!DOCTYPE ><a/>", "dtd.syntax", 10),
        ("[28] a name", "<!DOCTYPE a><b/>", "<!DOCTYPE><a/>", "dtd.syntax", 9),
        ("[28] whole", "<!DOCTYPE a><a/>", "<!DOCTYPE a ", "dtd.syntax", 12),
        ("[75]", "<!DOCTYPE a SYSTEM '>'><a/>", "<!DOCTYPE a SYSTEM ><a/>", "dtd.syntax", 19),
        ("[75]", "<!DOCTYPE a SYSTEM ''><a/>", "<!DOCTYPE a SYSTEM '><a/>", "dtd.syntax", 19),
        ("no internal subset", "<!DOCTYPE a SYSTEM 's'><a/>", "<!DOCTYPE a []><a/>", "dtd.internal-subset", 12),
        (
            "no internal subset",
            "<!DOCTYPE a><a/>",
            "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///x'>]><a>&b;</a>",
            "dtd.internal-subset",
            12,
        ),
        ("no internal subset", "<!DOCTYPE a><a/>", "<!DOCTYPE a [", "dtd.internal-subset", 12),
        ("no entity", "<!DOCTYPE a SYSTEM 's'><a/>", "<!DOCTYPE a SYSTEM 's'><a>&b;</a>", "xml.entity", 26),
        ("characters", "<!DOCTYPE a SYSTEM '\u{80}'><a/>", "<!DOCTYPE a SYSTEM '\u{1}'><a/>", "xml.character", 20),
    ];
    hold(rules, Limits::default(), Dtd::IgnoreExternal);
    for (_, _, bad, ..) in &rules[..12] {
        let code = judge(bad.as_bytes(), Limits::default(), Dtd::Refuse).unwrap_err().0;
        assert!(["dtd.refused"].contains(&code), "{bad} {code}");
    }
}

#[test]
fn limits_are_held() {
    let limits = Limits { bytes: 60, depth: 2, attributes: 3, bindings: 2, name: 7, text: 12, children: 3, rows: 0 };
    let rules: &[Rule] = &[
        ("bytes", "<a/>", "<a>                                                         </a>", "limit.bytes", 0),
        ("depth", "<a><b/></a>", "<a><b><c/></b></a>", "limit.depth", 6),
        ("attributes", "<a b='' c='' d=''/>", "<a b='' c='' d='' e=''/>", "limit.attributes", 2),
        ("bindings", "<a xmlns:b='u' xmlns='u'/>", "<a xmlns:b='u' xmlns='u'><b xmlns=''/></a>", "limit.bindings", 28),
        (
            "bindings",
            "<a><b xmlns='u'/><b xmlns='u'/></a>",
            "<a xmlns:b='u' xmlns='u' xmlns:c='u'/>",
            "limit.bindings",
            25,
        ),
        ("name", "<a234567/>", "<a>.<a2345678/></a>", "limit.name", 5),
        ("name", "<a b234567=''/>", "<a b2345678=''/>", "limit.name", 3),
        ("name", "<?p234567?><a/>", "<?p2345678?><a/>", "limit.name", 2),
        ("text", "<a>123456789012</a>", "<a>1234567890123</a>", "limit.text", 3),
        (
            "text, joined",
            "<a>1234<!-- -->5678<b/>90</a>",
            "<a>1234<!-- -->56<![CDATA[7]]>8&amp;.</a>",
            "limit.text",
            31,
        ),
        ("text, attribute", "<a b='123456789012'/>", "<a b='1234567890123'/>", "limit.text", 6),
        ("text, comment", "<!--12345--><a/>", "<a/><!--123456-->", "limit.text", 4),
        ("text, instruction", "<?p 123456?><a/>", "<a/><?p 1234567?>", "limit.text", 4),
        ("children", "<a><b/><b/><b/></a>", "<a><b/><b/><b/><b/></a>", "limit.children", 15),
    ];
    hold(&rules[1..], limits, Dtd::Refuse);
    assert_eq!(judge(rules[0].2.as_bytes(), limits, Dtd::Refuse), Err(("limit.bytes", 0)));
}

#[test]
fn a_judge_keeps_nothing_of_one_message_for_the_next() {
    let mut judge = WellFormed::new(Limits::default(), Dtd::Refuse);
    let all = [DOCUMENT, CHARACTERS, PIECES, DECLARATION, ATTRIBUTES, NAMES, NAMESPACES].concat();
    for round in 0..3 {
        for (rule, good, bad, code, at) in &all {
            assert!(judge.check(good.as_bytes()).is_ok(), "{round} {rule}");
            let violation = judge.check(bad.as_bytes()).unwrap_err();
            assert_eq!((violation.code.name(), violation.byte_offset), (*code, Some(*at)), "{round} {rule}");
        }
    }
}
