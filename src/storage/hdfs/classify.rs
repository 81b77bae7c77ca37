//! What an error of the HDFS client means, judged by Java class in this one place.
//!
//! Three things can be behind an error. The NameNode (or a refused connection) may have said clearly what is wrong:
//! then that is its kind. The answer may be lost: the request may have been executed, so a look is unavailable and a
//! mutation has an unknown outcome. Or the NameNode threw something that this list does not know: it may have thrown
//! after it had done its work, so a mutation has an unknown outcome then too.
//!
//! `LeaseExpiredException` is [`Kind::NotFound`]: the file we were writing was moved away with its directory, was
//! deleted, or was taken over by somebody who recovered its lease. All three mean that our path is not ours any more.

use std::io::ErrorKind;

use hdfs_native::HdfsError;

use super::kerberos;
use crate::storage::Kind;

/// A kind and a line for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) kind: Kind,
    pub(super) message: String,
    /// Whether the NameNode was not the right one to ask, or not to be reached: another one may do.
    pub(super) is_of_namenode: bool,
}

impl Answer {
    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), is_of_namenode: false }
    }

    fn judged(kind: Kind, error: &HdfsError) -> Self {
        Self { is_of_namenode: is_of_namenode(error), ..Self::new(kind, say(error)) }
    }

    /// What went wrong with a call that changes nothing.
    pub(super) fn of_look(error: &HdfsError) -> Self {
        let kind = match judge(error) {
            Meaning::Clear(kind) => kind,
            Meaning::Lost => Kind::Unavailable,
            Meaning::Strange => Kind::Other,
        };
        Self::judged(kind, error)
    }

    /// What went wrong with a call that may have changed something.
    pub(super) fn of_mutation(error: &HdfsError) -> Self {
        let kind = match judge(error) {
            Meaning::Clear(kind) => kind,
            Meaning::Lost | Meaning::Strange => Kind::Unknown,
        };
        Self::judged(kind, error)
    }

    /// What went wrong while the bytes of a file of ours were on their way, from its first block to its close.
    /// Whatever it was, the file is not whole; nearly always a DataNode is away, so that another try may help.
    pub(super) fn of_write(error: &HdfsError) -> Self {
        let kind = match judge(error) {
            Meaning::Clear(kind @ (Kind::NotFound | Kind::NoSpace | Kind::Denied)) => kind,
            _ => Kind::Unavailable,
        };
        // A connection that broke was to a DataNode.
        let is_answered = matches!(error, HdfsError::RPCError(..) | HdfsError::FatalRPCError(..));
        Self { is_of_namenode: is_answered && is_of_namenode(error), ..Self::new(kind, say(error)) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Clear(Kind),
    Lost,
    Strange,
}

fn judge(error: &HdfsError) -> Meaning {
    use Meaning::{Clear, Lost};
    match error {
        HdfsError::RPCError(class, message) => by_class(class, message),
        HdfsError::FatalRPCError(class, message) => match by_class(class, message) {
            Meaning::Strange => Lost,
            meaning => meaning,
        },
        HdfsError::AlreadyExists(_) => Clear(Kind::AlreadyExists),
        HdfsError::FileNotFound(_) => Clear(Kind::NotFound),
        HdfsError::IsADirectoryError(_) | HdfsError::ChecksumError => Clear(Kind::Corrupt),
        HdfsError::GSSAPIError(_, minor, _) => Clear(kerberos::kind(*minor)),
        HdfsError::SASLError(_) | HdfsError::NoSASLMechanism => Clear(Kind::Denied),
        HdfsError::BlocksNotFound(_) => Clear(Kind::Unavailable),
        HdfsError::IOError(error) if is_before_request(error) => Clear(Kind::Unavailable),
        HdfsError::IOError(_)
        | HdfsError::DataTransferError(_)
        | HdfsError::OperationFailed(_)
        | HdfsError::InternalError(_)
        | HdfsError::InvalidRPCResponse(_) => Lost,
        HdfsError::InvalidPath(_)
        | HdfsError::InvalidArgument(_)
        | HdfsError::UrlParseError(_)
        | HdfsError::TrashNotEnabled
        | HdfsError::UnsupportedErasureCodingPolicy(_)
        | HdfsError::ErasureCodingError(_)
        | HdfsError::UnsupportedFeature(_)
        | HdfsError::XmlParseError(_) => Clear(Kind::Other),
    }
}

fn is_of_namenode(error: &HdfsError) -> bool {
    match error {
        HdfsError::RPCError(class, _) | HdfsError::FatalRPCError(class, _)
            if matches!(
                simple_name(class),
                "StandbyException" | "ObserverRetryOnActiveException" | "RetriableException"
            ) =>
        {
            true
        }
        HdfsError::IOError(_) => true,
        other => !matches!(judge(other), Meaning::Clear(_)),
    }
}

/// Whether no request can have left: nobody listens, or the host has no address.
fn is_before_request(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused
            | ErrorKind::AddrNotAvailable
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NotConnected
    ) || error.to_string().contains("failed to lookup address")
}

