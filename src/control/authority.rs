//! Who may change the daemon's state: by the credentials that the kernel vouches for. Pure but for one small read.

use std::fs;
use std::path::Path;

use serde::Serialize;

/// The process at the other end of a connection, as the kernel saw it when it connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Peer {
    /// Its user.
    pub uid: u32,
    /// Its primary group.
    pub gid: u32,
    /// Its process.
    pub pid: Option<i32>,
}

/// Who may change state: root, the daemon's own user, and those that are named here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authority {
    /// The daemon's own user.
    pub own_uid: u32,
    /// Users.
    pub uids: Vec<u32>,
    /// Primary groups.
    pub gids: Vec<u32>,
}

impl Authority {
    /// Whether `peer` may change state.
    pub fn may_change(&self, peer: Peer) -> bool {
        peer.uid == 0 || peer.uid == self.own_uid || self.uids.contains(&peer.uid) || self.gids.contains(&peer.gid)
    }

    /// This authority and the members of a group, read from `/etc/group` and `/etc/passwd`: the kernel vouches for a
    /// peer's primary group only, so the members are looked up by user. Nobody is added when there is no such group.
    #[must_use]
    pub fn with_group(self, name: &str) -> Self {
        self.with_group_from(name, Path::new("/etc"))
    }

    fn with_group_from(mut self, name: &str, etc: &Path) -> Self {
        // A system without these files has no members: nobody gets in by accident.
        let groups = fs::read_to_string(etc.join("group")).unwrap_or_default();
        let users = fs::read_to_string(etc.join("passwd")).unwrap_or_default();
        if let Some((gid, uids)) = group_members(name, &groups, &users) {
            self.gids.push(gid);
            self.uids.extend(uids);
        }
        self
    }
}

/// Number of the group `name` and its members' users, from the texts of `/etc/group` and `/etc/passwd`.
fn group_members(name: &str, groups: &str, users: &str) -> Option<(u32, Vec<u32>)> {
    let mut lines = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let group = lines.find(|fields| fields.first() == Some(&name))?;
    let gid = group.get(2)?.parse().ok()?;
    let members: Vec<&str> = group.get(3).map(|list| list.split(',').collect()).unwrap_or_default();
    let uid_of = |line: &str| {
        let mut fields = line.split(':');
        let user = fields.next()?;
        members.contains(&user).then(|| fields.nth(1)?.parse().ok())?
    };
    Some((gid, users.lines().filter_map(uid_of).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(uid: u32, gid: u32) -> Peer {
        Peer { uid, gid, pid: Some(1) }
    }

    #[test]
    fn root_the_daemon_itself_and_those_named_may_change_and_nobody_else() {
        let authority = Authority { own_uid: 990, uids: vec![1001], gids: vec![500] };
        for allowed in [peer(0, 0), peer(990, 990), peer(1001, 100), peer(1002, 500)] {
            assert!(authority.may_change(allowed), "{allowed:?}");
        }
        for refused in [peer(1002, 100), peer(1, 0), peer(65534, 65534)] {
            assert!(!authority.may_change(refused), "{refused:?}");
        }
    }

    #[test]
    fn members_of_the_group_are_found_by_user() {
        let etc = tempfile::tempdir().unwrap();
        let groups = "root:x:0:\nforebay:x:990:\nforebay-admin:x:500:ann,bob\nforebay-adminx:x:7:eve\nbroken\n";
        let users =
            "root:x:0:0::/root:/bin/sh\nann:x:1001:100::/:/bin/sh\nbob:x:1002:100\nann2:x:1003:1::/:\neve:x:9:9";
        fs::write(etc.path().join("group"), groups).unwrap();
        fs::write(etc.path().join("passwd"), users).unwrap();
        let authority = Authority::default().with_group_from("forebay-admin", etc.path());
        assert_eq!((authority.gids, authority.uids), (vec![500], vec![1001, 1002]));
        let empty = Authority::default().with_group_from("forebay", etc.path());
        assert_eq!((empty.gids, empty.uids), (vec![990], vec![]));
        let none = Authority::default().with_group_from("nobody-has-this", etc.path());
        assert_eq!(none, Authority::default());
        let nowhere = Authority::default().with_group_from("forebay", &etc.path().join("absent"));
        assert_eq!(nowhere, Authority::default());
    }
}
