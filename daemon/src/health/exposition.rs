//! Counts out of Prometheus's text format (prometheus.io, exposition formats), as a foreign mailserver tells them. As
//! little of the format as that takes; a line that is none of it counts nothing.

/// A count's sum over the samples that have all of these labels.
pub(super) fn sum(text: &str, name: &str, labels: &[&str]) -> Option<u64> {
    value(text, name, labels).map(|value| value as u64)
}

/// The same as it is written, from Prometheus's text format.
pub(super) fn value(text: &str, name: &str, wanted: &[&str]) -> Option<f64> {
    let mut sum = None;
    for line in text.lines() {
        let Some(rest) = line.strip_prefix(name) else { continue };
        let (labels, value) = match rest.strip_prefix('{') {
            Some(labelled) => match labelled.rsplit_once('}') {
                Some(parts) => parts,
                None => continue,
            },
            None if rest.starts_with([' ', '\t']) => ("", rest),
            None => continue,
        };
        if !wanted.iter().all(|label| labels.contains(label)) {
            continue;
        }
        let value = value
            .split_ascii_whitespace()
            .next()
            .and_then(|value| value.parse::<f64>().ok());
        if let Some(value) = value.filter(|value| *value >= 0.0) {
            *sum.get_or_insert(0.0) += value;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = "protocol=\"/vac/waku/metadata/1.0.0\"";

    #[test]
    fn gauges() {
        for (text, wanted) in [
            ("libp2p_peers 3\n", Some(3)),
            ("# TYPE libp2p_peers gauge\nlibp2p_peers 3.0 1700000000\n", Some(3)),
            ("libp2p_peers{dir=\"in\"} 2\nlibp2p_peers{dir=\"out\"} 5\n", Some(7)),
            ("libp2p_peers_total 9\n", None),
            ("libp2p_peers NaN\n", None),
            ("", None),
        ] {
            assert_eq!(sum(text, "libp2p_peers", &[]), wanted, "{text:?}");
        }
    }

    #[test]
    fn by_label() {
        let text = "waku_connected_peers{direction=\"In\",protocol=\"/vac/waku/metadata/1.0.0\"} 2\n\
            waku_connected_peers{direction=\"In\",protocol=\"/vac/waku/relay/2.0.0\"} 7\n\
            waku_connected_peers{protocol=\"/vac/waku/metadata/1.0.0\",direction=\"Out\"} 3\n";
        assert_eq!(
            sum(text, "waku_connected_peers", &["direction=\"In\"", METADATA]),
            Some(2)
        );
        assert_eq!(
            sum(text, "waku_connected_peers", &["direction=\"Out\"", METADATA]),
            Some(3)
        );
        assert_eq!(sum(text, "waku_connected_peers", &["direction=\"Up\""]), None);
    }
}
