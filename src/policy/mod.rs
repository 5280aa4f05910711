//! Access and recognition, decided by Cedar policies: who may hold, ask and follow what, for which purpose, and whose
//! repairs take effect here. Pure but for reading a folder.
//!
//! `files` finds the texts, `read` takes them or says where their fault is, [`Policies`] is the set that decides, asked by
//! way of [`AskCase`], [`HoldCase`], [`RepairCase`] and [`FollowCase`]; [`InForce`] is the one that a running node goes by. `docs/POLICY.md`
//! tells how policies are written.

mod ask;
mod cedar;
mod fault;
mod files;
mod follow;
mod group;
mod hold;
mod read;
mod recognise;
mod words;

pub use ask::{Access, AskCase, Denied};
pub use cedar::{Policies, Verdict};
pub use fault::{Place, PolicyFault, PolicyFaults};
pub use files::Files;
pub use follow::FollowCase;
pub use group::{Groups, Member, may_read};
pub use hold::HoldCase;
pub use read::Told;
pub use recognise::{Outcome, Recognition, RepairCase};
pub use words::Known;

/// The set that a running node goes by.
pub type InForce = crate::in_force::InForce<Policies>;

#[cfg(test)]
mod tests;
