//! Shows the fields of messages. The decoder is `ringway-value`; how its values look is here.

mod show;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;

pub(crate) use show::lines;
