//! Trust between nodes: only keys that two administrators have confirmed, and each peer's under its own authority alone.
//!
//! | file | what |
//! |---|---|
//! | `descriptor.rs` | what a node says of itself, signed by its root key |
//! | `line.rs` | which of a node's descriptors vouches for which |
//! | `wire.rs` | the body of that statement |
//! | `compromise.rs` | what compromised keys signed is void |
//! | `rotation.rs` | how a key's place is taken by another |
//! | `state` | where a peer stands; the file is `store/peer_state.rs`, since the store holds to the same steps |
//! | `member_list.rs` | a federation's list of members, which proposes peers |
//! | `proposed.rs` | a member of a list, held against what is served under its address |
//! | `refusal.rs` | descriptors that are not taken, and why |
//! | `registry.rs` | the peers as this process sees them |
//! | `tls.rs` | whom a connection trusts |
//! | `invitation.rs` | the text by which a node is invited |
//! | `token.rs` | keys on PKCS#11 tokens |
//! | `certificates.rs` | a node's own authority and its certificate |
//! | `keys/` | a node's private keys: files, passphrases, which one signs now |

pub mod certificates;
pub mod compromise;
pub mod descriptor;
pub mod invitation;
pub mod keys;
pub mod line;
pub mod member_list;
pub mod proposed;
pub mod refusal;
pub mod registry;
pub mod rotation;
pub mod tls;
pub mod token;
mod wire;

pub use crate::store::peer_state as state;
pub use descriptor::Descriptor;
pub use registry::{Peer, Registry};
pub use state::PeerState;
pub use tls::Identity;
