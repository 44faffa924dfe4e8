//! Types that contain others in place: their description follows from those of their contents.

use std::mem::ManuallyDrop;

use rkyv::collections::util::Entry;
use rkyv::niche::niched_option::NichedOption;
use rkyv::niche::niching::{Bool, DefaultNiche, NaN, Null, Zero};
use rkyv::ops::{
    ArchivedBound, ArchivedRange, ArchivedRangeFrom, ArchivedRangeInclusive, ArchivedRangeTo,
    ArchivedRangeToInclusive,
};
use rkyv::option::ArchivedOption;
use rkyv::result::ArchivedResult;
use rkyv::tuple::{
    ArchivedTuple1, ArchivedTuple2, ArchivedTuple3, ArchivedTuple4, ArchivedTuple5, ArchivedTuple6,
    ArchivedTuple7, ArchivedTuple8, ArchivedTuple9, ArchivedTuple10, ArchivedTuple11, ArchivedTuple12,
    ArchivedTuple13,
};

use crate::describe::{Describer, Structure};

macro_rules! generic {
    ($($ty:ident<$($parameter:ident),*> = $name:literal,)*) => {$(
        impl<$($parameter: Structure),*> Structure for $ty<$($parameter),*> {
            fn describe(describer: &mut Describer) {
                describer.generic($name, &[$(Describer::mention::<$parameter>),*]);
            }
        }
    )*};
}

generic! {
    ArchivedOption<T> = "Option",
    ArchivedResult<T, E> = "Result",
    ArchivedBound<T> = "Bound",
    ArchivedRange<T> = "Range",
    ArchivedRangeFrom<T> = "RangeFrom",
    ArchivedRangeInclusive<T> = "RangeInclusive",
    ArchivedRangeTo<T> = "RangeTo",
    ArchivedRangeToInclusive<T> = "RangeToInclusive",
    Entry<K, V> = "Entry",
}

macro_rules! tuples {
    ($($ty:ident<$($parameter:ident),*>,)*) => {$(
        impl<$($parameter: Structure),*> Structure for $ty<$($parameter),*> {
            fn describe(describer: &mut Describer) {
                describer.list(["(", ")"], &[$(Describer::mention::<$parameter>),*]);
            }
        }
    )*};
}

tuples! {
    ArchivedTuple1<A>,
    ArchivedTuple2<A, B>,
    ArchivedTuple3<A, B, C>,
    ArchivedTuple4<A, B, C, D>,
    ArchivedTuple5<A, B, C, D, E>,
    ArchivedTuple6<A, B, C, D, E, F>,
    ArchivedTuple7<A, B, C, D, E, F, G>,
    ArchivedTuple8<A, B, C, D, E, F, G, H>,
    ArchivedTuple9<A, B, C, D, E, F, G, H, I>,
    ArchivedTuple10<A, B, C, D, E, F, G, H, I, J>,
    ArchivedTuple11<A, B, C, D, E, F, G, H, I, J, K>,
    ArchivedTuple12<A, B, C, D, E, F, G, H, I, J, K, L>,
    ArchivedTuple13<A, B, C, D, E, F, G, H, I, J, K, L, M>,
}

impl<T: Structure, const N: usize> Structure for [T; N] {
    fn describe(describer: &mut Describer) {
        describer.list(["[", "; "], &[Describer::mention::<T>]);
        describer.constant(N);
        describer.known("]");
    }
}

impl<T: Structure> Structure for ManuallyDrop<T> {
    fn describe(describer: &mut Describer) {
        describer.mention::<T>();
    }
}

// Options whose `None` is a value that the type cannot have otherwise.
macro_rules! niches {
    ($($niche:ident = $name:literal,)*) => {$(
        impl<T: Structure> Structure for NichedOption<T, $niche> {
            fn describe(describer: &mut Describer) {
                describer.generic($name, &[Describer::mention::<T>]);
            }
        }
    )*};
}

niches! {
    Bool = "OptionBool",
    DefaultNiche = "OptionNiche",
    NaN = "OptionNaN",
    Null = "OptionNull",
    Zero = "OptionZero",
}
