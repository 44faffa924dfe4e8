//! A queue whose name leads elsewhere: participants that watch the name learn of it in whatever
//! call they are.

use std::path::Path;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use ringway::asynchronous::{AsyncConsumer, AsyncProducer};
use ringway::kind::{BytesQueue, Kind, Mpmc, Spsc};
use ringway::{CreateOptions, Interest, RecvError, SendError, WaitSet, WaitStrategy};

use super::directory;

/// Far above the 150 ms that are promised, for a machine that is busy.
const SOON: Duration = Duration::from_secs(5);

fn told() -> CreateOptions {
    CreateOptions::new().ring_bytes(4096).end_when_orphaned(true)
}

fn create<K: Kind>(path: &Path, options: &CreateOptions) -> BytesQueue<K> {
    // SAFETY: only this test knows the file.
    unsafe { BytesQueue::create_with(path, options) }.unwrap()
}

/// The ways in which a queue loses its name.
fn ways_to_go() -> [fn(&Path); 4] {
    [
        |path| std::fs::remove_file(path).unwrap(),
        |path| ringway::unlink(path).unwrap(),
        |path| std::fs::rename(path, path.with_extension("old")).unwrap(),
        |path| {
            std::fs::remove_file(path).unwrap();
            drop(create::<Mpmc>(path, &CreateOptions::new()));
        },
    ]
}

/// Runs `waits` in a thread, makes the queue lose its name meanwhile, and returns what `waits` did;
/// it must end.
fn meanwhile<R: Send + 'static>(go: impl FnOnce(), waits: impl FnOnce() -> R + Send + 'static) -> R {
    let (sender, receiver) = channel();
    std::thread::spawn(move || sender.send(waits()));
    std::thread::sleep(Duration::from_millis(60));
    assert!(receiver.try_recv().is_err(), "it ended before anything happened");
    go();
    receiver.recv_timeout(SOON).expect("it waits for ever")
}

fn while_it_waits<K: Kind>() {
    for go in ways_to_go() {
        for wait in [WaitStrategy::Spin, WaitStrategy::SpinThenPark, WaitStrategy::Park] {
            let dir = directory();
            let path = dir.path().join("q");
            let queue = create::<K>(&path, &told());
            let consumer = queue.consumer().unwrap();
            consumer.set_wait_strategy(wait);
            let ended = meanwhile(|| go(&path), move || consumer.recv().map(drop));
            let Err(RecvError::Orphaned { path: said }) = ended else { panic!("{ended:?}") };
            assert_eq!(said, path);
        }
        let dir = directory();
        let path = dir.path().join("q");
        let queue = create::<K>(&path, &told());
        let mut producer = queue.producer().unwrap();
        while producer.try_send(&[7; 100]).is_ok() {}
        let ended = meanwhile(|| go(&path), move || producer.send(&[7; 100]));
        assert!(matches!(ended, Err(SendError::Orphaned { .. })), "{ended:?}");
    }
}

#[test]
fn waiters_are_told() {
    while_it_waits::<Spsc>();
    while_it_waits::<Mpmc>();
}

