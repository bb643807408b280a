//! A router's answers to NAT-PMP's two questions. A mapping that is read is what the bytes say.

use pillarbox_mailserver::swarm::reach::nat_pmp::{
    ADDRESS_REQUEST, map_request, read_address, read_mapping, read_result,
};

pub(crate) fn run(data: &[u8]) {
    if let Some((_, answer)) = read_result(data, &ADDRESS_REQUEST) {
        let _ = read_address(answer);
    }
    let request = map_request(60000, 60000, 7200);
    if let Some((_, answer)) = read_result(data, &request)
        && let Some(mapping) = read_mapping(answer)
    {
        let again = map_request(mapping.internal, mapping.external, mapping.lifetime_secs);
        assert_eq!(again[4..], answer[8..16]);
        assert!(mapping.external != 0 && mapping.lifetime_secs != 0);
    }
}
