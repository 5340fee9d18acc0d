//! [`Kept`]: a value that copies share until one of them changes it, and whose hash is computed once.
//!
//! An explorer copies a simulator for every transition and hashes every copy; of both, little has changed since the last.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};

/// Shared until changed. Equality is the value's; the hash is a digest of it.
#[derive(Clone, Debug)]
pub(super) struct Kept<T>(Arc<Inner<T>>);

#[derive(Debug)]
struct Inner<T> {
    value: T,
    digest: OnceLock<u64>,
}

impl<T> Kept<T> {
    pub(super) fn new(value: T) -> Kept<T> {
        Kept(Arc::new(Inner { value, digest: OnceLock::new() }))
    }
}

impl<T> Deref for Kept<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

/// What is lent mutably is taken to change: its digest is forgotten, and copies no longer share it.
impl<T: Clone> DerefMut for Kept<T> {
    fn deref_mut(&mut self) -> &mut T {
        let inner = Arc::make_mut(&mut self.0);
        inner.digest = OnceLock::new();
        &mut inner.value
    }
}

impl<T: Clone> Clone for Inner<T> {
    fn clone(&self) -> Inner<T> {
        Inner { value: self.value.clone(), digest: OnceLock::new() }
    }
}

impl<T: PartialEq> PartialEq for Kept<T> {
    fn eq(&self, other: &Kept<T>) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.value == other.0.value
    }
}

impl<T: Eq> Eq for Kept<T> {}

impl<T: Hash> Hash for Kept<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let digest = self.0.digest.get_or_init(|| {
            let mut hasher = DefaultHasher::new();
            self.0.value.hash(&mut hasher);
            hasher.finish()
        });
        digest.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(value: &impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn a_change_is_seen_by_the_hash_and_not_by_copies() {
        let first = Kept::new(vec![1, 2]);
        let before = hash(&first);
        let mut second = first.clone();
        second.push(3);
        assert_ne!(hash(&second), before);
        assert_eq!((hash(&first), first.len()), (before, 2));
        second.pop();
        assert!(second == first && hash(&second) == before);
    }
}
