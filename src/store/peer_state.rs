//! Where a peer stands with this node, and which steps there are between. The store's triggers have the same table.

use std::fmt;
use std::str::FromStr;

/// Where a peer stands with this node (DESIGN, trust between nodes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PeerState {
    /// An invitation waits for it; nothing of it is here yet.
    Invited,
    /// Its descriptor is here, fetched over a line that nobody vouches for.
    Fetched,
    /// A person has typed its fingerprint as read out over another channel.
    Confirmed,
    /// Another person has agreed; the other side may not have.
    Approved,
    /// Both sides have approved: its connections and logs are taken.
    Active,
    /// Taken out for the time being: it may only ask how it stands.
    Suspended,
    /// Never again under the root keys that it had.
    Revoked,
}

/// A text that is no state of a peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no state of a peer")]
pub struct NoState(pub String);

impl PeerState {
    /// All, in the order of the ceremony.
    pub const ALL: [Self; 7] =
        [Self::Invited, Self::Fetched, Self::Confirmed, Self::Approved, Self::Active, Self::Suspended, Self::Revoked];

    /// As it is stored and said on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Fetched => "fetched",
            Self::Confirmed => "confirmed",
            Self::Approved => "approved",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
        }
    }

    /// Whether there is a step from here to `next`. A new ceremony under other root keys begins anew, and is no step.
    pub fn may_become(self, next: Self) -> bool {
        match (self, next) {
            (Self::Revoked, _) => false,
            (_, Self::Revoked) => true,
            (before, next) => matches!(
                (before, next),
                (Self::Invited, Self::Fetched)
                    | (Self::Fetched, Self::Confirmed)
                    | (Self::Confirmed, Self::Approved)
                    | (Self::Approved, Self::Active)
                    | (Self::Active, Self::Suspended)
                    | (Self::Suspended, Self::Active)
            ),
        }
    }

    /// What this side has still to do until it has approved, in order.
    pub fn missing(self) -> &'static [&'static str] {
        match self {
            Self::Invited => &["fetch", "confirm", "approve"],
            Self::Fetched => &["confirm", "approve"],
            Self::Confirmed => &["approve"],
            Self::Suspended => &["resume"],
            Self::Approved | Self::Active | Self::Revoked => &[],
        }
    }
}

impl fmt::Display for PeerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PeerState {
    type Err = NoState;

    fn from_str(text: &str) -> Result<Self, NoState> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| NoState(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_steps_are_those_of_the_ceremony() {
        use PeerState::{Active, Approved, Confirmed, Fetched, Invited, Revoked, Suspended};
        let steps = [
            (Invited, Fetched),
            (Fetched, Confirmed),
            (Confirmed, Approved),
            (Approved, Active),
            (Active, Suspended),
            (Suspended, Active),
            (Invited, Revoked),
            (Fetched, Revoked),
            (Confirmed, Revoked),
            (Approved, Revoked),
            (Active, Revoked),
            (Suspended, Revoked),
        ];
        for before in PeerState::ALL {
            for next in PeerState::ALL {
                assert_eq!(before.may_become(next), steps.contains(&(before, next)), "{before} to {next}");
            }
        }
    }

    #[test]
    fn a_state_reads_back_from_its_text() {
        for state in PeerState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert!("Active".parse::<PeerState>().is_err() && "".parse::<PeerState>().is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_tried_active_comes_after_confirmed_and_approved_and_nothing_after_revoked(
            tried in prop::collection::vec(0..PeerState::ALL.len(), 0..40)
        ) {
            let mut state = PeerState::Invited;
            let mut been = vec![state];
            for next in tried.into_iter().map(|n| PeerState::ALL[n]) {
                if state.may_become(next) {
                    prop_assert_ne!(state, PeerState::Revoked);
                    state = next;
                    been.push(state);
                }
            }
            if been.contains(&PeerState::Active) {
                let at = |state| been.iter().position(|s| *s == state);
                prop_assert!(at(PeerState::Confirmed) < at(PeerState::Approved));
                prop_assert!(at(PeerState::Confirmed).is_some() && at(PeerState::Approved) < at(PeerState::Active));
            }
        }
    }
}
