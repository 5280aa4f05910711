//! The sections `[watch]` and `[webhooks]`: whether this process tells followers, for how long they find it in the inbox, and
//! where their webhooks may be.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// How followers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Watch {
    /// Whether this process tells them at all.
    pub enabled: bool,
    /// Days after which notices leave the inbox.
    pub keep_days: u32,
}

impl Default for Watch {
    fn default() -> Self {
        Self { enabled: true, keep_days: 730 }
    }
}

/// How notices are delivered to webhooks.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webhooks {
    /// Addresses beside the public ones where webhooks may be.
    pub allow: Vec<AddressRange>,
    /// A file with further authorities that may vouch for webhooks, PEM.
    pub ca: Option<PathBuf>,
    /// Seconds for a connection to stand.
    pub connect_seconds: u64,
    /// Seconds for a whole delivery.
    pub answer_seconds: u64,
    /// Deliveries under way at once, of all.
    pub at_once: usize,
    /// Of one webhook.
    pub at_once_each: usize,
    /// Milliseconds to wait after the first failure, at most.
    pub retry_first_ms: u64,
    /// Seconds to wait after many failures, at most.
    pub retry_longest_seconds: u64,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            ca: None,
            connect_seconds: 5,
            answer_seconds: 10,
            at_once: 16,
            at_once_each: 4,
            retry_first_ms: 1000,
            retry_longest_seconds: 3600,
        }
    }
}

impl Webhooks {
    pub(super) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if self.at_once == 0 || self.at_once_each == 0 {
            return Err(("webhooks.at_once", "at_once and at_once_each are at least 1"));
        }
        if self.connect_seconds == 0 || self.answer_seconds == 0 {
            return Err(("webhooks.answer_seconds", "connect_seconds and answer_seconds are at least 1"));
        }
        if self.retry_longest_seconds > 3600 {
            return Err(("webhooks.retry_longest_seconds", "an hour, 3600, is the longest"));
        }
        Ok(())
    }
}

/// Addresses that begin alike: `10.0.0.0/8`, `fd00::/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    first: IpAddr,
    /// Bits that are the same in all of them.
    bits: u32,
}

/// The text is no range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no range of addresses: 10.0.0.0/8, fd00::/8 or one address is expected")]
pub struct NotARange(String);

impl AddressRange {
    /// Whether an address is one of them.
    pub fn holds(&self, address: IpAddr) -> bool {
        let (first, length) = number(self.first);
        let (other, its_length) = number(address);
        // a shift by all bits is none
        length == its_length && (first ^ other).checked_shr(length - self.bits).unwrap_or(0) == 0
    }
}

/// An address as a number, and of how many bits.
fn number(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

impl FromStr for AddressRange {
    type Err = NotARange;

    fn from_str(text: &str) -> Result<Self, NotARange> {
        let refuse = || NotARange(text.to_owned());
        let (first, bits) = text.split_once('/').map_or((text, None), |(first, bits)| (first, Some(bits)));
        let first: IpAddr = first.parse().map_err(|_| refuse())?;
        let length = number(first).1;
        let bits = bits.map_or(Ok(length), str::parse).map_err(|_| refuse())?;
        if bits <= length { Ok(Self { first, bits }) } else { Err(refuse()) }
    }
}

impl<'de> Deserialize<'de> for AddressRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_the_addresses_that_begin_like_it() {
        for (range, within, beyond) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("192.168.4.0/22", "192.168.7.255", "192.168.8.0"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::1", "::1", "::2"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
        ] {
            let range: AddressRange = range.parse().unwrap();
            assert!(range.holds(within.parse().unwrap()), "{within}");
            assert!(!range.holds(beyond.parse().unwrap()), "{beyond}");
        }
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/", "10.0.0.0/-1", "fd00::/129", "localhost"] {
            assert!(bad.parse::<AddressRange>().is_err(), "{bad}");
        }
    }
}
