//! A task that waits for two queues and a timer at the same time, with tokio.
//!
//! ```text
//! cargo run --release --example select
//! ```

use std::error::Error;
use std::thread;
use std::time::Duration;

use ringway::asynchronous::{AsyncConsumer, AsyncProducer};
use ringway::{RecvError, SendError, mpmc, spsc};
use rkyv::{Archive, Serialize};
use tokio::time::{MissedTickBehavior, interval};

#[derive(Archive, Serialize, ringway::Message)]
struct Order {
    number: u64,
    item: String,
}

const ORDERS: u64 = 1000;
const LINES: u64 = 100;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let pid = std::process::id();
    let names = [format!("select-orders-{pid}"), format!("select-news-{pid}")];
    // SAFETY: only this program knows the files, and it writes to them through ringway only.
    let orders = unsafe { mpmc::Queue::<Order>::create(&names[0])? };
    // SAFETY: as above.
    let news = unsafe { spsc::BytesQueue::create(&names[1])? };
    let order_consumer = AsyncConsumer::new(orders.consumer()?)?;
    let news_consumer = AsyncConsumer::new(news.consumer()?)?;

    // Both could as well be in other processes. One awaits room and one blocks: this makes no
    // difference to the consumers.
    let ordering = tokio::spawn(order(AsyncProducer::new(orders.producer()?)?, orders));
    let producer = news.producer()?;
    let telling = thread::spawn(move || tell(producer, &news));
    let received = receive(order_consumer, news_consumer).await;

    for name in names {
        ringway::unlink(&name)?;
    }
    ordering.await??;
    telling.join().map_err(|_| "the teller panicked")??;
    received
}

async fn order(
    mut producer: AsyncProducer<mpmc::Producer<Order>>,
    queue: mpmc::Queue<Order>,
) -> Result<(), SendError> {
    for number in 0..ORDERS {
        producer.send(&Order { number, item: format!("thing {number}") }).await?;
        if number % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    queue.close();
    Ok(())
}

fn tell(mut producer: spsc::BytesProducer, queue: &spsc::BytesQueue) -> Result<(), SendError> {
    for line in 0..LINES {
        producer.send(format!("news {line}").as_bytes())?;
    }
    queue.close();
    Ok(())
}

async fn receive(
    mut orders: AsyncConsumer<mpmc::Consumer<Order>>,
    mut news: AsyncConsumer<spsc::BytesConsumer>,
) -> Result<(), Box<dyn Error>> {
    let (mut ordered, mut lines, mut ticks) = (0, 0, 0);
    let (mut is_ordering, mut is_telling) = (true, true);
    let mut timer = interval(Duration::from_millis(10));
    timer.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while is_ordering || is_telling {
        // The futures that are not ready first are dropped: they have taken nothing.
        tokio::select! {
            order = orders.recv(), if is_ordering => match order {
                Ok(order) => {
                    assert!(order.number == ordered && order.item.ends_with(&ordered.to_string()));
                    ordered += 1;
                }
                Err(RecvError::Closed) => is_ordering = false,
                Err(error) => return Err(error.into()),
            },
            line = news.recv(), if is_telling => match line {
                Ok(line) => {
                    assert_eq!(*line, *format!("news {lines}").as_bytes());
                    lines += 1;
                }
                Err(RecvError::Closed) => is_telling = false,
                Err(error) => return Err(error.into()),
            },
            _ = timer.tick() => ticks += 1,
        }
    }
    println!("{ordered} orders, {lines} lines of news, {ticks} ticks");
    Ok(())
}
