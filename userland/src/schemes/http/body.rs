//! [`Body`]: a file's bytes from the server. A broken transfer is taken up again where it broke, if the server can do that.

use std::io::{self, ErrorKind, Read};

use kernel_model::abi::{Errno, Result};
use ureq::BodyReader;

use super::Validator;
use super::ask::{Answer, Client};

/// A server that breaks off again and again without sending anything is left alone.
const TRIES: u32 = 3;

pub(super) struct Body {
    client: Client,
    url: String,
    version: Validator,
    reader: BodyReader<'static>,
    at: u64,
    /// Where the server said that it ends.
    end: Option<u64>,
    tries: u32,
}

impl Body {
    /// The content from byte `from` on. ESTALE: it is another version than `version`.
    pub(super) fn open(client: &Client, url: &str, version: &Validator, from: u64) -> Result<Body> {
        let (answer, body) = client.get(url, from, version)?;
        let now = answer.validator();
        let same =
            |known: &Option<String>, now: &Option<String>| known.is_none() || now.is_none() || known == now;
        if !same(&version.etag, &now.etag) || !same(&version.modified, &now.modified) {
            return Err(Errno::ESTALE);
        }
        let (client, url) = (client.clone(), url.to_owned());
        let (at, end) = span(&answer);
        let mut body = Body { client, url, version: now, reader: body.into_reader(), at, end, tries: TRIES };
        if at > from {
            return Err(Errno::EPROTO);
        }
        body.skip_to(from).map_err(|error| crate::schemes::errors::errno_of(&error))?;
        Ok(body)
    }

    /// A server without ranges sends what nobody asked for.
    fn skip_to(&mut self, from: u64) -> io::Result<()> {
        let skip = from - self.at;
        let skipped = io::copy(&mut self.by_ref().take(skip), &mut io::sink())?;
        if skipped < skip { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// After a break: another connection, from the same place. False if the server cannot.
    fn take_up(&mut self) -> bool {
        let has_version = self.version != Validator::default();
        if self.at == 0 || self.tries == 0 || !has_version {
            return false;
        }
        self.tries -= 1;
        match self.client.get(&self.url, self.at, &self.version) {
            Ok((answer, body)) if answer.begins() == Some(self.at) => {
                self.reader = body.into_reader();
                true
            }
            _ => false,
        }
    }
}

/// The library's own errors, inside one of the standard library, as what they mean.
fn plain(error: io::Error) -> io::Error {
    match error.downcast::<ureq::Error>() {
        Ok(inside) => super::ask::errno(inside).into(),
        Err(error) => error,
    }
}

/// First and last byte of what an answer brings.
fn span(answer: &Answer) -> (u64, Option<u64>) {
    (answer.begins().unwrap_or(0), answer.length())
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let broken = match self.reader.read(buf) {
                Ok(0) if buf.is_empty() || self.end.is_none_or(|end| self.at >= end) => return Ok(0),
                Ok(0) => ErrorKind::UnexpectedEof.into(),
                Ok(n) => {
                    self.at += n as u64;
                    self.tries = TRIES;
                    return Ok(n);
                }
                Err(error) => plain(error),
            };
            // Whose patience is over would only wait as long again.
            if broken.kind() == ErrorKind::TimedOut || !self.take_up() {
                return Err(broken);
            }
        }
    }
}
