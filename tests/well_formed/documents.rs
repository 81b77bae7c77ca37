//! Documents for the tests of well-formedness: built from XML's grammar, and damaged ones.

use fastrand::Rng;

/// A document that is well-formed, namespaces included.
pub(crate) fn good(random: &mut Rng) -> String {
    let mut out = String::new();
    if random.bool() {
        out.push_str(pick(
            random,
            &[
                "<?xml version=\"1.0\"?>",
                "<?xml version='1.0' encoding='UTF-8'?>",
                "<?xml version=\"1.0\" standalone='yes' ?>",
                "<?xml version=\"1.0\"\n encoding = \"utf-8\" standalone=\"no\"?>",
            ],
        ));
    }
    misc(random, &mut out);
    if random.u8(..8) == 0 {
        out.push_str(pick(
            random,
            &["<!DOCTYPE a>", "<!DOCTYPE p:a SYSTEM \"x>y\">", "<!DOCTYPE a PUBLIC '-//X//Y' \"it's\" >"],
        ));
        misc(random, &mut out);
    }
    element(random, &mut out, &mut vec![], 0);
    misc(random, &mut out);
    out
}

fn misc(random: &mut Rng, out: &mut String) {
    for _ in 0..random.usize(..3) {
        let piece = pick(
            random,
            &[" ", "\n", "\t\r\n", "<!---->", "<!-- & < > - é -->", "<?p?>", "<?p-q  a='?' ?>", "<!--->x-->"],
        );
        out.push_str(piece);
    }
}

fn element(random: &mut Rng, out: &mut String, bound: &mut Vec<&'static str>, depth: usize) {
    let before = bound.len();
    let mut attributes: Vec<(String, String)> = Vec::new();
    for _ in 0..random.usize(..3) {
        let prefix = pick(random, &["p", "q", "é", "_x-1"]);
        let name = format!("xmlns:{prefix}");
        if random.bool() && !attributes.iter().any(|(known, _)| *known == name) {
            bound.push(prefix);
            // Each prefix its own URI, so that no two attributes are the same once they are resolved.
            let uri = if prefix == "é" { "urn:e" } else { prefix };
            attributes.push((name, uri.to_owned()));
        }
    }
    if random.u8(..4) == 0 {
        attributes.push(("xmlns".to_owned(), pick(random, &["", "urn:d", "urn:p"]).to_owned()));
    }
    for _ in 0..random.usize(..4) {
        let local = pick(random, &["a", "b", "long-name.1", "Ωmega", "xmlnsx"]);
        let name = match random.u8(..3) {
            0 if !bound.is_empty() => format!("{}:{local}", bound[random.usize(..bound.len())]),
            1 => format!("xml:{local}"),
            _ => local.to_owned(),
        };
        if !attributes.iter().any(|(known, _)| *known == name) {
            let value = text(random, true);
            attributes.push((name, value));
        }
    }
    random.shuffle(&mut attributes);
    let local = pick(random, &["a", "b", "c-d", "é", "_", "\u{10000}"]);
    let name = if !bound.is_empty() && random.bool() {
        format!("{}:{local}", bound[random.usize(..bound.len())])
    } else {
        local.to_owned()
    };
    out.push('<');
    out.push_str(&name);
    for (name, value) in attributes {
        out.push_str(pick(random, &[" ", "\n", "\t ", "\r\n"]));
        out.push_str(&name);
        out.push_str(pick(random, &["=", " = ", "=\n"]));
        let quote = if value.contains('"') { '\'' } else { '"' };
        out.push(quote);
        out.push_str(&value);
        out.push(quote);
    }
    out.push_str(pick(random, &["", "", " ", "\n"]));
    if random.u8(..4) == 0 {
        out.push_str("/>");
    } else {
        out.push('>');
        for _ in 0..random.usize(..4) {
            match random.u8(..7) {
                0 | 1 if depth < 5 => element(random, out, bound, depth + 1),
                2 => out.push_str(pick(random, &["<![CDATA[]]>", "<![CDATA[<a>&b;]] >]]]>", "<![CDATA[é]]>"])),
                3 => misc(random, out),
                _ => {
                    let text = text(random, false);
                    out.push_str(&text);
                }
            }
        }
        out.push_str("</");
        out.push_str(&name);
        out.push_str(pick(random, &["", "", " ", "\n\t"]));
        out.push('>');
    }
    bound.truncate(before);
}

