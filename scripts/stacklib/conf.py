"""The configuration files of Kafka, of the HDFS daemons and of HDFS clients, written anew at every start."""

from . import ha, kerberos, secure
from .common import HOST
from .secure import write_secret


def write_kafka_conf(stack):
    folder = stack.dir / "kafka"
    folder.mkdir(parents=True, exist_ok=True)
    ports = {"PLAINTEXT": stack.ports["kafka"], "CONTROLLER": stack.ports["kafka.controller"], "PROXIED": stack.ports["kafka.beside"]}
    if stack.is_secure:
        ports |= {protocol: stack.ports[key] for key, protocol in secure.LISTENERS.items()}
    # Whoever comes in by PROXIED is told to go on by `kafka.proxy`: nothing listens there but a test's own proxy.
    advertised = ports | {"PROXIED": stack.ports["kafka.proxy"]}
    plain = {"CONTROLLER", "PROXIED"}
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.bootstrap.servers": f"{HOST}:{ports['CONTROLLER']}",
        "listeners": ",".join(f"{name}://{HOST}:{port}" for name, port in ports.items()),
        "advertised.listeners": ",".join(f"{name}://{HOST}:{port}" for name, port in advertised.items()),
        "listener.security.protocol.map": ",".join(f"{name}:{'PLAINTEXT' if name in plain else name}" for name in ports),
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": folder / "data",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        # A broker that was killed and started again is let in after this long.
        "broker.session.timeout.ms": 5000,
        "broker.heartbeat.interval.ms": 500,
        # Tests send messages dated years ago, and big ones: neither may vanish or be refused by the broker.
        "log.retention.ms": -1,
        "message.max.bytes": 64 << 20,
        "log.cleaner.dedupe.buffer.size": 16 << 20,
        # Compaction that a test waits for comes at once.
        "log.cleaner.backoff.ms": 500,
    }
    if stack.is_secure:
        settings |= secure.kafka_settings(stack)
    write_secret(folder / "server.properties", "".join(f"{key}={value}\n" for key, value in settings.items()))
    (folder / "log4j2.properties").write_text(
        "appender.out.type=Console\nappender.out.name=out\nappender.out.layout.type=PatternLayout\n"
        "appender.out.layout.pattern=%d %p %c{1}: %m%n\nrootLogger.level=${sys:stack.log.level:-INFO}\nrootLogger.appenderRef.out.ref=out\n"
    )


def write_site(stack, folder, core, hdfs):
    """The two files that every Hadoop program and every HDFS client reads, and how much Hadoop's own tools say."""
    folder.mkdir(parents=True, exist_ok=True)
    common_core = {"fs.defaultFS": stack.hdfs_url()}
    common_hdfs = ha.settings(stack) if stack.is_ha else {}
    if stack.is_kerberos:
        common_core |= kerberos.core_settings()
        common_hdfs |= kerberos.client_settings()
    (folder / "core-site.xml").write_text(properties(common_core | core))
    (folder / "hdfs-site.xml").write_text(properties(common_hdfs | hdfs))
    (folder / "log4j.properties").write_text(
        "log4j.rootLogger=${stack.log.level},out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\n"
        "log4j.appender.out.layout=org.apache.log4j.PatternLayout\nlog4j.appender.out.layout.ConversionPattern=%d{ISO8601} %p %c{1}: %m%n\n"
    )


def properties(settings):
    lines = "".join(f"  <property><name>{key}</name><value>{value}</value></property>\n" for key, value in settings.items())
    return f"<configuration>\n{lines}</configuration>\n"


def write_client_conf(stack):
    """What a client needs to find this HDFS: for Hadoop's own tools, and for the environment that `env` prints."""
    write_site(stack, stack.client_conf(), {}, {})


def write_hadoop_conf(stack, name):
    """The folder of one HDFS daemon."""
    conf = stack.dir / name / "conf"
    conf.mkdir(parents=True, exist_ok=True)
    hdfs = {
        "dfs.replication": min(stack.settings["datanodes"], 3),
        "dfs.permissions.enabled": "false",
        "dfs.namenode.datanode.registration.ip-hostname-check": "false",
        # A DataNode that was killed is known to be dead after 20 s instead of ten minutes, and a silent one is avoided after 5 s.
        "dfs.heartbeat.interval": 1,
        "dfs.namenode.heartbeat.recheck-interval": 5000,
        "dfs.namenode.stale.datanode.interval": 5000,
        "dfs.namenode.avoid.write.stale.datanode": "true",
        "dfs.namenode.avoid.read.stale.datanode": "true",
        "dfs.namenode.safemode.extension": 0,
        # For each block that is begun its whole room is set aside, ten minutes long if it never comes: with great blocks a small
        # disk would be taken for a full one after some hundred writes that failed.
        "dfs.blocksize": 32 << 20,
    }
    web = "https" if stack.is_kerberos else "http"
    if not stack.is_ha:
        hdfs[f"dfs.namenode.{web}-address"] = f"{HOST}:{stack.ports['namenode.http']}"
    if name.startswith("namenode"):
        hdfs["dfs.namenode.name.dir"] = f"file://{stack.dir}/{name}/data"
        if stack.is_ha:
            hdfs |= ha.namenode_settings(stack, name)
    elif name.startswith("journalnode"):
        hdfs |= ha.journalnode_settings(stack, name)
    else:
        hdfs |= {
            "dfs.datanode.data.dir": f"file://{stack.dir}/{name}/data",
            "dfs.datanode.du.reserved": stack.reserved_bytes,
            "dfs.datanode.hostname": HOST,
            "dfs.datanode.address": f"{HOST}:{stack.ports[name]}",
            f"dfs.datanode.{web}.address": f"{HOST}:{stack.ports[f'{name}.http']}",
            "dfs.datanode.ipc.address": f"{HOST}:{stack.ports[f'{name}.ipc']}",
        }
    if stack.is_kerberos:
        hdfs |= kerberos.daemon_settings(stack)
        write_secret(conf / "ssl-server.xml", properties(kerberos.tls_settings(stack)))
    write_site(stack, conf, {"hadoop.tmp.dir": stack.dir / name / "tmp"}, hdfs)
    # The daemons refuse to start when their web applications are not on the class path; empty ones are enough.
    for app in ("hdfs", "datanode", "journal"):
        (conf / "webapps" / app / "WEB-INF").mkdir(parents=True, exist_ok=True)
        (conf / "webapps" / app / "WEB-INF" / "web.xml").write_text("<web-app/>\n")
    (conf / "webapps" / "static").mkdir(exist_ok=True)
