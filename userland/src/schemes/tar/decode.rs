//! The plain form of an archive: itself, or what it unpacks to, in a file without a name.
//!
//! What it is compressed with is seen from its first bytes, not from its name.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Error, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::schemes::private::Private;

/// The archive, such that every byte of it can be read by its place.
pub(super) fn plain(archive: &Arc<File>, private: &Private) -> io::Result<Arc<File>> {
    let mut magic = [0; 6];
    let n = archive.read_at(&mut magic, 0)?;
    let unpack: fn(File, &mut BufWriter<File>) -> io::Result<()> = match &magic[..n] {
        [0x1f, 0x8b, ..] => gzip,
        [0xfd, b'7', b'z', b'X', b'Z', 0] => xz,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => zstd,
        [b'B', b'Z', b'h', ..] => return Err(unknown("bzip2")),
        _ => return Ok(archive.clone()),
    };
    let path = private.unused();
    let target = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(path)?;
    let mut source = archive.try_clone()?;
    source.seek(SeekFrom::Start(0))?;
    let mut target = BufWriter::with_capacity(256 << 10, target);
    unpack(source, &mut target)?;
    target.into_inner().map(Arc::new).map_err(io::IntoInnerError::into_error)
}

fn unknown(what: &str) -> Error {
    Error::new(io::ErrorKind::Unsupported, format!("{what} is not built in"))
}

/// Several members follow each other in what parallel compressors make.
fn gzip(source: File, target: &mut BufWriter<File>) -> io::Result<()> {
    copy(flate2::read::MultiGzDecoder::new(BufReader::new(source)), target)
}

fn copy(mut from: impl Read, to: &mut impl Write) -> io::Result<()> {
    io::copy(&mut from, to).map(drop)
}

#[cfg(feature = "xz")]
fn xz(source: File, target: &mut BufWriter<File>) -> io::Result<()> {
    lzma_rs::xz_decompress(&mut BufReader::new(source), target).map_err(|error| match error {
        lzma_rs::error::Error::IoError(error) => error,
        error => Error::new(io::ErrorKind::InvalidData, error.to_string()),
    })
}

#[cfg(not(feature = "xz"))]
fn xz(_source: File, _target: &mut BufWriter<File>) -> io::Result<()> {
    Err(unknown("xz"))
}

/// A decoder ends with its frame; an archive may be several.
#[cfg(feature = "zstd")]
fn zstd(source: File, target: &mut BufWriter<File>) -> io::Result<()> {
    use std::io::BufRead;
    let mut source = BufReader::new(source);
    while !source.fill_buf()?.is_empty() {
        let decoder = ruzstd::decoding::StreamingDecoder::new(&mut source)
            .map_err(|error| Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        copy(decoder, target)?;
    }
    Ok(())
}

#[cfg(not(feature = "zstd"))]
fn zstd(_source: File, _target: &mut BufWriter<File>) -> io::Result<()> {
    Err(unknown("zstd"))
}
