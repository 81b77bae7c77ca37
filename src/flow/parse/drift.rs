//! How often what came that no column takes, by path. Places are remembered from message to message by the names as
//! messages write them, and each expects what came after it last time, so that most often counting costs a comparison
//! and no look into a table.

use std::sync::Arc;

use hashbrown::HashMap;

use super::compile::TableId;
use super::found::shortened;
use super::names::{FORGOTTEN, WrittenId};
use super::namespaces::Shown;
use crate::model::batch::{DRIFT_PATH_BYTES, DRIFT_PATHS, DRIFT_REST, DriftKind};

/// A place in a mapping's messages: an element, an attribute or the text of an element, as messages write it.
pub(super) type PlaceId = u32;

/// The root element of any message.
pub(super) const ROOT: PlaceId = 0;

/// What is beyond the places that are remembered, and their path.
const REST: PlaceId = 1;

/// No place.
const NONE: PlaceId = PlaceId::MAX;

/// Places remembered at most, and paths: elements on the way count too, and each way of writing the prefixes.
const MAX_PLACES: usize = 8 * DRIFT_PATHS;

/// The name of a place that nothing is found by.
const UNWRITTEN: WrittenId = FORGOTTEN - 2;

/// The places of a mapping's messages, and what was counted at them since it was last asked for.
#[derive(Debug)]
pub(super) struct Drift {
    places: Vec<Place>,
    /// By the place around it and the name as it is written.
    written: HashMap<(PlaceId, WrittenId), PlaceId>,
    /// By the place around it and what paths write for it, where the name as it is written is not remembered.
    forgotten: HashMap<(PlaceId, DriftKind, Box<str>), PlaceId>,
    /// The row of each table.
    rows: Vec<PlaceId>,
    /// The era of the names as they are written.
    era: u32,
    paths: Vec<Path>,
    /// By what they are told as.
    known: HashMap<(TableId, DriftKind, Arc<str>), u32>,
    /// Paths at which something was counted since that was last asked for.
    touched: Vec<u32>,
}

#[derive(Debug)]
struct Place {
    parent: PlaceId,
    written: WrittenId,
    /// What came first in it last time.
    first_child: PlaceId,
    first_attribute: PlaceId,
    /// What came after it in its parent.
    next: PlaceId,
    text: PlaceId,
    path: u32,
}

/// What is told of places.
#[derive(Debug)]
struct Path {
    table: TableId,
    kind: DriftKind,
    path: Arc<str>,
    /// How often it came.
    seen: u64,
    /// How much of that was told.
    taken: u64,
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

/// Where in an element counting is: what came last, and what is expected next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next {
    previous: PlaceId,
    expected: PlaceId,
}

impl Default for Next {
    fn default() -> Self {
        Self { previous: NONE, expected: NONE }
    }
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
            written: HashMap::new(),
            forgotten: HashMap::new(),
            rows: Vec::new(),
            era: 0,
            paths: Vec::new(),
            known: HashMap::new(),
            touched: Vec::new(),
        };
        drift.begin_era();
        drift
    }
}

impl Drift {
    /// To be called between messages, with the era of the names as they are written.
    pub(super) fn follow(&mut self, era: u32) {
        if self.era != era {
            self.era = era;
            self.begin_era();
        }
    }

    /// Names as they are written mean nothing any more, and so do the places that are found by them.
    fn begin_era(&mut self) {
        self.places.clear();
        self.written.clear();
        self.forgotten.clear();
        self.rows.clear();
        for path in ["/", DRIFT_REST] {
            let path = self.path(0, DriftKind::Element, path.into());
            self.place(NONE, UNWRITTEN, path);
        }
    }

    /// The element that is a row of a table.
    #[inline]
    pub(super) fn row(&mut self, table: TableId, next: &mut Next) -> PlaceId {
        let row = match self.rows.get(usize::from(table)) {
            Some(&row) if row != NONE => row,
            _ => self.learn_row(table),
        };
        *next = Next { previous: row, expected: self.places[row as usize].next };
        row
    }

    #[cold]
    fn learn_row(&mut self, table: TableId) -> PlaceId {
        let at = usize::from(table);
        if at >= self.rows.len() {
            self.rows.resize(at + 1, NONE);
        }
        let path = self.path(table, DriftKind::Element, "".into());
        self.rows[at] = self.place(NONE, UNWRITTEN, path);
        self.rows[at]
    }

    /// The beginning of an element.
    #[inline]
    pub(super) fn first(&self, element: PlaceId, part: Part) -> Next {
        let place = &self.places[element as usize];
        let expected = if part == Part::Child { place.first_child } else { place.first_attribute };
        Next { previous: NONE, expected }
    }

    /// The place of the next child or attribute, if it is known.
    #[inline]
    pub(super) fn find(&mut self, parent: PlaceId, next: &mut Next, part: Part, written: WrittenId) -> Option<PlaceId> {
        let found = next.expected;
        match self.places.get(found as usize) {
            Some(place) if place.written == written && place.parent == parent => {
                *next = Next { previous: found, expected: place.next };
                Some(found)
            }
            _ => self.search(parent, next, part, written),
        }
    }

    #[inline(never)]
    fn search(&mut self, parent: PlaceId, next: &mut Next, part: Part, written: WrittenId) -> Option<PlaceId> {
        let place = if parent == REST { REST } else { *self.written.get(&(parent, written))? };
        self.follows(parent, next, part, place);
        Some(place)
    }

