"""Java, and the jars of Kafka and Hadoop: fetched by Maven once, shared by all stacks."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from .common import EXIT_UNAVAILABLE, StackError, cache_home, only_one, say, tail

KAFKA_VERSION, HADOOP_VERSION, LOG4J_VERSION = "4.1.1", "3.4.2", "2.25.2"
ARTEFACTS = {
    f"kafka-{KAFKA_VERSION}": [
        ("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
        ("org.apache.kafka", "kafka-tools", KAFKA_VERSION),
        ("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J_VERSION),
    ],
    f"hadoop-{HADOOP_VERSION}": [
        ("org.apache.hadoop", "hadoop-hdfs", HADOOP_VERSION),
        ("org.apache.hadoop", "hadoop-common", HADOOP_VERSION),
        ("org.apache.hadoop", "hadoop-hdfs-client", HADOOP_VERSION),
    ],
}
KAFKA_JARS, HADOOP_JARS = ARTEFACTS


def jar_folder(name):
    return cache_home() / "jars" / name


def find_java():
    """The java to use; refuses what Kafka 4 cannot run on before anything was touched."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(str(pathlib.Path(home, "bin", "java"))) if home else None
    java = java or shutil.which("java")
    if not java:
        raise StackError(
            "java not found: install a Java runtime, 17 or newer (Debian: openjdk-17-jre-headless)", EXIT_UNAVAILABLE
        )
    text = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', text)
    if not found or int(found.group(1)) < 17:
        raise StackError(
            f"{java} is older than Java 17, which Kafka needs: install openjdk-17-jre-headless or set JAVA_HOME", EXIT_UNAVAILABLE
        )
    return java


def fetch_jars():
    """Fills the shared jar folders once; a half-done download is never visible under the final name."""
    jars = cache_home() / "jars"
    missing = [name for name in ARTEFACTS if not (jars / name).is_dir()]
    if missing and not shutil.which("mvn"):
        raise StackError("mvn not found and the jars are not cached yet: install Maven (Debian: maven)", EXIT_UNAVAILABLE)
    if not missing:
        return
    jars.mkdir(parents=True, exist_ok=True)
    with only_one():
        for name in missing:
            if (jars / name).is_dir():  # another call was faster
                continue
            say(f"fetching {name} with Maven into {jars / name}")
            with tempfile.TemporaryDirectory(dir=jars, prefix=".fetch-") as work:
                dependencies = "".join(
                    f"<dependency><groupId>{group}</groupId><artifactId>{artefact}</artifactId><version>{version}</version></dependency>"
                    for group, artefact, version in ARTEFACTS[name]
                )
                pom = pathlib.Path(work, "pom.xml")
                pom.write_text(
                    '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
                    f"<groupId>forebay</groupId><artifactId>stack</artifactId><version>1</version><packaging>pom</packaging>"
                    f"<dependencies>{dependencies}</dependencies></project>"
                )
                command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={work}/lib"]
                done = subprocess.run(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
                )
                if done.returncode != 0 or not any(pathlib.Path(work, "lib").glob("*.jar")):
                    raise StackError(f"Maven could not fetch {name}:\n{tail(done.stdout)}", EXIT_UNAVAILABLE)
                os.rename(f"{work}/lib", jars / name)
