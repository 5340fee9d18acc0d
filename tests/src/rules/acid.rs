//! placeholder
use super::Rule;
/// placeholder
pub static ACID: Option<Rule> = None;
