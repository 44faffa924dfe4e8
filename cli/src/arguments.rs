//! The command line. Arguments that cannot be parsed are quoted by an error, and must be escaped
//! like all output.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use clap::Parser;
use clap::error::{Error, RichFormatter};

use crate::Cli;
use crate::escape::{escape_bytes, is_unsafe_to_print};

/// Parses the command line. Ends the process if it cannot be parsed, or asks for help.
pub(crate) fn parse(arguments: Vec<OsString>) -> Cli {
    Cli::try_parse_from(&arguments).unwrap_or_else(|error| exit(&arguments, error))
}

fn exit(arguments: &[OsString], error: Error) -> ! {
    if arguments
        .iter()
        .all(|argument| argument.to_str().is_some_and(|text| !text.contains(is_unsafe_to_print)))
    {
        error.exit();
    }
    // The same error, about arguments that can be printed. They are refused for the same reason,
    // unless the reason was the characters that cannot be printed: then the error is shown without
    // its quotations.
    let escape =
        arguments.iter().map(|argument| OsString::from_vec(escape_bytes(argument.as_bytes()).into_bytes()));
    match Cli::try_parse_from(escape) {
        Err(error) => error.exit(),
        Ok(_) => Error::<RichFormatter>::raw(
            error.kind(),
            "an argument has characters that cannot be shown here\n",
        )
        .exit(),
    }
}
