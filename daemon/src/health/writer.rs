//! What Pillarbox's own mailserver says in its metrics of the archive that it writes: wear, and what found no room.

use std::collections::BTreeMap;

use archive::Refusal;

use super::exposition::sum;
use crate::snapshot::WriterStatus;

/// From Prometheus's text format; all unknown for a node that has none of these metrics.
pub(crate) fn counts(text: &str) -> WriterStatus {
    let count = |name: &str, labels: &[&str]| sum(text, &format!("pillarbox_archive_{name}"), labels);
    let refused: BTreeMap<String, u64> = Refusal::ALL
        .iter()
        .filter_map(|reason| {
            let refused = count("refused", &[&format!("reason=\"{reason}\"")])?;
            (refused > 0).then(|| (reason.to_string(), refused))
        })
        .collect();
    let payload = count("committed_payload_bytes", &[]).filter(|payload| *payload > 0);
    WriterStatus {
        written_bytes_last_day: count("written_bytes_last_day", &[]),
        written_per_payload: count("written_bytes", &[])
            .zip(payload)
            .map(|(written, payload)| written as f64 / payload as f64),
        dropped_early: count("dropped_early_envelopes", &[]),
        refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_writer_counts() {
        assert_eq!(counts("libp2p_peers 3\n"), WriterStatus::default());
        let text = "pillarbox_archive_written_bytes 5000\npillarbox_archive_written_bytes_last_day 4000\n\
                    pillarbox_archive_committed_payload_bytes 2000\npillarbox_archive_dropped_early_envelopes 0\n\
                    pillarbox_archive_refused{reason=\"share\"} 7\npillarbox_archive_refused{reason=\"future\"} 0\n";
        let expected = WriterStatus {
            written_bytes_last_day: Some(4000),
            written_per_payload: Some(2.5),
            dropped_early: Some(0),
            refused: BTreeMap::from([("share".to_owned(), 7)]),
        };
        assert_eq!(counts(text), expected);
    }
}
