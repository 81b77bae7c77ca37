"""Faults of the network between a daemon and Kafka, or the NameNode: all of its connections go through a proxy."""

import urllib.parse

from stacklib.common import HOST

from .catalogue import fault
from .proxy import Proxy

def kafka_by_proxy(run):
    beside, advertised = run.servers.stack.ports["kafka.beside"], run.servers.stack.ports["kafka.proxy"]
    run.proxy = Proxy(advertised, (HOST, beside), run.rng)
    run.undo.callback(run.proxy.close)
    run.add_daemon(kafka=f"{HOST}:{advertised}")


def namenode_by_proxy(run):
    namenode = urllib.parse.urlsplit(run.servers.hdfs)
    run.proxy = Proxy(0, (namenode.hostname, namenode.port), run.rng)
    run.undo.callback(run.proxy.close)
    run.add_daemon(hdfs=f"hdfs://{HOST}:{run.proxy.port}")


TO_NAMENODE = {"prepare": namenode_by_proxy, "storages": ("hdfs",), "needs_one_namenode": True}


def cut(run, most):
    run.pause(0.5, 2)
    run.proxy.cut_after = run.rng.choice(most)
    run.pause(8, 15)
    run.did("cut", run.proxy.cuts)
    run.proxy.go_on()


def black_hole(run, longest):
    for _ in range(2):
        run.pause(0.5, 3)
        run.proxy.stall()
        run.did("black hole")
        run.pause(2, longest)
        run.proxy.go_on()


def slow(run):
    run.pause(0.5, 2)
    run.proxy.delay = run.rng.uniform(0.05, 0.5)
    run.did("slow")
    run.pause(8, 15)
    run.proxy.go_on()


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
    for _ in range(run.rng.randint(10, 25)):
        run.pause(0.05, 1.5)
        run.proxy.lose_replies = run.rng.choice((1, 1, 1, 2, 3))
    run.did("answer lost", run.proxy.lost)
    run.proxy.go_on()
