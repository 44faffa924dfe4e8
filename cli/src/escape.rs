//! What may reach a terminal. Names of files, types and processes, messages, and errors that quote
//! them come from other users. Characters that a terminal would obey, hide or turn around are
//! escaped at the one place where human-readable text leaves this program.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// Whether a terminal obeys the character, hides it, or turns around the text after it.
pub(crate) fn is_unsafe_to_print(character: char) -> bool {
    let is_format = matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    character.is_control() || is_format
}

/// Text in one line, with unsafe characters escaped.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe_to_print) {
        return Cow::Borrowed(text);
    }
    let mut escape = String::with_capacity(text.len() + 16);
    push_escaped(text, &mut escape);
    Cow::Owned(escape)
}

fn push_escaped(text: &str, escape: &mut String) {
    for character in text.chars() {
        match is_unsafe_to_print(character) {
            true => escape.extend(character.escape_default()),
            false => escape.push(character),
        }
    }
}

/// A message as text. Bytes that are not text are escaped, and so are backslashes, so that every
/// backslash in the result begins an escape.
pub(crate) fn escape_bytes(bytes: &[u8]) -> String {
    bytes.utf8_chunks().fold(String::new(), |mut text, chunk| {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                plain if !is_unsafe_to_print(plain) => text.push(plain),
                wild => text.extend(wild.escape_default()),
            }
        }
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
        text
    })
}

/// JSON with unsafe characters escaped: they occur in its strings only, apart from its own
/// newlines.
pub(crate) fn escape_json(json: &str) -> Cow<'_, str> {
    let is_unsafe_to_print = |character: char| is_unsafe_to_print(character) && character != '\n';
    if !json.contains(is_unsafe_to_print) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len() + 64);
    for character in json.chars() {
        match is_unsafe_to_print(character) {
            true => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    text += &format!("\\u{unit:04x}");
                }
            }
            false => text.push(character),
        }
    }
    Cow::Owned(text)
}

/// The escape sequences of this program: the only ones that are printed. They are recognised by
/// their address in memory, which no name can imitate.
static STYLES: [&str; 6] = ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"];

/// One of [`STYLES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Bold = 1,
    Dim,
    Red,
    Green,
    Yellow,
}

/// Text with a style, if styles are enabled. It must be passed to the formatter as it is: in a
/// `String` the style would be escaped like any other text.
pub(crate) struct Painted {
    style: Option<Style>,
    text: String,
}

impl Painted {
    pub(crate) fn new(style: Option<Style>, text: impl fmt::Display) -> Self {
        Self { style, text: text.to_string() }
    }
}

impl fmt::Display for Painted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(style) = self.style else { return f.write_str(&self.text) };
        f.write_str(STYLES[style as usize])?;
        f.write_str(&self.text)?;
        f.write_str(STYLES[0])
    }
}

/// Escapes what a formatter writes, piece by piece.
struct Tamer(String);

impl Write for Tamer {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        // A formatter passes on the same string that a `Display` implementation gives it.
        match STYLES.iter().any(|style| std::ptr::eq(*style, piece)) {
            true => self.0.push_str(piece),
            false => push_escaped(piece, &mut self.0),
        }
        Ok(())
    }
}

/// The text to print, in which only styles contain unsafe characters.
pub(crate) fn escape_lines(text: fmt::Arguments<'_>) -> String {
    let mut tamer = Tamer(String::new());
    // Only a `Display` implementation can fail, and what it wrote before is better than nothing.
    let _ = tamer.write_fmt(text);
    tamer.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_the_same_without_control_characters() {
        let text = "plain \u{9b}2J \u{7f} \u{1b} \u{202e} \u{e0041} é";
        let json = serde_json::to_string_pretty(&[text]).unwrap();
        let escape = escape_json(&json);
        assert!(
            escape.contains("\\u009b2J \\u007f \\u001b \\u202e \\udb40\\udc41 é") && escape.contains('\n'),
            "{escape}"
        );
        assert_eq!(serde_json::from_str::<[String; 1]>(&escape).unwrap(), [text]);
    }

    #[test]
    fn no_message_reaches_a_terminal_as_it_is() {
        assert_eq!(escape_bytes(b"plain \xc3\xa9"), "plain \u{e9}");
        assert_eq!(escape_bytes(b"\x1b[2J\n\\"), "\\u{1b}[2J\\n\\\\");
        assert_eq!(escape_bytes(b"a\xff\x80b"), "a\\xff\\x80b");
    }

    #[test]
    fn text_is_one_line_without_orders() {
        assert_eq!(escape("plain é 日本 \u{1f600}"), "plain é 日本 \u{1f600}");
        assert_eq!(escape("a\nb\tc\0\u{1b}[2J\u{9b}"), "a\\nb\\tc\\u{0}\\u{1b}[2J\\u{9b}");
        assert_eq!(escape("\u{202e}gpj"), "\\u{202e}gpj");
    }

    #[test]
    fn styles_are_this_programs_only() {
        let painted = |text: &str| Painted::new(Some(Style::Bold), text);
        assert_eq!(
            escape_lines(format_args!("{} {}", painted("a\n"), "\x1b[1mb")),
            "\x1b[1ma\\n\x1b[0m \\u{1b}[1mb"
        );
        assert_eq!(
            escape_lines(format_args!("{}", painted("\x1b[0m\x1b[1m"))),
            "\x1b[1m\\u{1b}[0m\\u{1b}[1m\x1b[0m"
        );
        let flattened = painted("a").to_string();
        assert_eq!(escape_lines(format_args!("{flattened}")), "\\u{1b}[1ma\\u{1b}[0m");
        assert_eq!(escape_lines(format_args!("{}", Painted::new(None, "a"))), "a");
    }
}
