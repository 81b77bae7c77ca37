//! `scripts/install` into a folder of its own, and the unit as systemd's own tools judge it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot prepare its folder has nothing better to do than to stop"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A folder that holds what is installed (`in/`) and what comes of it (`out/`, the `DESTDIR`).
struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("in/config/tables")).unwrap();
        fs::copy("/bin/true", folder.path().join("in/forebay")).unwrap();
        fs::write(folder.path().join("in/config/forebay.toml"), "# first\n").unwrap();
        fs::write(folder.path().join("in/config/tables/books.toml"), "version = 1\n").unwrap();
        Self { folder }
    }

    fn input(&self, path: &str) -> PathBuf {
        self.folder.path().join("in").join(path)
    }

    /// The installed file that would be at `path` (absolute) on a real machine.
    fn installed(&self, path: &str) -> PathBuf {
        self.folder.path().join("out").join(path.trim_start_matches('/'))
    }

    fn run(&self, arguments: &[&str], prefix: &str) -> Output {
        Command::new(checkout("scripts/install"))
            .args(arguments)
            .env("DESTDIR", self.folder.path().join("out"))
            .env("PREFIX", prefix)
            .output()
            .unwrap()
    }

    fn install(&self, prefix: &str) -> String {
        let binary = self.input("forebay");
        let config = self.input("config");
        let arguments = ["--binary", binary.to_str().unwrap(), "--config-from", config.to_str().unwrap()];
        succeeded(&self.run(&arguments, prefix))
    }

    /// Every file below `out/` as an absolute path of the installed machine.
    fn files(&self) -> Vec<String> {
        let root = self.folder.path().join("out");
        let mut folders = vec![root.clone()];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push(format!("/{}", path.strip_prefix(&root).unwrap().display()));
                }
            }
        }
        found.sort();
        found
    }
}

fn succeeded(output: &Output) -> String {
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {said}", output.status);
    said
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn installs_program_configuration_unit_and_users() {
    let sandbox = Sandbox::new();
    sandbox.install("/usr/local");

    assert_eq!(mode(&sandbox.installed("/usr/local/bin/forebay")), 0o755);
    assert_eq!(fs::read(sandbox.installed("/usr/local/bin/forebay")).unwrap(), fs::read("/bin/true").unwrap());
    assert_eq!(mode(&sandbox.installed("/etc/forebay")), 0o750);
    assert_eq!(mode(&sandbox.installed("/etc/forebay/forebay.toml")), 0o640);
    assert_eq!(mode(&sandbox.installed("/etc/forebay/tables/books.toml")), 0o640);
    assert_eq!(mode(&sandbox.installed("/etc/systemd/system/forebay.service")), 0o644);
    let users = fs::read_to_string(sandbox.installed("/etc/sysusers.d/forebay.conf")).unwrap();
    assert!(users.lines().any(|line| line.starts_with("u forebay ")), "{users}");
    assert!(users.lines().any(|line| line.starts_with("g forebay-admin ")), "{users}");
}

#[test]
fn a_package_prefix_moves_program_and_unit_together() {
    let sandbox = Sandbox::new();
    sandbox.install("/usr");

    let unit = fs::read_to_string(sandbox.installed("/usr/lib/systemd/system/forebay.service")).unwrap();
    assert!(unit.contains("\nExecStart=/usr/bin/forebay run --config /etc/forebay/forebay.toml\n"), "{unit}");
    assert!(!unit.contains("/usr/local"), "{unit}");
    assert!(sandbox.installed("/usr/bin/forebay").exists());
}

#[test]
fn a_second_install_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.install("/usr/local");
    let first = sandbox.files();
    sandbox.install("/usr/local");
    assert_eq!(sandbox.files(), first);
}

#[test]
fn an_edited_configuration_is_kept_and_the_new_one_lies_beside_it() {
    let sandbox = Sandbox::new();
    sandbox.install("/usr/local");
    let toml = sandbox.installed("/etc/forebay/forebay.toml");
    fs::write(&toml, "# edited\n").unwrap();
    fs::write(sandbox.input("config/forebay.toml"), "# second\n").unwrap();

    let said = sandbox.install("/usr/local");
    assert!(said.contains("/etc/forebay/forebay.toml.new"), "{said}");
    assert_eq!(fs::read_to_string(&toml).unwrap(), "# edited\n");
    assert_eq!(fs::read_to_string(toml.with_extension("toml.new")).unwrap(), "# second\n");

    // Whoever takes the new one over is not reminded of it any more.
    fs::write(&toml, "# second\n").unwrap();
    sandbox.install("/usr/local");
    assert!(!toml.with_extension("toml.new").exists());
}

