//! Which addresses belong to the internet at large, as far as anybody can know from the address alone.
//!
//! By IANA's registries of special-purpose addresses (RFC 6890 and the tables that it keeps:
//! <https://www.iana.org/assignments/iana-ipv4-special-registry> and `…/iana-ipv6-special-registry`) and of multicast and
//! reserved blocks. Where a block is special and yet reachable (an anycast service, a tunnel) it is left out all the
//! same, since no registry is there. The standard library's `IpAddr::is_global` is unstable.
//!
//! Not to be known from here: public addresses that lead back into this network, such as that of its own gateway, of nodes
//! or of pods where they have public numbers, and prefixes of its own under which a NAT64 gateway embeds private
//! addresses. Those are for the operator's administrator to deny.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), length)
}

const fn v6(a: u16, b: u16, c: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), length)
}

const SPECIAL_4: [Ipv4Net; 17] = [
    // This network (RFC 791), `0.0.0.0` included, which connects to the own machine.
    v4(0, 0, 0, 8),
    // Private use (RFC 1918).
    v4(10, 0, 0, 8),
    v4(172, 16, 0, 12),
    v4(192, 168, 0, 16),
    // Shared by carriers (RFC 6598); clusters and clouds use it inside, too.
    v4(100, 64, 0, 10),
    // Loopback (RFC 1122).
    v4(127, 0, 0, 8),
    // Link local (RFC 3927): where clouds tell a machine its credentials.
    v4(169, 254, 0, 16),
    // IETF protocol assignments (RFC 6890), two anycast addresses included.
    v4(192, 0, 0, 24),
    // Documentation (RFC 5737).
    v4(192, 0, 2, 24),
    v4(198, 51, 100, 24),
    v4(203, 0, 113, 24),
    // Relays of 6to4, given up (RFC 7526).
    v4(192, 88, 99, 24),
    // Benchmarks (RFC 2544).
    v4(198, 18, 0, 15),
    // Multicast (RFC 5771).
    v4(224, 0, 0, 4),
    // Reserved (RFC 1112), broadcast included.
    v4(240, 0, 0, 4),
    // AS112 (RFC 7534, 7535): whatever server is near answers there.
    v4(192, 31, 196, 24),
    v4(192, 175, 48, 24),
];

/// Public by number, and in every machine of Azure the host under it, which hands out its configuration and certificates.
const AZURE_HOST: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// The only part of IPv6 that is given out for use in the internet (RFC 4291). Outside are loopback, `::`, addresses that
/// embed IPv4 ones (`::ffff:0:0/96`, `::/96`, `64:ff9b:1::/48`), discard-only, SRv6, unique local, link and site local,
/// and multicast.
const UNICAST: Ipv6Net = v6(0x2000, 0, 0, 3);

const SPECIAL_6: [Ipv6Net; 5] = [
    // IETF protocol assignments (RFC 2928): Teredo, benchmarks, ORCHID and more.
    v6(0x2001, 0, 0, 23),
    // Documentation (RFC 3849, 9637).
    v6(0x2001, 0xdb8, 0, 32),
    v6(0x3fff, 0, 0, 20),
    // 6to4 (RFC 3056), which embeds any IPv4 address.
    v6(0x2002, 0, 0, 16),
    // AS112 (RFC 7534).
    v6(0x2620, 0x4f, 0x8000, 48),
];

/// NAT64 (RFC 6052): in clusters that have IPv6 only, this is how names of IPv4 servers resolve.
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 96);

/// Whether an address is one of the internet at large.
pub(super) fn is_global(address: IpAddr) -> bool {
    match reached(address) {
        IpAddr::V4(address) => address != AZURE_HOST && !SPECIAL_4.iter().any(|block| block.contains(&address)),
        IpAddr::V6(address) => UNICAST.contains(&address) && !SPECIAL_6.iter().any(|block| block.contains(&address)),
    }
}

