//! Internet addresses in their usual notation.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use crate::decode::Failure;
use crate::scalars::unsigned;
use crate::types::{Address, Order};

/// Decodes the address from the bytes of its archive.
pub(super) fn address(address: Address, bytes: &[u8]) -> Result<String, Failure> {
    let text = match (address, bytes) {
        (Address::Ipv4, _) => v4(bytes).map(|ip| ip.to_string()),
        (Address::Ipv6, _) => v6(bytes).map(|ip| ip.to_string()),
        (Address::SocketV4, _) => socket_v4(bytes).map(|address| address.to_string()),
        (Address::SocketV6, _) => socket_v6(bytes).map(|address| address.to_string()),
        (Address::Ip, [0, ip @ ..]) => v4(ip).map(|ip| ip.to_string()),
        (Address::Ip, [1, ip @ ..]) => v6(ip).map(|ip| ip.to_string()),
        // The bytes follow the tag, at the next offset that is aligned for them.
        (Address::Socket, [0, _, address @ ..]) => socket_v4(address).map(|address| address.to_string()),
        (Address::Socket, [1, _, _, _, address @ ..]) => {
            socket_v6(address).map(|address| address.to_string())
        }
        _ => None,
    };
    text.ok_or("no variant has its tag")
}

fn v4(bytes: &[u8]) -> Option<Ipv4Addr> {
    bytes.first_chunk().map(|octets: &[u8; 4]| Ipv4Addr::from(*octets))
}

fn v6(bytes: &[u8]) -> Option<Ipv6Addr> {
    bytes.first_chunk().map(|octets: &[u8; 16]| Ipv6Addr::from(*octets))
}

fn socket_v4(bytes: &[u8]) -> Option<SocketAddrV4> {
    Some(SocketAddrV4::new(v4(bytes)?, number(bytes, 4, 2)? as u16))
}

fn socket_v6(bytes: &[u8]) -> Option<SocketAddrV6> {
    // A port, and two bytes of padding.
    let (port, flow, scope) = (number(bytes, 16, 2)?, number(bytes, 20, 4)?, number(bytes, 24, 4)?);
    Some(SocketAddrV6::new(v6(bytes)?, port as u16, flow, scope))
}

fn number(bytes: &[u8], at: usize, len: usize) -> Option<u32> {
    Some(unsigned(bytes.get(at..at + len)?, Order::Little) as u32)
}
