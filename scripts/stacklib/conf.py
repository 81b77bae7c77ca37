"""The configuration files of Kafka and of the HDFS daemons, written anew at every start."""

from .common import HOST


def write_kafka_conf(stack):
    folder = stack.dir / "kafka"
    folder.mkdir(parents=True, exist_ok=True)
    broker, controller = stack.ports["kafka"], stack.ports["kafka.controller"]
    # Whoever comes in by the second listener is told to go on by `kafka.proxy`: nothing listens there but a test's own proxy.
    beside, proxy = stack.ports["kafka.beside"], stack.ports["kafka.proxy"]
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.bootstrap.servers": f"{HOST}:{controller}",
        "listeners": f"PLAINTEXT://{HOST}:{broker},CONTROLLER://{HOST}:{controller},PROXIED://{HOST}:{beside}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{broker},CONTROLLER://{HOST}:{controller},PROXIED://{HOST}:{proxy}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT",
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
    }
    (folder / "server.properties").write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    (folder / "log4j2.properties").write_text(
        "appender.out.type=Console\nappender.out.name=out\nappender.out.layout.type=PatternLayout\n"
        "appender.out.layout.pattern=%d %p %c{1}: %m%n\nrootLogger.level=${sys:stack.log.level:-INFO}\nrootLogger.appenderRef.out.ref=out\n"
    )


def write_hadoop_conf(stack, name):
    conf = stack.dir / name / "conf"
    conf.mkdir(parents=True, exist_ok=True)
    core = {"fs.defaultFS": f"hdfs://{HOST}:{stack.ports['namenode']}", "hadoop.tmp.dir": stack.dir / name / "tmp"}
    hdfs = {
        "dfs.replication": min(stack.settings["datanodes"], 3),
        "dfs.permissions.enabled": "false",
        "dfs.namenode.name.dir": f"file://{stack.dir}/namenode/data",
        "dfs.namenode.http-address": f"{HOST}:{stack.ports['namenode.http']}",
        "dfs.namenode.datanode.registration.ip-hostname-check": "false",
        # A DataNode that was killed is known to be dead after 20 s instead of ten minutes, and a silent one is avoided after 5 s.
        "dfs.heartbeat.interval": 1,
        "dfs.namenode.heartbeat.recheck-interval": 5000,
        "dfs.namenode.stale.datanode.interval": 5000,
        "dfs.namenode.avoid.write.stale.datanode": "true",
        "dfs.namenode.avoid.read.stale.datanode": "true",
        "dfs.namenode.safemode.extension": 0,
    }
    if name != "namenode":
        hdfs.update(
            {
                "dfs.datanode.data.dir": f"file://{stack.dir}/{name}/data",
                "dfs.datanode.hostname": HOST,
                "dfs.datanode.address": f"{HOST}:{stack.ports[name]}",
                "dfs.datanode.http.address": f"{HOST}:{stack.ports[f'{name}.http']}",
                "dfs.datanode.ipc.address": f"{HOST}:{stack.ports[f'{name}.ipc']}",
            }
        )
    for file, settings in (("core-site.xml", core), ("hdfs-site.xml", hdfs)):
        properties = "".join(
            f"  <property><name>{key}</name><value>{value}</value></property>\n" for key, value in settings.items()
        )
        (conf / file).write_text(f"<configuration>\n{properties}</configuration>\n")
    (conf / "log4j.properties").write_text(
        "log4j.rootLogger=${stack.log.level},out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\n"
        "log4j.appender.out.layout=org.apache.log4j.PatternLayout\nlog4j.appender.out.layout.ConversionPattern=%d{ISO8601} %p %c{1}: %m%n\n"
    )
    # Both daemons refuse to start when their web applications are not on the class path; empty ones are enough.
    for app in ("hdfs", "datanode"):
        (conf / "webapps" / app / "WEB-INF").mkdir(parents=True, exist_ok=True)
        (conf / "webapps" / app / "WEB-INF" / "web.xml").write_text("<web-app/>\n")
    (conf / "webapps" / "static").mkdir(exist_ok=True)
