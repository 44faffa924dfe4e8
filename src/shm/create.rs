//! Creates files that no process can see incomplete: a file gets its name when it is complete.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::unistd::linkat;

use super::filesystem::{FilesystemClass, Unsuitable, check_directory, check_file};
use super::owner::Sharing;
use super::size_limit::without_signal;
use super::space::{Section, allocate};
use super::step::{StepError, at};
use super::temporary::Temporary;

/// The length of a file, and how much of it gets disk space from the beginning.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) len: u64,
    pub(crate) allocated: u64,
}

/// The properties of a new file.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) size: Size,
    /// Offsets and the bytes there; the rest is zero.
    pub(crate) contents: &'a [(u64, Vec<u8>)],
    pub(crate) sharing: Sharing,
}

/// A new file, and the class of its filesystem.
#[derive(Debug)]
pub(crate) struct Created {
    pub(crate) file: Arc<File>,
    pub(crate) filesystem: FilesystemClass,
}

/// Why no file was created.
#[derive(Debug)]
pub(crate) enum NotCreated {
    Unsuitable(Unsuitable),
    Failed(StepError),
}

impl From<StepError> for NotCreated {
    fn from(failed: StepError) -> Self {
        Self::Failed(failed)
    }
}

/// Creates a file by `plan`, and only then gives it the name `path`. Fails with `AlreadyExists` if
/// the name is taken. A failure leaves no file.
pub(crate) fn create(path: &Path, plan: Plan<'_>) -> Result<Created, NotCreated> {
    create_by(link, path, plan)
}

fn create_by(
    link: impl Fn(&File, &Path) -> io::Result<()>,
    path: &Path,
    plan: Plan<'_>,
) -> Result<Created, NotCreated> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Before anything is created there: on a filesystem without real files, creation would fail
    // without a useful reason.
    let checked = check_directory(directory).map_err(at("checking the filesystem"))?;
    checked.map_err(NotCreated::Unsuitable)?;
    match unnamed(directory) {
        Ok(file) => {
            let filesystem = fill(&file, plan)?;
            match link(&file, path) {
                Err(error) if is_no_way_to_link(&error) => {
                    // Its space is needed again.
                    drop(file);
                    named(path, directory, plan)
                }
                other => {
                    other.map_err(at("giving the file its name"))?;
                    Ok(Created { file: Arc::new(file), filesystem })
                }
            }
        }
        Err(error) if lacks_tmpfile(&error) => named(path, directory, plan),
        Err(error) => Err(at("creating the file")(error).into()),
    }
}

fn unnamed(directory: &Path) -> io::Result<File> {
    let flags = OFlag::O_TMPFILE | OFlag::O_CLOEXEC;
    let mode = Sharing::FIRST_MODE;
    OpenOptions::new().read(true).write(true).mode(mode).custom_flags(flags.bits()).open(directory)
}

/// Whether the error says that a file without a name cannot be linked here: no /proc (ENOENT), a sandbox or
/// a kernel without this system call (EPERM, ENOSYS, EINVAL), a filesystem without links, or one that
/// consists of several (EXDEV, EOPNOTSUPP). Creation under a temporary name may still work.
fn is_no_way_to_link(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(
            Errno::ENOENT
                | Errno::EPERM
                | Errno::EACCES
                | Errno::ENOSYS
                | Errno::EINVAL
                | Errno::EXDEV
                | Errno::EOPNOTSUPP
        )
    )
}

/// Filesystems without O_TMPFILE return EOPNOTSUPP; kernels without it return EISDIR.
fn lacks_tmpfile(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL)
    )
}

fn fill(file: &File, plan: Plan<'_>) -> Result<FilesystemClass, NotCreated> {
    // First, because copy-on-write can only be disabled while the file is empty.
    let checked = check_file(file, true).map_err(at("checking the filesystem"))?;
    let filesystem = checked.map_err(NotCreated::Unsuitable)?;
    write(file, plan)?;
    plan.sharing.apply(file).map_err(at("setting the mode of the file"))?;
    Ok(filesystem)
}

