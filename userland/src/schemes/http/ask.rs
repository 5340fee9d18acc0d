//! [`Client`]: requests, and what the answers mean as errnos.

use std::time::{Duration, SystemTime};

use kernel_model::abi::{Errno, Result};
use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body, Error, ResponseExt};

use super::Validator;
use crate::schemes::errors::errno_of;

/// No index is longer.
const PAGE: u64 = 64 << 20;

/// Connections to servers.
#[derive(Clone)]
pub(super) struct Client {
    agent: Agent,
}

/// The head of an answer.
pub(super) struct Answer {
    pub(super) status: u16,
    /// After redirects.
    pub(super) url: String,
    headers: HeaderMap,
}

/// A page.
pub(super) struct Page {
    pub(super) url: String,
    pub(super) text: Vec<u8>,
}

impl Client {
    pub(super) fn new(patience: Duration) -> Client {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A length must mean the length of the file.
            .accept_encoding("identity")
            .user_agent(concat!("tracefd/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(patience))
            .timeout_connect(Some(patience))
            .timeout_send_request(Some(patience))
            .timeout_recv_response(Some(patience))
            // Not the body's own: a large file may take its time as long as something comes.
            .timeout_per_read(Some(patience))
            .build();
        Client { agent: config.into() }
    }

    /// HEAD, or of a server without it a GET of the first byte. With what is known: 304 if it still holds.
    pub(super) fn look(&self, url: &str, known: Option<&Validator>) -> Result<Answer> {
        let mut request = self.agent.head(url);
        if let Some(Validator { etag, modified }) = known {
            if let Some(etag) = etag {
                request = request.header("if-none-match", etag);
            } else if let Some(modified) = modified {
                request = request.header("if-modified-since", modified);
            }
        }
        let answer = Answer::of(&request.call().map_err(errno)?);
        if !matches!(answer.status, 405 | 501) {
            return Ok(answer);
        }
        self.agent
            .get(url)
            .header("range", "bytes=0-0")
            .call()
            .map_err(errno)
            .map(|response| Answer::of(&response))
    }

    /// GET of a whole page, which is not long.
    pub(super) fn page(&self, url: &str) -> Result<Page> {
        let mut response = self.agent.get(url).call().map_err(errno)?;
        judge(response.status().as_u16())?;
        let url = response.get_uri().to_string();
        let text = response.body_mut().with_config().limit(PAGE).read_to_vec().map_err(errno)?;
        Ok(Page { url, text })
    }

    /// GET from a byte on, of the version that is known. 200: from the start after all.
    pub(super) fn get(&self, url: &str, from: u64, version: &Validator) -> Result<(Answer, Body)> {
        let mut request = self.agent.get(url);
        if from > 0 {
            request = request.header("range", format!("bytes={from}-"));
            // RFC 9110, section 13.1.5: weak tags have no meaning here.
            let strong = version.etag.as_ref().filter(|etag| !etag.starts_with("W/"));
            if let Some(version) = strong.or(version.modified.as_ref()) {
                request = request.header("if-range", version);
            }
        }
        let response = request.call().map_err(errno)?;
        let answer = Answer::of(&response);
        judge(answer.status)?;
        Ok((answer, response.into_body()))
    }
}

impl Answer {
    fn of(response: &Response<Body>) -> Answer {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, url: response.get_uri().to_string(), headers }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Of the whole file, in bytes.
    pub(super) fn length(&self) -> Option<u64> {
        match self.status {
            206 => self.header("content-range")?.rsplit('/').next()?.parse().ok(),
            _ => self.header("content-length")?.trim().parse().ok(),
        }
    }

    /// Of a part: its first byte.
    pub(super) fn begins(&self) -> Option<u64> {
        let range = self.header("content-range").filter(|_| self.status == 206)?;
        range.trim().strip_prefix("bytes")?.trim_start().split('-').next()?.parse().ok()
    }

    pub(super) fn modified(&self) -> Option<SystemTime> {
        httpdate::parse_http_date(self.header("last-modified")?).ok()
    }

    pub(super) fn validator(&self) -> Validator {
        let header = |name| self.header(name).map(str::to_owned);
        Validator { etag: header("etag"), modified: header("last-modified") }
    }
}

/// What a status means to a program that knows files only.
pub(super) fn judge(status: u16) -> Result<()> {
    match status {
        200..=299 => Ok(()),
        401 | 402 | 403 | 407 | 451 => Err(Errno::EACCES),
        404 | 410 => Err(Errno::ENOENT),
        408 | 504 => Err(Errno::ETIMEDOUT),
        414 => Err(Errno::ENAMETOOLONG),
        429 => Err(Errno::EBUSY),
        300..=399 => Err(Errno::EPROTO),
        _ => Err(Errno::EIO),
    }
}

/// The same for a request without an answer.
pub(super) fn errno(error: Error) -> Errno {
    match error {
        Error::Io(error) => errno_of(&error),
        Error::Timeout(_) => Errno::ETIMEDOUT,
        Error::HostNotFound => Errno::EHOSTUNREACH,
        Error::TooManyRedirects | Error::RedirectFailed => Errno::ELOOP,
        Error::TlsRequired => Errno::EPROTONOSUPPORT,
        Error::ConnectionFailed | Error::ConnectProxyFailed(_) => Errno::ECONNREFUSED,
        Error::BadUri(_) | Error::Http(_) => Errno::EINVAL,
        Error::Protocol(_) | Error::LargeResponseHeader(..) => Errno::EPROTO,
        _ => Errno::EIO,
    }
}
