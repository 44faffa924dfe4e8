//! What the archives of std's types look like. Whatever message types rkyv makes them of, these are what stands in the
//! file: `Vec`, `VecDeque` and `SmallVec` are one archived type, and so are `Rc` and `Arc`.

mod collections;
mod compounds;
mod numbers;

#[cfg(test)]
mod tests;
