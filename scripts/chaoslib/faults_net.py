"""Faults of the network between a daemon and Kafka, the NameNode or the DataNodes: its connections go through proxies."""

import urllib.parse

from stacklib.common import HOST

from . import shim
from .catalogue import fault
from .common import ChaosError
from .proxy import Proxy


def add_proxy(run, port, target):
    proxy = Proxy(port, target, run.rng)
    run.undo.callback(proxy.close)
    run.proxies.append(proxy)
    return proxy


def kafka_by_proxy(run):
    beside, advertised = run.servers.stack.ports["kafka.beside"], run.servers.stack.ports["kafka.proxy"]
    add_proxy(run, advertised, (HOST, beside))
    run.add_daemon(kafka=f"{HOST}:{advertised}")


def namenode_by_proxy(run):
    namenode = urllib.parse.urlsplit(run.servers.hdfs)
    proxy = add_proxy(run, 0, (namenode.hostname, namenode.port))
    run.add_daemon(hdfs=f"hdfs://{HOST}:{proxy.port}")


def datanodes_by_proxy(run):
    """The NameNode tells where the DataNodes are, so the daemon is led elsewhere when it goes there."""
    ports = [run.servers.stack.ports[name] for name in run.servers.datanodes]
    shim.add_daemon(run).shim.lead({port: add_proxy(run, 0, (HOST, port)).port for port in ports})


TO_NAMENODE = {"prepare": namenode_by_proxy, "storages": ("hdfs",), "needs_one_namenode": True}
TO_DATANODES = {"prepare": datanodes_by_proxy, "storages": ("hdfs",)}


def total(run, count):
    return sum(getattr(proxy, count) for proxy in run.proxies)


def told(run, what, count):
    """Tells how often it was done."""
    if not count:
        raise ChaosError(f"{what}: nothing came by")
    run.did(what, count)


def go_on(run):
    for proxy in run.proxies:
        proxy.go_on()


def cut(run, most):
    run.pause(0.5, 2)
    for proxy in run.proxies:
        proxy.cut_after = run.rng.choice(most)
    run.pause(8, 15)
    told(run, "cut", total(run, "cuts"))
    go_on(run)


def black_hole(run, longest):
    for _ in range(2):
        run.pause(0.5, 3)
        before = total(run, "held")
        for proxy in run.proxies:
            proxy.stall()
        run.pause(2, longest)
        go_on(run)
        # It is of no interest how many were held: who has no answer sends no more.
        told(run, "black hole", total(run, "held") > before)
        run.wait_progress()


def slow(run):
    run.pause(0.5, 2)
    for proxy in run.proxies:
        proxy.delay = run.rng.uniform(0.05, 0.5)
    run.pause(8, 15)
    told(run, "slow", total(run, "slowed") > 0)
    go_on(run)


@fault("kafka-cut", "each connection to Kafka is reset after some bytes", prepare=kafka_by_proxy)
def kafka_cut(run):
    cut(run, (2_000, 50_000, 500_000))


@fault("kafka-black-hole", "nothing comes through to Kafka for 2 to 15 s, twice", prepare=kafka_by_proxy)
def kafka_black_hole(run):
    black_hole(run, 15)


@fault("kafka-slow", "each piece to and from Kafka takes 50 to 500 ms more", prepare=kafka_by_proxy)
def kafka_slow(run):
    slow(run)


@fault("namenode-cut", "each connection to the NameNode is reset after some bytes", **TO_NAMENODE)
def namenode_cut(run):
    cut(run, (2_000, 20_000, 100_000))


@fault("namenode-black-hole", "nothing comes through to the NameNode for 2 to 40 s, twice", **TO_NAMENODE)
def namenode_black_hole(run):
    black_hole(run, 40)


@fault("namenode-slow", "each piece to and from the NameNode takes 50 to 500 ms more", **TO_NAMENODE)
def namenode_slow(run):
    slow(run)


@fault("namenode-reply-lost", "the NameNode does what it is asked, and the answer is lost", **TO_NAMENODE)
def namenode_reply_lost(run):
    (proxy,) = run.proxies
    for _ in range(run.rng.randint(10, 25)):
        run.pause(0.05, 1.5)
        proxy.lose_replies = run.rng.choice((1, 1, 1, 2, 3))
    told(run, "answer lost", proxy.lost)
    proxy.go_on()


@fault("datanode-cut", "each connection to a DataNode is reset after some bytes, in the middle of a block", **TO_DATANODES)
def datanode_cut(run):
    cut(run, (500, 5_000, 50_000))


@fault("datanode-black-hole", "nothing comes through to the DataNodes for 2 to 40 s, twice", **TO_DATANODES)
def datanode_black_hole(run):
    black_hole(run, 40)


@fault("datanode-slow", "each piece to and from the DataNodes takes 50 to 500 ms more", **TO_DATANODES)
def datanode_slow(run):
    slow(run)
