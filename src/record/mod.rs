//! The facts of the field: codes, dates, amounts, names, faults, status. Pure.

pub mod amount;
pub mod date;
pub mod fault;
pub mod identifier;
pub mod name;
pub mod status;

pub use amount::Amount;
pub use fault::{Fault, FaultCode};
pub use identifier::Uscc;
pub use status::Status;
