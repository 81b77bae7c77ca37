//! How often what came that no column takes, by path. Places are remembered from message to message, and each expects
//! what came after it last time, so that counting costs a comparison or two and no look into a table.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::compile::TableId;
use super::found::shortened;
use super::names::{FORGOTTEN, WrittenId};
use crate::model::batch::{DRIFT_PATHS, DRIFT_REST, DriftKind};

/// A place of a mapping's messages: an element, an attribute or the text of an element.
pub(super) type PlaceId = u32;

/// The root element of any message.
pub(super) const ROOT: PlaceId = 0;

/// What is beyond the places that are remembered.
const REST: PlaceId = 1;

/// No place.
pub(super) const NONE: PlaceId = PlaceId::MAX;

/// Places remembered at most; elements on the way count too.
const MAX_PLACES: usize = 8 * DRIFT_PATHS;

/// Ways of writing the names of places remembered at most.
const MAX_WRITTEN: usize = 8 * MAX_PLACES;

/// The name of a place that nothing was found by.
const UNWRITTEN: WrittenId = FORGOTTEN - 2;

/// The places of a mapping's messages, and what was counted at them since it was last asked for.
#[derive(Debug)]
pub(super) struct Drift {
    places: Vec<Place>,
    /// What is told of them, by the same numbers.
    told: Vec<Told>,
    /// By the place around it and the name as it is written.
    written: HashMap<(PlaceId, WrittenId), PlaceId>,
    /// By the place around it and what paths write for it.
    named: HashTable<PlaceId>,
    hasher: DefaultHashBuilder,
    /// The row of each table.
    rows: Vec<PlaceId>,
    /// Places where something was counted since it was last asked for.
    touched: Vec<PlaceId>,
    /// Of the names as they are written.
    era: u32,
}

/// What is asked for with each element.
#[derive(Debug)]
struct Place {
    parent: PlaceId,
    /// How its name was written last time.
    written: WrittenId,
    /// What came first in it last time.
    first_child: PlaceId,
    first_attribute: PlaceId,
    /// What came after it in its parent.
    next: PlaceId,
    text: PlaceId,
    /// How often it came.
    seen: u64,
    /// How much of that was told.
    taken: u64,
}

#[derive(Debug)]
struct Told {
    table: TableId,
    kind: DriftKind,
    path: Arc<str>,
    /// Where in `path` its own name begins.
    name: usize,
    examples: Vec<String>,
}

/// What was counted at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) table: TableId,
    pub(super) kind: DriftKind,
    pub(super) path: Arc<str>,
    pub(super) count: u64,
    pub(super) examples: Vec<String>,
}

/// What of an element a place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Child,
    Attribute,
}

impl Default for Drift {
    fn default() -> Self {
        let mut drift = Self {
            places: Vec::new(),
            told: Vec::new(),
            written: HashMap::new(),
            named: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            rows: Vec::new(),
            touched: Vec::new(),
            era: 0,
        };
        drift.push(NONE, 0, DriftKind::Element, "/".into(), 0);
        drift.push(NONE, 0, DriftKind::Element, DRIFT_REST.into(), 0);
        drift
    }
}

impl Drift {
    /// To be called between messages, with the era of the names as they are written.
    pub(super) fn follow(&mut self, era: u32) {
        if self.era != era {
            self.era = era;
            self.written.clear();
            self.places.iter_mut().for_each(|place| place.written = UNWRITTEN);
        }
    }

    /// The element that is a row of a table.
    pub(super) fn row(&mut self, table: TableId) -> PlaceId {
        let at = usize::from(table);
        if at >= self.rows.len() {
            self.rows.resize(at + 1, NONE);
        }
        if self.rows[at] == NONE {
            self.rows[at] = self.push(NONE, table, DriftKind::Element, "".into(), 0);
        }
        self.rows[at]
    }

    /// The place of a child or an attribute of that name, if it is known; `previous` is the one before it in the same
    /// element.
    #[inline]
    pub(super) fn find(
        &mut self,
        parent: PlaceId,
        previous: PlaceId,
        part: Part,
        written: WrittenId,
    ) -> Option<PlaceId> {
        let expected = *self.expected(parent, previous, part);
        match self.places.get(expected as usize) {
            Some(place) if place.written == written && place.parent == parent => Some(expected),
            _ => self.search(parent, previous, part, written),
        }
    }

    /// What is expected after `previous` in an element.
    #[inline]
    fn expected(&mut self, parent: PlaceId, previous: PlaceId, part: Part) -> &mut PlaceId {
        match (previous, part) {
            (NONE, Part::Child) => &mut self.places[parent as usize].first_child,
            (NONE, Part::Attribute) => &mut self.places[parent as usize].first_attribute,
            _ => &mut self.places[previous as usize].next,
        }
    }

