//! The command line: `--name value` and `--name`.

/// The argument after `name`.
pub(crate) fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.next()?;
    Some(arguments.next().unwrap_or_else(|| panic!("{name} needs a value")))
}

/// Whether `name` is an argument.
pub(crate) fn flag(name: &str) -> bool {
    std::env::args().any(|argument| argument == name)
}

/// The number after `name`.
pub(crate) fn number(name: &str) -> Option<usize> {
    argument(name).map(|text| text.parse().unwrap_or_else(|_| panic!("{name} needs a number, not {text}")))
}
