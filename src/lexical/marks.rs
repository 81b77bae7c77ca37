//! Numbers as other countries write them, brought to the marks of XML Schema.

/// What stands in a number besides digits, sign and exponent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks {
    /// Between whole and fraction; none: the numbers are whole, so that a point may stand between groups.
    decimal: Option<char>,
    /// Between groups of digits; a blank stands for the no-break blanks too.
    group: Option<char>,
}

/// Blanks that are written between groups of digits.
const BLANKS: [char; 3] = [' ', '\u{a0}', '\u{202f}'];

impl Marks {
    /// The marks of a column; none when they are those of XML Schema.
    pub(super) fn new(decimal: Option<char>, group: Option<char>) -> Option<Self> {
        let decimal = decimal.unwrap_or('.');
        (decimal != '.' || group.is_some()).then_some(Self { decimal: Some(decimal), group })
    }

    /// Those of a column of whole numbers.
    pub(super) fn of_whole(group: Option<char>) -> Option<Self> {
        group.is_some().then_some(Self { decimal: None, group })
    }

    /// The number with a point and without groups; none when its groups are not well placed.
    pub(super) fn plain<'t>(&self, text: &str, buffer: &'t mut String) -> Option<&'t str> {
        buffer.clear();
        let (sign, number) = match text.as_bytes().first() {
            Some(b'+' | b'-') => text.split_at(1),
            _ => ("", text),
        };
        let ends = |letter: char| Some(letter) == self.decimal || letter.is_ascii_alphabetic();
        let (whole, rest) = number.split_at(number.find(ends).unwrap_or(number.len()));
        buffer.push_str(sign);
        self.push_whole(whole, buffer)?;
        // What follows may have neither groups nor a point of its own; the plain form is checked when it is read.
        if let Some(fraction) = self.decimal.and_then(|decimal| rest.strip_prefix(decimal)) {
            buffer.push('.');
            buffer.push_str(fraction);
        } else {
            buffer.push_str(rest);
        }
        Some(buffer)
    }

    /// Appends the digits before the decimal mark. Every group after the first has three digits, or the last has three
    /// and the others two; the first has as many at most as the second would have.
    fn push_whole(&self, whole: &str, buffer: &mut String) -> Option<()> {
        let (mut first, mut middle, mut last) = (None, None, None);
        for group in whole.split(|letter| self.is_group(letter)) {
            if !group.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            buffer.push_str(group);
            if first.is_none() {
                first = Some(group.len());
                continue;
            }
            // The one before is a middle group now, and those are all of one size.
            if let Some(size) = last.replace(group.len())
                && middle.replace(size).is_some_and(|before| before != size)
            {
                return None;
            }
        }
        let usual = middle.unwrap_or(3);
        let is_grouped = matches!(usual, 2 | 3) && last == Some(3) && (1..=usual).contains(&first.unwrap_or(0));
        (last.is_none() || is_grouped).then_some(())
    }

    fn is_group(&self, letter: char) -> bool {
        self.group == Some(letter)
            || (BLANKS.contains(&letter) && self.group.is_some_and(|group| BLANKS.contains(&group)))
    }
}

/// Whether a character may stand between digits: nothing that a number has anyway, and nothing that cannot be seen.
pub(super) fn is_mark(letter: char, may_be_blank: bool) -> bool {
    let is_blank = BLANKS.contains(&letter);
    (is_blank && may_be_blank)
        || (!letter.is_alphanumeric()
            && !letter.is_whitespace()
            && !letter.is_control()
            && !matches!(letter, '+' | '-'))
}