fn by_class(class: &str, message: &str) -> Meaning {
    let kind = match simple_name(class) {
        // What a read of a directory is answered with.
        "FileNotFoundException" if message.contains("Path is not a file") => Kind::Corrupt,
        "FileNotFoundException" | "ParentNotDirectoryException" | "PathNotFoundException" | "LeaseExpiredException" => {
            Kind::NotFound
        }
        "FileAlreadyExistsException" | "AlreadyBeingCreatedException" | "RecoveryInProgressException" => {
            Kind::AlreadyExists
        }
        // A walk through a path that has a file in its middle is refused as if it were a matter of permission.
        "AccessControlException" if message.contains("is not a directory") => Kind::NotFound,
        "AccessControlException"
        | "AuthorizationException"
        | "SaslException"
        | "GSSException"
        | "InvalidToken"
        | "AuthenticationException" => Kind::Denied,
        "QuotaExceededException"
        | "NSQuotaExceededException"
        | "DSQuotaExceededException"
        | "QuotaByStorageTypeExceededException"
        | "ClusterStorageCapacityExceededException"
        | "MaxDirectoryItemsExceededException"
        | "DiskOutOfSpaceException" => Kind::NoSpace,
        "SafeModeException"
        | "StandbyException"
        | "ObserverRetryOnActiveException"
        | "RetriableException"
        | "NotReplicatedYetException"
        | "ServerTooBusyException"
        | "NoNamenodesAvailableException"
        | "ConnectException"
        | "NoRouteToHostException" => Kind::Unavailable,
        "InvalidPathException"
        | "IllegalArgumentException"
        | "HadoopIllegalArgumentException"
        | "PathComponentTooLongException"
        | "PathIsNotEmptyDirectoryException"
        | "UnsupportedOperationException" => Kind::Other,
        // A directory onto a file, or a file onto a directory.
        "IOException" if message.contains("must both be") => Kind::AlreadyExists,
        "IOException" if message.contains("under source") => Kind::Other,
        "IOException" if message.contains("There are 0 datanode(s) running") => Kind::Unavailable,
        "IOException" if message.contains("could only be written to") => Kind::NoSpace,
        _ => return Meaning::Strange,
    };
    Meaning::Clear(kind)
}

/// `SafeModeException` of `org.apache.hadoop.hdfs.server.namenode.SafeModeException`.
fn simple_name(class: &str) -> &str {
    class.rsplit(['.', '$']).next().unwrap_or(class)
}

