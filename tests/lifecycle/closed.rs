//! Closing and starting again.

use ringway::kind::{BytesQueue, Kind, Mpmc, Spsc};
use ringway::{CreateOptions, RecvError, SendError, Warning};

use super::directory;

fn start<K: Kind>(path: &std::path::Path, replace: bool) -> BytesQueue<K> {
    let options = CreateOptions::new().replace_closed(replace);
    // SAFETY: only this test knows the file.
    unsafe { BytesQueue::open_or_create_with(path, &options) }.unwrap()
}

fn closed_and_started_again<K: Kind>() {
    let dir = directory();
    let path = dir.path().join("q");
    let queue = start::<K>(&path, false);
    assert_eq!(queue.warnings(), []);
    queue.producer().unwrap().send(b"left").unwrap();
    queue.close();
    // What is left is received first: the queue stays, and names itself.
    for replace in [false, true] {
        let again = start::<K>(&path, replace);
        assert_eq!(again.warnings(), [Warning::Closed]);
        assert!(matches!(again.producer().unwrap().send(b"more"), Err(SendError::Closed)));
    }
    // A consumer that dies with it requeues it.
    let consumer = queue.consumer().unwrap();
    std::mem::forget(consumer.recv().unwrap());
    drop(consumer);
    assert_eq!(start::<K>(&path, true).warnings(), [Warning::Closed]);
    // Nor while there is a participant.
    let consumer = queue.consumer().unwrap();
    assert_eq!(&*consumer.recv().unwrap(), b"left");
    assert!(matches!(consumer.recv(), Err(RecvError::Closed)));
    assert_eq!(start::<K>(&path, true).warnings(), [Warning::Closed]);
    drop(consumer);
    // Not if the option is not set.
    assert_eq!(start::<K>(&path, false).warnings(), [Warning::Closed]);
    let anew = start::<K>(&path, true);
    assert_eq!(anew.warnings(), []);
    assert!(!anew.is_closed() && queue.is_closed() && queue.is_orphaned().unwrap());
    anew.producer().unwrap().send(b"new").unwrap();
    assert_eq!(&*start::<K>(&path, true).consumer().unwrap().recv().unwrap(), b"new");
}

#[test]
fn a_closed_queue_gives_way_when_it_is_empty_and_unused() {
    closed_and_started_again::<Spsc>();
    closed_and_started_again::<Mpmc>();
}

/// Participants that start at the same time have the same queue afterwards, an open one.
#[test]
fn those_who_start_at_once_agree() {
    for round in 0..50 {
        let dir = directory();
        let path = dir.path().join("q");
        start::<Mpmc>(&path, false).close();
        let queues: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..4).map(|_| scope.spawn(|| start::<Mpmc>(&path, true))).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        for queue in &queues {
            assert!(!queue.is_closed() && !queue.is_orphaned().unwrap(), "round {round}: not the new queue");
        }
    }
}
