//! Links of a configuration file: queue to stream to queue, what is said of them meanwhile, how they end.

use ringway_bound as _;

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use ringway::{Message, mpmc, spsc};
use rkyv::{Archive, Serialize};
use support::bridge::Bridge;
use support::messages::{message, number};
use support::server::{Server, free_port, newest, programs};
use support::stream::len;
use support::wait_until;

fn get(port: u16, path: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return String::new() };
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut response = String::new();
    let _ = stream.read_to_string(&mut response);
    response
}

fn write_file(folder: &Path, text: &str) -> String {
    let path = folder.join("bridge.toml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[derive(Archive, Serialize, Message)]
struct Tick {
    symbol: String,
    price: f64,
}

#[test]
fn a_queue_comes_out_of_a_queue() {
    for program in programs() {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&program);
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let port = free_port();
        let file = write_file(
            folder.path(),
            &format!(
                "[nats]\nurl = \"{}\"\n[[out]]\nqueue = \"{}\"\nstream = \"T\"\nsubject = \"t\"\ncreate-stream = \"\"\n\
                 [[in]]\nqueue = \"{}\"\nstream = \"T\"\nconsumer = \"c\"\ncreate = {{ kind = \"spsc\", capacity = \"1m\" }}\n\
                 [serve]\nlisten = \"127.0.0.1:{port}\"\n",
                server.url(),
                from.display(),
                to.display()
            ),
        );
        // SAFETY: only this test and its bridges have the file.
        let queue = unsafe { spsc::Queue::<Tick>::create(&from) }.unwrap();
        let mut producer = queue.producer().unwrap();
        let notified = folder.path().join("notify");
        let socket = UnixDatagram::bind(&notified).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // The stream must be there before the inbound link starts.
        support::stream::make(&server.url(), "T", "t");
        let environment = [("NOTIFY_SOCKET", notified.to_str().unwrap()), ("WATCHDOG_USEC", "100000")];
        let bridge = Bridge::start_with(&["run", &file], &environment);
        for at in 0..100 {
            producer.send(&Tick { symbol: format!("S{at}"), price: f64::from(at) }).unwrap();
        }
        wait_until("the queue is created", || to.exists());
        // SAFETY: as above.
        let queue = unsafe { spsc::Queue::<Tick>::open(&to) }.unwrap();
        let consumer = queue.consumer().unwrap();
        for at in 0..100 {
            let tick = consumer.recv_timeout(Duration::from_secs(20)).unwrap();
            assert_eq!((&*tick.symbol, f64::from(tick.price)), (&*format!("S{at}"), f64::from(at)));
        }
        wait_until("both are ready", || get(port, "/readyz").starts_with("HTTP/1.1 200"));
        let wanted =
            format!("ringway_bridge_messages_total{{link=\"{}\",direction=\"in\"}} 100\n", to.display());
        wait_until("they are counted", || get(port, "/metrics").contains(&wanted));
        assert!(get(port, "/healthz").ends_with("ok\n"));

        let heard = || {
            let mut buffer = [0; 100];
            let len = socket.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..len].to_vec()).unwrap()
        };
        assert_eq!(heard(), "READY=1");
        assert_eq!(heard(), "WATCHDOG=1");
        bridge.stop().assert_code(0);
        let mut said = heard();
        while said == "WATCHDOG=1" {
            said = heard();
        }
        assert_eq!(said, "STOPPING=1");
        assert_eq!(len(&server.url(), "T"), 100);
    }
}

#[test]
fn a_link_that_fails_ends_the_others_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&newest());
    let path = folder.path().join("q");
    // SAFETY: only this test and its bridges have the file.
    let queue = unsafe { spsc::BytesQueue::create(&path) }.unwrap();
    queue.producer().unwrap().send(&message(1)).unwrap();
    let file = write_file(
        folder.path(),
        &format!(
            "[nats]\nurl = \"{}\"\n[[out]]\nqueue = \"{}\"\nstream = \"T\"\ncreate-stream = \"\"\n\
             [[in]]\nqueue = \"{}\"\nstream = \"NONE\"\nconsumer = \"c\"\ncreate = \"kind=spsc\"\n",
            server.url(),
            path.display(),
            folder.path().join("other").display(),
        ),
    );
    let ended = Bridge::start(&["run", &file]).wait();
    ended.assert_says(3, "the server has no stream NONE");
    let consumer = queue.consumer().unwrap();
    if let Ok(frame) = consumer.try_recv() {
        assert_eq!(number(&frame), 1, "given back, or stored");
    }
}

