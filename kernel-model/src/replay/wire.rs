//! The bytes of a recording: numbers and byte strings ([`Put`], [`Take`]), and sealed frames of them ([`Frames`]).
//!
//! A frame is a kind (1 byte), a length (LEB128), that many bytes, and a CRC-32 (4 bytes, little-endian) of the frame's
//! offset in the file and of all before it: a frame that was moved, cut or changed is not one.

use std::io::{ErrorKind, Read};

use super::Damage;

/// Longer frames are damage: no answer is that large.
const LONGEST: u64 = 1 << 28;
/// Bytes of a LEB128 number of 64 bits.
const LONGEST_NUMBER: usize = 10;

/// Appends to a frame.
pub(super) trait Put {
    /// LEB128: small numbers are short.
    fn put(&mut self, number: u64);
    /// A length, and the bytes.
    fn put_bytes(&mut self, bytes: &[u8]);
}

impl Put for Vec<u8> {
    fn put(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.push(number as u8);
    }

    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put(bytes.len() as u64);
        self.extend_from_slice(bytes);
    }
}

/// Takes a frame's bytes apart. `None` anywhere: the frame is not what its kind says.
pub(super) struct Take<'a>(pub(super) &'a [u8]);

impl<'a> Take<'a> {
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for at in 0..LONGEST_NUMBER {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            if at == LONGEST_NUMBER - 1 && bits > 1 {
                return None;
            }
            number |= bits << (7 * at);
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn small(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.number()?.try_into().ok()
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        match self.number()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(super) fn raw(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?.try_into().ok()?;
        self.raw(length)
    }

    /// As many items as the frame says; each has at least one byte, so no frame asks for more memory than it brings.
    pub(super) fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = usize::try_from(self.number()?).ok().filter(|count| *count <= self.0.len())?;
        (0..count).map(|_| item(self)).collect()
    }
}

fn seal_of(offset: u64, frame: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&offset.to_le_bytes());
    hasher.update(frame);
    hasher.finalize().to_le_bytes()
}

/// A whole frame, at this offset of its file, appended to `out`.
pub(super) fn put_frame(out: &mut Vec<u8>, offset: u64, kind: u8, payload: &[u8]) {
    let start = out.len();
    out.push(kind);
    out.put_bytes(payload);
    let seal = seal_of(offset, &out[start..]);
    out.extend_from_slice(&seal);
}

/// Offset, kind and payload.
pub(super) type Frame<'a> = (u64, u8, &'a [u8]);

/// Reads frames, and knows where it is.
pub(super) struct Frames {
    from: Box<dyn Read>,
    pub(super) offset: u64,
    frame: Vec<u8>,
}

impl Frames {
    pub(super) fn new(from: Box<dyn Read>) -> Frames {
        Frames { from, offset: 0, frame: Vec::new() }
    }

    /// Bytes outside frames.
    pub(super) fn raw<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let at = self.offset;
        let mut bytes = [0; N];
        self.fill(at, &mut bytes)?;
        Ok(bytes)
    }

    /// The next frame's offset, kind and payload. `None`: the file ends before it.
    pub(super) fn next(&mut self) -> Result<Option<Frame<'_>>, Damage> {
        let at = self.offset;
        let mut frame = std::mem::take(&mut self.frame);
        frame.clear();
        let whole = self.read(at, &mut frame);
        self.frame = frame;
        match whole? {
            None => Ok(None),
            Some(from) => Ok(Some((at, self.frame[0], &self.frame[from..]))),
        }
    }

    /// Reads a frame, without its seal, and says where its payload begins.
    fn read(&mut self, at: u64, frame: &mut Vec<u8>) -> Result<Option<usize>, Damage> {
        let mut byte = [0];
        if self.some(at, &mut byte)? == 0 {
            return Ok(None);
        }
        frame.push(byte[0]);
        let length = loop {
            self.fill(at, &mut byte)?;
            frame.push(byte[0]);
            if byte[0] < 0x80 {
                break Take(&frame[1..]).number();
            }
            if frame.len() > LONGEST_NUMBER {
                break None;
            }
        };
        let length = length.filter(|length| *length <= LONGEST).ok_or(Damage::at(at, "a length is wrong"))?;
        let from = frame.len();
        // By what is there, not by what is said.
        let read =
            (&mut self.from).take(length).read_to_end(frame).map_err(|error| Damage::io(at, &error))?;
        self.offset += read as u64;
        if (read as u64) < length {
            return Err(Damage::cut(at));
        }
        let mut seal = [0; 4];
        self.fill(at, &mut seal)?;
        if seal != seal_of(at, frame) {
            return Err(Damage::at(at, "a checksum does not match"));
        }
        Ok(Some(from))
    }

    fn fill(&mut self, at: u64, bytes: &mut [u8]) -> Result<(), Damage> {
        if self.some(at, bytes)? < bytes.len() { Err(Damage::cut(at)) } else { Ok(()) }
    }

    /// As many bytes as there are.
    fn some(&mut self, at: u64, bytes: &mut [u8]) -> Result<usize, Damage> {
        let mut done = 0;
        while done < bytes.len() {
            match self.from.read(&mut bytes[done..]) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Damage::io(at, &error)),
            }
        }
        self.offset += done as u64;
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            bytes.put(number);
            let mut take = Take(&bytes);
            assert_eq!(take.number(), Some(number));
            assert!(take.0.is_empty());
        }
        assert_eq!(Take(&[0xff; 10]).number(), None, "too large");
        assert_eq!(Take(&[0x80]).number(), None, "cut");
        assert_eq!(Take(&[5, 1]).list(|take| take.byte()), None, "more than there can be");
    }

    #[test]
    fn a_frame_is_whole_and_in_its_place_or_nothing() {
        let mut file = Vec::new();
        put_frame(&mut file, 0, 7, b"one");
        let second = file.len();
        put_frame(&mut file, second as u64, 8, &[9; 300]);
        let read = |file: &[u8]| {
            let mut frames = Frames::new(Box::new(std::io::Cursor::new(file.to_vec())));
            let mut found = Vec::new();
            loop {
                match frames.next() {
                    Ok(Some((at, kind, payload))) => found.push((at, kind, payload.to_vec())),
                    Ok(None) => return Ok(found),
                    Err(damage) => return Err((found.len(), damage.offset)),
                }
            }
        };
        let whole = vec![(0, 7, b"one".to_vec()), (second as u64, 8, vec![9; 300])];
        assert_eq!(read(&file), Ok(whole));
        for at in 0..file.len() {
            let (frame, offset) = if at < second { (0, 0) } else { (1, second as u64) };
            let mut flipped = file.clone();
            flipped[at] ^= 0x40;
            assert_eq!(read(&flipped), Err((frame, offset)), "flipped at {at}");
            if at != 0 && at != second {
                assert_eq!(read(&file[..at]), Err((frame, offset)), "cut at {at}");
            }
        }
        let swapped = [&file[second..], &file[..second]].concat();
        assert_eq!(read(&swapped), Err((0, 0)));
    }
}
