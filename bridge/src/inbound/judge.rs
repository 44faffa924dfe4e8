//! Which messages a queue can take.

use std::collections::HashMap;

use ringway::schema::Description;

use super::committer::Opened;
use super::source::{Incoming, Tag};
use crate::pack;
use crate::types::{STREAM, TypeTag};

/// What a message is to a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good,
    /// The queue cannot take it; others it can.
    Bad(String),
    /// It is of another type: so will others be.
    Refused(String),
}

/// The types that were compared with the queue's. A stream has few; one who stores under many makes the link ask again.
#[derive(Debug)]
pub(crate) struct Compared {
    types: HashMap<TypeTag, Result<(), String>>,
    /// Whether the link creates queues for the type of the stream's messages: then one of bytes is for messages without a
    /// type only, although it could take any.
    creates: bool,
}

/// Why a message of no type and not of none is no good.
pub(crate) const DAMAGED_TAG: &str = "its type's tag is damaged";

/// More are not remembered.
const MAX_TYPES: usize = 64;

impl Compared {
    pub(crate) fn new(creates: bool) -> Self {
        Self { types: HashMap::new(), creates }
    }

    /// Whether the type is still to be compared.
    pub(crate) fn is_unknown(&self, tag: TypeTag) -> bool {
        !self.types.contains_key(&tag)
    }

    /// Compares a type with the queue's.
    pub(crate) fn compare(
        &mut self,
        queue: &Opened,
        tag: TypeTag,
        described: Result<Option<Description>, String>,
    ) {
        if self.types.len() >= MAX_TYPES {
            self.types.clear();
        }
        let compared = match self.creates && queue.description.is_bytes() {
            true => Err(format!(
                "messages of type {tag} are for a queue of that type, and this is a queue of bytes, as --create makes one when the \
                 first message names no type. Without --create, bytes take any message; or give the stream's typed messages a \
                 queue of their own with --filter"
            )),
            false => compare(queue, tag, described),
        };
        self.types.insert(tag, compared);
    }
}

fn compare(
    queue: &Opened,
    tag: TypeTag,
    described: Result<Option<Description>, String>,
) -> Result<(), String> {
    let known = &queue.description;
    // A queue of bytes takes anything.
    if known.is_bytes() {
        return Ok(());
    }
    let described = described?.ok_or_else(|| {
        format!("messages are of type {tag}, whose description is not in stream {STREAM}: its outbound bridge stores it")
    })?;
    if described.format_word() != known.format_word() {
        return Err(format!(
            "messages are archived otherwise ({}) than this queue's ({}): rkyv's features must be the same on both sides",
            described.format(),
            known.format()
        ));
    }
    match known.difference(&described) {
        None => Ok(()),
        Some(difference) => Err(format!(
            "messages are of another type than the queue (in what follows, \"the file\" is this queue, and \"this program\" the \
             stream): {difference}"
        )),
    }
}

/// Judges a message whose type was compared before.
pub(crate) fn judge(queue: &Opened, compared: &Compared, message: &Incoming) -> Verdict {
    match message.tag {
        Tag::Invalid => return Verdict::Bad(DAMAGED_TAG.into()),
        Tag::None if queue.description.is_bytes() => {}
        Tag::None => {
            return Verdict::Bad(format!(
                "it names no type, and the queue is one of {}",
                queue.description.name()
            ));
        }
        Tag::Type(tag) => match compared.types.get(&tag) {
            Some(Ok(())) => {}
            Some(Err(why)) => return Verdict::Refused(why.clone()),
            None => return Verdict::Refused(format!("type {tag} was not compared with the queue's")),
        },
    }
    let wrong = match message.packed {
        None => wrong_length(queue, message.payload.len()),
        Some(count) => match pack::unpack(&message.payload, count) {
            Err(damaged) => Some(damaged.to_string()),
            Ok(parts) => parts.iter().find_map(|part| wrong_length(queue, part.len())),
        },
    };
    wrong.map_or(Verdict::Good, Verdict::Bad)
}

fn wrong_length(queue: &Opened, len: usize) -> Option<String> {
    match queue.fixed_len {
        Some(fixed) if len != fixed => {
            Some(format!("it has {len} bytes, and every message of the queue has {fixed}"))
        }
        None if len > queue.max_message => {
            Some(format!("it has {len} bytes, and the queue takes {} at most", queue.max_message))
        }
        _ => None,
    }
}
