//! The schema files that come with the program.

macro_rules! schemas {
    ($($name:literal),* $(,)?) => {
        &[$((concat!("schemas/", $name, ".json"), include_str!(concat!("../../../schemas/", $name, ".json")))),*]
    };
}

/// File name and text of each.
pub(super) const SCHEMAS: &[(&str, &str)] = schemas![
    "registration",
    "licence",
    "penalty",
    "judgment",
    "listing",
    "contract",
    "commitment",
    "grade",
    "honour",
    "voluntary",
    "withdrawal",
    "dispute",
    "dispute-answer",
    "repair",
    "repair-revocation",
    "application",
    "recognition",
    "descriptor",
    "change",
    "members",
    "query",
    "answer",
    "receipt",
];
