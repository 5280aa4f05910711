//! What this node answers over HTTP. Every route stands here.
//!
//! | file | what |
//! |---|---|
//! | `peer_api.rs` | the peer interface: parse, call, encode |
//! | `attachment_api.rs` | the node that decides fetches what is beside an application |
//! | `query_api.rs` | a peer asks, and is answered |
//! | `witness_api.rs` | this node as a witness of its peers' logs |
//! | `enrol_api.rs` | a node that was invited introduces itself |
//! | `peers_api.rs` | the steps with peers, for the local API |
//! | `holds.rs` | which descriptor of this node its peers hold |
//! | `limits.rs` | what one peer may ask |
//! | `counted.rs` | what of it is counted |
//! | `listener.rs` | TCP, TLS and HTTP/2 below it |
//! | `local_api.rs` | how the node stands, for its own machine |
//! | `problem.rs` | errors on the wire |

pub mod attachment_api;
mod counted;
pub mod enrol_api;
pub mod holds;
pub mod limits;
pub mod listener;
pub mod local_api;
pub mod peer_api;
pub mod peers_api;
pub mod problem;
pub mod query_api;
pub mod witness_api;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

use crate::statement::NodeId;
pub use limits::Limits;
pub use peer_api::{MayRead, PeerInterface};
use problem::Problem;

/// Who asks: the peer that the client certificate names and whose own CA vouches for it; None without a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller(pub Option<NodeId>);

/// The peer interface: how nodes see each other.
pub fn peer_routes(interface: PeerInterface) -> Router {
    let gates = limits::Gates::new(interface.limits, interface.of_peers.clone(), interface.clock.clone());
    let holdings = holds::Holdings::new(interface.db.clone());
    let for_peers = Router::new()
        .route("/v1/logs/{log}/checkpoint", get(peer_api::checkpoint))
        .route("/v1/logs/{log}/tile/{*tile}", get(peer_api::tile))
        .route("/v1/logs/{log}/tile/entries/{*bundle}", get(peer_api::bundle))
        .route("/v1/logs/{log}/statements/{*bundle}", get(peer_api::statements))
        .route("/v1/attachments/{digest}", get(attachment_api::attachment))
        .route("/v1/query", post(query_api::query))
        .route("/v1/add-checkpoint", post(witness_api::add_checkpoint))
        .route("/v1/{log}/checkpoint", get(witness_api::checkpoint))
        .route_layer(from_fn_with_state(holdings, holds::note))
        .route_layer(from_fn_with_state(interface.registry.clone(), peer_api::active_only));
    let for_known = Router::new().route("/v1/standing", get(peer_api::standing));
    let for_invited = Router::new()
        .route("/v1/enrol", post(enrol_api::introduce))
        .with_state(enrol_api::Enrolment::new(interface.clone()));
    let for_everybody = Router::new().route("/v1/descriptor", get(peer_api::descriptor)).merge(for_invited);
    for_everybody
        .merge(for_known)
        .merge(for_peers)
        .fallback(|| async { Problem::UnknownPath })
        .method_not_allowed_fallback(|| async { Problem::Method })
        .layer(from_fn_with_state(gates, limits::within_limits))
        .layer(from_fn(counted::counted))
        .with_state(interface)
}
