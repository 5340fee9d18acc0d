//! Where a file's bytes lie: one segment, or several with holes between them.
//!
//! GNU tar has written sparse files in four forms (GNU tar manual, "Storing Sparse Files"): the old type 'S' with its map in
//! the header and in blocks after it, and in PAX headers 0.0 (pairs of records), 0.1 (one record) and 1.0 (text before the
//! data).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// So many bytes of a file from `offset` on are in the archive at `place`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) place: u64,
}

impl Segment {
    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(self.length)
    }
}

/// A map, in order, of data that begin at `place`.
fn lay_out(pairs: impl IntoIterator<Item = (u64, u64)>, mut place: u64) -> io::Result<Vec<Segment>> {
    let mut end = 0;
    let mut segments = Vec::new();
    for (offset, length) in pairs {
        if offset < end || offset.checked_add(length).is_none() {
            return Err(damaged());
        }
        end = offset + length;
        if length > 0 {
            segments.push(Segment { offset, length, place });
            place = place.checked_add(length).ok_or_else(damaged)?;
        }
    }
    Ok(segments)
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "damaged map of a sparse file")
}

/// Type 'S'. The header is at `header`; its map may go on in the blocks after it.
pub(super) fn old_gnu(file: &File, head: &tar::GnuHeader, header: u64) -> io::Result<Vec<Segment>> {
    let pair = |part: &tar::GnuSparseHeader| Ok::<_, io::Error>((part.offset()?, part.length()?));
    let parts = |all: &[tar::GnuSparseHeader]| {
        all.iter().filter(|part| !part.is_empty()).map(pair).collect::<io::Result<Vec<_>>>()
    };
    let mut pairs = parts(&head.sparse)?;
    let mut place = header + 512;
    let mut more = head.is_extended();
    while more {
        let mut block = tar::GnuExtSparseHeader::new();
        file.read_exact_at(block.as_mut_bytes(), place)?;
        pairs.extend(parts(block.sparse())?);
        place += 512;
        more = block.is_extended();
    }
    lay_out(pairs, place)
}

/// What PAX records say of a sparse file.
#[derive(Default)]
pub(super) struct Pax {
    pub(super) name: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    map: Vec<u64>,
    in_data: bool,
    is_sparse: bool,
}

impl Pax {
    /// Takes what is meant for it.
    pub(super) fn record(&mut self, key: &str, value: &[u8]) {
        let Some(key) = key.strip_prefix("GNU.sparse.") else { return };
        self.is_sparse = true;
        let number = || std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
        match key {
            "name" => self.name = Some(value.to_vec()),
            "size" | "realsize" => self.size = number(),
            "map" => self.map = numbers(value, b','),
            "offset" | "numbytes" => self.map.extend(number()),
            "major" => self.in_data = number() == Some(1),
            _ => {}
        }
    }

    /// The segments, if the file is sparse. Its data are at `place`.
    pub(super) fn segments(&self, file: &File, place: u64) -> io::Result<Option<Vec<Segment>>> {
        if !self.is_sparse {
            return Ok(None);
        }
        let (map, place) = if self.in_data { map_in_data(file, place)? } else { (self.map.clone(), place) };
        let pairs = map.chunks_exact(2).map(|pair| (pair[0], pair[1]));
        lay_out(pairs, place).map(Some)
    }
}

fn numbers(text: &[u8], separator: u8) -> Vec<u64> {
    let parts = text.split(|byte| *byte == separator);
    parts.filter_map(|part| std::str::from_utf8(part).ok()?.parse().ok()).collect()
}

/// Form 1.0: how many pairs, then the pairs, a number a line, filled up to a block.
fn map_in_data(file: &File, place: u64) -> io::Result<(Vec<u64>, u64)> {
    let mut text = Vec::new();
    let mut block = [0; 512];
    loop {
        file.read_exact_at(&mut block, place + text.len() as u64)?;
        text.extend_from_slice(&block);
        let lines = text.iter().filter(|byte| **byte == b'\n').count() as u64;
        let Some(&pairs) =
            numbers(&text[..text.iter().position(|byte| *byte == b'\n').unwrap_or(0)], b'\n').first()
        else {
            return Err(damaged());
        };
        if lines > pairs.checked_mul(2).ok_or_else(damaged)? {
            let end = text.len() as u64;
            let all = numbers(&text, b'\n');
            return all
                .get(1..=2 * pairs as usize)
                .map(|map| (map.to_vec(), place + end))
                .ok_or_else(damaged);
        }
    }
}
