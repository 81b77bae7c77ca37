"""What is made once, in the stack's folder: a CA and a certificate for this host, and for Kafka a user with a password.

Whatever is secret lies in files that only the owner reads, and goes to no command line and no log.
"""

import os
import secrets
import shutil

from .common import EXIT_UNAVAILABLE, HOST, StackError, run_once

# Kafka's listeners beside the plain one, by the name of their port.
LISTENERS = {"kafka.ssl": "SSL", "kafka.sasl": "SASL_PLAINTEXT", "kafka.sasl-ssl": "SASL_SSL"}
SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")
DAYS = 3650


def ca_file(stack):
    return stack.dir / "secrets/ca.pem"


def user_file(stack):
    return stack.dir / "secrets/kafka.user"


def password_file(stack):
    return stack.dir / "secrets/kafka.password"


def ensure_certificates(stack):
    folder = stack.dir / "secrets"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (folder / "server.pem").exists():
        make_certificates(folder)


def ensure_user(stack):
    for file, words in ((user_file(stack), ("user-", 4)), (password_file(stack), ("", 24))):
        if not file.exists():
            write_secret(file, words[0] + secrets.token_hex(words[1]))


def make_certificates(folder):
    """A CA, and a certificate of it for this host: `server.pem` holds key and certificate."""
    if not shutil.which("openssl"):
        raise StackError("openssl not found: install it (Debian: openssl)", EXIT_UNAVAILABLE)
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha256", "-days", str(DAYS)]
    ca = ["-keyout", folder / "ca.key", "-out", folder / "ca.pem", "-subj", "/CN=stack CA"]
    ca += ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    host = ["-keyout", folder / "server.key", "-out", folder / "server.crt", "-subj", "/CN=localhost"]
    host += ["-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-addext", "basicConstraints=critical,CA:FALSE"]
    host += ["-addext", f"subjectAltName=IP:{HOST},DNS:localhost"]
    run_once(new + ca, "make a CA")
    run_once(new + host, "make a certificate")
    whole = (folder / "server.key").read_text() + (folder / "server.crt").read_text()
    write_secret(folder / "server.pem", whole)


def write_secret(file, text):
    """Never readable by others, not for a moment, and whole or not there."""
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)
    os.replace(new, file)


def kafka_settings(stack):
    """Lines of server.properties for TLS and SASL, without those of the listeners themselves."""
    user, password = user_file(stack).read_text(), password_file(stack).read_text()
    module = "org.apache.kafka.common.security"
    found = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": stack.dir / "secrets/server.pem",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": ca_file(stack),
    }
    for protocol in ("sasl_plaintext", "sasl_ssl"):
        prefix = f"listener.name.{protocol}"
        found[f"{prefix}.sasl.enabled.mechanisms"] = ",".join(("PLAIN", *SCRAM))
        found[f"{prefix}.plain.sasl.jaas.config"] = f'{module}.plain.PlainLoginModule required user_{user}="{password}";'
        for mechanism in SCRAM:
            found[f"{prefix}.{mechanism.lower()}.sasl.jaas.config"] = f"{module}.scram.ScramLoginModule required;"
    return found


def scram_user(stack):
    """The user as the formatting of Kafka's storage takes it: words of its command line."""
    user = f"[name={user_file(stack).read_text()},password={password_file(stack).read_text()}]"
    return [word for mechanism in SCRAM for word in ("--add-scram", f"{mechanism}={user}")]


def env(stack):
    return {
        "FOREBAY_STACK_KAFKA_SSL": f"{HOST}:{stack.ports['kafka.ssl']}",
        "FOREBAY_STACK_KAFKA_SASL": f"{HOST}:{stack.ports['kafka.sasl']}",
        "FOREBAY_STACK_KAFKA_SASL_SSL": f"{HOST}:{stack.ports['kafka.sasl-ssl']}",
        "FOREBAY_STACK_KAFKA_CA": str(ca_file(stack)),
        "FOREBAY_STACK_KAFKA_USER_FILE": str(user_file(stack)),
        "FOREBAY_STACK_KAFKA_PASSWORD_FILE": str(password_file(stack)),
    }
