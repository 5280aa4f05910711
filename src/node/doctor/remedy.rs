//! What to do about what goes wrong between two nodes.

use crate::exchange::Fault;
use crate::statement::NodeId;
use crate::trust::tls::TlsError;

/// What to do when asking `peer` ends so.
pub fn remedy(fault: &Fault, peer: &NodeId) -> String {
    match fault {
        Fault::Tls(reason) => of_tls(reason, peer),
        Fault::Unreachable(_) | Fault::Slow(..) => {
            format!(
                "see that TCP passes straight through to {peer} and that its `kaopu serve` runs; if they do, it refuses this \
                 node: ask its administrator, whose journal says why"
            )
        }
        Fault::Limited(_) | Fault::DaySpent(_) => format!("wait, or ask {peer} for higher limits"),
        Fault::NotTaken(_) => format!("ask {peer}'s administrator to confirm, approve or resume this node"),
        Fault::Store(_) | Fault::Damaged(_) | Fault::Moved => "look at this node's own store".to_owned(),
        fault if fault.is_fork() || fault.is_lie() => {
            format!("telephone {peer}'s administrator: what it serves cannot be true")
        }
        _ => format!("ask {peer}'s administrator to look at its journal and to run `kaopu doctor` there"),
    }
}

fn of_tls(reason: &TlsError, peer: &NodeId) -> String {
    match reason {
        TlsError::Expired(..) => format!("tell {peer}'s administrator to renew its certificate"),
        TlsError::AuthorityEnded(..) => format!(
            "compare the clocks of both machines; if it has truly ended, ask {peer}'s administrator for a descriptor that names \
             another authority (`kaopu key rotate ca` there), and take it with `kaopu peer add FILE`"
        ),
        TlsError::NotYetValid(..) => "compare the clocks of both machines".to_owned(),
        TlsError::OtherNode(..) => {
            format!(
                "the address leads to another node: correct it with `kaopu peer add --url`, or ask {peer} for its own"
            )
        }
        TlsError::SelfSigned(_) | TlsError::OtherAuthority(..) | TlsError::Forged(..) => format!(
            "ask {peer}'s administrator whether it changed its authority; if so its newer descriptor says so, and if not \
             somebody else answers in its place"
        ),
        TlsError::Incompatible(_) => format!("see that no balancer ends TLS before {peer}, and that it runs Kaopu"),
        TlsError::Told(alert) => told(alert, peer),
        TlsError::Own(_) => "put this node's certificate and key right".to_owned(),
        _ => format!("ask {peer}'s administrator for a certificate that names its node and nothing else"),
    }
}

/// What to do about an alert of the other side.
fn told(alert: &str, peer: &NodeId) -> String {
    match alert {
        "AccessDenied" => format!("ask {peer}'s administrator to add this node (`kaopu peer add`)"),
        "CertificateRevoked" => format!("ask {peer}'s administrator why it revoked this node"),
        "CertificateExpired" => {
            "renew this node's certificate, and compare the clocks of both machines; if its authority has ended, see \
             `kaopu key rotate ca`"
                .to_owned()
        }
        "UnknownCA" | "DecryptError" => format!(
            "see that this node's certificate is of an authority that its descriptor names, and that {peer} holds the \
             newest descriptor"
        ),
        "UnsupportedCertificate" | "BadCertificate" => {
            "put a certificate in place that names this node and is for both ends of a connection".to_owned()
        }
        _ => format!("ask {peer}'s administrator for what its journal says"),
    }
}
