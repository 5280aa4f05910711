//! Names as they are looked up: brackets and width folded.

/// The name as it is compared: full width to half width, brackets to one form, lower case, no white space.
pub fn fold(_name: &str) -> String {
    todo!()
}
