//! Serialises straight into a frame.
#![allow(
    unsafe_code,
    reason = "writes into bytes that the lane protocol grants, through rkyv's unsafe traits"
)]

use std::alloc::Layout;
use std::marker::PhantomData;
use std::mem::{align_of, size_of};
use std::ptr::NonNull;

use rkyv::api::high::HighValidator;
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::{self, Strategy};
use rkyv::ser::allocator::{Arena, ArenaHandle};
use rkyv::ser::sharing::Share;
use rkyv::ser::{Allocator, Positional, Serializer, Writer};
use rkyv::{Archive, Place, Portable, Serialize};

use crate::describe::Structure;
use crate::error::{SendError, SerializeError, SerializeErrorKind};

/// A type whose archives can be sent: one that derives rkyv's `Archive` and `Serialize`, with
/// bytecheck on (rkyv's default), and `Message`, which describes the archive.
///
/// ```
/// #[derive(rkyv::Archive, rkyv::Serialize, ringway::Message)]
/// struct Tick {
///     symbol: String,
///     prices: Vec<f64>,
/// }
/// ```
///
/// Implemented for all types that have these properties; there is nothing to implement by hand.
/// Numbers, `char`, `bool`, arrays, tuples, `Option`, `Result`, `String`, `Vec`, `Box`, `Rc`,
/// `Arc`, maps, sets, ranges, `Duration`, addresses and the other types of std that rkyv archives
/// are messages as they are, if their contents are.
///
/// A chain of pointers in a value has at most 1,022 of them: `Box`, `Rc`, `Vec`, nodes of maps and sets,
/// strings of more than 8 bytes. Types that contain themselves can have more; sending such a value fails
/// with [`SendError::TooDeep`](crate::SendError::TooDeep), because it could not be received.
///
/// A type of another crate, which rkyv can archive and which does not derive `Message`, is sent in
/// a struct of your own, as a field marked `#[ringway(opaque = "name")]`. Then only that name, its
/// size and its alignment are compared.
pub trait Message:
    Archive<Archived: Portable + Structure + for<'a> CheckBytes<HighValidator<'a, rancor::Error>>>
    + for<'a> Serialize<FrameSerializer<'a>>
{
}

impl<T> Message for T
where
    T: Archive + for<'a> Serialize<FrameSerializer<'a>>,
    T::Archived: Portable + Structure + for<'a> CheckBytes<HighValidator<'a, rancor::Error>>,
{
}

/// The serialiser that `Serialize` implementations get.
#[doc(hidden)]
pub type FrameSerializer<'a> = Strategy<Serializer<FrameWriter<'a>, Scratch<'a>, Share>, SerializeError>;

/// Writes into a reserved frame, or only counts.
#[doc(hidden)]
pub struct FrameWriter<'a> {
    base: *mut u8,
    /// The position that rkyv uses for the frame's first byte: its address within its page. rkyv
    /// aligns positions, so that types with any alignment get aligned addresses, whatever the
    /// frame's own alignment is.
    origin: usize,
    len: usize,
    room: usize,
    counting: bool,
    frame: PhantomData<&'a mut [u8]>,
}

impl<'a> FrameWriter<'a> {
    fn into_frame(frame: &'a mut [u8]) -> Self {
        let base = frame.as_mut_ptr();
        let room = frame.len();
        Self { base, origin: origin(base), len: 0, room, counting: false, frame: PhantomData }
    }

    fn counter(origin: usize) -> Self {
        let base = NonNull::dangling().as_ptr();
        Self { base, origin, len: 0, room: 0, counting: true, frame: PhantomData }
    }

    /// Grants `len` more bytes; `None` when only counting.
    #[inline(always)]
    fn grant(&mut self, len: usize) -> Result<Option<NonNull<u8>>, SerializeError> {
        if self.counting || len > self.room - self.len {
            return self.overflow(len);
        }
        // SAFETY: self.len + len <= room, so this is inside the frame or one past it.
        let at = unsafe { self.base.add(self.len) };
        self.len += len;
        // SAFETY: derived from a slice's pointer.
        Ok(Some(unsafe { NonNull::new_unchecked(at) }))
    }

    #[cold]
    fn overflow(&mut self, len: usize) -> Result<Option<NonNull<u8>>, SerializeError> {
        if !self.counting {
            return Err(SerializeError(SerializeErrorKind::Overflow));
        }
        self.len = self.len.checked_add(len).ok_or(SerializeError(SerializeErrorKind::Overflow))?;
        Ok(None)
    }
}

