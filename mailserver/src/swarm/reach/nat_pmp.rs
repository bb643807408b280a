//! NAT-PMP (RFC 6886, section 3): what is asked of the router, and what it answers.

use std::net::Ipv4Addr;

const OP_ADDRESS: u8 = 0;
const OP_MAP_TCP: u8 = 2;
/// An answer's operation is the request's and this.
const ANSWER: u8 = 128;

/// Section 3.2: version 0 and the operation.
pub const ADDRESS_REQUEST: [u8; 2] = [0, OP_ADDRESS];

/// What the router granted for a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    pub internal: u16,
    pub external: u16,
    pub lifetime_secs: u32,
}

/// Section 3.3. A lifetime of 0 gives the port back.
pub fn map_request(internal: u16, external: u16, lifetime_secs: u32) -> [u8; 12] {
    let mut request = [0; 12];
    request[1] = OP_MAP_TCP;
    request[4..6].copy_from_slice(&internal.to_be_bytes());
    request[6..8].copy_from_slice(&external.to_be_bytes());
    request[8..].copy_from_slice(&lifetime_secs.to_be_bytes());
    request
}

/// The result of `request` (section 3.5, 0 is success) with the answer's bytes; `None` where they answer something else.
pub fn read_result<'a>(answer: &'a [u8], request: &[u8]) -> Option<(u16, &'a [u8])> {
    let [version, operation, high, low, ..] = answer else {
        return None;
    };
    let fits = *version == 0 && *operation == request.get(1)? | ANSWER;
    fits.then_some((u16::from_be_bytes([*high, *low]), answer))
}

/// Section 3.2: version, operation, result, seconds since the router's start, address.
pub fn read_address(answer: &[u8]) -> Option<Ipv4Addr> {
    let octets: [u8; 4] = answer.get(8..12)?.try_into().ok()?;
    Some(octets.into())
}

/// Section 3.3: as above, then the port inside, the port outside, lifetime. Nothing granted is no mapping.
pub fn read_mapping(answer: &[u8]) -> Option<Mapping> {
    let two = |at: usize| Some(u16::from_be_bytes(answer.get(at..at + 2)?.try_into().ok()?));
    let mapping = Mapping {
        internal: two(8)?,
        external: two(10)?,
        lifetime_secs: u32::from_be_bytes(answer.get(12..16)?.try_into().ok()?),
    };
    (mapping.external != 0 && mapping.lifetime_secs != 0).then_some(mapping)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Laid out by hand from RFC 6886, section 3.3.
    #[test]
    fn requests_and_answers() {
        let request = map_request(0xea60, 0xea61, 7200);
        assert_eq!(request, [0, 2, 0, 0, 0xea, 0x60, 0xea, 0x61, 0, 0, 0x1c, 0x20]);
        let answer = [0, 130, 0, 0, 0, 0, 0, 9, 0xea, 0x60, 0xea, 0x61, 0, 0, 0x0e, 0x10];
        let granted = Mapping {
            internal: 60000,
            external: 60001,
            lifetime_secs: 3600,
        };
        assert_eq!(read_mapping(&answer), Some(granted));
        assert_eq!(read_mapping(&answer[..15]), None);
        let mut nothing = answer;
        nothing[12..].fill(0);
        assert_eq!(read_mapping(&nothing), None, "a lifetime of 0 is no mapping");
        assert_eq!(read_result(&answer, &request), Some((0, &answer[..])));
        assert_eq!(
            read_result(&answer, &ADDRESS_REQUEST),
            None,
            "the answer to another question"
        );
        assert_eq!(read_result(&[0, 130, 1, 2], &request), Some((258, &[0, 130, 1, 2][..])));
        assert_eq!(read_result(&answer[..3], &request), None);
        let address = [0, 128, 0, 0, 0, 0, 0, 9, 203, 0, 113, 7];
        assert_eq!(read_address(&address), Some(Ipv4Addr::new(203, 0, 113, 7)));
        assert_eq!(read_address(&address[..11]), None);
    }
}
