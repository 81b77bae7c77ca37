//! What Kerberos says when there is no ticket: by the numbers of its errors, which stay the same in every language.
//!
//! A ticket is got before the first byte of a request leaves, so nothing that is told here has an unknown outcome.
//! Where nobody could be asked for one that is an outage like any other; all else is for a person.

use crate::storage::Kind;

/// The first number of the errors that MIT's library has (its table `krb5`), as GSSAPI hands them on.
const FIRST: u32 = (-1_765_328_384_i32).cast_unsigned();

const CLIENT_EXPIRED: u32 = 1;
const CLIENT_UNKNOWN: u32 = 6;
const SERVER_UNKNOWN: u32 = 7;
const CLIENT_REVOKED: u32 = 18;
const KEY_EXPIRED: u32 = 23;
const PREAUTHENTICATION_FAILED: u32 = 24;
const SERVICE_UNAVAILABLE: u32 = 29;
const BAD_INTEGRITY: u32 = 31;
const TICKET_EXPIRED: u32 = 32;
const CLOCK_SKEW: u32 = 37;
const REALM_UNKNOWN: u32 = 154;
const KDC_UNREACHABLE: u32 = 156;
const KEY_NOT_FOUND: u32 = 181;
const NO_CACHE: u32 = 195;
const KDC_NOT_RESOLVED: u32 = 220;

/// What an error of Kerberos means; `minor` is its number.
pub(super) fn kind(minor: u32) -> Kind {
    match minor.wrapping_sub(FIRST) {
        KDC_UNREACHABLE | KDC_NOT_RESOLVED | SERVICE_UNAVAILABLE => Kind::Unavailable,
        _ => Kind::Denied,
    }
}

/// One line: what the library said of it, and the next step.
pub(super) fn say(minor: u32, words: &str) -> String {
    // What GSSAPI says comes first, and says only that it did not work.
    let words = words.split_once(": ").map_or(words, |(_, words)| words);
    let words = words.lines().next().unwrap_or_default().trim();
    let next = match minor.wrapping_sub(FIRST) {
        KDC_UNREACHABLE | KDC_NOT_RESOLVED | SERVICE_UNAVAILABLE => "is the kdc up, and does krb5.conf name it?",
        CLIENT_UNKNOWN | CLIENT_EXPIRED | CLIENT_REVOKED => "is \"hadoop.kerberos.principal\" right?",
        SERVER_UNKNOWN => "is dfs.namenode.kerberos.principal of the hadoop configuration right?",
        PREAUTHENTICATION_FAILED | BAD_INTEGRITY | KEY_EXPIRED | KEY_NOT_FOUND => {
            "the keytab has no valid key of the principal: write it anew with ktadd"
        }
        TICKET_EXPIRED => "get a new one with kinit, or set \"hadoop.kerberos.keytab\"",
        CLOCK_SKEW => "set the clocks of this machine and the kdc",
        REALM_UNKNOWN => "does krb5.conf know the realm?",
        NO_CACHE => {
            "is \"hadoop.kerberos.keytab\" a file that this user can read, with a key of \"hadoop.kerberos.principal\"? \
             or run kinit"
        }
        _ => "check the principal, the keytab and krb5.conf",
    };
    format!("no kerberos ticket: {words}; {next}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers and words as MIT's library 1.20 gave them.
    const SEEN: [(u32, &str, Kind, &str); 4] = [
        (2_529_639_068, "Cannot contact any KDC for realm 'STACK.FOREBAY'", Kind::Unavailable, "is the kdc up"),
        (2_529_638_918, "Client 'x@STACK.FOREBAY' not found in Kerberos database", Kind::Denied, "principal\" right"),
        (2_529_638_943, "Decrypt integrity check failed", Kind::Denied, "no valid key of the principal"),
        (2_529_639_107, "No credentials cache found", Kind::Denied, "a file that this user can read"),
    ];

    #[test]
    fn what_is_wrong_is_told_and_only_a_kdc_that_is_away_is_an_outage() {
        for (minor, words, meaning, next) in SEEN {
            let all = format!("No credentials were supplied, or the credentials were unavailable: {words}");
            let said = say(minor, &all);
            assert_eq!(kind(minor), meaning, "{words}");
            assert!(said.starts_with(&format!("no kerberos ticket: {words}; ")) && said.contains(next), "{said}");
        }
        assert_eq!(kind(0), Kind::Denied);
        assert_eq!(kind(FIRST + TICKET_EXPIRED), Kind::Denied);
        assert_eq!(say(0, "x"), "no kerberos ticket: x; check the principal, the keytab and krb5.conf");
    }
}
