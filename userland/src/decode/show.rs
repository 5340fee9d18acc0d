//! [`Show`]: how much of arguments is shown, and in which form.

/// Which strings are shown in hexadecimal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hex {
    /// None.
    #[default]
    None,
    /// `-x`: those with a byte that is neither printable ASCII nor white space.
    NotText,
    /// `-xx`.
    All,
}

impl Hex {
    /// Whether these bytes are shown in hexadecimal.
    pub fn applies(self, bytes: &[u8]) -> bool {
        let is_text = |byte: &u8| matches!(byte, b'\t'..=b'\r' | b' '..=b'~');
        match self {
            Hex::None => false,
            Hex::NotText => !bytes.iter().all(is_text),
            Hex::All => true,
        }
    }
}

/// What is told of descriptors, beside their numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fds {
    /// Nothing.
    #[default]
    Numbers,
    /// `-y`: what they refer to.
    Paths,
    /// `-yy`: and what is known of sockets and devices.
    Details,
}

/// How arguments are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Show {
    /// `-s`: the longest string.
    pub limit: usize,
    /// `-v`: structures, lists and the environment in full.
    pub full: bool,
    /// `-x`.
    pub hex: Hex,
    /// `-y`.
    pub fds: Fds,
    /// `-e raw=`: words as they are.
    pub raw: bool,
}

impl Show {
    /// As without any option.
    pub const DEFAULT: Show = Show { limit: 32, full: false, hex: Hex::None, fds: Fds::Numbers, raw: false };

    /// How many items of a list of `count` are shown. A list without an end must not keep us for ever.
    pub fn items(self, count: u64) -> usize {
        const MOST: usize = 1 << 15;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        count.min(if self.full { MOST } else { self.limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_printable_or_white() {
        for (bytes, not_text) in
            [(&b"ab c\n\t"[..], false), (b"", false), (b"a\0", true), (b"\xc3\xa9", true)]
        {
            assert_eq!(Hex::NotText.applies(bytes), not_text, "{bytes:?}");
            assert!(Hex::All.applies(bytes) && !Hex::None.applies(bytes));
        }
    }
}
