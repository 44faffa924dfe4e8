//! Named queue files: which users may write to them, what has their names, and how they are mapped.

mod common;
#[path = "named_files/mapping.rs"]
mod mapping;
#[path = "named_files/names.rs"]
mod names;
#[path = "named_files/permissions.rs"]
mod permissions;

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use common::{directory, in_child};
use ringway::spsc::BytesQueue;
use ringway::{CreateError, CreateOptions, OpenError, OpenOptions};

fn small() -> CreateOptions {
    CreateOptions::new().ring_bytes(4096)
}

fn create(path: &Path, options: &CreateOptions) -> Result<BytesQueue, CreateError> {
    // SAFETY: nothing else writes to the files of these tests while they are queues.
    unsafe { BytesQueue::create_with(path, options) }
}

fn open(path: &Path, options: &OpenOptions) -> Result<BytesQueue, OpenError> {
    // SAFETY: as above.
    unsafe { BytesQueue::open_with(path, options) }
}

fn open_or_create(path: &Path) -> Result<BytesQueue, OpenError> {
    // SAFETY: as above.
    unsafe { BytesQueue::open_or_create_with(path, &small()) }
}

fn mode_of(path: &Path) -> u32 {
    path.metadata().unwrap().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn passes(queue: &BytesQueue) {
    queue.producer().unwrap().send(b"hello").unwrap();
    assert_eq!(&*queue.consumer().unwrap().try_recv().unwrap(), b"hello");
}

/// The name stays the same when the process changes its directory.
#[test]
fn a_relative_name_is_made_absolute() {
    in_child("a_relative_name_is_made_absolute", || {
        let dir = directory();
        std::env::set_current_dir(dir.path()).unwrap();
        let queue = create(Path::new("./queue"), &small()).unwrap();
        std::env::set_current_dir("/").unwrap();
        assert_eq!(queue.path(), dir.path().join("queue"));
        assert!(!queue.is_orphaned().unwrap());
        passes(&queue);
    });
}
