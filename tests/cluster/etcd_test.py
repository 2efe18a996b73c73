#!/usr/bin/env python3
"""A registry in etcd: the head is killed and a new one knows all members; a second head is refused; etcd goes and comes back.

    etcd_test.py TROUPE

The model is the environment's TROUPE_TEST_MODEL; without one, or without the program etcd, exits 77.
"""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from live_cluster import Cluster, Process, Stream, wait_for_workers


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Etcd:
    def __init__(self, folder):
        self.folder, self.client, self.peer = folder, free_port(), free_port()
        self.process = None

    def start(self):
        client, peer = f"http://127.0.0.1:{self.client}", f"http://127.0.0.1:{self.peer}"
        with open(os.path.join(self.folder, "log"), "a") as log:
            self.process = subprocess.Popen(
                ["etcd", "--name", "test", "--data-dir", os.path.join(self.folder, "data"), "--listen-client-urls", client,
                 "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                 "--initial-cluster", f"test={peer}"], stdout=log, stderr=log)
        end = time.monotonic() + 20
        while True:
            try:
                with urllib.request.urlopen(client + "/health", timeout=1) as answer:
                    if b"true" in answer.read():
                        return
            except OSError:
                assert time.monotonic() < end and self.process.poll() is None, "etcd does not start"
            time.sleep(0.05)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class EtcdCluster(Cluster):
    """Its head, at one address, can be started again."""

    def __init__(self, troupe, model, etcd):
        self.troupe, self.model, self.node_flags, self.nodes, self.head = troupe, model, ["--threads", "1"], {}, None
        self.registry = f"etcd://127.0.0.1:{etcd.client}/troupe/test"
        self.address = f"127.0.0.1:{free_port()}"

    def head_command(self, address):
        return [self.troupe, "serve", self.model, "--port", "0", "--cluster-listen", address, "--no-local-worker", "--served-model-name", "model",
                "--cluster-state-file", self.registry]

    def start_head(self):
        if self.head:
            self.head.end()
        self.head = Process("head", self.head_command(self.address))
        self.url = self.head.wait_for(r"ready .*url=(\S+)").group(1)

    def members(self):
        return {node["name"]: (node["number"], node["condition"]) for node in self.status()["nodes"]}


def complete(cluster):
    stream = Stream(cluster.url, "The sea", 8)
    stream.start()
    stream.join(30)
    assert stream.failure is None and stream.finish == "length", stream.failure
    return stream.tokens


def run(cluster, etcd):
    cluster.start_head()
    for name in ("one", "two", "three"):
        cluster.start_node(name)
    out = subprocess.run([cluster.troupe, "drain", "two", "--join", cluster.address], capture_output=True, text=True, timeout=20)
    assert out.returncode == 0, out
    wait_for_workers(cluster, 3)
    before, text = cluster.members(), complete(cluster)
    assert {name: number for name, (number, _) in before.items()} == {"one": 1, "two": 2, "three": 3}, before

    began = time.monotonic()
    second = subprocess.run(cluster.head_command(f"127.0.0.1:{free_port()}"), capture_output=True, text=True, timeout=60)
    assert second.returncode == 69 and cluster.address in second.stderr and str(cluster.head.pid) in second.stderr, second
    print(f"a second head is refused after {time.monotonic() - began:.1f} s: {second.stderr.strip().splitlines()[-1]}")
    assert cluster.members() == before

    cluster.head.signal(signal.SIGKILL)
    cluster.head.process.wait()
    began = time.monotonic()
    cluster.start_head()
    print(f"after kill -9 of the head the next one is ready within {time.monotonic() - began:.1f} s")
    wait_for_workers(cluster, 3)
    assert cluster.members() == before, cluster.members()
    assert complete(cluster) == text
    cluster.start_node("four")
    assert cluster.members()["four"][0] == 4

    etcd.kill()
    cluster.start_node("five", wait=False)
    cluster.nodes["five"].wait_for("refused: The head cannot keep the node's number")
    assert complete(cluster) == text
    time.sleep(6)  # past the lease's end
    etcd.start()
    cluster.nodes["five"].wait_for("joined number")
    assert cluster.members()["five"][0] == 5

    # One that ends in order gives its place back at once.
    cluster.head.end()
    cluster.head = None
    began = time.monotonic()
    cluster.start_head()
    took = time.monotonic() - began
    print(f"after an orderly end the next one is ready within {took:.1f} s")
    assert "waiting for its lease" not in cluster.head.log()
    wait_for_workers(cluster, 5)
    assert {name: number for name, (number, _) in cluster.members().items()} == {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5}


def main():
    troupe, model = sys.argv[1], os.environ.get("TROUPE_TEST_MODEL", "")
    if not model or not os.path.exists(model):
        print("skipped: there is no model (TROUPE_TEST_MODEL)")
        return 77
    if not shutil.which("etcd"):
        print("skipped: there is no etcd (the package etcd-server)")
        return 77
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as ends:
        etcd = Etcd(folder)
        ends.callback(etcd.kill)
        etcd.start()
        cluster = EtcdCluster(troupe, model, etcd)
        ends.callback(lambda: [process.end() for process in [*cluster.nodes.values(), cluster.head] if process])
        run(cluster, etcd)
    return 0


if __name__ == "__main__":
    sys.exit(main())
