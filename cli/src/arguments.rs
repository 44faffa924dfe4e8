//! The command line. What cannot be understood is quoted by an error, and must be as escape as everything else.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use clap::Parser;
use clap::error::{Error, RichFormatter};

use crate::Cli;
use crate::escape::{escape_bytes, is_unsafe_to_print};

/// What is said on the command line; ends the process if that is not understood, or asks for help.
pub(crate) fn parse() -> Cli {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    Cli::try_parse_from(&arguments).unwrap_or_else(|error| exit(&arguments, error))
}

fn exit(arguments: &[OsString], error: Error) -> ! {
    if arguments
        .iter()
        .all(|argument| argument.to_str().is_some_and(|text| !text.contains(is_unsafe_to_print)))
    {
        error.exit();
    }
    // The same error about arguments that can be shown. They are refused for the same reason, unless the reason was what cannot be
    // shown: then the error is not worth its quotations.
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
