//! A TCP proxy that loses, delays and holds what goes through it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens to what goes through.
#[derive(Debug, Default)]
struct State {
    /// What the server says is thrown away.
    is_deaf: AtomicBool,
    /// Nothing gets through in either direction; what was said before is delivered when this ends.
    is_held: AtomicBool,
    /// New connections are refused.
    is_closed: AtomicBool,
    delay_ms: AtomicU64,
    connections: Mutex<Vec<TcpStream>>,
    is_over: AtomicBool,
}

/// A proxy to a server on this machine.
pub(crate) struct Proxy {
    state: Arc<State>,
    port: u16,
}

impl Proxy {
    pub(crate) fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it has an address").port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.is_over.load(Ordering::SeqCst) {
                    return;
                }
                if shared.is_closed.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                carry(&client, &server, &shared, false);
                carry(&server, &client, &shared, true);
                shared.connections.lock().unwrap().extend([client, server]);
            }
        });
        Self { state, port }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// From now on what the server says is lost.
    pub(crate) fn lose_answers(&self, is_lost: bool) {
        self.state.is_deaf.store(is_lost, Ordering::SeqCst);
    }

    /// From now on nothing gets through on existing connections, and neither end is told.
    pub(crate) fn hold(&self, is_held: bool) {
        self.state.is_held.store(is_held, Ordering::SeqCst);
    }

    /// Cuts all connections; refuses new ones or not.
    pub(crate) fn cut(&self, is_closed: bool) {
        self.state.is_closed.store(is_closed, Ordering::SeqCst);
        for connection in self.state.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn delay(&self, delay: Duration) {
        self.state.delay_ms.store(delay.as_millis() as u64, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::SeqCst);
        self.hold(false);
        self.cut(true);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn carry(from: &TcpStream, to: &TcpStream, state: &Arc<State>, is_answer: bool) {
    let (mut from, mut to) = (from.try_clone().expect("a copy"), to.try_clone().expect("a copy"));
    let state = Arc::clone(state);
    std::thread::spawn(move || {
        let mut bytes = vec![0; 1 << 16];
        loop {
            let count = match from.read(&mut bytes) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            std::thread::sleep(Duration::from_millis(state.delay_ms.load(Ordering::SeqCst)));
            while state.is_held.load(Ordering::SeqCst) && !state.is_over.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(5));
            }
            let is_lost = is_answer && state.is_deaf.load(Ordering::SeqCst);
            if !is_lost && to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    });
}
