//! Which slot boots: two checksummed copies in a raw partition, in the form that U-Boot's `env import -c` reads and
//! `env export -c` writes (U-Boot, cmd/nvedit.c): a CRC-32 (little endian) over the rest of a fixed size, then
//! `name=value` strings, each ended by a zero byte, and zeros to the end.
//!
//! Of two good copies the one with the larger `pb_seq` holds. Whoever writes, writes the other copy, so a torn write
//! leaves what held before. The boot script cannot add (not every U-Boot has `setexpr`), so a copy that starts a trial
//! also says which number comes next, `pb_next`.

/// Size of a copy: eight sectors.
pub const COPY_BYTES: usize = 4096;
/// Distance between the copies: more than any erase block, so that no write touches both.
pub const COPY_DISTANCE_BYTES: u64 = 2 * 1024 * 1024;

/// One of the two systems that a card has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The one that a flashed card starts from.
    A,
    /// The other.
    B,
}

impl Slot {
    /// As it stands in the copies: `a` or `b`.
    pub fn letter(self) -> char {
        match self {
            Slot::A => 'a',
            Slot::B => 'b',
        }
    }

    fn from_letter(text: &str) -> Option<Slot> {
        match text {
            "a" => Some(Slot::A),
            "b" => Some(Slot::B),
            _ => None,
        }
    }
}

/// What one copy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bootstate {
    /// The copy's number; the larger one holds.
    pub seq: u64,
    /// What boots unless another slot is on trial.
    pub good: Slot,
    /// Whether another slot is on trial.
    pub trial: Trial,
}

/// A slot is booted once on trial; whatever ends that boot without a commit leads back to the good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// The good slot boots.
    None,
    /// To be booted next; the boot script then writes the copy numbered `next` that says `Tried`.
    Armed {
        /// The slot on trial.
        slot: Slot,
        /// The number of the copy that says `Tried`.
        next: u64,
    },
    /// It was started. It boots no more unless it is committed.
    Tried {
        /// The slot that was started.
        slot: Slot,
    },
}

impl Bootstate {
    /// What a flashed card says.
    pub const FIRST: Bootstate = Bootstate {
        seq: 1,
        good: Slot::A,
        trial: Trial::None,
    };

    /// A copy in the form that U-Boot reads.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = format!("pb_good={}\0pb_seq={}\0", self.good.letter(), self.seq);
        match self.trial {
            Trial::None => {}
            Trial::Armed { slot, next } => text.push_str(&format!("pb_next={next}\0pb_trial={}\0", slot.letter())),
            Trial::Tried { slot } => text.push_str(&format!("pb_tried={}\0", slot.letter())),
        }
        let mut copy = vec![0; COPY_BYTES];
        copy[4..4 + text.len()].copy_from_slice(text.as_bytes());
        let crc = crc32(&copy[4..]);
        copy[..4].copy_from_slice(&crc.to_le_bytes());
        copy
    }

    /// `None` for a copy that is torn, empty or not understood.
    pub fn decode(copy: &[u8]) -> Option<Bootstate> {
        let (crc, data) = copy.get(..COPY_BYTES)?.split_at(4);
        if crc32(data).to_le_bytes() != crc {
            return None;
        }
        let value = |name: &str| {
            data.split(|byte| *byte == 0)
                .take_while(|line| !line.is_empty())
                .filter_map(|line| std::str::from_utf8(line).ok()?.split_once('='))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value)
        };
        let trial = match (value("pb_trial"), value("pb_tried")) {
            (None, None) => Trial::None,
            (Some(slot), None) => Trial::Armed {
                slot: Slot::from_letter(slot)?,
                next: value("pb_next")?.parse().ok()?,
            },
            (None, Some(slot)) => Trial::Tried {
                slot: Slot::from_letter(slot)?,
            },
            (Some(_), Some(_)) => return None,
        };
        Some(Bootstate {
            seq: value("pb_seq")?.parse().ok()?,
            good: Slot::from_letter(value("pb_good")?)?,
            trial,
        })
    }

    /// The state that holds, of the two copies of a partition.
    pub fn newest(partition: &[u8]) -> Option<Bootstate> {
        let second = usize::try_from(COPY_DISTANCE_BYTES).expect("2 MiB fits");
        [partition, partition.get(second..).unwrap_or_default()]
            .into_iter()
            .filter_map(Bootstate::decode)
            .max_by_key(|state| state.seq)
    }

    /// A partition's content with this state in its first copy and none in its second.
    pub fn partition(&self, size_bytes: u64) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(size_bytes).expect("the partition is small")];
        bytes[..COPY_BYTES].copy_from_slice(&self.encode());
        bytes
    }
}

/// CRC-32 as in IEEE 802.3 (reflected, polynomial 0xEDB88320), which is U-Boot's `crc32`.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slot() -> impl Strategy<Value = Slot> {
        prop_oneof![Just(Slot::A), Just(Slot::B)]
    }

    fn state() -> impl Strategy<Value = Bootstate> {
        let trial = prop_oneof![
            Just(Trial::None),
            (slot(), any::<u64>()).prop_map(|(slot, next)| Trial::Armed { slot, next }),
            slot().prop_map(|slot| Trial::Tried { slot }),
        ];
        (any::<u64>(), slot(), trial).prop_map(|(seq, good, trial)| Bootstate { seq, good, trial })
    }

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn nothing_holds_in_an_empty_partition() {
        assert_eq!(Bootstate::newest(&vec![0; 4 << 20]), None);
        assert_eq!(Bootstate::newest(&[]), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(state in state()) {
            prop_assert_eq!(Bootstate::decode(&state.encode()), Some(state));
        }

        #[test]
        fn a_torn_write_leaves_the_other_copy(old in state(), new in state(), torn_at in 0..COPY_BYTES) {
            let mut partition = old.partition(4 << 20);
            let copy = new.encode();
            let at = COPY_DISTANCE_BYTES as usize;
            partition[at..at + torn_at].copy_from_slice(&copy[..torn_at]);
            let newest = Bootstate::newest(&partition).unwrap();
            prop_assert!(newest == old || newest == new);
        }

        #[test]
        fn any_flipped_bit_is_noticed(state in state(), bit in 0..COPY_BYTES * 8) {
            let mut copy = state.encode();
            copy[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Bootstate::decode(&copy), None);
        }
    }
}
