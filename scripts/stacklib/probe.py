"""Looks from outside: is a port free, does Kafka answer, what does a daemon say of itself."""

import json
import random
import socket
import struct
import subprocess
import urllib.request

from .common import HOST, StackError


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def pick_port(preferred, taken):
    """`preferred` if nobody has it, else a free one below the range the kernel uses for outgoing connections."""
    if preferred and preferred not in taken and is_free(preferred):
        return preferred
    for port in random.sample(range(15000, 32000), 2000):
        if port not in taken and is_free(port):
            return port
    raise StackError("no free port between 15000 and 32000")


def kafka_answers(port):
    """Asks for metadata (version 4, all topics): an answer with a broker in it means the broker is registered and serves."""
    try:
        with socket.create_connection((HOST, port), timeout=2) as link:
            client = b"stack"
            request = struct.pack(">hhih", 3, 4, 1, len(client)) + client + struct.pack(">ib", -1, 0)
            link.sendall(struct.pack(">i", len(request)) + request)
            size = struct.unpack(">i", receive(link, 4))[0]
            correlation, _throttle, brokers = struct.unpack(">iii", receive(link, size)[:12])
            return correlation == 1 and brokers >= 1
    except (OSError, struct.error):
        return False


def receive(link, count):
    data = b""
    while len(data) < count:
        part = link.recv(count - len(data))
        if not part:
            raise OSError("connection closed")
        data += part
    return data


def jmx_path(service, bean):
    return f"/jmx?qry=Hadoop:service={service},name={bean}"


def first_bean(text):
    return (json.loads(text).get("beans") or [{}])[0]


def jmx(port, service, bean):
    """What a Hadoop daemon says of itself; nothing while it does not answer."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            f"http://{HOST}:{port}{jmx_path(service, bean)}", timeout=3
        ) as answer:
            return first_bean(answer.read())
    except (OSError, ValueError):
        return {}


def jmx_with_ticket(port, service, bean, ca, env):
    """The same of a daemon that asks for a Kerberos ticket; the one that `env` names."""
    url = f"https://localhost:{port}{jmx_path(service, bean)}"
    order = ["curl", "-s", "-f", "-m", "3", "--noproxy", "*", "--cacert", ca, "--negotiate", "-u", ":", url]
    done = subprocess.run(order, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=env)
    try:
        return first_bean(done.stdout)
    except ValueError:
        return {}
