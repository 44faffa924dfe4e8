//! Answers GET requests for `/metrics`, `/healthz` and `/readyz`. Small, because it serves a monitoring system and nothing
//! else: one request a connection, of 4 KiB and two seconds at most, from eight clients at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::metrics::{LinkState, not_ready, render};

/// The longest request.
const MAX_REQUEST: usize = 4096;
/// The longest time for one.
const MAX_TIME: Duration = Duration::from_secs(2);
/// The most clients at a time.
const MAX_CLIENTS: usize = 8;

/// Answers for as long as it is polled. Must run inside a tokio `LocalSet` or runtime: each client has a task.
pub async fn serve(listener: TcpListener, links: Arc<[LinkState]>) -> std::convert::Infallible {
    let clients = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        let Ok(permit) = Arc::clone(&clients).acquire_owned().await else {
            unreachable!("the semaphore is not closed")
        };
        match listener.accept().await {
            Ok((client, _)) => {
                let links = Arc::clone(&links);
                tokio::spawn(async move {
                    // A client that goes away, or says nothing, is its own affair.
                    let _ = timeout(MAX_TIME, answer(client, &links)).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!("accepting a connection for metrics: {error}");
                // Out of descriptors: that does not change at once.
                sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn answer(mut client: TcpStream, links: &[LinkState]) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if request.len() >= MAX_REQUEST || client.read_buf(&mut request).await? == 0 {
            break;
        }
    }
    client.write_all(respond(&request, links).as_bytes()).await?;
    client.shutdown().await
}

/// The response to a request.
fn respond(request: &[u8], links: &[LinkState]) -> String {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = path.split(|byte| *byte == b'?').next().unwrap_or_default();
    let (status, body) = match (method, path) {
        (b"GET", b"/metrics") => ("200 OK", render(links)),
        (b"GET", b"/healthz") => ("200 OK", "ok\n".to_owned()),
        (b"GET", b"/readyz") => match not_ready(links) {
            why if why.is_empty() => ("200 OK", "ready\n".to_owned()),
            why => ("503 Service Unavailable", why),
        },
        (b"GET", _) => ("404 Not Found", "there are /metrics, /healthz and /readyz\n".to_owned()),
        _ => ("405 Method Not Allowed", "only GET\n".to_owned()),
    };
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Direction;
    use crate::stats::Stats;

    #[test]
    fn requests_are_answered_or_refused() {
        let stats = Arc::new(Stats::default());
        let link = LinkState { name: "q".into(), direction: Direction::In, stats: Arc::clone(&stats) };
        let status = |request: &str| {
            let response = respond(request.as_bytes(), std::slice::from_ref(&link));
            response.split(' ').nth(1).unwrap().to_owned()
        };
        assert_eq!(status("GET /readyz HTTP/1.1\r\n\r\n"), "503");
        stats.set_connected(true);
        assert_eq!(status("GET /readyz HTTP/1.1\r\n\r\n"), "200");
        assert_eq!(status("GET /healthz HTTP/1.0\r\n\r\n"), "200");
        assert_eq!(status("GET /metrics?x=1 HTTP/1.1\r\n\r\n"), "200");
        assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), "404");
        assert_eq!(status("POST /metrics HTTP/1.1\r\n\r\n"), "405");
        for request in ["", "\r\n", "GET", "\u{0}\u{ff}"] {
            assert!(["404", "405"].contains(&status(request).as_str()), "{request:?}");
        }
    }
}
