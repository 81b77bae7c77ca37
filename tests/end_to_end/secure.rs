//! Kafka behind TLS and SASL: every way in works, and whoever is not let in hears why, without a secret.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::site::{Recipe, Site, until};
use crate::stack::{Stack, leave_out};

/// Where the stack listens beside its plain listener, and who is let in.
struct Doors {
    ssl: String,
    sasl: String,
    sasl_ssl: String,
    ca: PathBuf,
    user: PathBuf,
    password: PathBuf,
}

impl Doors {
    /// Those of the stack of the environment; none: what is left out is told.
    fn find(left_out: &str) -> Option<(Stack, Self)> {
        let stack = Stack::find(left_out)?;
        let read = |name: &str| std::env::var(format!("FOREBAY_STACK_KAFKA_{name}")).ok();
        let doors = || {
            Some(Self {
                ssl: read("SSL")?,
                sasl: read("SASL")?,
                sasl_ssl: read("SASL_SSL")?,
                ca: read("CA")?.into(),
                user: read("USER_FILE")?.into(),
                password: read("PASSWORD_FILE")?.into(),
            })
        };
        let found = doors();
        if found.is_none() {
            leave_out(&format!("{left_out}: start the stack with scripts/stack up --secure"));
        }
        Some((stack, found?))
    }

    /// Lines of `[kafka]` for TLS.
    fn tls(&self) -> String {
        format!("\"security.protocol\" = \"ssl\"\n\"ssl.ca.location\" = \"{}\"", self.ca.display())
    }

    /// Lines of `[kafka]` for SASL, with TLS where `protocol` says so.
    fn sasl(&self, protocol: &str, mechanism: &str) -> String {
        let (user, password, ca) = (self.user.display(), self.password.display(), self.ca.display());
        let ca = if protocol == "sasl_ssl" { format!("\"ssl.ca.location\" = \"{ca}\"\n") } else { String::new() };
        format!(
            "\"security.protocol\" = \"{protocol}\"\n{ca}\"sasl.mechanism\" = \"{mechanism}\"\n\
             \"sasl.username\" = \"file:{user}\"\n\"sasl.password\" = \"file:{password}\""
        )
    }

    /// A site that goes to Kafka by `server` with these lines of `[kafka]`.
    fn site(stack: &Stack, server: &str, lines: &str) -> Site {
        let site = Site::new(stack, &Recipe::default());
        let text = fs::read_to_string(site.config()).unwrap();
        let plain = format!("\"bootstrap.servers\" = \"{}\"", stack.kafka);
        let text = text.replace(&plain, &format!("\"bootstrap.servers\" = \"{server}\"\n{lines}"));
        fs::write(site.config(), text).unwrap();
        site
    }

    /// The same address by another name, for which the broker has no certificate.
    fn by_another_name(server: &str) -> String {
        server.replacen("127.0.0.1", "127.1", 1)
    }
}

/// The certificate of an authority that has signed nothing.
fn stranger(dir: &Path) -> PathBuf {
    let (key, certificate) = (dir.join("stranger.key"), dir.join("stranger.pem"));
    let order = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=stranger"];
    let mut openssl = Command::new("openssl");
    openssl.args(order).arg("-keyout").arg(key).arg("-out").arg(&certificate);
    assert!(openssl.output().unwrap().status.success(), "openssl made no certificate");
    certificate
}

#[test]
fn messages_come_in_by_tls_and_by_every_mechanism() {
    let Some((stack, doors)) = Doors::find("TLS and SASL to Kafka") else { return };
    let mut ways = vec![(&doors.ssl, doors.tls())];
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        ways.push((&doors.sasl_ssl, doors.sasl("sasl_ssl", mechanism)));
        ways.push((&doors.sasl, doors.sasl("sasl_plaintext", mechanism)));
    }
    for (server, lines) in ways {
        let mut site = Doors::site(&stack, server, &lines);
        let topic = site.topic.clone();
        site.create_topic(&topic, 1);
        assert_eq!(site.json(&["produce", "--library", "30", "--topic", &topic])["delivered"], 30, "{lines}");
        assert_eq!(site.json(&["check", "--connect"])["ok"], true, "{lines}");
        site.ok(&["run", "--until-caught-up"]);
        let audit = site.json(&["audit"]);
        assert_eq!((&audit["ok"], &audit["tables"][0]["messages"]), (&true.into(), &30.into()), "{lines}: {audit}");
    }
}

#[test]
fn who_is_not_let_in_hears_why_and_no_secret() {
    let Some((stack, doors)) = Doors::find("what is refused by TLS and SASL") else { return };
    let dir = tempfile::tempdir().unwrap();
    let wrong = dir.path().join("password");
    let secret = "hunter2-which-nobody-may-see";
    fs::write(&wrong, secret).unwrap();
    let password = |lines: &str| lines.replace(&doors.password.display().to_string(), &wrong.display().to_string());
    let authority = doors.tls().replace(&doors.ca.display().to_string(), &stranger(dir.path()).display().to_string());
    let refused = "check the credentials in [kafka]";
    let untrusted = "certificate verify failed";
    let host = "must be for the host that bootstrap.servers names";
    let cases = [
        ("wrong authority", doors.ssl.clone(), authority, untrusted, 75),
        ("wrong name of the host", Doors::by_another_name(&doors.ssl), doors.tls(), host, 75),
        ("wrong PLAIN password", doors.sasl_ssl.clone(), password(&doors.sasl("sasl_ssl", "PLAIN")), refused, 77),
        ("wrong password", doors.sasl.clone(), password(&doors.sasl("sasl_plaintext", "SCRAM-SHA-256")), refused, 77),
        (
            "wrong password by TLS",
            doors.sasl_ssl.clone(),
            password(&doors.sasl("sasl_ssl", "SCRAM-SHA-512")),
            refused,
            77,
        ),
    ];
    for (case, server, lines, reason, code) in cases {
        let site = Doors::site(&stack, &server, &lines);
        assert_eq!(site.run(&["check"]).code, Some(0), "{case}: nothing is wrong with the configuration by itself");
        let check = site.run(&["check", "--connect"]);
        assert!(
            check.code == Some(1) && check.out.contains(reason) && check.out.contains(&server),
            "{case}: {check:?}"
        );
        let topic = site.run(&["topic", "create", "x"]);
        assert!(topic.code == Some(code) && topic.err.contains(reason), "{case}: {topic:?}");
        let mut daemon = site.start();
        let event = if code == 77 { "kafka.denied" } else { "kafka.tls" };
        until("the daemon has told", || site.run(&["--json", "logs", "--event", event]).out.contains(reason));
        if code == 77 {
            assert_eq!(daemon.wait(), Some(77), "{case}");
        } else {
            // A broker may get a good certificate: the daemon goes on trying.
            daemon.stop();
        }
        let mut said = format!("{check:?}{topic:?}{}", fs::read_to_string(site.dir.join("daemon.log")).unwrap());
        for file in fs::read_dir(site.dir.join("logs")).unwrap() {
            said.push_str(&fs::read_to_string(file.unwrap().path()).unwrap());
        }
        assert!(!said.contains(secret), "{case}: the password is told");
    }
}
