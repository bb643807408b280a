//! A relayed message: judged, turned into an envelope, hashed, and back again without a change of hash.

use pillarbox_mailserver::intake::admission;
use pillarbox_mailserver::wire::WakuMessage;

const NOW: i64 = 1_700_000_000_000_000_000;

pub(crate) fn run(data: &[u8]) {
    let Ok(message) = admission::judge_relayed(data, 150 * 1024) else {
        return;
    };
    let _ = admission::may_keep(&message, NOW, true);
    let ephemeral = message.is_ephemeral();
    let envelope = message.into_envelope("/waku/2/rs/16/32".to_owned());
    let again = WakuMessage::from_envelope(envelope.clone(), ephemeral);
    assert_eq!(again.check(), Ok(()));
    assert_eq!(again.is_ephemeral(), ephemeral);
    assert_eq!(
        again.into_envelope("/waku/2/rs/16/32".to_owned()).hash(),
        envelope.hash()
    );
}