impl Positional for FrameWriter<'_> {
    #[inline(always)]
    fn pos(&self) -> usize {
        self.origin + self.len
    }
}

impl Writer<SerializeError> for FrameWriter<'_> {
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) -> Result<(), SerializeError> {
        if let Some(at) = self.grant(bytes.len())? {
            // SAFETY: `grant` returned room for these bytes inside the frame, which is exclusively
            // ours; `bytes` is borrowed from elsewhere and so does not overlap.
            unsafe { at.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        }
        Ok(())
    }
}

/// Scratch space for serialisers: the producer's arena, used only by types that need it.
#[doc(hidden)]
pub struct Scratch<'a>(State<'a>);

enum State<'a> {
    Idle(Option<&'a mut Arena>),
    Acquired(ArenaHandle<'a>),
}

impl<'a> State<'a> {
    #[cold]
    fn acquire(&mut self) -> &mut ArenaHandle<'a> {
        if let Self::Idle(arena) = self {
            let arena = arena.take().expect("an idle scratch has its arena");
            *self = Self::Acquired(arena.acquire());
        }
        match self {
            Self::Acquired(handle) => handle,
            Self::Idle(_) => unreachable!("acquired above"),
        }
    }
}

// SAFETY: every call is passed on to the arena's handle, which fulfils the contract.
unsafe impl Allocator<SerializeError> for Scratch<'_> {
    #[inline]
    unsafe fn push_alloc(&mut self, layout: Layout) -> Result<NonNull<[u8]>, SerializeError> {
        let handle = match &mut self.0 {
            State::Acquired(handle) => handle,
            idle => idle.acquire(),
        };
        // SAFETY: the caller's contract is the same.
        unsafe { handle.push_alloc(layout) }
    }

    #[inline]
    unsafe fn pop_alloc(&mut self, ptr: NonNull<u8>, layout: Layout) -> Result<(), SerializeError> {
        match &mut self.0 {
            // SAFETY: the caller's contract is the same.
            State::Acquired(handle) => unsafe { handle.pop_alloc(ptr, layout) },
            State::Idle(_) => Ok(()),
        }
    }
}

/// Why an attempt to serialise into a frame failed.
pub(super) enum Attempt {
    /// The frame is too small.
    Overflow,
    Failed(SendError),
}

impl From<SerializeError> for Attempt {
    #[cold]
    fn from(error: SerializeError) -> Self {
        match error.0 {
            SerializeErrorKind::Overflow => Self::Overflow,
            SerializeErrorKind::Failed(_) => Self::Failed(SendError::Serialize(error)),
        }
    }
}

/// Serialises `value` into `frame`, which must be aligned for it; the root is at the end. Returns the length.
#[inline(always)]
pub(super) fn serialize_into<T: Message>(
    value: &T,
    frame: &mut [u8],
    arena: &mut Arena,
) -> Result<usize, Attempt> {
    Ok(serialize(value, FrameWriter::into_frame(frame), arena)?)
}

/// The length of `value`'s archive in a frame at this address.
#[cold]
pub(super) fn count<T: Message>(value: &T, frame: *const u8, arena: &mut Arena) -> Result<usize, SendError> {
    serialize(value, FrameWriter::counter(origin(frame)), arena).map_err(SendError::Serialize)
}

/// An address within its page. The same in every process: lanes are mapped at page boundaries.
#[inline(always)]
fn origin(frame: *const u8) -> usize {
    frame.addr() & 4095
}

#[inline(always)]
fn serialize<T: Message>(
    value: &T,
    writer: FrameWriter<'_>,
    arena: &mut Arena,
) -> Result<usize, SerializeError> {
    let mut serializer = Serializer::new(writer, Scratch(State::Idle(Some(arena))), Share::new());
    let resolver = value.serialize(Strategy::wrap(&mut serializer))?;
    let mut writer = serializer.writer;
    let pad = writer.pos().wrapping_neg() & (align_of::<T::Archived>() - 1);
    if pad != 0 {
        writer.write(&[0; 128][..pad])?;
    }
    let root = writer.pos();
    if let Some(at) = writer.grant(size_of::<T::Archived>())? {
        // SAFETY: `grant` returned room for a `T::Archived` in the frame; `root`, its address
        // within its page, is a multiple of its alignment; bytes of a mapped file are initialised.
        let place = unsafe { Place::new_unchecked(root, at.as_ptr().cast::<T::Archived>()) };
        value.resolve(resolver, place);
    }
    Ok(writer.len)
}
