//! Why a step with a peer is not taken.

use crate::exchange::Fault;
use crate::node::NodeError;
use crate::node::accounts::AccountError;
use crate::statement::NodeId;
use crate::store::StoreError;
use crate::store::peer_state::PeerState;
use crate::trust::descriptor::DescriptorError;
use crate::trust::invitation::NoInvitation;
use crate::trust::proposed::NotTheMember;
use crate::trust::tls::TlsError;

/// Why a step is not taken. Says what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeersError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A person.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// A descriptor.
    #[error("the descriptor is not taken: {0}")]
    Descriptor(#[from] DescriptorError),
    /// What answers is not the member of a list.
    #[error(transparent)]
    Member(#[from] NotTheMember),
    /// An invitation's text.
    #[error(transparent)]
    Invitation(#[from] NoInvitation),
    /// The other side could not be asked.
    #[error("{0} {1}")]
    Asked(String, Fault),
    /// The own certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There is no such peer.
    #[error("{0} is not known here; `kaopu peer add` takes its invitation, its address or its descriptor's file")]
    Unknown(NodeId),
    /// It is this node.
    #[error("it is this node's own descriptor; give the other node's")]
    Own,
    /// Its time is over.
    #[error("the descriptor has ended; ask {0} for a newer one")]
    Ended(NodeId),
    /// An invitation is too long or too short.
    #[error("an invitation holds for at most 30 days, and for some time")]
    Validity,
    /// A reason is missing.
    #[error("say why, in 1 to 2000 characters: the exchange log keeps it")]
    Reason,
    /// Only persons may do this, and there are none.
    #[error(
        "a peer is taken by two persons, and this node has no accounts: add two with `kaopu user add NAME`, then go on with --as NAME"
    )]
    NoPersons,
    /// Typed and held fingerprint differ.
    #[error(
        "these digits are not the fingerprint of the descriptor of {0} that is held here. Either they were misheard or mistyped: have them read out again. Or what was fetched is not of {0}, and somebody is in the line between: do not go on, fetch it anew over another line"
    )]
    OtherFingerprint(NodeId),
    /// The proposer would approve.
    #[error(
        "{1} has confirmed the fingerprint of {0} and may not approve it too: another person does, with `kaopu peer approve {0} --as NAME`"
    )]
    SamePerson(NodeId, String),
    /// There is no such step from where it stands.
    #[error("{node} is {state} here and cannot be {step}: {}", next(.node, *.state))]
    Stands {
        /// Which peer.
        node: NodeId,
        /// Where it stands.
        state: PeerState,
        /// What was wanted.
        step: &'static str,
    },
    /// It was revoked, or its root keys were.
    #[error(
        "{0} was revoked here with its root keys, for ever: it needs a new root key, and a new enrolment, to come back"
    )]
    Revoked(NodeId),
    /// It changed meanwhile.
    #[error("somebody else has just changed {0}; look at `kaopu peer show {0}`, and try again")]
    Moved(NodeId),
    /// Known with another descriptor.
    #[error("{node} is known with another descriptor (sequence {sequence}), which this one does not follow: {why}")]
    DoesNotFollow {
        /// Which peer.
        node: NodeId,
        /// Of the one that is held.
        sequence: u64,
        /// What is wrong.
        why: DescriptorError,
    },
    /// What answers is another node than the one that invited.
    #[error(
        "what answers at {url} is not the node that invited: it is {answers} under another root key than the invitation names. Its root key was changed since, or somebody is in the line between; ask for another invitation"
    )]
    NotTheInviter {
        /// Where.
        url: String,
        /// Whose descriptor it is.
        answers: NodeId,
    },
    /// No invitation has this secret.
    #[error("no invitation of this secret is open for {0}")]
    NotInvited(NodeId),
    /// The invitation's time is over.
    #[error("the invitation has ended; ask for another one")]
    InvitationLate,
    /// It was used, or withdrawn.
    #[error("the invitation was used already, or withdrawn by a newer one; ask for another one")]
    InvitationSpent,
}

/// What is to be done with a peer that stands so.
fn next(node: &NodeId, state: PeerState) -> String {
    match state {
        PeerState::Invited => "it has not answered the invitation yet".to_owned(),
        PeerState::Fetched => {
            format!("compare its fingerprint by telephone, then `kaopu peer confirm {node} --as NAME`")
        }
        PeerState::Confirmed => format!("another person approves it with `kaopu peer approve {node} --as NAME`"),
        PeerState::Approved => "this side is done and waits for the other".to_owned(),
        PeerState::Active => "it is a peer already".to_owned(),
        PeerState::Suspended => format!("`kaopu peer resume {node} --as NAME` takes it back in"),
        PeerState::Revoked => "that is for ever".to_owned(),
    }
}
