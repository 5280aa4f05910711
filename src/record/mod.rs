//! The facts of the field: codes, dates, amounts, names, status. Pure.

pub mod amount;
pub mod date;
pub mod identifier;
pub mod name;
pub mod status;
