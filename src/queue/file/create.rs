//! Creating and opening queues, by name.

use std::path::Path;
use std::sync::Arc;

use super::closed::{MAX_BUSY, WHILE_BUSY, Way};
use super::handle_options::HandleOptions;
use super::open;
use super::open::{
    absolute, check_kind, create_error, find, initial_contents, new_preamble, not_created, resolve,
};
use super::options::ResolvedOptions;
use super::shared::{CheckedFile, Shared};
use super::space::header_not_mapped;
use crate::error::{CreateError, OpenError};
use crate::queue::Schema;
use crate::queue::kind::Engine;
use crate::shm::{self, Created, Plan, Size};

/// Retry limit of `open_or_create`: how many times the file is found unlinked and still has its
/// name, before it counts as dead.
const RETRY_LIMIT: u32 = 100;

impl Shared {
    pub(crate) fn create<K: Engine>(
        name: &Path,
        options: &ResolvedOptions,
        schema: &Schema,
    ) -> Result<Arc<Self>, CreateError> {
        let path = absolute(resolve(name).map_err(|reason| CreateError::InvalidName { reason })?);
        let ResolvedOptions { geometry, handle_options, .. } = *options;
        let needed = geometry.file_len();
        let failed = |step| {
            let path = path.clone();
            move |source| create_error(path, step, source, needed)
        };
        let preamble = new_preamble(options, schema).map_err(failed("reading random bytes"))?;
        let contents = initial_contents(options, &preamble, schema);
        let size = Size { len: needed, allocated: geometry.allocated_len() };
        let plan = Plan { size, contents: &contents, sharing: handle_options.sharing_of_new() };
        let Created { file, filesystem } =
            shm::create(&path, plan).map_err(|error| not_created(&path, error, needed))?;
        let uuid = preamble.uuid;
        let checked = CheckedFile { path: path.clone(), is_memfd: false, geometry, uuid, filesystem };
        let made = Self::new(&file, checked, schema, handle_options)
            .map_err(failed("mapping the header"))
            .and_then(|shared| shared.owned().map_err(failed("taking a share of the queue")));
        made.map(Arc::new).inspect_err(|_| {
            // Nothing may be left after an error: the file already has its name.
            let _ = shm::unlink_if_same(&path, &file);
        })
    }

    pub(crate) fn open<K: Engine>(
        name: &Path,
        schema: &Schema,
        handle_options: HandleOptions,
    ) -> Result<Arc<Self>, OpenError> {
        Self::open_found::<K>(find(name, Some(handle_options.accepted_sharing()))?, schema, handle_options)
    }

    /// Opens a file that was found to be a queue, of any kind and type.
    pub(in crate::queue) fn open_found<K: Engine>(
        found: open::QueueFile,
        schema: &Schema,
        handle_options: HandleOptions,
    ) -> Result<Arc<Self>, OpenError> {
        let open::QueueFile { checked, preamble, file } = found;
        let path = checked.path.clone();
        check_kind::<K>(&path, &preamble)?;
        // Before anything of it is mapped.
        handle_options.limits.map_or(Ok(()), |limits| limits.check(&path, &checked.geometry))?;
        schema.check(&path, &file, &preamble, &checked.geometry)?;
        let failed = |step| {
            let path = path.clone();
            move |source| OpenError::Io { path, step, source }
        };
        let needed = checked.geometry.lane_offset;
        let shared = Self::new(&Arc::new(file), checked, schema, handle_options)
            .map_err(|source| header_not_mapped(path.clone(), needed, source))?
            .owned()
            .map_err(failed("taking a share of the queue"))?;
        // After the share was taken: a process that removes the queue checks for shares first.
        if shared.is_unlinked().map_err(failed("checking the file"))? {
            return Err(OpenError::Unlinked { path });
        }
        shared.check_boot(handle_options)?;
        shared.note_closed();
        Ok(Arc::new(shared))
    }

    pub(crate) fn open_or_create<K: Engine>(
        name: &Path,
        options: &ResolvedOptions,
        schema: &Schema,
    ) -> Result<Arc<Self>, OpenError> {
        // Another process may create it between the attempt to open it and the attempt to create
        // it, or unlink it just after; but not for ever. A file that stays there and stays unlinked
        // has a second name.
        let (mut tries, mut busy) = (0, 0);
        loop {
            let unlinked = match Self::open::<K>(name, schema, options.handle_options) {
                Err(OpenError::NotFound { .. }) => None,
                Err(error @ OpenError::Unlinked { .. }) => Some(error),
                Ok(shared) => match shared.give_way::<K>()? {
                    Way::Free if tries < RETRY_LIMIT => None,
                    Way::Busy if busy < MAX_BUSY => {
                        busy += 1;
                        std::thread::sleep(WHILE_BUSY);
                        continue;
                    }
                    _ => return Ok(shared),
                },
                other => return other,
            };
            match (Self::create::<K>(name, options, schema), unlinked) {
                (Err(CreateError::AlreadyExists { .. }), Some(error)) if tries >= RETRY_LIMIT => {
                    return Err(error);
                }
                (Err(CreateError::AlreadyExists { .. }), _) => tries += 1,
                // Another owner removed the queue, before this one had taken its share.
                (Ok(shared), _) if tries < RETRY_LIMIT && shared.is_taken_away() => tries += 1,
                (other, _) => return other.map_err(OpenError::Create),
            }
        }
    }
}
