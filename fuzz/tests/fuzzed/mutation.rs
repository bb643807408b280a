//! Inputs made from seeds: what a fuzzer does at first, without looking at where the program went.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

/// Inputs that are longer than that and than any seed are cut: length is not what these look for.
const MAX_BYTES: usize = 4096;
/// Values at which lengths, signs and varints turn over.
const EDGES: [u8; 9] = [0, 1, 0x0a, 0x20, b'=', 0x7f, 0x80, 0xfe, 0xff];

pub(crate) struct Mutation<'a> {
    chance: StdRng,
    seeds: &'a [Vec<u8>],
}

impl<'a> Mutation<'a> {
    pub(crate) fn new(chance: u64, seeds: &'a [Vec<u8>]) -> Self {
        Self {
            chance: StdRng::seed_from_u64(chance),
            seeds,
        }
    }

    pub(crate) fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.seeds.choose(&mut self.chance).cloned().unwrap_or_default();
        for _ in 0..self.chance.random_range(1..=4) {
            self.change(&mut input);
        }
        let longest = self.seeds.iter().map(Vec::len).max().unwrap_or(0);
        input.truncate(longest.max(MAX_BYTES));
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.chance.random_range(0..=input.len());
        let end = self.chance.random_range(at..=input.len().min(at + 32));
        match self.chance.random_range(0..7) {
            0 if at < input.len() => input[at] ^= 1 << self.chance.random_range(0..8),
            1 if at < input.len() => input[at] = *EDGES.choose(&mut self.chance).expect("there are edges"),
            2 => input.insert(at, *EDGES.choose(&mut self.chance).expect("there are edges")),
            3 => drop(input.drain(at..end)),
            4 => {
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
            5 => input.truncate(at),
            // The head of this one, the tail of another.
            _ => {
                let other = self.seeds.choose(&mut self.chance).cloned().unwrap_or_default();
                let from = self.chance.random_range(0..=other.len());
                input.truncate(at);
                input.extend(&other[from..]);
            }
        }
    }
}
