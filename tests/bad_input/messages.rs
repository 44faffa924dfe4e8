//! Roles that are taken, and messages that do not fit.

use super::*;

#[track_caller]
fn assert_taken<P: std::fmt::Debug>(result: Result<P, AttachError>, path: &Path, role: Role, holder: u32) {
    let error = result.unwrap_err();
    let comm = std::fs::read_to_string(format!("/proc/{holder}/comm")).unwrap();
    let AttachError::RoleTaken { role: found, pid, name, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*found, *pid, name.as_deref()), (role, holder, Some(comm.trim_end())));
    assert_says(
        &error,
        &[
            path.to_str().unwrap(),
            &format!("live {role}"),
            &format!("process {holder} ({})", comm.trim_end()),
            "stop that one first",
        ],
    );
}

#[test]
fn a_role_that_is_taken_by_this_process() {
    let dir = directory();
    let path = dir.path().join("queue");
    let me = std::process::id();
    for options in [small(), small().framing(Framing::Fixed(8))] {
        let queue = create_bytes(&path, &options).unwrap();
        let _held = (queue.producer().unwrap(), queue.consumer().unwrap());
        for queue in [queue.clone(), open_bytes(&path).unwrap()] {
            assert_taken(queue.producer(), &path, Role::Producer, me);
            assert_taken(queue.consumer(), &path, Role::Consumer, me);
        }
        unlink(&path).unwrap();
    }
    let queue = create_typed::<Tick>(&path, &small()).unwrap();
    let held = (queue.producer().unwrap(), queue.consumer().unwrap());
    for queue in [queue.clone(), open_typed(&path).unwrap()] {
        assert_taken(queue.producer(), &path, Role::Producer, me);
        assert_taken(queue.consumer(), &path, Role::Consumer, me);
    }
    drop(held);
    let _free_again = (queue.producer().unwrap(), queue.consumer().unwrap());
}

#[test]
fn a_role_that_is_taken_by_another_process() {
    const TEST: &str = "messages::a_role_that_is_taken_by_another_process";
    if let Some(path) = child_argument(TEST) {
        let queue = open_bytes(path).unwrap();
        let _held = (queue.producer().unwrap(), queue.consumer().unwrap());
        println!("\nholding both");
        // Until the parent closes our input.
        std::io::stdin().read_line(&mut String::new()).unwrap();
        return;
    }
    let dir = directory();
    let path = dir.path().join("queue");
    let queue = create_bytes(&path, &small()).unwrap();
    let mut child = Running::start(&mut child_of(TEST, &path));
    child.wait_for_line("holding both");
    assert_taken(queue.producer(), &path, Role::Producer, child.id());
    assert_taken(queue.consumer(), &path, Role::Consumer, child.id());
    child.finish().succeeded();
    let _free_again = (queue.producer().unwrap(), queue.consumer().unwrap());
}

#[test]
fn a_message_that_is_too_large() {
    #[track_caller]
    fn check(error: SendError, expected: (usize, usize)) {
        let SendError::TooLarge { len, max } = error else { panic!("{error:?}") };
        assert_eq!((len, max), expected);
        assert_says(&error, &[&format!("{len} bytes"), &format!("at most {max}"), "more `ring_bytes`"]);
    }
    let dir = directory();
    let queue = create_bytes(dir.path().join("bytes"), &small()).unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let max = queue.max_message();
    let (good, bad) = (vec![1; max], vec![2; max + 1]);
    let wait = Duration::from_secs(60);
    check(producer.try_send(&bad).unwrap_err(), (max + 1, max));
    check(producer.send(&bad).unwrap_err(), (max + 1, max));
    check(producer.send_timeout(&bad, wait).unwrap_err(), (max + 1, max));
    check(producer.try_reserve(max + 1).map(drop).unwrap_err(), (max + 1, max));
    check(producer.reserve(usize::MAX).map(drop).unwrap_err(), (usize::MAX, max));
    check(producer.reserve_timeout(1 << 62, wait).map(drop).unwrap_err(), (1 << 62, max));
    check(producer.try_send_many(&[&bad]).unwrap_err(), (max + 1, max));
    check(producer.send_many(&[&[3][..], &bad]).unwrap_err(), (max + 1, max));
    // Of all that was sent, only the message before the bad one is delivered; the queue goes on
    // working.
    producer.send(&good).unwrap();
    assert_eq!(&*consumer.try_recv().unwrap(), [3]);
    assert_eq!(&*consumer.try_recv().unwrap(), good);
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));

    let queue = create_typed::<Tick>(dir.path().join("typed"), &small()).unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let max = queue.max_message();
    let huge = || Tick { symbol: String::new(), prices: vec![0.0; 1000] };
    let len = 8000 + size_of::<ArchivedTick>();
    check(producer.try_send(&huge()).unwrap_err(), (len, max));
    check(producer.send(&huge()).unwrap_err(), (len, max));
    check(producer.send_timeout(&huge(), wait).unwrap_err(), (len, max));
    check(producer.try_send_many(&[huge()]).unwrap_err(), (len, max));
    check(producer.send_many(&[tick(), huge()]).unwrap_err(), (len, max));
    assert_eq!(consumer.try_recv().unwrap().symbol, tick().symbol);
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
}

#[test]
fn a_message_of_another_length() {
    #[track_caller]
    fn check(error: SendError, expected: (usize, usize)) {
        let SendError::WrongLength { len, expected: fixed } = error else { panic!("{error:?}") };
        assert_eq!((len, fixed), expected);
        assert_says(
            &error,
            &[&format!("has {len} bytes"), &format!("exactly {fixed} bytes"), "`Framing::Variable`"],
        );
    }
    let dir = directory();
    let queue = create_bytes(dir.path().join("bytes"), &small().framing(Framing::Fixed(24))).unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for len in [0, 1, 23, 25, 1 << 20] {
        let bad = vec![1; len];
        check(producer.try_send(&bad).unwrap_err(), (len, 24));
        check(producer.send(&bad).unwrap_err(), (len, 24));
        check(producer.send_timeout(&bad, Duration::from_secs(60)).unwrap_err(), (len, 24));
        check(producer.reserve(len).map(drop).unwrap_err(), (len, 24));
        check(producer.try_send_many(&[&bad]).unwrap_err(), (len, 24));
        check(producer.batch().unwrap().try_reserve(len).map(drop).unwrap_err(), (len, 24));
    }
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));

    // A type that has out-of-line data only sometimes: rkyv keeps short strings inline.
    #[derive(Archive, Serialize, ringway::Message)]
    struct Text(#[ringway(opaque = "Text", inline)] String);
    let queue = create_typed::<Text>(dir.path().join("typed"), &small()).unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let long = Text("longer than eight".to_owned());
    let (len, expected) = (long.0.len().next_multiple_of(4) + 8, 8);
    check(producer.try_send(&long).unwrap_err(), (len, expected));
    check(producer.send(&long).unwrap_err(), (len, expected));
    check(producer.try_send_many(std::slice::from_ref(&long)).unwrap_err(), (len, expected));
    producer.send(&Text("short".to_owned())).unwrap();
    assert_eq!(consumer.try_recv().unwrap().0, *"short");
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
}
