//! From text to typed values: the value steps of one column, compiled once by [`Caster::new`] and run for every value
//! by [`Caster::cast`]. Pure: no Arrow, no XML, no input or output.
//!
//! The steps, always in this order (the text arrives joined, with line ends of one kind):
//!
//! 1. **trim**: `none`, `both` or `collapse`; white space is that of XML (blank, tab, line feed, carriage return);
//! 2. **null rules**: what is empty now, or equal to one of `null_values`, is null. What is missing, or marked by
//!    `xsi:nil`, never gets here: [`Caster::missing`] says what stands for it;
//! 3. **default**: stands for a null, never for a value that cannot be cast. It is cast, and checked by the rules
//!    below, when the mapping is loaded;
//! 4. **cast** to the type of the column: exact, or refused. Forms are those of XML Schema 1.1, unless `format`,
//!    `decimal` or `group` say otherwise;
//! 5. **enum**, **regex**, **length**, **range**, in this order; the first that does not hold refuses the value.
//!    `enum`, `min` and `max` are written as the values of the column are and compared in its type (`1.0` is `1.00`);
//!    `regex` is about the trimmed text, all of it; lengths are characters, for `binary` bytes.
//!
//! # Forms
//!
//! | type | forms |
//! |---|---|
//! | `string` | any text |
//! | `bool` | `true`, `false`, `1`, `0` |
//! | `int8` … `int64` | digits with an optional sign; leading zeros |
//! | `float32`, `float64` | digits with point and exponent, `INF`, `+INF`, `-INF`, `NaN`; the nearest number is taken, one beyond the largest is refused |
//! | `decimal(p,s)` | digits with an optional point and sign; digits beyond the scale are refused unless they are zeros, or `rounding` says what to do |
//! | `date` | `2026-10-15`, with or without a zone, which does not move the date |
//! | `time` | `18:42:00`, with or without fraction and zone, which does not move the time; `24:00:00` is `00:00:00` |
//! | `timestamp` | `2026-10-15T18:42:00` with or without fraction and zone; one without is in `zone`, or UTC; `24:00:00` is the next day's `00:00:00` |
//! | `timestamp_ntz` | the same without a zone; one with a zone is refused, or becomes the local time of `zone` when that is set |
//! | `binary` | base64 with padding, white space allowed; or pairs of hexadecimal digits |
//! | `json` | one JSON document (RFC 8259); kept as written |
//!
//! Years have four digits, or more that do not begin with a zero, and an optional minus; the year 0000 is 1 BC, as XML
//! Schema 1.1 has it. Offsets go to 14:00 either way. There is no second 60: a leap second has no place in any of the
//! types. Digits finer than the unit of the type are refused unless they are zeros, or `rounding` says what to do.
//!
//! **Local times that a zone skips or has twice** (when clocks change) are refused: which instant was meant is nothing
//! to guess. A `timestamp_ntz` without `zone` takes them as they are.
//!
//! **Groups of digits** are strict, because `1,5` read with `group = ","` must not become 15: they stand between digits
//! before the decimal mark, the last has three digits, the others three each or (as in India) two each. A blank as
//! `group` also stands for the no-break blanks U+00A0 and U+202F. A number without groups is fine.
//!
//! **Patterns** (`format`) are read by this module's `pattern`, which lists what they may hold.

mod binary;
mod calendar;
mod cast;
mod caster;
mod check;
mod decimal;
mod fit;
mod iso;
mod json;
mod marks;
mod name;
mod number;
mod pattern;
mod rules;
mod spell;
mod text;
mod value;
mod zone;

#[cfg(test)]
mod tests;

pub use caster::Caster;
pub use name::is_unqualified_name;
pub use spell::{push_json, push_string};
pub use text::{is_space, trim};
pub use value::{Memory, Refused, Value, Wrong};
