//! HDFS behind Kerberos: tickets from a keytab, a KDC that goes away and comes again, and what is wrong with a keytab.

use std::fs;
use std::process::Command;

use crate::site::{Disk, Recipe, Site, until};
use crate::stack::{OwnStack, Stack, leave_out};

/// Lines of `[lake.hdfs]`: who we are, and the file that shows it.
fn identity(principal: &str, keytab: &str) -> String {
    format!("[lake.hdfs]\n\"hadoop.kerberos.principal\" = \"{principal}\"\n\"hadoop.kerberos.keytab\" = \"{keytab}\"\n")
}

/// A site on a lake of `stack`; the environment that its commands need is in the configuration and in `env`.
struct Secured {
    site: Site,
    env: Vec<(String, String)>,
}

impl Secured {
    fn new(stack: &OwnStack, principal: &str, keytab: &str) -> Self {
        let site = Site::new(&stack.at, &Recipe { disk: Disk::Hdfs, ..Recipe::default() });
        let text = fs::read_to_string(site.config()).unwrap();
        let text = text.replacen("[control]", &format!("{}\n[control]", identity(principal, keytab)), 1);
        fs::write(site.config(), text).unwrap();
        let read = |name: &str| (name.to_owned(), stack.value(name));
        // What lies in the cache of whoever runs the test is of no use here.
        let cache = ("KRB5CCNAME".to_owned(), format!("FILE:{}/tickets", site.dir.display()));
        Self { env: vec![read("HADOOP_CONF_DIR"), read("KRB5_CONFIG"), cache], site }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.site.command(arguments);
        command.envs(self.env.iter().cloned());
        command
    }

    fn check(&self) -> (Option<i32>, String) {
        let output = self.command(&["check", "--connect"]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }
}

/// A keytab with a key that nobody has.
fn forged(dir: &std::path::Path, principal: &str) -> String {
    let file = dir.join(format!("{}.keytab", principal.replace(['@', '/'], "-"))).display().to_string();
    let order = format!("addent -password -p {principal} -k 1 -e aes256-cts\nwrong\nwkt {file}\nq\n");
    let mut ktutil = Command::new("ktutil").stdin(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut ktutil.stdin.take().unwrap(), order.as_bytes()).unwrap();
    assert!(ktutil.wait().unwrap().success());
    file
}

#[test]
fn a_kdc_that_is_away_is_an_outage_and_a_wrong_keytab_is_not() {
    let left_out = "HDFS behind Kerberos";
    if Stack::find(left_out).is_none() {
        return;
    }
    if !["/usr/sbin/krb5kdc", "/usr/bin/ktutil"].iter().all(|program| fs::exists(program).unwrap()) {
        return leave_out(&format!("{left_out}: apt-get install krb5-kdc krb5-admin-server krb5-user"));
    }
    let stack = OwnStack::up_with(&["--kerberos"]);
    let (principal, keytab) =
        (stack.value("FOREBAY_STACK_KERBEROS_PRINCIPAL"), stack.value("FOREBAY_STACK_KERBEROS_KEYTAB"));
    let realm = principal.split_once('@').unwrap().1;
    let dir = tempfile::tempdir().unwrap();
    let nobody = format!("nobody@{realm}");
    let (forged_ours, forged_nobody) = (forged(dir.path(), &principal), forged(dir.path(), &nobody));
    let missing = dir.path().join("none").display().to_string();
    for (principal, keytab, told) in [
        (&principal, &forged_ours, "the keytab has no valid key of the principal"),
        (&nobody, &forged_nobody, "not found in Kerberos database"),
        (&principal, &missing, "is \"hadoop.kerberos.keytab\" a file that this user can read"),
    ] {
        let secured = Secured::new(&stack, principal, keytab);
        let (code, said) = secured.check();
        assert!(code == Some(1) && said.contains(told), "{told}: {said}");
        let audit = secured.command(&["audit"]).output().unwrap();
        assert_eq!(audit.status.code(), Some(77), "{told}: {audit:?}");
    }
    let mut secured = Secured::new(&stack, &principal, &keytab);
    assert_eq!(secured.check().0, Some(0));
    let topic = secured.site.topic.clone();
    secured.site.create_topic(&topic, 1);
    secured.site.ok(&["produce", "--library", "50", "--topic", &topic]);
    // Each process gets a ticket of its own, and now nobody gives any.
    stack.order(&["kill", "kdc"]);
    let audit = secured.command(&["audit"]).output().unwrap();
    assert_eq!(audit.status.code(), Some(75), "{audit:?}");
    let mut child = secured.command(&["run", "--quiet"]).spawn().unwrap();
    until("the outage is told", || {
        secured.site.lane(0).is_some_and(|lane| {
            assert_ne!(lane["state"], "halted", "{lane}");
            lane["last_fault"].as_str().is_some_and(|fault| fault.contains("is the kdc up"))
        })
    });
    stack.order(&["start", "kdc"]);
    secured.site.wait_committed(&[50]);
    secured.site.ok(&["drain"]);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
