"""What a new stack consists of and which ports it has; settled once, for the life of the folder."""

import base64
import uuid

from . import secure
from .common import EXIT_USAGE, StackError
from .probe import is_free, pick_port

# What is decided when a stack is made, and cannot be had later.
FEATURES = ("ha", "secure", "kerberos", "quick")


def settle(stack, args):
    """Settles parts and ports before anything is started."""
    if stack.settings is None:
        stack.settings = {"datanodes": 1, "cluster": new_cluster_id(), "ports": {}}
        stack.settings |= {feature: getattr(args, feature) for feature in FEATURES}
        stack.settings["ticket_lifetime"] = args.ticket_lifetime
    for feature in FEATURES:
        if getattr(args, feature) and not stack.settings.get(feature):
            raise StackError(f"this stack was made without --{feature}: `scripts/stack down --purge` first", EXIT_USAGE)
    if stack.is_kerberos and stack.is_ha:
        raise StackError("--kerberos goes with one NameNode, not with --ha", EXIT_USAGE)
    count = args.datanodes or stack.settings["datanodes"]
    if count < stack.settings["datanodes"]:
        raise StackError(
            f"this stack has {stack.settings['datanodes']} DataNodes and cannot shrink: `scripts/stack down --purge` first",
            EXIT_USAGE,
        )
    stack.settings["datanodes"] = count
    settle_ports(stack, args)


def settle_ports(stack, args):
    auto = args.ports == "auto"
    wanted = {"kafka": (args.kafka_port, 9092), "namenode": (args.namenode_port, 8020)}
    for name, (asked, usual) in wanted.items():
        known = stack.ports.get(name)
        if asked and known and asked != known and any(map(stack.is_running, stack.names())):
            raise StackError(f"{name} has port {known}: `scripts/stack down` first to move it to {asked}", EXIT_USAGE)
        if asked or not known:
            stack.ports[name] = asked or (pick_port(None, stack.ports.values()) if auto else usual)
    # The well-known side ports go with the well-known main port, so that two stacks do not race for them.
    usual = kafka_side_ports(stack) if stack.ports["kafka"] == 9092 else dict.fromkeys(kafka_side_ports(stack))
    known_main = stack.ports["namenode"] == 8020
    usual |= hdfs_side_ports(stack) if known_main else dict.fromkeys(hdfs_side_ports(stack))
    for name, port in usual.items():
        if name not in stack.ports:
            stack.ports[name] = pick_port(None if auto else port, stack.ports.values())
    for name in stack.names():
        for port in stack.ports_of(name):
            if not stack.is_running(name) and not is_free(port):
                raise StackError(
                    f"port {port} for {name} is taken by another program: choose --kafka-port and --namenode-port, or --ports auto in a new --dir"
                )


def kafka_side_ports(stack):
    ports = {"kafka.controller": 9093, "kafka.beside": 9094, "kafka.proxy": 9095}
    if stack.is_secure:
        ports |= {key: 9096 + n for n, key in enumerate(secure.LISTENERS)}
    return ports


def hdfs_side_ports(stack):
    ports = {"namenode.http": 9870}
    for n in range(1, stack.settings["datanodes"] + 1):
        base = 9864 if n == 1 else 9864 + 100 * n
        ports |= {f"datanode-{n}": base + 2, f"datanode-{n}.http": base, f"datanode-{n}.ipc": base + 3}
    if stack.is_kerberos:
        ports["kdc"] = 8088
    if stack.is_ha:
        ports |= {"namenode-2": 8021, "namenode-2.http": 9871}
        for n in range(1, 4):
            base = 8485 + 10 * (n - 1)
            ports |= {f"journalnode-{n}": base, f"journalnode-{n}.http": base - 5}
    return ports


def new_cluster_id():
    """As Kafka writes them; not one that a command line takes for an option."""
    found = "-"
    while found.startswith("-"):
        found = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return found
