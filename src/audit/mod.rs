//! Audits: a log exported to a folder, and the verification of such a folder by somebody who trusts nobody.
//!
//! A folder holds a log in the layout of C2SP `tlog-tiles`, with the bodies beside it:
//!
//! | | |
//! |---|---|
//! | `checkpoint` | the signed checkpoint |
//! | `tile/<L>/<N>[.p/<W>]` | tiles |
//! | `tile/entries/<N>[.p/<W>]` | bundles of entries |
//! | `statements/<N>[.p/<W>]` | the bodies of a bundle: a line an entry, the compact JWS, `withheld` or `erased`; plain or zstd |
//!
//! Keys come with it: entry 0 is a descriptor, and each change of it follows. What the folder cannot say is whether that
//! descriptor is the city's: whoever verifies brings the log's verifier key or the fingerprint of the descriptor from
//! elsewhere. Verification shares with a pull how one statement is verified and judged, and nothing else: it is a second
//! opinion on what this program itself wrote. Events are judged against what they name as far as that stands in the same log.

mod events;
pub mod export;
pub mod fault;
pub mod folder;
mod judged;
pub(crate) mod keys;
mod read;
mod tree;
pub mod verify;
mod versions;
mod void;
mod waiting;

pub use events::{ELSEWHERE, GAPS, NOT_READ};
pub use fault::{Fault, Wrong};
pub use folder::Folder;
pub use verify::{Report, Trust, verify};
