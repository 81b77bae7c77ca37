"""What `--kerberos` adds: a KDC of this stack's own, and the settings with which HDFS and its clients use it.

HDFS needs no privileged ports: DataNodes authenticate themselves by SASL, which Hadoop allows with HTTPS alone.
"""

import os
import secrets
import shutil

from .common import EXIT_UNAVAILABLE, HOST, StackError, run_once, say
from .secure import ca_file, write_secret

REALM = "STACK.FOREBAY"
SERVICE = f"hdfs/localhost@{REALM}"
WEB = f"HTTP/localhost@{REALM}"
CLIENT = f"forebay@{REALM}"
PACKAGES = ["krb5-kdc", "krb5-admin-server", "krb5-user"]
# krb5kdc and kadmin.local lie where only root's shell looks.
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def program(name):
    return shutil.which(name, path=PATH)


def require():
    """The programs of MIT Kerberos; installs them as root on Debian."""
    if program("krb5kdc") and program("kadmin.local") and program("kinit"):
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise StackError(f"missing here: sudo apt-get install {' '.join(PACKAGES)}", EXIT_UNAVAILABLE)
    say(f"installing {' '.join(PACKAGES)}")
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    run_once(["apt-get", "update", "-q"], "read the list of packages", quiet)
    run_once(["apt-get", "install", "-q", "-y", "--no-install-recommends", *PACKAGES], "install Kerberos", quiet)


def keytab(stack, name):
    return stack.dir / "secrets" / f"{name}.keytab"


def config(stack):
    return stack.dir / "kdc/krb5.conf"


def environment(stack):
    """For every program that uses this realm; the last two matter to the KDC and to the tools alone."""
    return os.environ | {
        "KRB5_CONFIG": str(config(stack)),
        "KRB5_KDC_PROFILE": str(stack.dir / "kdc/kdc.conf"),
        "KRB5CCNAME": f"FILE:{stack.dir}/kdc/tools.cache",
    }


def tool_environment(stack):
    """A fresh ticket of the HDFS superuser, for Hadoop's own tools and for looking at a daemon's state."""
    env = environment(stack)
    run_once([program("kinit"), "-k", "-t", keytab(stack, "hdfs"), SERVICE], "get a ticket from the KDC", env)
    return env


def prepare(stack):
    """The KDC's configuration, its database, and the keytabs."""
    require()
    folder = stack.dir / "kdc"
    folder.mkdir(parents=True, exist_ok=True)
    # Names are not looked up: what `localhost` is called elsewhere is none of our business.
    config(stack).write_text(
        f"[libdefaults]\n default_realm = {REALM}\n dns_lookup_realm = false\n dns_lookup_kdc = false\n"
        " dns_canonicalize_hostname = false\n rdns = false\n udp_preference_limit = 1\n"
        f"[realms]\n {REALM} = {{\n  kdc = {HOST}:{stack.ports['kdc']}\n }}\n"
        f"[domain_realm]\n localhost = {REALM}\n[logging]\n kdc = STDERR\n"
    )
    (folder / "kdc.conf").write_text(
        f"[kdcdefaults]\n kdc_listen = {HOST}:{stack.ports['kdc']}\n kdc_tcp_listen = {HOST}:{stack.ports['kdc']}\n"
        f"[realms]\n {REALM} = {{\n  database_name = {folder}/principal\n  key_stash_file = {folder}/stash\n"
        f"  acl_file = {folder}/kadm5.acl\n  max_life = {stack.settings['ticket_lifetime']}\n  max_renewable_life = 0s\n"
        "  supported_enctypes = aes256-cts:normal\n }\n"
    )
    if keytab(stack, "forebay").exists():
        return
    env = environment(stack)
    for leftover in folder.glob("principal*"):
        leftover.unlink()
    password = secrets.token_hex(16)
    run_once([program("kdb5_util"), "create", "-s", "-r", REALM], "make the realm", env, f"{password}\n{password}\n")
    for name, principals in (("hdfs", (SERVICE, WEB)), ("forebay", (CLIENT,))):
        for principal in principals:
            run_once([program("kadmin.local"), "-q", f"addprinc -randkey {principal}"], f"add {principal}", env)
        new = keytab(stack, f".{name}")
        new.unlink(missing_ok=True)
        run_once([program("kadmin.local"), "-q", f"ktadd -k {new} {' '.join(principals)}"], f"write the keytab of {name}", env)
        os.replace(new, keytab(stack, name))


def command():
    return [program("krb5kdc"), "-n"]


def core_settings():
    return {"hadoop.security.authentication": "kerberos"}


def client_settings():
    """What clients and daemons have to know."""
    return {
        "dfs.namenode.kerberos.principal": SERVICE,
        "dfs.datanode.kerberos.principal": SERVICE,
        "dfs.data.transfer.protection": "privacy",
        "dfs.http.policy": "HTTPS_ONLY",
    }


def daemon_settings(stack):
    return {
        "dfs.block.access.token.enable": "true",
        "dfs.namenode.keytab.file": keytab(stack, "hdfs"),
        "dfs.datanode.keytab.file": keytab(stack, "hdfs"),
        "dfs.web.authentication.kerberos.principal": WEB,
        "dfs.web.authentication.kerberos.keytab": keytab(stack, "hdfs"),
    }


def tls_settings(stack):
    """ssl-server.xml: the host's certificate as Java takes it."""
    folder = stack.dir / "secrets"
    password = folder / "server.p12.password"
    if not (folder / "server.p12").exists():
        write_secret(password, secrets.token_hex(16))
        order = ["openssl", "pkcs12", "-export", "-in", folder / "server.pem", "-out", folder / "server.p12"]
        run_once([*order, "-passout", f"file:{password}"], "write the keystore of HDFS")
    return {
        "ssl.server.keystore.type": "PKCS12",
        "ssl.server.keystore.location": folder / "server.p12",
        "ssl.server.keystore.password": password.read_text(),
        "ssl.server.keystore.keypassword": password.read_text(),
    }


def env(stack):
    return {
        "KRB5_CONFIG": str(config(stack)),
        "FOREBAY_STACK_CA": str(ca_file(stack)),
        "FOREBAY_STACK_KERBEROS_PRINCIPAL": CLIENT,
        "FOREBAY_STACK_KERBEROS_KEYTAB": str(keytab(stack, "forebay")),
    }
