//! Paths in JSON, which cannot contain bytes that are not UTF-8.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::text::hex;

/// A path as the field `path`, and, if it is not UTF-8, its bytes as the field `path_hex`. Meant to
/// be flattened into an object.
#[derive(Clone, Debug)]
pub(crate) struct JsonPath(PathBuf);

impl JsonPath {
    pub(crate) fn as_path(&self) -> &Path {
        &self.0
    }
}

impl From<PathBuf> for JsonPath {
    fn from(path: PathBuf) -> Self {
        Self(path)
    }
}

impl Serialize for JsonPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("path", &self.0.to_string_lossy())?;
        if self.0.to_str().is_none() {
            map.serialize_entry("path_hex", &hex(self.0.as_os_str().as_bytes()))?;
        }
        map.end()
    }
}
