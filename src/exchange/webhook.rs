//! A receiver of notices, asked under limits: whatever it answers, nothing but the status is looked at, nobody is sent
//! elsewhere, and no longer than a delivery may take.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls_pki_types::CertificateDer;

use super::reach::Reach;
use crate::trust::tls::use_provider;

/// The header with the id of a notice: the same however often it is delivered.
pub const DELIVERY: &str = "kaopu-delivery";
/// The media type of a compact JWS (RFC 7515, 9.2.1).
const JOSE: &str = "application/jose";
/// A receiver may ask to be left alone for no longer than this.
const LONGEST_REST: Duration = Duration::from_secs(3600);

/// Delivers to webhooks. Cheap to clone.
#[derive(Clone)]
pub struct WebhookClient {
    http: reqwest::Client,
    reach: Reach,
}

/// Where a webhook may not be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// It is no address.
    #[error("{0:?} is no address of a webhook: https://host/path is expected, or http:// on this machine")]
    Form(String),
    /// It carries a name and a secret.
    #[error("the address of a webhook carries no name and no secret: whoever reads notices verifies their signature")]
    Secret,
    /// It is out of reach.
    #[error(transparent)]
    OutOfReach(#[from] super::reach::OutOfReach),
}

/// What came of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver has it.
    Taken,
    /// It did not take this one.
    Refused(String),
    /// It takes none now: it cannot be reached, or asks to be left alone for a time.
    Unanswered(String, Option<Duration>),
}

impl WebhookClient {
    /// Trusts the system's authorities and these.
    pub fn new(
        reach: Reach,
        authorities: &[CertificateDer<'_>],
        connect: Duration,
        answer: Duration,
    ) -> Result<Self, String> {
        use_provider();
        let certificates = authorities.iter().map(|der| reqwest::Certificate::from_der(der));
        let certificates: Vec<_> = certificates.collect::<Result<_, _>>().map_err(|error| words(&error))?;
        let http = reqwest::Client::builder()
            .tls_certs_merge(certificates)
            .no_proxy()
            .no_zstd()
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(Arc::new(Resolver { reach: reach.clone() }))
            .connect_timeout(connect)
            .timeout(answer)
            .pool_max_idle_per_host(1)
            .http2_max_header_list_size(16 * 1024)
            .user_agent(concat!("kaopu/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| words(&error))?;
        Ok(Self { http, reach })
    }

    /// Delivers a signed notice.
    pub async fn deliver(&self, url: &str, id: &str, jws: String) -> Delivery {
        let url = match address(url, &self.reach) {
            Ok(url) => url,
            Err(error) => return Delivery::Unanswered(error.to_string(), None),
        };
        let request = self.http.post(url).header(CONTENT_TYPE, JOSE).header(DELIVERY, id).body(jws);
        // dropped with its body unread: however long that is, it says nothing
        match request.send().await {
            Ok(response) => outcome(response.status(), response.headers().get(RETRY_AFTER)),
            Err(error) if error.is_connect() => Delivery::Unanswered(words(&error), None),
            Err(error) => Delivery::Refused(words(&error)),
        }
    }
}

/// The address of a webhook, as far as it can be judged before its name is looked up.
pub fn address(text: &str, reach: &Reach) -> Result<Url, BadAddress> {
    let form = || BadAddress::Form(text.chars().filter(|c| !c.is_control()).take(200).collect());
    let url: Url = text.parse().map_err(|_| form())?;
    let host = url.host_str().ok_or_else(form)?;
    let literal: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    let is_here = host == "localhost" || literal.is_some_and(|address| address.is_loopback());
    if !(url.scheme() == "https" || (url.scheme() == "http" && is_here)) || url.fragment().is_some() {
        return Err(form());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BadAddress::Secret);
    }
    if let Some(address) = literal {
        reach.check(address)?;
    }
    Ok(url)
}

fn outcome(status: StatusCode, retry_after: Option<&http::HeaderValue>) -> Delivery {
    match status {
        status if status.is_success() => Delivery::Taken,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            let seconds = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
            let rest = seconds.map(|seconds| Duration::from_secs(seconds).min(LONGEST_REST));
            Delivery::Unanswered(format!("it answered {status}"), rest)
        }
        status => Delivery::Refused(format!("it answered {status}")),
    }
}

/// Looks names up, and gives none of the addresses that are out of reach.
struct Resolver {
    reach: Reach,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let (within, beyond): (Vec<_>, Vec<_>) = found.into_iter().partition(|it| reach.check(it.ip()).is_ok());
            if let (true, Some(first)) = (within.is_empty(), beyond.first()) {
                reach.check(first.ip())?;
            }
            Ok(Box::new(within.into_iter()) as Addrs)
        })
    }
}

/// The innermost reason: the outer ones only repeat the address.
fn words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it took too long to answer".to_owned();
    }
    super::reply::words(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_or_on_this_machine_and_in_reach() {
        let here = Reach { allow: vec!["127.0.0.0/8".parse().unwrap()] };
        for good in ["https://a.example/x?y=1", "http://localhost:8080/", "http://127.0.0.1:1/", "https://1.1.1.1"] {
            assert!(address(good, &here).is_ok(), "{good}");
        }
        for bad in ["", "a.example", "http://a.example", "ftp://a.example", "https://", "https://a.example/#x"] {
            assert!(matches!(address(bad, &here), Err(BadAddress::Form(_))), "{bad}");
        }
        assert_eq!(address("https://li:secret@a.example", &here), Err(BadAddress::Secret));
        for around in ["https://10.0.0.1/", "https://[::1]/", "http://[::1]:80/", "https://0x7f.1:99999/"] {
            assert!(address(around, &here).is_err(), "{around}");
        }
        assert!(address("http://127.0.0.1/", &Reach::default()).is_err());
        // other spellings of an address are that address
        assert!(matches!(address("https://0x7f.1/", &Reach::default()), Err(BadAddress::OutOfReach(_))));
        assert!(matches!(address("https://2130706433/", &Reach::default()), Err(BadAddress::OutOfReach(_))));
    }

    #[test]
    fn a_receiver_that_has_too_much_to_do_is_left_alone_as_long_as_it_asks() {
        let rest =
            |text: &'static str| outcome(StatusCode::TOO_MANY_REQUESTS, Some(&http::HeaderValue::from_static(text)));
        let asked = |seconds| match rest(seconds) {
            Delivery::Unanswered(_, rest) => rest.map(|rest| rest.as_secs()),
            other => panic!("{other:?}"),
        };
        assert_eq!([asked("7"), asked("999999"), asked("soon")], [Some(7), Some(3600), None]);
        assert_eq!(outcome(StatusCode::NO_CONTENT, None), Delivery::Taken);
        for status in [StatusCode::FOUND, StatusCode::NOT_FOUND, StatusCode::INTERNAL_SERVER_ERROR] {
            assert!(matches!(outcome(status, None), Delivery::Refused(_)), "{status}");
        }
    }
}