#[test]
fn a_file_that_cannot_be_understood_is_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let file =
        write_file(folder.path(), "[[out]]\nqueue = \"q\"\nurl = \"u\"\nstream = \"S\"\npasword = \"x\"\n");
    Bridge::start(&["run", &file]).wait().assert_says(2, "[[out]] number 1: unexpected argument '--pasword'");
    Bridge::start(&["run", "/nothing/there"]).wait().assert_says(2, "/nothing/there");
}

#[test]
fn a_check_tells_what_would_be_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&newest());
    let (path, new) = (folder.path().join("q"), folder.path().join("new"));
    // SAFETY: only this test and its bridges have the file.
    drop(unsafe { spsc::Queue::<Tick>::create(&path) }.unwrap());
    let check = |text: &str| {
        let text = format!("[nats]\nurl = \"{}\"\n{text}", server.url());
        Bridge::start(&["check", &write_file(folder.path(), &text)]).wait()
    };
    let out = format!("[[out]]\nqueue = \"{}\"\nstream = \"T\"\nsubject = \"t\"\n", path.display());
    check(&out).assert_says(3, "1 links would be refused");
    check(&format!("{out}create-stream = \"\"\n")).assert_code(0);
    assert_eq!(len(&server.url(), "T"), 0);
    let stream =
        async |name: &str| support::stream::context(&server.url()).await.get_stream(name).await.is_ok();
    assert!(!support::stream::block_on(stream("T")), "nothing was created");
    assert!(!support::stream::block_on(stream("RINGWAY_TYPES")), "nothing was created");

    support::stream::make(&server.url(), "T", "t");
    support::stream::publish(&server.url(), [("t".to_owned(), b"from elsewhere".to_vec())]);
    check(&out).assert_code(3);
    let into = format!("[[in]]\nstream = \"T\"\nconsumer = \"c\"\nqueue = \"{}\"\n", path.display());
    check(&into).assert_code(3);
    let created = format!(
        "[[in]]\nstream = \"T\"\nconsumer = \"c\"\nqueue = \"{}\"\ncreate = \"kind=spsc\"\n",
        new.display()
    );
    check(&created).assert_code(0);
    assert!(!new.exists());
    let nowhere = format!(
        "[[out]]\nurl = \"nats://127.0.0.1:{}\"\nqueue = \"{}\"\nstream = \"T\"\n",
        free_port(),
        path.display()
    );
    check(&nowhere).assert_code(1);
}

#[test]
fn a_check_knows_takeovers_and_other_consumers() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&newest());
    let path = folder.path().join("q");
    // SAFETY: only this test and its bridges have the file.
    let queue = unsafe { mpmc::BytesQueue::create(&path) }.unwrap();
    let check = |more: &str| {
        let text = format!(
            "[[out]]\nurl = \"{}\"\nqueue = \"{}\"\nstream = \"T\"\nsubject = \"t\"\n{more}",
            server.url(),
            path.display()
        );
        Bridge::start(&["check", &write_file(folder.path(), &text)]).wait()
    };
    support::stream::make(&server.url(), "T", "t");
    check("").assert_code(0);
    support::stream::publish(&server.url(), [("t".to_owned(), b"from elsewhere".to_vec())]);
    check("").assert_code(3);
    check("takeover = true\n").assert_code(0);
    let consumer = queue.consumer().unwrap();
    check("takeover = true\n").assert_code(3);
    check("order = \"shared\"\n").assert_code(0);
    drop(consumer);
    // Another bridge is stood by for.
    let url = server.url();
    let arguments = ["out", path.to_str().unwrap(), &url, "--stream", "T", "--subject", "t", "--takeover"];
    let bridge = Bridge::start(&arguments);
    queue.producer().unwrap().send(&message(1)).unwrap();
    wait_until("it is stored", || len(&server.url(), "T") == 2);
    check("").assert_code(0);
    bridge.stop().assert_code(0);
}
