//! A signal that is delivered in the last moment before a sleep: after the last attempt, before the
//! instruction that enters the kernel. Its handler has returned when the sleep begins, so the kernel
//! does not end it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::Signal;
use ringway::kind::{Kind, Mpmc, Spsc};
use ringway::{Canceller, CreateOptions, RecvError, SendError, WaitStrategy};

use super::tracer::{Gate, Traced};
use crate::process::{Outcome, Test, TestDir, ensure};

/// Far above the 40 ms that are promised, and far below the time after which a test hangs.
const SOON: Duration = Duration::from_secs(2);

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("interrupts: just before the sleep, handler of one's own, SPSC", || {
            receiver::<Spsc>(Way::Canceller)
        }),
        Test::new("interrupts: just before the sleep, handler of one's own, MPMC", || {
            receiver::<Mpmc>(Way::Canceller)
        }),
        Test::new("interrupts: just before the sleep, handler that sets a flag, SPSC", || {
            receiver::<Spsc>(Way::Flag)
        }),
        Test::new("interrupts: just before the sleep, handler that sets a flag, MPMC", || {
            receiver::<Mpmc>(Way::Flag)
        }),
        Test::new("interrupts: just before the sleep of a producer", sender),
    ]
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Canceller,
    Flag,
}

static CANCELLER: OnceLock<Canceller> = OnceLock::new();
static PENDING: AtomicBool = AtomicBool::new(false);

extern "C" fn handle(_: i32) {
    PENDING.store(true, Ordering::SeqCst);
    if let Some(canceller) = CANCELLER.get() {
        canceller.interrupt();
    }
}

fn is_pending() -> bool {
    PENDING.load(Ordering::SeqCst)
}

fn install() -> Outcome {
    // SAFETY: all zeros is a valid action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handle as *const () as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the handler changes atomics, and calls what signal handlers may call.
    let result = unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) };
    ensure!(result == 0, "sigaction: {}", std::io::Error::last_os_error());
    Ok(())
}

/// A queue of which an attempt goes through few slots.
fn small<K: Kind>() -> CreateOptions {
    let options = CreateOptions::new();
    if std::any::type_name::<K>().ends_with("Mpmc") {
        options.max_messages(16).max_participants(4)
    } else {
        options
    }
}

fn receiver<K: Kind>(way: Way) -> Outcome {
    let directory = TestDir::new()?;
    let name = &directory.path();
    // SAFETY: the file is this test's alone.
    drop(unsafe { ringway::kind::BytesQueue::<K>::create_with(name, &small::<K>())? });
    interrupted(|gate| {
        // SAFETY: as above.
        let consumer = unsafe { ringway::kind::BytesQueue::<K>::open(name)? }.consumer()?;
        consumer.set_wait_strategy(WaitStrategy::Park);
        match way {
            Way::Canceller => drop(CANCELLER.set(consumer.canceller())),
            Way::Flag => consumer.set_interrupt_check(Some(is_pending)),
        }
        install()?;
        gate.enter()?;
        let result = consumer.recv();
        ensure!(matches!(result, Err(RecvError::Interrupted)), "{result:?}");
        gate.leave()
    })
}

fn sender() -> Outcome {
    let directory = TestDir::new()?;
    let name = &directory.path();
    // SAFETY: as above.
    drop(unsafe { ringway::spsc::BytesQueue::create(name)? });
    interrupted(|gate| {
        // SAFETY: as above.
        let mut producer = unsafe { ringway::spsc::BytesQueue::open(name)? }.producer()?;
        while producer.try_send(&[0; 1 << 16]).is_ok() {}
        producer.set_wait_strategy(WaitStrategy::Park);
        producer.set_interrupt_check(Some(is_pending));
        install()?;
        gate.enter()?;
        let result = producer.send(&[0; 1 << 16]);
        ensure!(matches!(result, Err(SendError::Interrupted)), "{result:?}");
        gate.leave()
    })
}

fn interrupted(body: impl FnOnce(&Gate) -> Outcome) -> Outcome {
    let gate = Gate::new();
    let mut traced = Traced::start(&gate, body)?;
    while traced.next_system_call()? != Some(libc::SYS_futex) {
        ensure!(traced.step()?, "the call has ended without a sleep");
    }
    let signalled = Instant::now();
    traced.signal(Signal::SIGUSR1)?;
    traced.wait_until_done()?;
    ensure!(signalled.elapsed() < SOON, "it took {:?}", signalled.elapsed());
    traced.kill()
}
