//! The document type declaration, for those who let one pass: `<!DOCTYPE` with a name and the name of a file elsewhere,
//! which nobody fetches. One that declares anything itself is refused.

use super::chars::{is_qualified_name, is_space};
use super::found::Found;
use super::walk::Checked;
use crate::model::violation::Code;

/// Checks the declaration that begins at `at`.
///
/// # Errors
///
/// It has an internal subset, or breaks the grammar.
pub(super) fn check(message: &str, at: usize) -> Checked {
    let mut cursor = Cursor { message, at: at + "<!DOCTYPE".len() };
    cursor.space("the document type declaration has no white space before its name")?;
    let name = cursor.word();
    if !is_qualified_name(name) {
        return cursor.refuse("the document type declaration has a name that is none");
    }
    cursor.at += name.len();
    let before = cursor.at;
    cursor.skip_space();
    let keyword = cursor.word();
    let is_public = match keyword {
        "SYSTEM" => false,
        "PUBLIC" => true,
        _ => return cursor.end(),
    };
    if cursor.at == before {
        return cursor.refuse("the document type declaration has no white space before its external identifier");
    }
    cursor.at += keyword.len();
    if is_public {
        cursor.space("the document type declaration has no white space before its public identifier")?;
        let literal = cursor.literal()?;
        if let Some(bad) = literal.bytes().position(|byte| !is_public_character(byte)) {
            cursor.at -= literal.len() + 1 - bad;
            return cursor
                .refuse("the document type declaration has a public identifier with a character that none may hold");
        }
    }
    cursor.space("the document type declaration has no white space before its system identifier")?;
    cursor.literal()?;
    cursor.skip_space();
    cursor.end()
}

struct Cursor<'m> {
    message: &'m str,
    at: usize,
}

impl<'m> Cursor<'m> {
    fn rest(&self) -> &'m str {
        &self.message[self.at..]
    }

    fn refuse(&self, what: &str) -> Checked {
        Err(Found::fatal(Code::DTD_SYNTAX, self.at, what))
    }

    fn skip_space(&mut self) {
        self.at += self.rest().bytes().take_while(|&byte| is_space(byte)).count();
    }

    /// White space that must be there.
    fn space(&mut self, what: &str) -> Checked {
        let before = self.at;
        self.skip_space();
        if self.at == before { self.refuse(what) } else { Ok(()) }
    }

    /// What stands here up to white space or a delimiter.
    fn word(&self) -> &'m str {
        let rest = self.rest();
        let end = rest.bytes().position(|byte| is_space(byte) || matches!(byte, b'[' | b'>' | b'"' | b'\'' | b'<'));
        &rest[..end.unwrap_or(rest.len())]
    }

    /// What stands between quotes here; the place is after them then.
    fn literal(&mut self) -> Result<&'m str, Box<Found>> {
        let rest = self.rest();
        let quote = rest.bytes().next().filter(|byte| matches!(byte, b'"' | b'\''));
        let end = quote.and_then(|quote| memchr::memchr(quote, &rest.as_bytes()[1..]));
        match end {
            Some(end) => {
                self.at += end + 2;
                Ok(&rest[1..=end])
            }
            None => {
                let what = "the document type declaration has an identifier that is not in quotes";
                Err(Found::fatal(Code::DTD_SYNTAX, self.at, what))
            }
        }
    }

    /// The end of the declaration.
    fn end(&self) -> Checked {
        match self.rest().bytes().next() {
            Some(b'>') => Ok(()),
            Some(b'[') => {
                let what = "the document type declaration has an internal subset, which is refused";
                Err(Found::fatal(Code::DTD_INTERNAL_SUBSET, self.at, what))
            }
            _ => self.refuse("the document type declaration is malformed"),
        }
    }
}

/// `PubidChar` of XML's grammar.
fn is_public_character(byte: u8) -> bool {
    matches!(byte, b' ' | b'\r' | b'\n' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9')
        || b"-'()+,./:=?;!*#@$_%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_only_an_external_subset_passes() {
        for good in [
            "<!DOCTYPE a>",
            "<!DOCTYPE\n a:b >",
            "<!DOCTYPE a SYSTEM 'x>[y.dtd' >",
            "<!DOCTYPE a SYSTEM \"it's\">",
            "<!DOCTYPE a PUBLIC \"-//W3C//DTD (x) 1.0//EN\" ''>",
            "<!DOCTYPE a PUBLIC\t\"it's\"\r\n\"x\"\n>",
        ] {
            assert_eq!(check(good, 0), Ok(()), "{good}");
        }
    }

    #[test]
    fn what_breaks_the_grammar_is_refused_where_it_breaks() {
        for (bad, at) in [
            ("<!DOCTYPE>", 9),
            ("<!DOCTYPEa>", 9),
            ("<!DOCTYPE 1a>", 10),
            ("<!DOCTYPE a x>", 12),
            ("<!DOCTYPE a", 11),
            ("<!DOCTYPE a system 'x'>", 12),
            ("<!DOCTYPE a SYSTEM>", 18),
            ("<!DOCTYPE a SYSTEM'x'>", 18),
            ("<!DOCTYPE a SYSTEM x>", 19),
            ("<!DOCTYPE a SYSTEM 'x\">", 19),
            ("<!DOCTYPE a PUBLIC 'x'>", 22),
            ("<!DOCTYPE a PUBLIC 'x''y'>", 22),
            ("<!DOCTYPE a PUBLIC 'x{' 'y'>", 21),
            ("<!DOCTYPE a PUBLIC 'x\té' 'y'>", 21),
            ("<!DOCTYPE a SYSTEM 'x' y>", 23),
            ("<!DOCTYPE a SYSTEM 'x' SYSTEM 'x'>", 23),
        ] {
            let found = check(bad, 0).unwrap_err();
            assert_eq!((found.code.name(), found.place.at), ("dtd.syntax", at), "{bad}");
        }
    }

    #[test]
    fn an_internal_subset_has_a_code_of_its_own() {
        for (bad, at) in
            [("<!DOCTYPE a []>", 12), ("<!DOCTYPE a[<!ENTITY b 'c'>]>", 11), ("<!DOCTYPE a SYSTEM 'x'[", 22)]
        {
            let found = check(bad, 0).unwrap_err();
            assert_eq!((found.code.name(), found.place.at), ("dtd.internal-subset", at), "{bad}");
        }
    }
}
