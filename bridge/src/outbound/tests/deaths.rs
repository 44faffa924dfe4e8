//! What an earlier bridge left behind when it died beside other programs.

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
