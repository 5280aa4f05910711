//! A node's own authority and the certificate that it gives the node: P-256, ten years and one.

use std::net::IpAddr;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, date_time_ymd,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use super::tls::{TlsError, URI_PREFIX};
use crate::statement::NodeId;

/// How long an authority's certificate holds, in days.
pub const CA_DAYS: u64 = 3653;
/// How long a node's certificate holds, in days.
pub const NODE_DAYS: u64 = 365;

/// Clocks of two nodes differ: a certificate holds from an hour before it is made.
const LEEWAY: i64 = 3600;

/// A certificate and its key, as PEM.
pub struct Made {
    /// The certificate.
    pub certificate: String,
    /// Its key, PKCS#8.
    pub key: Zeroizing<String>,
}

/// What a certificate says.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// Whose it is.
    pub node: &'a NodeId,
    /// The host of the node's address, name or IP address, beside the node's URI.
    pub host: Option<&'a str>,
    /// Now, in seconds since 1970.
    pub now: i64,
}

/// A new authority for one node.
pub fn make_ca(wanted: &Wanted<'_>) -> Result<Made, TlsError> {
    let mut params = params(wanted.now, CA_DAYS);
    params.distinguished_name = name(&format!("Kaopu CA {}", wanted.node));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = new_key()?;
    let certificate = params.self_signed(&key).map_err(|error| own(&error))?;
    Ok(Made { certificate: certificate.pem(), key: Zeroizing::new(key.serialize_pem()) })
}

/// A new certificate for the node, for both ends of a connection, from its authority.
pub fn make_node(wanted: &Wanted<'_>, ca: &Made) -> Result<Made, TlsError> {
    let mut params = node_params(wanted)?;
    params.use_authority_key_identifier_extension = true;
    let ca_key = KeyPair::from_pem(&ca.key).map_err(|error| own(&error))?;
    let issuer = Issuer::from_ca_cert_pem(&ca.certificate, ca_key).map_err(|error| own(&error))?;
    let key = new_key()?;
    let certificate = params.signed_by(&key, &issuer).map_err(|error| own(&error))?;
    Ok(Made { certificate: certificate.pem(), key: Zeroizing::new(key.serialize_pem()) })
}

fn node_params(wanted: &Wanted<'_>) -> Result<CertificateParams, TlsError> {
    let mut params = params(wanted.now, NODE_DAYS);
    params.distinguished_name = name(&format!("Kaopu {}", wanted.node));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let uri = format!("{URI_PREFIX}{}", wanted.node);
    params.subject_alt_names.push(SanType::URI(uri.try_into().map_err(|error| own(&error))?));
    if let Some(host) = wanted.host {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        params.subject_alt_names.push(match bare.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(host.try_into().map_err(|error| own(&error))?),
        });
    }
    Ok(params)
}

/// All certificates of a PEM file, in order.
pub fn read_chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::NotACertificate(error.to_string()))?;
    if chain.is_empty() { Err(TlsError::NotACertificate("no CERTIFICATE in the file".to_owned())) } else { Ok(chain) }
}

/// The private key of a PEM file.
pub fn read_key(pem: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| TlsError::Own(format!("its private key: {error}")))
}

/// When a certificate ends, in seconds since 1970.
pub fn valid_until(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

/// From when until when a certificate holds, in seconds since 1970.
pub fn validity(certificate: &CertificateDer<'_>) -> Option<(u64, u64)> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let seconds = |time: i64| u64::try_from(time).unwrap_or_default();
    let validity = certificate.validity();
    Some((seconds(validity.not_before.timestamp()), seconds(validity.not_after.timestamp())))
}

fn params(now: i64, days: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    let begin = u64::try_from(now.saturating_sub(LEEWAY)).unwrap_or_default();
    params.not_before = date_time_ymd(1970, 1, 1) + Duration::from_secs(begin);
    params.not_after = params.not_before + Duration::from_secs(days * 86_400);
    params
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

fn new_key() -> Result<KeyPair, TlsError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| own(&error))
}

fn own(error: &dyn std::fmt::Display) -> TlsError {
    TlsError::Own(error.to_string())
}