/// Whether an address, or the IPv4 one that a NAT64 gateway would make of it, lies in one of these blocks.
pub(super) fn is_in(blocks: &[IpNet], address: IpAddr) -> bool {
    blocks.iter().any(|block| block.contains(&address) || block.contains(&reached(address)))
}

/// The address at which a connection ends: a NAT64 gateway takes the IPv4 address from the last 32 bits.
fn reached(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(inside) if NAT64.contains(&inside) => {
            let [.., a, b, c, d] = inside.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(addresses: &str, expected: bool) {
        for address in addresses.split_whitespace() {
            assert_eq!(is_global(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn every_special_block_of_ipv4_is_left_out_from_its_first_address_to_its_last() {
        check(
            "0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.100.100.200 100.127.255.255 127.0.0.1 \
             127.255.255.255 168.63.129.16 169.254.0.0 169.254.169.254 169.254.255.255 172.16.0.0 172.31.255.255 \
             192.0.0.0 192.0.0.9 192.0.0.192 192.0.0.255 192.0.2.0 192.0.2.255 192.31.196.1 192.88.99.0 \
             192.88.99.255 192.168.0.0 192.168.255.255 192.175.48.6 198.18.0.0 198.19.255.255 198.51.100.0 \
             198.51.100.255 203.0.113.0 203.0.113.255 224.0.0.0 239.255.255.255 240.0.0.0 255.255.255.254 \
             255.255.255.255",
            false,
        );
    }

    #[test]
    fn the_neighbours_of_special_blocks_of_ipv4_are_global() {
        check(
            "1.0.0.0 1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 \
             168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 \
             192.0.1.0 192.0.3.0 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 \
             198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255",
            true,
        );
    }

    #[test]
    fn every_special_block_of_ipv6_is_left_out() {
        check(
            ":: ::1 ::ffff 100:: 100::ffff:ffff:ffff:ffff 100:0:0:1::1 1fff:ffff:: 2001:: \
             2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:1::1 2001:2::1 2001:10::1 2001:20::1 2001:1ff:ffff:: \
             2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 2002:: 2002:808:808::1 2002:7f00:1:: 2620:4f:8000::1 \
             3fff:: 3fff:fff:ffff:: 4000:: 5f00::1 fc00:: fd00:ec2::254 fdff:ffff::1 fe80:: fe80::1 febf:ffff:: \
             fec0::1 feff::1 ff00:: ff02::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            false,
        );
    }

    #[test]
    fn unicast_addresses_of_ipv6_are_global() {
        check(
            "2000::1 2001:200::1 2001:db7:ffff::1 2001:db9::1 2001:4860:4860::8888 2003::1 2400:cb00::1 \
             2606:4700:4700::1111 2620:4f:7fff::1 2a00:1450::1 3ffe:ffff::1 3fff:1000::",
            true,
        );
    }

    #[test]
    fn an_address_that_embeds_another_is_left_out_but_for_nat64_of_a_global_one() {
        check(
            "::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:10.0.0.1 ::ffff:8.8.8.8 \
             ::ffff:0:8.8.8.8 64:ff9b::127.0.0.1 64:ff9b::10.0.0.1 64:ff9b::169.254.169.254 64:ff9b:: \
             64:ff9b::1:808:808 64:ff9b:1::8.8.8.8 2002:a00:1::",
            false,
        );
        check("64:ff9b::8.8.8.8 64:ff9b::1.1.1.1", true);
    }

    #[test]
    fn a_block_holds_its_addresses_and_those_that_nat64_leads_to_it() {
        let blocks: Vec<IpNet> = ["52.0.0.0/8", "2600:1f00::/24"].iter().map(|text| text.parse().unwrap()).collect();
        for (address, expected) in [
            ("52.1.2.3", true),
            ("53.1.2.3", false),
            ("64:ff9b::52.1.2.3", true),
            ("64:ff9b::53.1.2.3", false),
            ("2600:1f42::1", true),
            ("2601::1", false),
        ] {
            assert_eq!(is_in(&blocks, address.parse().unwrap()), expected, "{address}");
        }
    }
}