/// One line: what the NameNode said and its class, without the stack trace that follows.
fn say(error: &HdfsError) -> String {
    let first_line = |text: &str| text.lines().next().unwrap_or_default().trim().to_owned();
    match error {
        HdfsError::RPCError(class, message) | HdfsError::FatalRPCError(class, message) => {
            format!("{} ({})", first_line(message), simple_name(class))
        }
        HdfsError::AlreadyExists(message) => first_line(message),
        HdfsError::FileNotFound(_) => "it is not there".to_owned(),
        HdfsError::IOError(error) if is_before_request(error) => {
            format!("{}: is hdfs up, and its address right?", crate::storage::say(error))
        }
        HdfsError::IOError(error) => crate::storage::say(error),
        HdfsError::GSSAPIError(_, minor, words) => kerberos::say(*minor, words),
        other => first_line(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rpc(class: &str, message: &str) -> HdfsError {
        HdfsError::RPCError(class.to_owned(), message.to_owned())
    }

    #[test]
    fn a_clear_answer_has_its_kind_for_looks_and_mutations() {
        let clear = [
            ("org.apache.hadoop.hdfs.server.namenode.SafeModeException", "Cannot create /x", Kind::Unavailable),
            ("org.apache.hadoop.ipc.StandbyException", "not active", Kind::Unavailable),
            ("org.apache.hadoop.ipc.RetriableException", "starting", Kind::Unavailable),
            ("java.io.FileNotFoundException", "rename source /a is not found.", Kind::NotFound),
            ("java.io.FileNotFoundException", "Path is not a file: /a", Kind::Corrupt),
            ("org.apache.hadoop.fs.ParentNotDirectoryException", "/a (is not a directory)", Kind::NotFound),
            ("org.apache.hadoop.hdfs.server.namenode.LeaseExpiredException", "No lease on /a", Kind::NotFound),
            ("org.apache.hadoop.security.AccessControlException", "Permission denied: user=x", Kind::Denied),
            ("org.apache.hadoop.security.token.SecretManager$InvalidToken", "expired", Kind::Denied),
            ("org.apache.hadoop.hdfs.protocol.DSQuotaExceededException", "over", Kind::NoSpace),
            (
                "java.io.IOException",
                "File /a could only be written to 0 of the 1 minReplication nodes. There are 2 datanode(s) running",
                Kind::NoSpace,
            ),
            (
                "java.io.IOException",
                "File /a could only be written to 0 of the 1 minReplication nodes. There are 0 datanode(s) running",
                Kind::Unavailable,
            ),
        ];
        for (class, message, kind) in clear {
            let error = rpc(class, message);
            assert_eq!((Answer::of_look(&error).kind, Answer::of_mutation(&error).kind), (kind, kind), "{class}");
        }
        let exists = HdfsError::AlreadyExists("/a for client 1.2.3.4 already exists".into());
        assert_eq!(Answer::of_mutation(&exists).kind, Kind::AlreadyExists);
    }

    #[test]
    fn a_lost_answer_leaves_a_mutation_unknown() {
        for kind in [ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset, ErrorKind::TimedOut] {
            let error = HdfsError::IOError(kind.into());
            assert_eq!(Answer::of_look(&error).kind, Kind::Unavailable);
            assert_eq!(Answer::of_mutation(&error).kind, Kind::Unknown);
        }
        let fatal = HdfsError::FatalRPCError("org.apache.hadoop.ipc.FatalRpcServerException".into(), "gone".into());
        assert_eq!(Answer::of_mutation(&fatal).kind, Kind::Unknown);
    }

    #[test]
    fn an_exception_nobody_knows_leaves_a_mutation_unknown() {
        let error = rpc("java.lang.NullPointerException", "");
        assert_eq!(Answer::of_look(&error).kind, Kind::Other);
        assert_eq!(Answer::of_mutation(&error).kind, Kind::Unknown);
    }

    #[test]
    fn a_refused_connection_did_nothing() {
        let error = HdfsError::IOError(ErrorKind::ConnectionRefused.into());
        assert_eq!(Answer::of_mutation(&error).kind, Kind::Unavailable);
    }

    #[test]
    fn a_stack_trace_becomes_one_line() {
        let error = rpc("java.io.IOException", "no such thing\n\tat org.apache.hadoop.Foo.bar(Foo.java:1)\n\tat …");
        assert_eq!(Answer::of_look(&error).message, "no such thing (IOException)");
    }
}
