//! Pruning by the trusted clock.

use super::*;

#[test]
fn pruning_follows_the_trusted_clock_only() {
    let mut one = spec("one", false);
    one.archive = Some(rules("/nonexistent/archive"));
    let mut bench = Bench::new(vec![one]);
    let policy = |bench: &Bench| {
        bench.actions.iter().find_map(|action| match action {
            Action::Prune { policy, .. } => Some(policy.clone()),
            _ => None,
        })
    };
    let report = || {
        let survey = SurveyReport::default();
        Ok(PruneReport {
            removed_envelopes: 3,
            removed_segments: 1,
            removed_bytes: 9,
            survey,
        })
    };
    let retention_ns = 240_000_000_000;
    assert_eq!(policy(&bench).unwrap().cutoff, Some(WALL_NS - retention_ns));
    bench.pass(Duration::from_secs(1000));
    assert_eq!(policy(&bench), None, "one run at a time");
    bench.feed(Event::Pruned {
        archive: ArchiveId(0),
        result: report(),
    });
    bench.pass(Duration::from_secs(9));
    assert_eq!(policy(&bench), None, "not before a segment's length");
    bench.pass(Duration::from_secs(1));
    let trusted = policy(&bench).unwrap();
    assert_eq!(trusted.cutoff, Some(bench.now.wall_ns - retention_ns));
    bench.feed(Event::Pruned {
        archive: ArchiveId(0),
        result: Err(no_disk()),
    });
    assert_eq!(bench.state.snapshot(bench.now).archive.pruned_total, 3);
    // Ten years ahead or back without trust: the cut-off stays, and the writer is told not to judge.
    for leap_ns in [315_360_000_000_000_000, -630_720_000_000_000_000] {
        bench.now.wall_ns += leap_ns;
        bench.now.trusted = false;
        bench.pass(Duration::from_secs(10));
        let untrusted = policy(&bench).unwrap();
        assert_eq!((untrusted.cutoff, untrusted.clock_trusted), (trusted.cutoff, false));
        bench.feed(Event::Pruned {
            archive: ArchiveId(0),
            result: report(),
        });
    }
    // Trusted again, but earlier: the cut-off never goes back.
    bench.now.trusted = true;
    bench.pass(Duration::from_secs(10));
    assert_eq!(policy(&bench).unwrap().cutoff, trusted.cutoff);
}
