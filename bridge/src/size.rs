//! Sizes in bytes, as people write them.

/// Reads a size: a number, or one with a unit, `k`, `m` or `g`, which are powers of 1,024; `KiB`, `MiB` and `GiB` are the
/// same.
///
/// ```
/// use ringway_nats::size::parse;
///
/// assert_eq!(parse("8MiB"), Ok(8 << 20));
/// assert_eq!(parse("16m"), parse("16384k"));
/// assert!(parse("8 MB").is_err());
/// ```
///
/// # Errors
/// A sentence that says what is expected.
pub fn parse(text: &str) -> Result<usize, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        _ => 64,
    };
    let bytes =
        number.parse::<usize>().ok().and_then(|number| number.checked_mul(1_usize.checked_shl(shift)?));
    bytes.ok_or_else(|| {
        format!(
            "\"{}\" is no size: a number of bytes, perhaps with k, m or g (8MiB, 64k)",
            text.escape_debug()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_is_no_size_is_refused() {
        for wrong in ["", "m", "-1", "1t", "1.5m", "99999999999g", "1 m", "0x10"] {
            assert!(parse(wrong).unwrap_err().contains("is no size"), "{wrong}");
        }
        assert_eq!(parse("0"), Ok(0));
        assert_eq!(parse("2g"), Ok(2 << 30));
    }
}