/// Repeats until it fails.
fn at_last<R, E>(mut attempt: impl FnMut() -> Result<R, E>, is_usual: impl Fn(&E) -> bool) -> E {
    let start = Instant::now();
    loop {
        match attempt() {
            Err(error) if !is_usual(&error) => return error,
            _ => assert!(start.elapsed() < SOON, "it is not told"),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn without_waiting<K: Kind>() {
    let dir = directory();
    let path = dir.path().join("q");
    let queue = create::<K>(&path, &told().ring_bytes(1 << 20));
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.send(b"still there").unwrap();
    std::fs::remove_file(&path).unwrap();
    // There is room all the time.
    let error = at_last(|| producer.send(b"into the void"), |_| false);
    assert!(matches!(error, SendError::Orphaned { .. }), "{error:?}");
    assert!(error.to_string().contains("no longer found by its name"), "{error}");
    assert!(matches!(producer.try_send(b""), Err(SendError::Orphaned { .. })), "it forgets");
    assert!(matches!(producer.try_send_many(&[b""]), Err(SendError::Orphaned { .. })));
    assert!(matches!(producer.reserve(8), Err(SendError::Orphaned { .. })));
    // What is there is received first.
    assert_eq!(&*consumer.recv().unwrap(), b"still there");
    let mut left = 0;
    let error = at_last(|| consumer.try_recv().map(|_| left += 1), |error| matches!(error, RecvError::Empty));
    assert!(matches!(error, RecvError::Orphaned { .. }), "{error:?}");
    assert!(matches!(consumer.try_recv_many(9), Err(RecvError::Orphaned { .. })), "it forgets");
    assert!(matches!(consumer.recv_many(9), Err(RecvError::Orphaned { .. })));
    assert!(matches!(consumer.recv_timeout(SOON), Err(RecvError::Orphaned { .. })));
}

#[test]
fn others_are_told_at_the_next_call() {
    without_waiting::<Spsc>();
    without_waiting::<Mpmc>();
}

#[test]
fn a_wait_set_is_told() {
    for go in ways_to_go() {
        let dir = directory();
        let [one, other] = ["one", "other"].map(|name| dir.path().join(name));
        let (stays, goes) = (create::<Spsc>(&one, &told()), create::<Mpmc>(&other, &told()));
        let (stays, goes) = (stays.consumer().unwrap(), goes.consumer().unwrap());
        let ready = meanwhile(
            || go(&other),
            move || {
                let mut interests = [Interest::messages(&stays), Interest::messages(&goes)];
                let ready = WaitSet::new().wait(&mut interests).unwrap().to_vec();
                (ready, goes.try_recv().map(drop))
            },
        );
        assert!(matches!(ready, (ref ready, Err(RecvError::Orphaned { .. })) if *ready == [1]), "{ready:?}");
    }
}

#[test]
fn tasks_are_told() {
    fn run<R>(future: impl Future<Output = R>) -> R {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }
    for go in ways_to_go() {
        let dir = directory();
        let path = dir.path().join("q");
        let queue = create::<Mpmc>(&path, &told());
        let mut consumer = AsyncConsumer::new(queue.consumer().unwrap()).unwrap();
        let ended = meanwhile(|| go(&path), move || run(async { consumer.recv().await.map(drop) }));
        assert!(matches!(ended, Err(RecvError::Orphaned { .. })), "{ended:?}");

        let path = dir.path().join("full");
        let queue = create::<Mpmc>(&path, &told());
        let mut full = queue.producer().unwrap();
        while full.try_send(&[7; 100]).is_ok() {}
        let mut full = AsyncProducer::new(full).unwrap();
        let ended = meanwhile(|| go(&path), move || run(full.send(&[7; 100][..])));
        assert!(matches!(ended, Err(SendError::Orphaned { .. })), "{ended:?}");
    }
}

/// Participants that do not watch the name go on with the file that they have, and memfd queues
/// have no name to lose.
#[test]
fn no_other_participant_is_told() {
    let dir = directory();
    let path = dir.path().join("q");
    let queue = create::<Spsc>(&path, &CreateOptions::new());
    // SAFETY: only this test has it.
    let nameless = unsafe { BytesQueue::<Spsc>::create_memfd_with(&told()) }.unwrap();
    for queue in [queue, nameless] {
        let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let _ = std::fs::remove_file(&path);
        for _ in 0..3 {
            producer.send(b"still here").unwrap();
            assert_eq!(&*consumer.recv().unwrap(), b"still here");
            let nothing = consumer.recv_timeout(Duration::from_millis(60));
            assert!(matches!(nothing, Err(RecvError::Timeout)), "{nothing:?}");
        }
    }
}
