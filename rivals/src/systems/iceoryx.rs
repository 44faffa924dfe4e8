//! iceoryx2: publish and subscribe, samples loaned, filled and read in place, no overflow, the
//! publisher tries again until delivered. Every subscriber gets every sample, so there can be only
//! one here. Parked: an event service beside it, notified after each sample.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use workload::{Message, fill};

use super::{Family, Receiver, Sender, Setup, System};
use crate::check::Sink;
use crate::wait::{Way, until};

/// A process that attaches while another one does may find resources half made.
const TIME_LIMIT: Duration = Duration::from_secs(5);

pub(super) struct Iceoryx<const W: usize> {
    setup: Setup,
}

impl<const W: usize> System for Iceoryx<W> {
    fn new(setup: &Setup) -> Result<Self> {
        ensure!(setup.shape.consumers == 1, "every subscriber gets every sample");
        Ok(Self { setup: setup.clone() })
    }

    fn sender(&self, _: usize) -> Result<impl Sender> {
        let node = self.node()?;
        let publisher = patiently(|| {
            let service = self.service(&node)?;
            let publisher =
                service.publisher_builder().backpressure_strategy(BackpressureStrategy::RetryUntilDelivered);
            Ok(publisher.max_loaned_samples(2).create()?)
        })?;
        let notifier = if self.setup.parked {
            let event =
                patiently(|| Ok(node.service_builder(&self.name("events")?).event().open_or_create()?))?;
            Some(event.notifier_builder().create().map_err(|error| anyhow!("{error}"))?)
        } else {
            None
        };
        Ok(Tx::<W> { publisher, notifier, _node: node })
    }

    fn receiver(&self, _: usize) -> Result<impl Receiver> {
        let node = self.node()?;
        let subscriber = patiently(|| {
            let service = self.service(&node)?;
            Ok(service.subscriber_builder().buffer_size(self.setup.capacity).create()?)
        })?;
        let listener = if self.setup.parked {
            let event =
                patiently(|| Ok(node.service_builder(&self.name("events")?).event().open_or_create()?))?;
            Some(event.listener_builder().create().map_err(|error| anyhow!("{error}"))?)
        } else {
            None
        };
        Ok(Rx::<W> { subscriber, listener, way: self.setup.way, _node: node })
    }
}

type Service<const W: usize> =
    iceoryx2::service::port_factory::publish_subscribe::PortFactory<ipc::Service, Message<W>, ()>;

impl<const W: usize> Iceoryx<W> {
    /// All its files are in this measurement's directory, or in /dev/shm under its name.
    fn node(&self) -> Result<Node<ipc::Service>> {
        set_log_level(LogLevel::Fatal);
        let mut config = Config::default();
        let directory = self.setup.directory.to_string_lossy();
        config.global.set_root_path(&Path::new(directory.as_bytes()).map_err(|error| anyhow!("{error:?}"))?);
        let prefix = format!("{}-", self.setup.unique_name());
        config.global.prefix = FileName::new(prefix.as_bytes()).map_err(|error| anyhow!("{error:?}"))?;
        patiently(|| {
            // This program monitors its workers itself.
            let builder = NodeBuilder::new().signal_handling_mode(SignalHandlingMode::Disabled);
            Ok(builder.config(&config).create::<ipc::Service>()?)
        })
    }

    fn name(&self, what: &str) -> Result<ServiceName> {
        Ok(format!("{}/{what}", self.setup.unique_name()).as_str().try_into()?)
    }

    fn service(&self, node: &Node<ipc::Service>) -> Result<Service<W>> {
        let builder = node.service_builder(&self.name("messages")?).publish_subscribe::<Message<W>>();
        let builder = builder.enable_safe_overflow(false).history_size(0);
        let builder =
            builder.subscriber_max_buffer_size(self.setup.capacity).subscriber_max_borrowed_samples(2);
        // One more of both, for the worker that takes the place of one that was killed.
        let builder = builder.max_publishers(self.setup.shape.producers + 1).max_subscribers(2);
        Ok(builder.open_or_create()?)
    }
}

/// Several times, as long as it fails.
fn patiently<R>(mut attempt: impl FnMut() -> Result<R>) -> Result<R> {
    let start = Instant::now();
    loop {
        match attempt() {
            Err(_) if start.elapsed() < TIME_LIMIT => std::thread::sleep(Duration::from_millis(1)),
            other => return other,
        }
    }
}

struct Tx<const W: usize> {
    publisher: Publisher<ipc::Service, Message<W>, ()>,
    notifier: Option<Notifier<ipc::Service>>,
    /// Ports live as long as their node.
    _node: Node<ipc::Service>,
}

impl<const W: usize> Sender for Tx<W> {
    fn send(&mut self, first: u64, count: u64) {
        for word in first..first + count {
            // Again if it was delivered to no subscriber: it retries only for subscribers that it
            // has noticed.
            until(Way::Yield, || {
                let mut sample = self.publisher.loan_uninit().expect("a loan");
                write(sample.payload_mut(), word);
                Some(initialised(sample).send().expect("delivered")).filter(|receivers| *receivers > 0)
            });
            if let Some(notifier) = &self.notifier {
                notifier.notify().expect("notified");
            }
        }
    }
}

/// Fills a message in place.
#[allow(unsafe_code, reason = "memory that is not initialised yet")]
#[inline(always)]
fn write<const W: usize>(payload: &mut std::mem::MaybeUninit<Message<W>>, first: u64) {
    let words: *mut Message<W> = payload.as_mut_ptr();
    // SAFETY: samples lie in a shared mapping, where every byte has some value from the start, and
    // any value is a u64; the borrow of `payload` is exclusive.
    fill(first, unsafe { &mut *words });
}

#[allow(unsafe_code, reason = "what was filled is initialised")]
#[inline(always)]
fn initialised<const W: usize>(
    sample: iceoryx2::sample_mut_uninit::SampleMutUninit<ipc::Service, std::mem::MaybeUninit<Message<W>>, ()>,
) -> iceoryx2::sample_mut::SampleMut<ipc::Service, Message<W>, ()> {
    // SAFETY: the caller has filled all of it.
    unsafe { sample.assume_init() }
}

struct Rx<const W: usize> {
    subscriber: Subscriber<ipc::Service, Message<W>, ()>,
    listener: Option<Listener<ipc::Service>>,
    way: Way,
    _node: Node<ipc::Service>,
}

impl<const W: usize> Receiver for Rx<W> {
    #[inline(always)]
    fn receive(&mut self, sink: &mut impl Sink) {
        let mut attempt = || {
            let sample = self.subscriber.receive().expect("a look into the buffer")?;
            sink.words(sample.payload().iter().copied());
            Some(())
        };
        let Some(listener) = &self.listener else {
            return until(self.way, attempt);
        };
        while attempt().is_none() {
            listener.blocking_wait(|_| ()).expect("a wait");
        }
    }
}

pub(super) struct Iceoryxes;

impl Family for Iceoryxes {
    type Small<const W: usize> = Iceoryx<W>;
    type Large<const W: usize> = Iceoryx<W>;
}