/// Gives an empty file its size, space and contents.
pub(super) fn write(file: &File, plan: Plan<'_>) -> Result<(), StepError> {
    let Plan { size, contents, .. } = plan;
    without_signal(|| {
        allocate(file, Section { offset: 0, len: size.allocated })
            .map_err(at("allocating space for the file"))?;
        if size.len > size.allocated {
            file.set_len(size.len).map_err(at("setting the length of the file"))?;
        }
        let written = contents.iter().try_for_each(|(offset, bytes)| file.write_all_at(bytes, *offset));
        written.map_err(at("writing the header"))
    })
}

fn link(file: &File, path: &Path) -> io::Result<()> {
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    linkat(AT_FDCWD, unnamed.as_str(), AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW).map_err(io::Error::from)
}

fn named(path: &Path, directory: &Path, plan: Plan<'_>) -> Result<Created, NotCreated> {
    let temporary = Temporary::new(directory)?;
    let filesystem = fill(&temporary.file, plan)?;
    let file = temporary.rename(path).map_err(at("giving the file its name"))?;
    Ok(Created { file, filesystem })
}

/// Sixteen random bytes from the kernel.
pub(crate) fn random_uuid() -> io::Result<[u8; 16]> {
    use std::io::Read;
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    // RFC 9562: version 4, variant 10.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_create_give_the_same_file() {
        let directory = tempfile::tempdir().unwrap();
        let contents = &[(0, b"head".to_vec()), (4096, b"body".to_vec())];
        let one = directory.path().join("one");
        let size = Size { len: 8192, allocated: 8192 };
        let plan = Plan { size, contents, sharing: Sharing::Owner };
        create(&one, plan).unwrap();
        let two = directory.path().join("two");
        named(&two, directory.path(), plan).unwrap();
        let bytes = std::fs::read(&one).unwrap();
        assert_eq!(bytes.len(), 8192);
        assert_eq!(&bytes[4096..4100], b"body");
        assert_eq!(bytes, std::fs::read(&two).unwrap());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn where_a_file_without_a_name_cannot_be_linked_it_is_made_with_one() {
        let size = Size { len: 8192, allocated: 8192 };
        let plan = Plan { size, contents: &[(4096, b"body".to_vec())], sharing: Sharing::Group };
        for errno in [Errno::ENOENT, Errno::EPERM, Errno::ENOSYS, Errno::EXDEV, Errno::EOPNOTSUPP] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("queue");
            create_by(|_, _| Err(errno.into()), &path, plan).unwrap();
            assert_eq!(&std::fs::read(&path).unwrap()[4096..4100], b"body", "{errno}");
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
            let again = create_by(|_, _| Err(errno.into()), &path, plan);
            let NotCreated::Failed(failed) = again.unwrap_err() else { panic!("the filesystem is good") };
            assert_eq!(failed.source.kind(), io::ErrorKind::AlreadyExists);
        }
        let directory = tempfile::tempdir().unwrap();
        let refused = create_by(|_, _| Err(Errno::ENOSPC.into()), &directory.path().join("queue"), plan);
        let NotCreated::Failed(failed) = refused.unwrap_err() else { panic!("the filesystem is good") };
        assert_eq!(failed.source.raw_os_error(), Some(libc::ENOSPC));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_existing_name_is_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queue");
        std::fs::write(&path, b"precious").unwrap();
        let size = Size { len: 4096, allocated: 4096 };
        let plan = Plan { size, contents: &[], sharing: Sharing::Group };
        for result in [create(&path, plan), named(&path, directory.path(), plan)] {
            let NotCreated::Failed(failed) = result.unwrap_err() else { panic!("the filesystem is good") };
            assert_eq!(failed.source.kind(), io::ErrorKind::AlreadyExists);
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
