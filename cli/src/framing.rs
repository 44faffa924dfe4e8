//! Messages in a stream of bytes: lines, records that end with a zero byte, or each one after its
//! length.

use clap::ValueEnum;
use memchr::memchr;

/// How messages follow one another in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A message is a line, without its newline
    Lines,
    /// A message ends with a zero byte, which is not part of it
    Nul,
    /// Four bytes of length, little-endian, before each message: any bytes at all
    Length,
}

/// What a stream begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A message at `start..start + len`, and how many bytes of the stream it takes.
    Message { start: usize, len: usize, size: usize },
    /// Only part of a message; the whole message takes at least this many bytes.
    Partial { least: usize },
}

const LENGTH: usize = 4;

impl Format {
    fn delimiter(self) -> Option<u8> {
        match self {
            Self::Lines => Some(b'\n'),
            Self::Nul => Some(0),
            Self::Length => None,
        }
    }

    /// The first message of `stream`.
    pub(crate) fn next(self, stream: &[u8]) -> Next {
        match self.delimiter() {
            Some(delimiter) => match memchr(delimiter, stream) {
                Some(len) => Next::Message { start: 0, len, size: len + 1 },
                None => Next::Partial { least: stream.len() + 1 },
            },
            None => {
                let Some(length) = stream.first_chunk::<LENGTH>() else {
                    return Next::Partial { least: LENGTH };
                };
                let len = u32::from_le_bytes(*length) as usize;
                match stream.len() >= LENGTH + len {
                    true => Next::Message { start: LENGTH, len, size: LENGTH + len },
                    false => Next::Partial { least: LENGTH + len },
                }
            }
        }
    }

    /// The rest of a stream at its end is a message, if messages end with a delimiter that may be
    /// missing there.
    pub(crate) fn allows_open_end(self) -> bool {
        self.delimiter().is_some()
    }

    /// How many bytes of a stream the message takes.
    pub(crate) fn size(self, message: &[u8]) -> usize {
        message.len() + if self.delimiter().is_some() { 1 } else { LENGTH }
    }

    /// Appends a message to `stream`. `Length` cannot express more than 4 GiB.
    pub(crate) fn put(self, message: &[u8], stream: &mut Vec<u8>) {
        match self.delimiter() {
            Some(delimiter) => {
                stream.extend_from_slice(message);
                stream.push(delimiter);
            }
            None => {
                let len = u32::try_from(message.len()).expect("checked against the queue's largest message");
                stream.extend_from_slice(&len.to_le_bytes());
                stream.extend_from_slice(message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_found_again() {
        for format in [Format::Lines, Format::Nul, Format::Length] {
            let messages: [&[u8]; 4] = [b"one", b"", b"three\r", &[0xff; 300]];
            let mut stream = Vec::new();
            messages.iter().for_each(|message| format.put(message, &mut stream));
            assert_eq!(stream.len(), messages.iter().map(|message| format.size(message)).sum::<usize>());
            let mut rest = &stream[..];
            for message in messages {
                let Next::Message { start, len, size } = format.next(rest) else { panic!("{format:?}") };
                assert_eq!(&rest[start..start + len], message);
                rest = &rest[size..];
            }
            assert!(matches!(format.next(rest), Next::Partial { .. }));
        }
    }

    #[test]
    fn half_a_message_is_none() {
        assert_eq!(Format::Lines.next(b"half"), Next::Partial { least: 5 });
        assert_eq!(Format::Length.next(&[5, 0]), Next::Partial { least: 4 });
        assert_eq!(Format::Length.next(&[5, 0, 0, 0, b'h']), Next::Partial { least: 9 });
        assert_eq!(Format::Length.next(&[0xff; 8]), Next::Partial { least: 4 + u32::MAX as usize });
    }
}
