//! What every queue must do, in one process.

#[path = "common/bound.rs"]
mod bound;

use ringway::spsc::BytesQueue;
use ringway::{AttachError, CreateOptions, Framing, RecvError, SendError};

fn queue(options: &CreateOptions) -> (tempfile::TempDir, BytesQueue) {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    // SAFETY: only this test knows the file.
    let queue = unsafe { BytesQueue::create_with(dir.path().join("q"), options) }.unwrap();
    (dir, queue)
}

#[test]
fn messages_arrive_in_order() {
    for options in [
        CreateOptions::new(),
        CreateOptions::new().framing(Framing::Fixed(8)),
        CreateOptions::new().ring_bytes(1024),
    ] {
        let (_dir, queue) = queue(&options);
        let mut tx = queue.producer().unwrap();
        let rx = queue.consumer().unwrap();
        let mut next = 0_u64;
        for i in 0..10_000_u64 {
            while tx.try_send(&i.to_ne_bytes()).is_err() {
                assert_eq!(&*rx.try_recv().unwrap(), next.to_ne_bytes());
                next += 1;
            }
        }
        while let Ok(frame) = rx.try_recv() {
            assert_eq!(&*frame, next.to_ne_bytes());
            next += 1;
        }
        assert_eq!(next, 10_000);
        assert!(matches!(rx.try_recv(), Err(RecvError::Empty)));
    }
}

#[test]
fn full_and_roles() {
    let (_dir, queue) = queue(&CreateOptions::new().ring_bytes(4096).framing(Framing::Fixed(8)));
    let mut tx = queue.producer().unwrap();
    assert!(matches!(queue.producer(), Err(AttachError::RoleTaken { .. })));
    for i in 0..512_u64 {
        tx.try_send(&i.to_ne_bytes()).unwrap();
    }
    assert!(matches!(tx.try_send(&[0; 8]), Err(SendError::Full)));
    println!("{}", queue.producer().unwrap_err());
}
