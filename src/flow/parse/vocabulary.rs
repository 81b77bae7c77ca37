//! The names that a mapping speaks of, as small numbers.

use hashbrown::HashMap;

use crate::model::mapping::Name;

/// A name of the mapping as a small number.
pub(super) type NameId = u16;

/// Any name that the mapping does not speak of.
pub(super) const OTHER: NameId = 0;

/// A namespace of the mapping as a small number, so that the URI of a name is looked at once and not with each name.
pub(super) type SpaceId = u32;

/// No namespace.
pub(super) const NO_SPACE: SpaceId = 0;

/// The names that a mapping speaks of.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    spaces: HashMap<Box<str>, SpaceId>,
    ids: HashMap<SpaceId, HashMap<Box<str>, NameId>>,
    count: NameId,
}

impl Vocabulary {
    /// The number of a name, a new one if need be; none when there are too many.
    pub(super) fn intern(&mut self, name: &Name) -> Option<NameId> {
        let space = match &name.namespace {
            None => NO_SPACE,
            Some(uri) => {
                let next = SpaceId::try_from(self.spaces.len() + 1).ok()?;
                *self.spaces.entry((**uri).into()).or_insert(next)
            }
        };
        let names = self.ids.entry(space).or_default();
        if let Some(&known) = names.get(&*name.local) {
            return Some(known);
        }
        self.count = self.count.checked_add(1)?;
        names.insert((*name.local).into(), self.count);
        Some(self.count)
    }

    /// How many numbers there are, that of [`OTHER`] included.
    pub(super) fn len(&self) -> usize {
        usize::from(self.count) + 1
    }

    /// The number of a namespace, where the mapping speaks of it.
    pub(super) fn space(&self, uri: &str) -> Option<SpaceId> {
        if uri.is_empty() { Some(NO_SPACE) } else { self.spaces.get(uri).copied() }
    }

    /// The number of a name.
    pub(super) fn find(&self, space: Option<SpaceId>, local: &str) -> NameId {
        let names = space.and_then(|space| self.ids.get(&space));
        names.and_then(|names| names.get(local)).copied().unwrap_or(OTHER)
    }
}
