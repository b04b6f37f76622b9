//! Deterministic identifiers from a seed and a counter. Both are part of the world: a loaded world file continues the
//! sequence, and equal runs give equal ids.

use serde::{Deserialize, Serialize};

use super::clock;

/// The source of every id, token and sub-millisecond digit of a world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ids {
    /// Two worlds of different seeds share no id.
    pub seed: u64,
    /// How many values were drawn so far.
    pub drawn: u64,
}

impl Ids {
    pub fn new(seed: u64) -> Ids {
        Ids { seed, drawn: 0 }
    }

    /// The next 64 bits: splitmix64 over seed and counter. The values look random and do not repeat in practice.
    pub fn draw(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(1);
        let mut bits = self.seed.wrapping_add(self.drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A version-4-shaped UUID: ids of Actions, versions and bindings.
    pub fn uuid(&mut self) -> String {
        let (high, low) = (self.draw(), self.draw());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | ((low >> 48) & 0x3fff),
            low & 0xffff_ffff_ffff
        )
    }

    /// A Twilio SID: two capital letters and 32 hex digits.
    pub fn sid(&mut self, prefix: &str) -> String {
        let (high, low) = (self.draw(), self.draw());
        format!("{prefix}{high:016x}{low:016x}")
    }

    /// `length` letters and digits, without those that are easily confused. Used for phone providers, templates,
    /// clients, tokens and key secrets.
    pub fn word(&mut self, length: usize) -> String {
        const LETTERS: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
        (0..length).map(|_| char::from(LETTERS[(self.draw() % LETTERS.len() as u64) as usize])).collect()
    }

    /// `lst_` and 16 digits, as log streams are named.
    pub fn log_stream(&mut self) -> String {
        format!("lst_{:016}", self.draw() % 10_000_000_000_000_000)
    }

    /// A time stamp in nanoseconds that differs from every other stamp of this world, even one of the same millisecond.
    /// Real stamps never collide, and a client that compares stamps must not be misled while virtual time stands still.
    pub fn stamp(&mut self, now_ms: u64) -> String {
        self.drawn = self.drawn.wrapping_add(1);
        clock::iso_nanos(now_ms, (self.drawn % 1_000_000) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_ids_and_shapes_hold() {
        let (mut one, mut two, mut other) = (Ids::new(7), Ids::new(7), Ids::new(8));
        let uuid = one.uuid();
        assert_eq!(uuid, two.uuid());
        assert_ne!(uuid, other.uuid());
        assert_eq!(uuid.len(), 36);
        assert_eq!(&uuid[14..15], "4");
        assert_eq!(one.sid("VA").len(), 34);
        assert_eq!(one.log_stream().len(), 20);
        assert_ne!(one.stamp(5), one.stamp(5));
    }
}