#[test]
fn the_shipped_configuration_fits_a_service() {
    let sandbox = Sandbox::new();
    let binary = sandbox.input("forebay");
    succeeded(&sandbox.run(&["--binary", binary.to_str().unwrap()], "/usr/local"));
    let toml = fs::read_to_string(sandbox.installed("/etc/forebay/forebay.toml")).unwrap();
    assert!(toml.contains("\ndir = \"/var/log/forebay\""), "{toml}");
    assert!(toml.contains("\nadmin_group = \"forebay-admin\""), "{toml}");
    assert!(sandbox.installed("/etc/forebay/tables/books.toml").exists());
}

#[test]
fn uninstall_keeps_configuration_and_data_until_purged() {
    let sandbox = Sandbox::new();
    sandbox.install("/usr/local");
    fs::create_dir_all(sandbox.installed("/var/lib/forebay/lake")).unwrap();
    fs::write(sandbox.installed("/var/lib/forebay/lake/file"), "").unwrap();
    fs::write(sandbox.installed("/usr/local/bin/other"), "").unwrap();

    succeeded(&sandbox.run(&["--uninstall"], "/usr/local"));
    assert_eq!(
        sandbox.files(),
        [
            "/etc/forebay/forebay.toml",
            "/etc/forebay/tables/books.toml",
            "/usr/local/bin/other",
            "/var/lib/forebay/lake/file"
        ]
    );

    succeeded(&sandbox.run(&["--uninstall", "--purge"], "/usr/local"));
    assert_eq!(sandbox.files(), ["/usr/local/bin/other"]);
    succeeded(&sandbox.run(&["--uninstall", "--purge"], "/usr/local"));
}

#[test]
fn nothing_is_half_installed_when_something_is_missing() {
    let sandbox = Sandbox::new();
    let config = sandbox.input("config");
    let binary = sandbox.input("forebay");
    let missing = sandbox.input("absent");
    for (binary, config) in [(&missing, &config), (&binary, &missing)] {
        let arguments = ["--binary", binary.to_str().unwrap(), "--config-from", config.to_str().unwrap()];
        let output = sandbox.run(&arguments, "/usr/local");
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("absent"));
        assert_eq!(sandbox.files(), Vec::<String>::new());
    }
}

#[test]
fn wrong_usage_is_told_apart() {
    let sandbox = Sandbox::new();
    for arguments in [&["--purge"][..], &["--nonsense"], &["--binary"]] {
        assert_eq!(sandbox.run(arguments, "/usr/local").status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(sandbox.run(&["--help"], "/usr/local").status.code(), Some(0));
}

/// `systemd-analyze` with these arguments; nothing where it is absent, which only a developer's machine may be.
fn systemd_analyze(arguments: &[&str]) -> Option<Output> {
    match Command::new("systemd-analyze").args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) if std::env::var("CI").is_ok_and(|ci| ci == "true") => {
            panic!("systemd-analyze is needed here and did not start ({error}): install systemd");
        }
        Err(error) => {
            eprintln!("LEFT OUT: systemd-analyze {arguments:?} ({error}): install systemd to have the unit checked");
            None
        }
    }
}

#[test]
fn the_unit_is_hardened() {
    let unit = checkout("systemd/forebay.service");
    let arguments = ["security", "--no-pager", "--offline=true", "--threshold=15", unit.to_str().unwrap()];
    if let Some(output) = systemd_analyze(&arguments) {
        succeeded(&output);
    }
}

#[test]
fn systemd_finds_nothing_to_say_of_the_installed_unit() {
    let sandbox = Sandbox::new();
    sandbox.install("/opt/forebay");
    // systemd looks for the program where the unit says, which is a place below DESTDIR only here.
    let unit = fs::read_to_string(sandbox.installed("/etc/systemd/system/forebay.service")).unwrap();
    let program = sandbox.installed("/opt/forebay/bin/forebay");
    let copy = sandbox.input("forebay.service");
    fs::write(&copy, unit.replace("/opt/forebay/bin/forebay", program.to_str().unwrap())).unwrap();

    if let Some(output) = systemd_analyze(&["verify", copy.to_str().unwrap()]) {
        assert_eq!(succeeded(&output), "");
    }
}
