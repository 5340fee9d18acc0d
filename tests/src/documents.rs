//! Rust blocks of README and RFCs, compiled and run as doc tests of this package. A test compares this list with the files.

/// README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// RFC 0001.
#[cfg(doctest)]
#[doc = include_str!("../../rfcs/0001-scheme-api.md")]
pub struct SchemeApi;

/// How to write a scheme.
#[cfg(doctest)]
#[doc = include_str!("../../userland/src/schemes/README.md")]
pub struct Schemes;

/// RFC 0011.
#[cfg(doctest)]
#[doc = include_str!("../../rfcs/0011-origins.md")]
pub struct Origins;
