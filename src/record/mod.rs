//! The facts of the field: codes, dates, amounts, names, faults, working days, rules, status. Pure.

pub mod amount;
pub mod application;
pub mod calendar;
pub mod date;
pub mod event;
pub mod facts;
pub mod fault;
pub mod identifier;
pub mod name;
pub mod purpose;
pub mod rules;
pub mod setting;
pub mod standing;
pub mod status;
pub mod terms;

pub use amount::Amount;
pub use calendar::Calendar;
pub use event::{Event, Place, Said};
pub use facts::Facts;
pub use fault::{Fault, FaultCode};
pub use identifier::Uscc;
pub use purpose::Purpose;
pub use rules::{Rules, Severity};
pub use standing::{NotRepairable, Standing, repair_allowed};
pub use status::{Reason, Status};
