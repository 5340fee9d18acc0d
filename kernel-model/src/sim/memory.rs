//! [`Memory`]: pages with a protection each. A fork copies the table; pages are copied when they are written.
//!
//! A program's own accesses obey the protection, a tracer's only need the page to be there.

use std::collections::BTreeMap;

use super::kept::Kept;

/// Bytes of a page.
pub(super) const PAGE: u64 = 4096;
/// The first address that no program can have.
pub(super) const TOP: u64 = 0x7fff_ffff_f000;

type Bytes = [u8; PAGE as usize];

/// What a program may do with a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Protection {
    pub(super) read: bool,
    pub(super) write: bool,
    pub(super) execute: bool,
}

impl Protection {
    pub(super) const READ_WRITE: Protection = Protection { read: true, write: true, execute: false };
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Page {
    bytes: Kept<Bytes>,
    protection: Protection,
}

/// Why a page is touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
    Execute,
    /// A tracer's: the page need only be there.
    Tracer,
}

/// An address that is not mapped, or not for this kind of access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadAddress;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Memory {
    pages: BTreeMap<u64, Page>,
}

impl Memory {
    /// Maps zeroed pages over `[start, start + size)`, replacing what was there. Both are multiples of a page.
    pub(super) fn map(&mut self, start: u64, size: u64, protection: Protection) {
        let zero = Kept::new([0; PAGE as usize]);
        for page in start / PAGE..(start + size) / PAGE {
            self.pages.insert(page, Page { bytes: zero.clone(), protection });
        }
    }

    pub(super) fn unmap(&mut self, start: u64, size: u64) {
        let pages: Vec<u64> =
            self.pages.range(start / PAGE..(start + size) / PAGE).map(|(page, _)| *page).collect();
        for page in pages {
            self.pages.remove(&page);
        }
    }

    /// Changes the protection of a range that is mapped as a whole.
    pub(super) fn protect(
        &mut self,
        start: u64,
        size: u64,
        protection: Protection,
    ) -> Result<(), BadAddress> {
        let pages = start / PAGE..(start + size) / PAGE;
        if pages.clone().any(|page| !self.pages.contains_key(&page)) {
            return Err(BadAddress);
        }
        for (_, page) in self.pages.range_mut(pages) {
            page.protection = protection;
        }
        Ok(())
    }

    /// The lowest free range of `size` bytes at or above `from`.
    pub(super) fn free_range(&self, from: u64, size: u64) -> Option<u64> {
        let mut start = from / PAGE;
        let count = size / PAGE;
        for (page, _) in self.pages.range(start..) {
            if *page >= start + count {
                break;
            }
            start = page + 1;
        }
        ((start + count) * PAGE <= TOP).then_some(start * PAGE)
    }

    fn page(&self, address: u64, access: Access) -> Result<&Page, BadAddress> {
        let page = self.pages.get(&(address / PAGE)).ok_or(BadAddress)?;
        let allowed = match access {
            Access::Read => page.protection.read,
            Access::Write => page.protection.write,
            Access::Execute => page.protection.execute,
            Access::Tracer => true,
        };
        if allowed { Ok(page) } else { Err(BadAddress) }
    }

    /// Cuts a range at page borders: (address, offset in the caller's buffer, bytes).
    fn pieces(address: u64, size: usize) -> Result<Vec<(u64, usize, usize)>, BadAddress> {
        let end = address.checked_add(size as u64).ok_or(BadAddress)?;
        let mut pieces = Vec::new();
        let mut at = address;
        while at < end {
            // The last page's border is no address.
            let stop = (at / PAGE + 1).checked_mul(PAGE).map_or(end, |border| border.min(end));
            pieces.push((at, (at - address) as usize, (stop - at) as usize));
            at = stop;
        }
        Ok(pieces)
    }

    pub(super) fn read(&self, address: u64, buf: &mut [u8], access: Access) -> Result<(), BadAddress> {
        for (at, offset, size) in Self::pieces(address, buf.len())? {
            let from = (at % PAGE) as usize;
            let page = self.page(at, access)?;
            buf[offset..offset + size].copy_from_slice(&page.bytes[from..from + size]);
        }
        Ok(())
    }

    /// All of `bytes` or nothing.
    pub(super) fn write(&mut self, address: u64, bytes: &[u8], access: Access) -> Result<(), BadAddress> {
        let pieces = Self::pieces(address, bytes.len())?;
        for (at, ..) in &pieces {
            self.page(*at, access)?;
        }
        for (at, offset, size) in pieces {
            let from = (at % PAGE) as usize;
            let page = self.pages.get_mut(&(at / PAGE)).ok_or(BadAddress)?;
            page.bytes[from..from + size].copy_from_slice(&bytes[offset..offset + size]);
        }
        Ok(())
    }

    pub(super) fn read_word(&self, address: u64) -> Result<u64, BadAddress> {
        let mut word = [0; 8];
        self.read(address, &mut word, Access::Read)?;
        Ok(u64::from_le_bytes(word))
    }

    pub(super) fn write_word(&mut self, address: u64, value: u64) -> Result<(), BadAddress> {
        self.write(address, &value.to_le_bytes(), Access::Write)
    }

    /// A NUL-terminated string, at most a page long.
    pub(super) fn read_string(&self, address: u64) -> Result<Vec<u8>, BadAddress> {
        let mut out = Vec::new();
        for index in 0..PAGE {
            let mut byte = [0];
            self.read(address.checked_add(index).ok_or(BadAddress)?, &mut byte, Access::Read)?;
            if byte[0] == 0 {
                break;
            }
            out.push(byte[0]);
        }
        Ok(out)
    }
}
