//! Any bytes at all, opened as a queue: an error or a working queue, never a crash.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringway::spsc::{BytesQueue, Queue};

fuzz_target!(|bytes: &[u8]| {
    let path = std::path::PathBuf::from(format!("/dev/shm/ringway-fuzz-open-{}", std::process::id()));
    std::fs::write(&path, bytes).expect("writing the file");
    // Whatever the umask is: a file that others can write to is refused without further checks.
    let own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, own).expect("setting the mode");
    // SAFETY: only this process knows the file.
    if let Ok(queue) = unsafe { BytesQueue::open(&path) } {
        if let Ok(consumer) = queue.consumer() {
            while consumer.try_recv().is_ok() {}
        }
    }
    // SAFETY: as above.
    let _ = unsafe { Queue::<(u32, String)>::open(&path) }.map(|queue| queue.producer().is_ok());
    let _ = ringway::schema::Description::recorded(&path).map(|description| description.to_string());
    std::fs::remove_file(&path).expect("removing the file");
});
