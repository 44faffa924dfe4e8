//! Awaiting messages and room.

mod common;

mod asynchronous {
    mod broadcast;
    mod cancellation;
    mod close;
    mod deaths;
    mod forks;
    mod idle;
    mod many_tasks;
    mod mixed;
    mod old_kernel;
    mod panics;
    mod ping_pong;
    mod polled;
    mod sends;
    mod tools;
}
