//! Awaiting several messages.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::ConsumerHandle;
use super::consumer::poll_attempt;
use crate::error::RecvError;
use crate::reactor::{Registration, Source};

/// The future of [`AsyncConsumer::recv_many`](super::AsyncConsumer::recv_many).
#[must_use = "futures do nothing unless they are awaited"]
pub struct RecvManyFut<'c, C: ConsumerHandle> {
    registration: Registration,
    /// `None` once it is ready.
    consumer: Option<&'c mut C>,
    max: usize,
}

impl<'c, C: ConsumerHandle> RecvManyFut<'c, C> {
    pub(super) fn new(source: &Arc<Source>, consumer: &'c mut C, max: usize) -> Self {
        Self { registration: Registration::new(source), consumer: Some(consumer), max }
    }
}

impl<'c, C: ConsumerHandle> Future for RecvManyFut<'c, C> {
    type Output = Result<C::Frames<'c>, RecvError>;

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { registration, consumer, max } = &mut *self;
        let waiting: &C = consumer.as_ref().expect("polled again after it was ready");
        let attempt = |closely| waiting.attempt_many(*max, closely);
        let found = ready!(poll_attempt(registration, waiting, context, attempt));
        let consumer: &'c C = consumer.take().expect("as above");
        Poll::Ready(found.map(|many| consumer.lend_many(many)))
    }
}
