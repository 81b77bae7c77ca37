//! Several owners at work on one lake, one call to storage at a time, in an order that a test decides.
//!
//! Each actor is a thread, and its storage stops it before every call until it is its turn. Between two calls nobody
//! else is at work, so an order gives the same story every time.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use forebay::storage::Storage;
use forebay::storage::faulty::FaultyStorage;

/// What an actor does, with a storage of its own.
pub(crate) type Actor<'a> = Box<dyn FnOnce(&Arc<dyn Storage>) + Send + 'a>;

#[derive(Default)]
struct Table {
    /// By actor: threads of it that wait for their turn.
    waiting: Vec<usize>,
    is_done: Vec<bool>,
    /// Who was let go and has neither come to its next call nor ended.
    at_work: Option<usize>,
    /// Whether everybody may go on as they like: somebody has panicked.
    is_over: bool,
}

#[derive(Default)]
struct Turns {
    table: Mutex<Table>,
    changed: Condvar,
}

impl Turns {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Until it is the actor's turn.
    fn wait(&self, actor: usize) {
        let mut table = self.table();
        table.waiting[actor] += 1;
        if table.at_work == Some(actor) {
            table.at_work = None;
        }
        self.changed.notify_all();
        let mut table = self.changed.wait_while(table, |table| table.at_work != Some(actor) && !table.is_over).unwrap();
        table.waiting[actor] -= 1;
    }

    fn end(&self, actor: usize) {
        let mut table = self.table();
        table.is_done[actor] = true;
        table.is_over |= std::thread::panicking();
        if table.at_work == Some(actor) {
            table.at_work = None;
        }
        self.changed.notify_all();
    }
}

struct Ends<'a>(&'a Turns, usize);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.end(self.1);
    }
}

/// Lets the actors work on `storage` until all have ended. `next` is asked before each call: it sees how many calls
/// there were, who can go on and whose call was the last, and says whose is the next one.
///
/// Gives the order in which they had their calls.
pub(crate) fn play(
    storages: &[Arc<dyn Storage>],
    actors: Vec<Actor<'_>>,
    mut next: impl FnMut(usize, &[usize], Option<usize>) -> usize,
) -> Vec<usize> {
    let turns = Arc::new(Turns::default());
    {
        let mut table = turns.table();
        (table.waiting, table.is_done) = (vec![0; actors.len()], vec![false; actors.len()]);
    }
    let mut order = Vec::new();
    std::thread::scope(|scope| {
        for (number, (actor, storage)) in actors.into_iter().zip(storages).enumerate() {
            let (turns, storage) = (Arc::clone(&turns), Arc::clone(storage));
            scope.spawn(move || {
                let faulty = FaultyStorage::new(storage);
                let stops = Arc::clone(&turns);
                faulty.before_each(move |_| stops.wait(number));
                let ends = Ends(&turns, number);
                actor(&(Arc::new(faulty) as Arc<dyn Storage>));
                drop(ends);
            });
        }
        loop {
            let is_open = |table: &Table, actor: usize| !table.is_done[actor] && table.waiting[actor] == 0;
            let table = turns.changed.wait_while(turns.table(), |table| {
                let is_anybody_open = (0..table.is_done.len()).any(|actor| is_open(table, actor));
                !table.is_over && (table.at_work.is_some() || is_anybody_open)
            });
            let mut table = table.unwrap();
            let ready: Vec<usize> = (0..table.is_done.len()).filter(|actor| !table.is_done[*actor]).collect();
            if table.is_over || ready.is_empty() {
                return;
            }
            let chosen = next(order.len(), &ready, order.last().copied());
            order.push(chosen);
            table.at_work = Some(chosen);
            turns.changed.notify_all();
        }
    });
    order
}

/// Every order of `actors` with at most `switches` changes from one to another before it has ended: each is tried by
/// `run`, which gives the order that came of it, or what was wrong. Says how many there were.
///
/// An order is told by who begins, and by the calls before which it changes, to the next one round that can go on.
pub(crate) fn every_order<E>(
    actors: usize,
    switches: usize,
    mut run: impl FnMut(&Order) -> Result<Vec<usize>, E>,
) -> Result<u64, E> {
    let mut tried = 0;
    for first in 0..actors {
        let mut todo = vec![Order { first, changes: Vec::new(), actors }];
        while let Some(order) = todo.pop() {
            let played = run(&order)?;
            tried += 1;
            if order.changes.len() == switches {
                continue;
            }
            let from = order.changes.last().map_or(1, |(at, _)| at + 1);
            for at in from..played.len() {
                // To anybody who still had something to do.
                let later = &played[at..];
                for by in 1..actors {
                    let to = (played[at - 1] + by) % actors;
                    if later.contains(&to) && later.contains(&played[at - 1]) {
                        let mut changes = order.changes.clone();
                        changes.push((at, to));
                        todo.push(Order { first, changes, actors });
                    }
                }
            }
        }
    }
    Ok(tried)
}

/// An order of actors; see [`every_order`].
#[derive(Debug, Clone)]
pub(crate) struct Order {
    first: usize,
    /// Before which call it changes, and to whom.
    changes: Vec<(usize, usize)>,
    actors: usize,
}

impl Order {
    /// Whose call is the next one, for [`play`].
    pub(crate) fn next(&self, at: usize, ready: &[usize], last: Option<usize>) -> usize {
        let wanted = match self.changes.iter().find(|(change, _)| *change == at) {
            Some((_, to)) => *to,
            None => last.unwrap_or(self.first),
        };
        // Whoever is wanted and has ended makes room for the next one round.
        let distance = |actor: &usize| (actor + self.actors - wanted) % self.actors;
        ready.iter().copied().min_by_key(distance).unwrap_or(wanted)
    }
}
