//! Which addresses a webhook may have. Whoever adds one must not make the node call into the network around it, so all but
//! public addresses are the administrator's to allow. It is asked of the address that is really connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::AddressRange;

/// Where webhooks may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Beside the public addresses.
    pub allow: Vec<AddressRange>,
}

/// An address that no webhook may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a public address, and [webhooks] allow in node.toml does not name it")]
pub struct OutOfReach(pub IpAddr);

impl Reach {
    /// Whether a webhook may be there.
    pub fn check(&self, address: IpAddr) -> Result<(), OutOfReach> {
        let meant = meant(address);
        let allowed = self.allow.iter().any(|range| range.holds(address) || range.holds(meant));
        if allowed || is_public(meant) { Ok(()) } else { Err(OutOfReach(address)) }
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped (RFC 4291, 2.5.5.2) or translated (RFC 6052, 2.1).
fn meant(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return v4.into();
    }
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)).into(),
        _ => address,
    }
}

/// Whether an address is reachable from everywhere, by the registries of special purpose addresses (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || a >= 224
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && b & 0xfe == 18))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // global unicast is 2000::/3; of that 2001::/23 is for protocols, 2002::/16 stands for any IPv4 address
    let [a, b, ..] = address.segments();
    a & 0xe000 == 0x2000 && !(a == 0x2001 && (b < 0x200 || b == 0xdb8)) && a != 0x2002 && a != 0x3fff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_in_reach_unless_others_are_allowed() {
        let nowhere = Reach::default();
        for public in ["1.1.1.1", "203.0.114.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101"] {
            assert_eq!(nowhere.check(public.parse().unwrap()), Ok(()), "{public}");
        }
        let around = [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.8",
            "203.0.113.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2001:db8::1",
            "2002:a00:1::1",
        ];
        let everywhere = Reach { allow: ["0.0.0.0/0", "::/0"].map(|range| range.parse().unwrap()).to_vec() };
        for around in around.map(|address| address.parse().unwrap()) {
            assert_eq!(nowhere.check(around), Err(OutOfReach(around)));
            assert_eq!(everywhere.check(around), Ok(()));
        }
        let office = Reach { allow: vec!["10.0.0.0/8".parse().unwrap()] };
        assert!(office.check("10.9.8.7".parse().unwrap()).is_ok());
        assert!(office.check("::ffff:10.9.8.7".parse().unwrap()).is_ok());
        assert!(office.check("127.0.0.1".parse().unwrap()).is_err());
    }
}
