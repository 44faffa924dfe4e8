//! Types that refer to bytes elsewhere in the message.

use std::ffi::CStr;

use rkyv::boxed::ArchivedBox;
use rkyv::collections::btree_map::ArchivedBTreeMap;
use rkyv::collections::btree_set::ArchivedBTreeSet;
use rkyv::collections::swiss_table::{ArchivedHashMap, ArchivedHashSet, ArchivedIndexMap, ArchivedIndexSet};
use rkyv::ffi::ArchivedCString;
use rkyv::niche::option_box::ArchivedOptionBox;
use rkyv::rc::{ArchivedRc, ArchivedRcWeak};
use rkyv::string::ArchivedString;
use rkyv::traits::ArchivePointee;
use rkyv::vec::ArchivedVec;

use crate::describe::{Describer, Structure};

impl Structure for ArchivedString {
    fn describe(describer: &mut Describer) {
        describer.pointer("String", &[]);
    }
}

impl Structure for ArchivedCString {
    fn describe(describer: &mut Describer) {
        describer.pointer("CString", &[]);
    }
}

// What boxes point to.
impl Structure for str {
    fn describe(describer: &mut Describer) {
        describer.known("str");
    }
}

impl Structure for CStr {
    fn describe(describer: &mut Describer) {
        describer.known("CStr");
    }
}

impl<T: Structure> Structure for [T] {
    fn describe(describer: &mut Describer) {
        describer.list(["[", "]"], &[Describer::mention::<T>]);
    }
}

impl<T: Structure + ArchivePointee + ?Sized> Structure for ArchivedBox<T> {
    fn describe(describer: &mut Describer) {
        describer.pointer("Box", &[Describer::mention::<T>]);
    }
}

impl<T: Structure + ArchivePointee + ?Sized> Structure for ArchivedOptionBox<T> {
    fn describe(describer: &mut Describer) {
        describer.pointer("OptionBox", &[Describer::mention::<T>]);
    }
}

// The flavor says how it is shared in memory; the archives of all flavors are the same.
impl<T: Structure + ArchivePointee + ?Sized, F> Structure for ArchivedRc<T, F> {
    fn describe(describer: &mut Describer) {
        describer.pointer("Rc", &[Describer::mention::<T>]);
    }
}

impl<T: Structure + ArchivePointee + ?Sized, F> Structure for ArchivedRcWeak<T, F> {
    fn describe(describer: &mut Describer) {
        describer.pointer("Weak", &[Describer::mention::<T>]);
    }
}

macro_rules! collections {
    ($($ty:ident<$($parameter:ident),*> = $name:literal,)*) => {$(
        impl<$($parameter: Structure),*> Structure for $ty<$($parameter),*> {
            fn describe(describer: &mut Describer) {
                describer.pointer($name, &[$(Describer::mention::<$parameter>),*]);
            }
        }
    )*};
}

// Tables with another hasher than rkyv's own have no description: in them, keys would not be found.
collections! {
    ArchivedVec<T> = "Vec",
    ArchivedHashMap<K, V> = "HashMap",
    ArchivedHashSet<K> = "HashSet",
    ArchivedIndexMap<K, V> = "IndexMap",
    ArchivedIndexSet<K> = "IndexSet",
    ArchivedBTreeMap<K, V> = "BTreeMap",
    ArchivedBTreeSet<K> = "BTreeSet",
}
