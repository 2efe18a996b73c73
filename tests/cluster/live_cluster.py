"""Starts a cluster for the length of a with-block: a head and workers, each a process of its own on loopback."""
import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request


class Process:
    def __init__(self, name, command, environment=None):
        self.name = name
        self.log_path = tempfile.NamedTemporaryFile(prefix=f"troupe-{name}-", suffix=".log", delete=False).name
        self.process = subprocess.Popen([*command, "--log-file", self.log_path], env={**os.environ, **(environment or {})})

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        with open(self.log_path) as text:
            return text.read()

    def wait_for(self, pattern, wait_s=30, behind=0):
        """A match in the log, behind its first so many characters."""
        end = time.monotonic() + wait_s
        while time.monotonic() < end:
            found = re.search(pattern, self.log()[behind:])
            if found:
                return found
            assert self.process.poll() is None, f"{self.name} ended: {self.log()}"
            time.sleep(0.01)
        raise AssertionError(f"{self.name} does not say {pattern!r} within {wait_s} s: {self.log()}")

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        os.unlink(self.log_path)


class Cluster:
    def __init__(self, troupe, model, head_flags=(), node_flags=(), host="127.0.0.1"):
        self.troupe, self.model, self.node_flags = troupe, model, list(node_flags)
        self.nodes = {}
        self.head = Process("head", [troupe, "serve", model, "--port", "0", "--cluster-listen", f"{host}:0", "--no-local-worker", "--served-model-name", "model", *head_flags])
        ready = self.head.wait_for(r"ready .*url=(\S+).*cluster=(\S+)")
        self.url, self.address = ready.group(1), ready.group(2)

    def start_node(self, name, *flags, wait=True):
        self.nodes[name] = Process(name, [self.troupe, "node", self.model, "--join", self.address, "--node-name", name, *self.node_flags, *flags])
        if wait:
            self.nodes[name].wait_for("joined number")
        return self.nodes[name]

    def status_command(self):
        return [self.troupe, "status", "--join", self.address, "--json"]

    def status(self):
        out = subprocess.run(self.status_command(), capture_output=True, text=True, timeout=20)
        assert out.returncode == 0, out.stderr
        return json.loads(out.stdout)

    def worker_name(self, number):
        return next(node["name"] for node in self.status()["nodes"] if node["number"] == number)

    def end(self):
        for process in [*self.nodes.values(), self.head]:
            process.end()


@contextlib.contextmanager
def live_cluster(troupe, model, nodes=2, head_flags=(), node_flags=()):
    cluster = Cluster(troupe, model, head_flags, node_flags)
    try:
        for number in range(nodes):
            cluster.start_node(f"node-{number + 1}", wait=False)
        for process in cluster.nodes.values():
            process.wait_for("joined number")
        wait_for_workers(cluster, nodes)
        yield cluster
    finally:
        cluster.end()


def health(cluster):
    with urllib.request.urlopen(cluster.url + "/health/live", timeout=10) as answer:
        return json.loads(answer.read())


def wait_for_workers(cluster, n, wait_s=10):
    end = time.monotonic() + wait_s
    while True:
        able = [worker for worker in cluster.status()["workers"] if worker["max_running"] > 0]
        if len(able) == n:
            return
        assert time.monotonic() < end, f"{len(able)} workers instead of {n}: {cluster.head.log()}"
        time.sleep(0.05)


class Stream(threading.Thread):
    """A streamed completion: keeps its pieces, when each came, and how it ended."""

    def __init__(self, url, prompt, max_tokens, seed=0, temperature=0.0):
        super().__init__(daemon=True)
        self.body = {"model": "model", "prompt": prompt, "max_tokens": max_tokens, "ignore_eos": True, "seed": seed,
                     "temperature": temperature, "stream": True, "logprobs": 0}
        self.url = url
        self.tokens, self.times = [], []
        self.finish, self.failure = None, None
        self.started = threading.Event()

    def run(self):
        request = urllib.request.Request(self.url + "/v1/completions", json.dumps(self.body).encode(), {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                for line in answer:
                    self.take(line)
        except Exception as problem:  # whatever it is, the test wants to say it
            self.failure = repr(problem)

    def take(self, line):
        if not line.startswith(b"data: ") or line.strip() == b"data: [DONE]":
            return
        event = json.loads(line[6:])
        if "error" in event:
            self.failure = json.dumps(event["error"])
            return
        for choice in event["choices"]:
            if choice.get("logprobs"):
                self.tokens += choice["logprobs"]["tokens"]
                self.times += [time.monotonic()] * len(choice["logprobs"]["tokens"])
                self.started.set()
            self.finish = choice.get("finish_reason") or self.finish

    def longest_gap(self):
        return max((b - a for a, b in zip(self.times, self.times[1:])), default=0.0)
