//! Message sizes as constants, so that the compiler knows them.

/// Calls `$function::<W>(...)` for the number of words that messages of `$bytes` bytes have.
macro_rules! with_words {
    ($bytes:expr, $function:ident($($argument:expr),*)) => {
        match $bytes {
            8 => $function::<1>($($argument),*),
            64 => $function::<8>($($argument),*),
            256 => $function::<32>($($argument),*),
            1024 => $function::<128>($($argument),*),
            65_536 => $function::<8192>($($argument),*),
            other => anyhow::bail!("messages of {other} bytes are not among the cases"),
        }
    };
}
pub(super) use with_words;