/// Character data; in an attribute it holds one kind of quotes at most.
fn text(random: &mut Rng, in_attribute: bool) -> String {
    let pieces: &[&str] = if in_attribute {
        &["x", " ", "\n", "'", "&quot;", "&lt;", ">", "]]>", "é", "&#10;", "&#x1F600;", "\u{10FFFF}", "--"]
    } else {
        &["x", " ", "\r\n", "'", "\"", "&lt;", ">", "]] ", "é", "&#xD;", "&amp;", "\u{FFFD}", "--", "&apos;&gt;"]
    };
    let mut out = String::new();
    for _ in 0..random.usize(..6) {
        out.push_str(pick(random, pieces));
    }
    out
}

/// What damage is made of.
const TOKENS: &[&str] = &[
    "<",
    ">",
    "/",
    "=",
    "\"",
    "'",
    "&",
    ";",
    "#",
    "?",
    "!",
    "-",
    "--",
    "]",
    "]]>",
    "[",
    ":",
    " ",
    "\n",
    "\0",
    "\u{1}",
    "\u{FFFE}",
    "\u{FEFF}",
    "\u{85}",
    "\u{37E}",
    "x",
    "1",
    "<!--",
    "-->",
    "<![CDATA[",
    "<?",
    "?>",
    "<?xml ",
    "<?xml version='1.0'?>",
    "</",
    "/>",
    "<a>",
    "</a>",
    "<a/>",
    "&amp;",
    "&#0;",
    "&#x41;",
    "&#xD800;",
    "&nbsp;",
    "&",
    "xmlns",
    "xmlns:",
    "xmlns:p='u'",
    " xmlns:q=''",
    " xmlns='http://www.w3.org/2000/xmlns/'",
    " xmlns:p='http://www.w3.org/XML/1998/namespace'",
    " xmlns:xml='u'",
    " p:a=''",
    " q:a=''",
    "p:",
    "xml:",
    "<!DOCTYPE a>",
    "<!doctype",
    "<!ELEMENT",
    "XML",
    "version",
    "encoding",
    "UTF-16",
    " a='1' a='1'",
    "%",
    "\u{2028}",
];

/// A document with something changed in one to three places.
pub(crate) fn damaged(random: &mut Rng) -> Vec<u8> {
    let mut bytes = good(random).into_bytes();
    for _ in 0..=random.usize(..3) {
        let at = random.usize(..=bytes.len());
        let token = pick(random, TOKENS).as_bytes();
        match random.u8(..8) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] = random.u8(..),
            2 if at < bytes.len() => {
                bytes.remove(at);
            }
            3 => {
                let end = (at + random.usize(..12)).min(bytes.len());
                bytes.drain(at..end);
            }
            4 => {
                let end = (at + random.usize(..20)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                let to = random.usize(..=bytes.len());
                bytes.splice(to..to, copy);
            }
            5 if at < bytes.len() => {
                bytes.splice(at..=at, token.iter().copied());
            }
            _ => {
                bytes.splice(at..at, token.iter().copied());
            }
        }
    }
    bytes
}

/// A document in another encoding than UTF-8, half of them with something changed in a byte or two.
pub(crate) fn encoded(random: &mut Rng) -> Vec<u8> {
    let document = good(random);
    let body = match document.strip_prefix("<?xml") {
        Some(rest) => rest.split_once("?>").map_or("", |(_, body)| body),
        None => &document,
    };
    let name = pick(random, &["UTF-16", "UTF-16LE", "UTF-16BE", "ISO-8859-1", "ISO-8859-15", "US-ASCII"]);
    let text = format!("<?xml version='1.0' encoding='{name}'?>{body}");
    let mut bytes: Vec<u8> = match name {
        "UTF-16" => std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect(),
        "UTF-16LE" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "UTF-16BE" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        "US-ASCII" => text.chars().map(|character| u8::try_from(character).unwrap_or(b'x') & 0x7F).collect(),
        _ => text.chars().map(|character| u8::try_from(character).unwrap_or(b'x')).collect(),
    };
    if random.bool() {
        for _ in 0..random.usize(1..3) {
            let at = random.usize(..bytes.len());
            match random.u8(..3) {
                0 => bytes[at] = random.u8(..),
                1 => bytes[at] ^= 1 << random.u8(..8),
                _ => bytes.truncate(at.max(60)),
            }
        }
    }
    bytes
}

fn pick<T: Copy>(random: &mut Rng, from: &[T]) -> T {
    from[random.usize(..from.len())]
}
