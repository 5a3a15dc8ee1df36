//! Random changes of inputs: bytes, pieces, words of a dictionary, pieces of other inputs.

/// xorshift64*: Vigna, 2016.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        // It stays 0 from 0 on, and small seeds begin alike.
        Dice(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % n.max(1) as u64) as usize
    }

    fn one_of<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len()))
    }
}

pub(crate) struct Mutator {
    /// Empty for inputs that are no text.
    pub(crate) dictionary: &'static [&'static str],
    pub(crate) longest: usize,
}

impl Mutator {
    /// A new input from those that were kept, more often from the latest of them.
    pub(crate) fn next(&self, kept: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
        let latest = &kept[kept.len().saturating_sub(64)..];
        let from = if dice.below(2) == 0 { latest } else { kept };
        let mut input = dice.one_of(from).cloned().unwrap_or_default();
        // Mostly one change, now and then many.
        loop {
            self.change(&mut input, kept, dice);
            if dice.below(5) < 2 {
                break;
            }
        }
        input.truncate(self.longest);
        input
    }

    fn change(&self, input: &mut Vec<u8>, kept: &[Vec<u8>], dice: &mut Dice) {
        let at = dice.below(input.len() + 1);
        // Short pieces more often than long ones.
        let most = 1 << dice.below(8);
        let end = (at + 1 + dice.below(most)).min(input.len());
        match dice.below(12) {
            0 | 1 => self.insert_word(input, at, dice),
            2 => {
                let bytes: Vec<u8> = (0..1 + dice.below(8)).map(|_| dice.below(256) as u8).collect();
                input.splice(at..at, bytes);
            }
            3 => drop(input.drain(at..end)),
            4 => {
                // Again: the same thing twice, or very often.
                let piece = input[at..end].to_vec();
                let times = if dice.below(50) == 0 { 200 } else { 1 + dice.below(2) };
                input.splice(at..at, piece.repeat(times));
            }
            5 => {
                let other = dice.one_of(kept).map_or(&[][..], Vec::as_slice);
                let from = dice.below(other.len() + 1);
                let to = (from + 1 + dice.below(most * 2)).min(other.len());
                input.splice(at..at, other[from..to].iter().copied());
            }
            6 => {
                // The beginning of this one, the end of another.
                let other = dice.one_of(kept).map_or(&[][..], Vec::as_slice);
                input.truncate(at);
                input.extend_from_slice(&other[dice.below(other.len() + 1)..]);
            }
            7 if end > at => {
                let word = self.word(dice);
                input.splice(at..end, word);
            }
            8 => Mutator::change_number(input, at, dice),
            9 if end > at => {
                let to = dice.below(input.len());
                input.swap(at, to);
            }
            10 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = dice.below(256) as u8;
                }
            }
        }
    }

    fn word(&self, dice: &mut Dice) -> Vec<u8> {
        match dice.one_of(self.dictionary) {
            Some(word) => word.as_bytes().to_vec(),
            None => vec![dice.below(256) as u8],
        }
    }

    fn insert_word(&self, input: &mut Vec<u8>, at: usize, dice: &mut Dice) {
        let word = self.word(dice);
        input.splice(at..at, word);
    }

    /// Another number in the place of the next one, often one at the end of a range.
    fn change_number(input: &mut Vec<u8>, at: usize, dice: &mut Dice) {
        const NUMBERS: [&str; 16] = [
            "0",
            "1",
            "59",
            "60",
            "61",
            "250",
            "365",
            "1000",
            "999999999",
            "1000000000",
            "31536000",
            "1700000000",
            "4294967295",
            "4294967296",
            "18446744073709551615",
            "18446744073709551616",
        ];
        let Some(start) = input[at..].iter().position(u8::is_ascii_digit).map(|offset| at + offset) else { return };
        let end = input[start..].iter().position(|byte| !byte.is_ascii_digit()).map_or(input.len(), |n| start + n);
        let number = match dice.below(3) {
            0 => (dice.below(1 << 40) >> dice.below(40)).to_string(),
            _ => dice.one_of(&NUMBERS).map_or_else(String::new, ToString::to_string),
        };
        input.splice(start..end, number.into_bytes());
    }
}