    #[inline(never)]
    fn search(&mut self, parent: PlaceId, previous: PlaceId, part: Part, written: WrittenId) -> Option<PlaceId> {
        if parent == REST {
            return Some(REST);
        }
        let place = *self.written.get(&(parent, written))?;
        self.places[place as usize].written = written;
        *self.expected(parent, previous, part) = place;
        Some(place)
    }

    /// Remembers a place: `name` is what paths write for it.
    pub(super) fn learn(&mut self, parent: PlaceId, kind: DriftKind, name: &str, written: WrittenId) -> PlaceId {
        let hash = self.hasher.hash_one((parent, kind, name));
        let is_it = |&place: &PlaceId| {
            let told = &self.told[place as usize];
            self.places[place as usize].parent == parent && told.kind == kind && told.path[told.name..] == *name
        };
        let place = match self.named.find(hash, is_it) {
            Some(&place) => place,
            None if self.places.len() >= MAX_PLACES => REST,
            None => {
                let around = &self.told[parent as usize];
                let slash = if around.path.is_empty() || around.path.ends_with('/') { "" } else { "/" };
                let path = format!("{}{slash}{name}", around.path);
                let place = self.push(parent, around.table, kind, path.as_str().into(), path.len() - name.len());
                let (hasher, places, told) = (&self.hasher, &self.places, &self.told);
                self.named.insert_unique(hash, place, |&place| {
                    let of = &told[place as usize];
                    hasher.hash_one((places[place as usize].parent, of.kind, &of.path[of.name..]))
                });
                place
            }
        };
        if written < UNWRITTEN {
            if self.written.len() >= MAX_WRITTEN {
                self.written.clear();
            }
            self.written.insert((parent, written), place);
        }
        place
    }

    fn push(&mut self, parent: PlaceId, table: TableId, kind: DriftKind, path: Arc<str>, name: usize) -> PlaceId {
        // At most `MAX_PLACES` and one for each table.
        let place = PlaceId::try_from(self.places.len()).unwrap_or(REST);
        self.places.push(Place {
            parent,
            written: UNWRITTEN,
            first_child: NONE,
            first_attribute: NONE,
            next: NONE,
            text: NONE,
            seen: 0,
            taken: 0,
        });
        self.told.push(Told { table, kind, path, name, examples: Vec::new() });
        place
    }

    /// The text of an element.
    pub(super) fn text_of(&mut self, element: PlaceId) -> PlaceId {
        if element == REST {
            return REST;
        }
        let known = self.places[element as usize].text;
        if known != NONE {
            return known;
        }
        let text = self.learn(element, DriftKind::Text, "text()", FORGOTTEN);
        self.places[element as usize].text = text;
        text
    }

    /// Counts what came at a place. Whether an example of it is wanted: that is so for the first, the second, the fourth
    /// and so on, so that there are a few of any time and many cost nothing.
    #[inline]
    pub(super) fn count(&mut self, at: PlaceId) -> bool {
        let place = &mut self.places[at as usize];
        if place.seen == place.taken {
            self.touched.push(at);
        }
        place.seen += 1;
        place.seen.is_power_of_two()
    }

    /// A text that something at a place had.
    pub(super) fn add_example(&mut self, at: PlaceId, text: &str) {
        let text = text.trim_ascii();
        let examples = &mut self.told[at as usize].examples;
        let example = shortened(text);
        if !text.is_empty() && !examples.contains(&example) {
            examples.push(example);
        }
    }

    /// What was counted since the last time, by table and path; what is beyond the first [`DRIFT_PATHS`] in one.
    pub(super) fn take(&mut self) -> Vec<Counted> {
        // Older places first, whatever came first this time.
        self.touched.sort_unstable();
        let mut all: Vec<Counted> = Vec::with_capacity(self.touched.len().min(DRIFT_PATHS + 1));
        let mut rest = Counted {
            table: 0,
            kind: DriftKind::Element,
            path: Arc::clone(&self.told[REST as usize].path),
            count: 0,
            examples: Vec::new(),
        };
        for &at in &self.touched {
            let (place, told) = (&mut self.places[at as usize], &mut self.told[at as usize]);
            let count = place.seen - std::mem::replace(&mut place.taken, place.seen);
            let examples = std::mem::take(&mut told.examples);
            if at == REST || all.len() >= DRIFT_PATHS {
                rest.count += count;
                rest.examples.extend(examples);
                continue;
            }
            all.push(Counted { table: told.table, kind: told.kind, path: Arc::clone(&told.path), count, examples });
        }
        self.touched.clear();
        all.extend((rest.count > 0).then_some(rest));
        all
    }
}
