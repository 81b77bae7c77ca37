//! Bytes written as text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::text::is_space;
use super::value::Refused;
use crate::model::mapping::BinaryText;
use crate::model::violation::Code;

/// The bytes that the text stands for, in `bytes`.
pub(super) fn read<'t>(
    form: BinaryText,
    text: &str,
    plain: &mut String,
    bytes: &'t mut Vec<u8>,
) -> Result<&'t [u8], Box<Refused>> {
    bytes.clear();
    match form {
        BinaryText::Base64 => base64(text, plain, bytes),
        BinaryText::Hex => hex(text.as_bytes(), bytes),
    }?;
    Ok(bytes)
}

fn base64(text: &str, plain: &mut String, bytes: &mut Vec<u8>) -> Result<(), Box<Refused>> {
    let text = if text.bytes().any(is_space) {
        plain.clear();
        plain.extend(text.split([' ', '\t', '\n', '\r']));
        plain
    } else {
        text
    };
    STANDARD.decode_vec(text, bytes).map_err(|error| {
        let what = match error {
            base64::DecodeError::InvalidByte(_, byte) if byte != b'=' => {
                "not base64: it has a character that base64 does not know"
            }
            base64::DecodeError::InvalidLastSymbol(..) => {
                "not base64: its last character has bits that belong to no byte"
            }
            _ => "not base64: it ends too early, or its padding (=) is missing or wrong",
        };
        Refused::new(Code::TYPE_BINARY, what)
    })
}

fn hex(text: &[u8], bytes: &mut Vec<u8>) -> Result<(), Box<Refused>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Refused::new(Code::TYPE_BINARY, "not hexadecimal: its number of digits is odd"));
    }
    for [high, low] in pairs {
        match (digit(*high), digit(*low)) {
            (Some(high), Some(low)) => bytes.push(high << 4 | low),
            _ => {
                let what = "not hexadecimal: it has a character that is none of 0-9, a-f, A-F";
                return Err(Refused::new(Code::TYPE_BINARY, what));
            }
        }
    }
    Ok(())
}
