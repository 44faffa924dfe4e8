use crate::process::Test;
pub(crate) fn tests() -> Vec<Test> {
    vec![]
}
