use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::{Bound, Range};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::schema::Description;
use crate::typed::Message;

#[track_caller]
fn is<T: Message>(name: &str) {
    let description = Description::of::<T>();
    assert_eq!(description.name(), name);
    let (size, align) = (description.size(), description.align());
    assert_eq!(description.text(), format!("message {name}\n  size {size}, alignment {align}\n"));
}

#[test]
fn std_types_are_known() {
    is::<()>("()");
    is::<bool>("bool");
    is::<(u8, i16, u32, i64, u128)>("(u8, i16, u32, i64, u128)");
    is::<(f32, f64, char)>("(f32, f64, char)");
    is::<[[u8; 3]; 2]>("[[u8; 3]; 2]");
    is::<Option<NonZeroU32>>("Option<NonZeroU32>");
    is::<Result<Duration, String>>("Result<Duration, String>");
    is::<(Range<u32>, Bound<u8>)>("(Range<u32>, Bound<u8>)");
    is::<Vec<Option<String>>>("Vec<Option<String>>");
    is::<(Box<str>, Box<[u16]>, Box<f32>)>("(Box<str>, Box<[u16]>, Box<f32>)");
    is::<HashMap<String, Vec<u8>>>("HashMap<String, Vec<u8>>");
    is::<(BTreeMap<u32, u32>, BTreeSet<u8>, HashSet<u8>)>("(BTreeMap<u32, u32>, BTreeSet<u8>, HashSet<u8>)");
    is::<(IpAddr, SocketAddr)>("(IpAddr, SocketAddr)");
    is::<std::ffi::CString>("CString");
    is::<std::marker::PhantomData<Vec<String>>>("PhantomData");
}

#[test]
fn what_is_archived_alike_is_described_alike() {
    is::<usize>("u32");
    is::<VecDeque<u8>>("Vec<u8>");
    is::<(Rc<u8>, Arc<u8>)>("(Rc<u8>, Rc<u8>)");
}

#[test]
fn other_byte_orders_have_other_names() {
    use rkyv::rend;
    is::<(rend::u32_be, rend::u32_le)>("(u32_be, u32)");
    is::<(rend::char_be, rend::NonZeroU16_be)>("(char_be, NonZeroU16_be)");
}

#[test]
fn archives_without_anything_elsewhere_are_told_apart() {
    fn is_inline<T: Message>() -> bool {
        crate::typed::format::schema::<T>().is_inline
    }
    assert!(
        is_inline::<u64>()
            && is_inline::<[(u8, Option<char>); 4]>()
            && is_inline::<Result<Duration, IpAddr>>()
    );
    assert!(!is_inline::<String>() && !is_inline::<Option<Box<u8>>>() && !is_inline::<[Vec<u8>; 2]>());
    assert!(!is_inline::<(u8, HashMap<u8, u8>)>() && !is_inline::<Rc<u8>>() && !is_inline::<BTreeSet<u8>>());
}
