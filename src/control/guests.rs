//! Who is connected, and who makes room when too many are: so that nobody shuts others out by holding connections.
//!
//! A connection costs a descriptor and some memory, whether anything is said over it or not. At the limit the oldest
//! one that waits for no command is shut down for the new one: one that says nothing, sends its request byte by byte,
//! or does not read its answer. The others do not notice.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::net::{Shutdown, shutdown};

/// Everybody who is connected.
#[derive(Debug, Clone)]
pub(super) struct Guests {
    most: usize,
    house: Arc<Mutex<House>>,
}

#[derive(Debug, Default)]
struct House {
    /// How many have ever come.
    count: u64,
    /// In the order in which they came.
    present: Vec<Present>,
}

#[derive(Debug)]
struct Present {
    connection: OwnedFd,
    number: u64,
    is_served: bool,
}

/// One connection, as long as this lives.
#[derive(Debug)]
pub(super) struct Guest {
    guests: Guests,
    number: u64,
}

/// A command is being carried out for a guest, as long as this lives: it is not shut down.
#[derive(Debug)]
pub(super) struct Served {
    guests: Guests,
    number: u64,
}

impl Guests {
    /// Room for so many.
    pub(super) fn new(most: usize) -> Self {
        Self { most, house: Arc::default() }
    }

    /// Lets one more in, and another out when there are too many; none when the system has no descriptor left.
    pub(super) fn welcome(&self, connection: impl AsFd) -> Option<Guest> {
        let connection = connection.as_fd().try_clone_to_owned().ok()?;
        let mut house = self.house();
        if house.present.len() >= self.most
            && let Some(at) = house.present.iter().position(|other| !other.is_served)
        {
            // One that has hung up meanwhile is as well gone.
            let _ = shutdown(&house.present.remove(at).connection, Shutdown::Both);
        }
        house.count += 1;
        let number = house.count;
        house.present.push(Present { connection, number, is_served: false });
        Some(Guest { guests: self.clone(), number })
    }

    fn house(&self) -> MutexGuard<'_, House> {
        self.house.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_served(&self, number: u64, is_served: bool) {
        if let Some(found) = self.house().present.iter_mut().find(|other| other.number == number) {
            found.is_served = is_served;
        }
    }
}

impl Guest {
    /// A command of this guest begins.
    pub(super) fn serve(&self) -> Served {
        self.guests.set_served(self.number, true);
        Served { guests: self.guests.clone(), number: self.number }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.guests.house().present.retain(|other| other.number != self.number);
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.guests.set_served(self.number, false);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn is_open(stream: &mut UnixStream) -> bool {
        stream.set_nonblocking(true).unwrap();
        stream.read(&mut [0; 1]).is_err()
    }

    #[test]
    fn the_oldest_that_waits_for_nothing_makes_room() {
        let guests = Guests::new(3);
        let (mut near, mut far): (Vec<_>, Vec<_>) = (0..5).map(|_| UnixStream::pair().unwrap()).unzip();
        let mut inside: Vec<Guest> = near[..3].iter().map(|stream| guests.welcome(stream).unwrap()).collect();
        let served = inside[0].serve();
        inside.push(guests.welcome(&near[3]).unwrap());
        let open = |far: &mut Vec<UnixStream>| far.iter_mut().map(is_open).collect::<Vec<_>>();
        assert_eq!(open(&mut far), [true, false, true, true, true]);
        drop(served);
        inside.push(guests.welcome(&near[4]).unwrap());
        assert_eq!(open(&mut far), [false, false, true, true, true]);
        // Who leaves by itself makes room too, and its descriptor is free.
        inside.clear();
        near.clear();
        assert_eq!(open(&mut far), [false; 5]);
        assert!(guests.house().present.is_empty());
    }

    #[test]
    fn where_all_are_served_one_more_comes_in() {
        let guests = Guests::new(1);
        let (first, mut other) = UnixStream::pair().unwrap();
        let inside = guests.welcome(&first).unwrap();
        let _served = inside.serve();
        let _second = guests.welcome(&first).unwrap();
        assert!(is_open(&mut other));
    }
}
