//! What an earlier bridge left behind when it died beside other programs.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::*;

/// A store with some of the messages that a bridge took from the queue, which then gave all of them back as by dying.
fn stored_before_a_death(queue: &mpmc::BytesQueue, which: &[u64]) -> Arc<Mutex<Store>> {
    let consumer = queue.consumer().unwrap();
    let frames: Vec<_> = consumer.try_iter().map(|frame| frame.unwrap()).collect();
    let mut store = Store::default();
    for wanted in which {
        let frame = frames.iter().find(|frame| number(frame) == *wanted);
        let (id, payload) = match frame {
            Some(frame) => {
                let id = MessageId { queue: queue.uuid(), position: frame.position() };
                (Some(id), frame.to_vec())
            }
            // Another program's.
            None => (None, message(*wanted)),
        };
        store.messages.push(crate::double::Stored { id, after: None, count: 1, payload: payload.into() });
    }
    frames.into_iter().for_each(|frame| frame.put_back());
    Arc::new(Mutex::new(store))
}

#[test]
fn a_message_that_another_consumer_held_is_not_taken_for_stored() {
    for removed in [0, 2] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("queue");
        let queue = Queue::create(true, &path);
        queue.send(0..10);
        queue.close();
        let Queue::Mpmc(bytes) = &queue else { unreachable!() };
        // Message 0 was with a consumer that attached after the bridge's epoch began.
        let store = stored_before_a_death(bytes, &[1, 2, 3, 4, 5]);
        store.lock().unwrap().removed = removed;
        let refused = carry(&link(&path, 40), Double::new(&store, 1, Faults::default()), None).unwrap_err();
        assert_eq!(refused.exit_code(), 3, "{refused}");
        assert!(refused.to_string().contains("another consumer of the queue"), "{refused}");
        assert_eq!(bytes.len(), 10, "nothing was released");
        let takes_over = Outbound { takes_over: true, ..link(&path, 40) };
        carry(&takes_over, Double::new(&store, 1, Faults::default()), None).unwrap();
        assert_eq!(stored(&store), (1..6).chain(0..10).collect::<Vec<_>>());
    }
}

#[test]
fn a_takeover_goes_on_although_another_program_took_the_number_of_a_message() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue");
    let queue = Queue::create(true, &path);
    queue.send(0..10);
    queue.close();
    let Queue::Mpmc(bytes) = &queue else { unreachable!() };
    let store = stored_before_a_death(bytes, &[0, 1, 1000, 3, 4]);
    let refused = carry(&link(&path, 40), Double::new(&store, 1, Faults::default()), None).unwrap_err();
    assert!(refused.to_string().contains("--takeover, once nothing else stores"), "{refused}");
    let takes_over = Outbound { takes_over: true, ..link(&path, 40) };
    let faults = Faults { lose: 60, late: 255, refuse: 50 };
    carry(&takes_over, Double::new(&store, 1, faults), None).unwrap();
    assert_eq!(stored(&store), [0, 1, 1000, 3, 4].into_iter().chain(0..10).collect::<Vec<_>>());
    assert_eq!(queue.rest(), Vec::<u64>::new());
}

/// Locks what one recovery at a time locks, as a process that is in the middle of one. Closing the file unlocks it.
fn lock_recovery(path: &Path) -> File {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 1 << 62,
        l_len: 1,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
    file
}

#[test]
fn a_recovery_by_another_process_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue");
    let queue = Queue::create(true, &path);
    queue.send(0..10);
    queue.close();
    let store = Arc::new(Mutex::new(Store::default()));
    let recovery = lock_recovery(&path);
    let ends = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        drop(recovery);
    });
    carry(&link(&path, 40), Double::new(&store, 1, Faults::default()), None).unwrap();
    ends.join().unwrap();
    assert_eq!(stored(&store), (0..10).collect::<Vec<_>>());
    // One that does not end is named.
    let _recovery = lock_recovery(&path);
    let failed = carry(&link(&path, 40), Double::new(&store, 1, Faults::default()), None).unwrap_err();
    assert!(failed.to_string().contains("another process is just recovering"), "{failed}");
}

/// Longer than anything takes on a busy machine: what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The queue from which the other process of a test takes a message, to die with it.
const DIES_WITH: &str = "RINGWAY_TEST_DIES_WITH";
/// The file into which it writes how many messages it has sent.
const SENT: &str = "RINGWAY_TEST_SENT";

#[test]
fn another_process_dies_with_a_message() {
    let Some(path) = std::env::var_os(DIES_WITH) else { return };
    // SAFETY: only the test and this process have the file.
    let queue = unsafe { mpmc::BytesQueue::open(path) }.unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for number in 0..10_000 {
        producer.send(&message(number)).unwrap();
        // The bridge is a consumer, too, and may have taken it.
        let Ok(_frame) = consumer.recv_timeout(Duration::from_millis(5)) else { continue };
        std::fs::write(std::env::var_os(SENT).unwrap(), (number + 1).to_string()).unwrap();
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL).unwrap();
    }
    panic!("the bridge took every message");
}

/// What is logged in this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_recovery_that_fails_is_told_once_and_costs_no_time() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue");
    let queue = Queue::create(true, &path);
    let store = Arc::new(Mutex::new(Store::default()));
    let (link, engine) = (
        Outbound { allows_other_consumers: true, ..link(&path, 40) },
        Double::new(&store, 1, Faults::default()),
    );
    let carrying = std::thread::spawn(move || carry(&link, engine, None));
    let begin = Instant::now();
    while crate::queue::live_consumers(&path).unwrap().is_empty() {
        assert!(begin.elapsed() < PATIENCE, "it does not attach");
        std::thread::sleep(Duration::from_millis(5));
    }
    let recovery = lock_recovery(&path);
    let this = std::env::current_exe().unwrap();
    let sent_path = dir.path().join("sent");
    let mut child = Command::new(this);
    child
        .args(["--exact", "outbound::tests::deaths::another_process_dies_with_a_message"])
        .env(DIES_WITH, &path)
        .env(SENT, &sent_path);
    let died = child.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert_eq!(died.code(), None, "{died}");
    let told = || {
        let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
        log.matches("a dead participant may hold messages").count()
    };
    while told() == 0 {
        assert!(begin.elapsed() < PATIENCE, "it is not told");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(told(), 1);
    drop(recovery);
    let sent: u64 = std::fs::read_to_string(&sent_path).unwrap().parse().unwrap();
    while stored(&store).len() < sent as usize {
        assert!(begin.elapsed() < PATIENCE, "what the dead one held does not come");
        std::thread::sleep(Duration::from_millis(5));
    }
    queue.close();
    carrying.join().unwrap().unwrap();
    let mut numbers = stored(&store);
    numbers.sort_unstable();
    assert_eq!(numbers, (0..sent).collect::<Vec<_>>());
}
