//! What is in a stream.

use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{self, stream::Stream};
use futures_util::StreamExt;

use ringway_nats::pack;

use super::LONG;
use super::messages::number;

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

pub(crate) async fn context(url: &str) -> jetstream::Context {
    jetstream::new(async_nats::connect(url).await.expect("the server can be reached"))
}

pub(crate) async fn stream(url: &str, name: &str) -> Stream {
    context(url).await.get_stream(name).await.expect("the stream is there")
}

/// How many messages it has.
pub(crate) fn len(url: &str, name: &str) -> u64 {
    block_on(async {
        let Ok(client) = async_nats::connect(url).await else { return 0 };
        match jetstream::new(client).get_stream(name).await {
            Ok(stream) => stream.cached_info().state.messages,
            Err(_) => 0,
        }
    })
}

/// All its messages, unpacked.
pub(crate) fn payloads(url: &str, name: &str) -> Vec<Vec<u8>> {
    block_on(async {
        let stream = stream(url, name).await;
        let config = pull::Config { ack_policy: AckPolicy::None, ..Default::default() };
        // A cluster may be electing.
        let start = Instant::now();
        let consumer = loop {
            match stream.create_consumer(config.clone()).await {
                Ok(consumer) => break consumer,
                Err(error) => assert!(start.elapsed() < LONG, "no consumer: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let mut left = stream.cached_info().state.messages;
        let mut payloads = Vec::new();
        while left > 0 {
            let mut batch = consumer.fetch().max_messages(1000).messages().await.expect("a batch");
            while let Some(message) = batch.next().await {
                let message = message.expect("a message");
                let header = message.headers.as_ref().and_then(|headers| headers.get(pack::HEADER));
                match header.map(|count| count.as_str().parse().expect("a number")) {
                    None => payloads.push(message.payload.to_vec()),
                    Some(count) => {
                        let packed = pack::unpack(&message.payload, count).expect("a whole pack");
                        payloads.extend(packed.iter().map(|message| message.to_vec()));
                    }
                }
                left -= 1;
            }
        }
        payloads
    })
}

/// The numbers of all its messages, which are whole.
pub(crate) fn numbers(url: &str, name: &str) -> Vec<u64> {
    payloads(url, name).iter().map(|payload| number(payload)).collect()
}

/// Asserts that the stream has these messages, in order, each once.
#[track_caller]
pub(crate) fn assert_exact(url: &str, name: &str, count: u64) {
    let numbers = numbers(url, name);
    let wrong = numbers.iter().copied().zip(0..).find(|(number, at)| number != at);
    assert!(wrong.is_none(), "at {}: {}", wrong.unwrap().1, wrong.unwrap().0);
    assert_eq!(numbers.len() as u64, count);
}

/// A stream with these subjects.
pub(crate) fn make(url: &str, name: &str, subjects: &str) {
    block_on(async {
        let config = jetstream::stream::Config {
            name: name.into(),
            subjects: vec![subjects.into()],
            ..Default::default()
        };
        context(url).await.create_stream(config).await.expect("a stream");
    });
}

/// Stores messages, each under its subject.
pub(crate) fn publish(url: &str, messages: impl IntoIterator<Item = (String, Vec<u8>)>) {
    block_on(async {
        let context = context(url).await;
        let mut acks = Vec::new();
        for (subject, payload) in messages {
            acks.push(context.publish(subject, payload.into()).await.expect("sent"));
        }
        for ack in acks {
            ack.await.expect("stored");
        }
    });
}
