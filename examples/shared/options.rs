//! Arguments of the examples that take any.

/// The number after `name`, or `usual` if it is not given.
pub(crate) fn number_option(arguments: &[String], name: &str, usual: u64) -> Result<u64, String> {
    let Some(at) = arguments.iter().position(|argument| argument == name) else { return Ok(usual) };
    match arguments.get(at + 1).and_then(|number| number.parse().ok()) {
        Some(number) if number > 0 => Ok(number),
        _ => Err(format!("{name} needs a number of at least 1 behind it")),
    }
}