    /// Where counting is in an element, something else than was expected came.
    fn follows(&mut self, parent: PlaceId, next: &mut Next, part: Part, place: PlaceId) {
        match (next.previous, part) {
            (NONE, Part::Child) => self.places[parent as usize].first_child = place,
            (NONE, Part::Attribute) => self.places[parent as usize].first_attribute = place,
            (previous, _) => self.places[previous as usize].next = place,
        }
        *next = Next { previous: place, expected: self.places[place as usize].next };
    }

    /// Remembers a place: `name` is what paths write for it, but for the `@` of an attribute. `next` is where counting
    /// is in the element.
    pub(super) fn learn(
        &mut self,
        parent: PlaceId,
        next: &mut Next,
        kind: DriftKind,
        name: Shown<'_>,
        written: WrittenId,
    ) -> PlaceId {
        let place = self.learned(parent, kind, name, written);
        let part = if kind == DriftKind::Attribute { Part::Attribute } else { Part::Child };
        self.follows(parent, next, part, place);
        place
    }

    fn learned(&mut self, parent: PlaceId, kind: DriftKind, name: Shown<'_>, written: WrittenId) -> PlaceId {
        let is_forgotten = written >= UNWRITTEN;
        let is_full = self.places.len() >= MAX_PLACES;
        let around = &self.paths[self.places[parent as usize].path as usize];
        let slash = if around.path.is_empty() || around.path.ends_with('/') { "" } else { "/" };
        let sigil = if kind == DriftKind::Attribute { "@" } else { "" };
        let is_long = around.path.len() + slash.len() + sigil.len() + name.bytes() > DRIFT_PATH_BYTES;
        if is_long || (is_full && !is_forgotten) {
            return REST;
        }
        let name = name.to_string();
        let path = format!("{}{slash}{sigil}{name}", around.path);
        let key = (parent, kind, Box::from(name));
        if is_forgotten && let Some(&place) = self.forgotten.get(&key) {
            return place;
        }
        if is_full {
            return REST;
        }
        let path = self.path(around.table, kind, path.into());
        if path == REST {
            return REST;
        }
        if is_forgotten {
            let place = self.place(parent, UNWRITTEN, path);
            self.forgotten.insert(key, place);
            return place;
        }
        let place = self.place(parent, written, path);
        self.written.insert((parent, written), place);
        place
    }

    fn place(&mut self, parent: PlaceId, written: WrittenId, path: u32) -> PlaceId {
        // At most `MAX_PLACES` and one for each table.
        let place = PlaceId::try_from(self.places.len()).unwrap_or(REST);
        let (first_child, first_attribute, next, text) = (NONE, NONE, NONE, NONE);
        self.places.push(Place { parent, written, first_child, first_attribute, next, text, path });
        place
    }

    /// The number of a path; that of [`REST`] where there are too many.
    fn path(&mut self, table: TableId, kind: DriftKind, path: Arc<str>) -> u32 {
        let key = (table, kind, path);
        if let Some(&known) = self.known.get(&key) {
            return known;
        }
        // Those of rows have room beyond.
        if self.paths.len() >= MAX_PLACES && !key.2.is_empty() {
            return REST;
        }
        let number = u32::try_from(self.paths.len()).unwrap_or(REST);
        let path = Arc::clone(&key.2);
        self.paths.push(Path { table, kind, path, seen: 0, taken: 0, examples: Vec::new() });
        self.known.insert(key, number);
        number
    }

    /// The text of an element.
    pub(super) fn text_of(&mut self, element: PlaceId) -> PlaceId {
        if element == REST {
            return REST;
        }
        if self.places[element as usize].text == NONE {
            self.places[element as usize].text =
                self.learned(element, DriftKind::Text, Shown::local("text()"), FORGOTTEN);
        }
        self.places[element as usize].text
    }

    /// Counts what came at a place. Whether an example of it is wanted: that is so for the first, the second, the
    /// fourth and so on, so that there are a few of any time and many cost nothing.
    #[inline]
    pub(super) fn count(&mut self, at: PlaceId) -> bool {
        let number = self.places[at as usize].path;
        let path = &mut self.paths[number as usize];
        if path.seen == path.taken {
            self.touched.push(number);
        }
        path.seen += 1;
        path.seen.is_power_of_two()
    }

    /// A text that something at a place had.
    pub(super) fn add_example(&mut self, at: PlaceId, text: &str) {
        let text = text.trim_ascii();
        let examples = &mut self.paths[self.places[at as usize].path as usize].examples;
        let example = shortened(text);
        if !text.is_empty() && !examples.contains(&example) {
            examples.push(example);
        }
    }

    /// What was counted since the last time, by table and path; in one what is beyond the first [`DRIFT_PATHS`], and
    /// what has longer paths than [`DRIFT_PATH_BYTES`].
    pub(super) fn take(&mut self) -> Vec<Counted> {
        // Older paths first, whatever came first this time.
        self.touched.sort_unstable();
        let mut all: Vec<Counted> = Vec::with_capacity(self.touched.len().min(DRIFT_PATHS + 1));
        let (kind, path) = (DriftKind::Element, Arc::clone(&self.paths[REST as usize].path));
        let mut rest = Counted { table: 0, kind, path, count: 0, examples: Vec::new() };
        for &at in &self.touched {
            let path = &mut self.paths[at as usize];
            let count = path.seen - std::mem::replace(&mut path.taken, path.seen);
            let examples = std::mem::take(&mut path.examples);
            if at == REST || all.len() >= DRIFT_PATHS {
                rest.count += count;
                rest.examples.extend(examples);
            } else {
                let (table, kind, path) = (path.table, path.kind, Arc::clone(&path.path));
                all.push(Counted { table, kind, path, count, examples });
            }
        }
        self.touched.clear();
        all.extend((rest.count > 0).then_some(rest));
        all
    }
}
