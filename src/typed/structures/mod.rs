//! The descriptions of the archives of std's types. The archived type is what is in the file,
//! whatever message type rkyv created it from: `Vec`, `VecDeque` and `SmallVec` have one archived
//! type, and so have `Rc` and `Arc`.

mod collections;
mod compounds;
mod numbers;

#[cfg(test)]
mod tests;
