#!/usr/bin/env python3
"""Starting clusters: `troupe up --local`, `--hostfile` over a real sshd, `-f cluster.toml`, the ranked launcher; what is refused and how it is said.

    launch_test.py TROUPE LAUNCH_SCRIPTS

The model is the environment's TROUPE_TEST_MODEL; without one, exits 77.
"""
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

from ssh_server import free_port, has_ssh, ssh_server

TROUPE, SCRIPTS = sys.argv[1], sys.argv[2]
MODEL = os.environ.get("TROUPE_TEST_MODEL", "")


def status(address, *flags):
    out = subprocess.run([TROUPE, "status", "--join", address, "--json", *flags], capture_output=True, text=True, timeout=20)
    return json.loads(out.stdout) if out.returncode == 0 else None


def wait_for_workers(address, n, process, wait_s=20, flags=()):
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        seen = status(address, *flags)
        if seen and sum(worker["max_running"] > 0 for worker in seen["workers"]) == n:
            return seen
        assert process.poll() is None, "it ended"
        time.sleep(0.05)
    raise AssertionError(f"no {n} workers: {status(address, *flags)}")


@contextlib.contextmanager
def up(*words, wait_s=20):
    """A cluster under `troupe up`; everything is gone afterwards."""
    http, address = free_port(), f"127.0.0.1:{free_port()}"
    process = subprocess.Popen([TROUPE, "up", MODEL, "--port", str(http), "--cluster-listen", address, "--log-level", "warning", *words])
    try:
        yield process, http, address
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0
    end = time.monotonic() + 5  # those behind an ssh notice a moment later
    while left := subprocess.run(["pgrep", "-af", address], capture_output=True, text=True).stdout:
        assert time.monotonic() < end, f"processes are left: {left}"
        time.sleep(0.1)


def complete(http):
    body = json.dumps({"model": json.load(urllib.request.urlopen(f"http://127.0.0.1:{http}/v1/models", timeout=10))["data"][0]["id"],
                       "prompt": "The sea", "max_tokens": 8, "temperature": 0}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{http}/v1/completions", body, {"content-type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=30))["choices"][0]["text"]


def check_other_user(address):
    """Shared memory is for its own user; an operator may be another one."""
    try:
        out = subprocess.run([TROUPE, "status", "--join", address], capture_output=True, text=True, timeout=20, user=65534, group=65534, extra_groups=[])
    except PermissionError:
        print("skipped: another user (root, and a binary that all may run, are needed)")
        return
    assert out.returncode == 0, out.stderr


def test_local():
    began = time.monotonic()
    with up("--local", "3", "--threads", "1") as (process, http, address):
        seen = wait_for_workers(address, 3, process)
        print(f"a head and three workers are up after {time.monotonic() - began:.2f} s")
        check_other_user(address)
        text = complete(http)
        victim = seen["nodes"][0]
        os.kill(victim["process"], signal.SIGKILL)
        time.sleep(0.1)
        again = wait_for_workers(address, 3, process)
        replaced = next(node for node in again["nodes"] if node["name"] == victim["name"])
        assert replaced["process"] != victim["process"] and replaced["number"] == victim["number"], again
        assert complete(http) == text


def test_cluster_file():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "cluster.toml")
        with open(path, "w") as file:
            file.write('[worker]\nmax_num_seqs = 8\n[[node]]\nhost = "localhost"\nroles = ["prefill"]\nthreads = 1\n[[node]]\nroles = "decode"\nthreads = 1\n')
        with up("-f", path) as (process, http, address):
            seen = wait_for_workers(address, 2, process)
            assert sorted(node["roles"] for node in seen["nodes"]) == ["decode", "prefill"], seen
            assert all(worker["max_running"] == 8 for worker in seen["workers"]), seen
            assert complete(http)


def test_hostfile():
    if not has_ssh():
        print("skipped: hosts over ssh (openssh-server and root are needed)")
        return
    with tempfile.TemporaryDirectory() as folder, ssh_server(folder) as ssh:
        hosts = os.path.join(folder, "hosts")
        # Another name of this machine, so that it is reached over ssh.
        with open(hosts, "w") as file:
            file.write("# two workers\n0.0.0.0 slots=2 threads=1   # by ssh\n")
        with up("--hostfile", hosts, "--ssh", ssh) as (process, http, address):
            wait_for_workers(address, 2, process, 30)
            assert complete(http)


def child_of(process):
    return int(subprocess.run(["pgrep", "-P", str(process), "-f", " serve "], capture_output=True, text=True, check=True).stdout)


def test_ranked():
    http, port = free_port(), free_port()
    address = f"127.0.0.1:{port}"
    environment = {**os.environ, "TROUPE": TROUPE, "TROUPE_CLUSTER_PORT": str(port), "TROUPE_PORT": str(http), "TROUPE_LOG_LEVEL": "warning"}
    ranks = [subprocess.Popen([os.path.join(SCRIPTS, "ranked"), "127.0.0.1", MODEL, "--threads", "1"], env={**environment, "PMI_RANK": str(rank)})
             for rank in range(3)]
    try:
        wait_for_workers(address, 2, ranks[0])
        text = complete(http)
        # What is killed comes back, worker or head.
        for killed in (status(address)["nodes"][0]["process"], child_of(ranks[0].pid)):
            os.kill(killed, signal.SIGKILL)
            time.sleep(0.3)
            wait_for_workers(address, 2, ranks[0])
            assert complete(http) == text
        assert subprocess.run([TROUPE, "down", "--join", address], capture_output=True, timeout=20).returncode == 0
        for rank in ranks:
            assert rank.wait(timeout=20) == 0
    finally:
        for rank in ranks:
            rank.terminate()
            rank.wait(timeout=20)


def refused(words, code, *said):
    out = subprocess.run([TROUPE, *words], capture_output=True, text=True, timeout=60)
    assert out.returncode == code, (words, out.returncode, out.stderr)
    for part in said:
        assert part in out.stderr, (words, out.stderr)


def test_refusals():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "file")

        def write(text, mode=0o600):
            with open(path, "w") as file:
                file.write(text)
            os.chmod(path, mode)
            return path

        refused(["serve", MODEL, "--cluster-listen", "0.0.0.0:0"], 78, "--cluster-secret-file", "troupe secret")
        refused(["node", MODEL], 78, "--join")
        refused(["node", MODEL, "--join", "10.0.0.1:7100"], 78, "--cluster-secret-file")
        refused(["node", MODEL, "--join", "127.0.0.1:7100", "--roles", "cook"], 78, "cook", "prefill")
        refused(["serve", MODEL, "--cluster-listen", "127.0.0.1:0", "--cluster-secret-file", write("a" * 64, 0o644)], 78, "chmod 600")
        refused(["up", MODEL], 78, "--local")
        refused(["up", MODEL, "--hostfile", write("host slots=many\n")], 78, ":1:", "slots")
        refused(["up", MODEL, "-f", write('[[node]]\nslot = 2\n')], 78, ":2:", "slots")
        refused(["status", "--join", f"127.0.0.1:{free_port()}"], 69, "Cannot connect")
        subprocess.run([TROUPE, "secret", path + "1"], check=True)
        refused(["secret", path + "1"], 2, "exists")


def test_wrong_secret():
    with tempfile.TemporaryDirectory() as folder:
        secrets = [os.path.join(folder, name) for name in ("right", "wrong")]
        for secret in secrets:
            subprocess.run([TROUPE, "secret", secret], check=True)
        with up("--local", "1", "--threads", "1", "--cluster-secret-file", secrets[0]) as (process, http, address):
            wait_for_workers(address, 1, process, flags=("--cluster-secret-file", secrets[0]))
            out = subprocess.run([TROUPE, "status", "--join", address, "--cluster-secret-file", secrets[1]], capture_output=True, text=True, timeout=20)
            assert out.returncode != 0 and "secret" in out.stderr, out
            out = subprocess.run([TROUPE, "status", "--join", address], capture_output=True, text=True, timeout=20)
            assert out.returncode != 0 and "secret" in out.stderr, out
            metrics = urllib.request.urlopen(f"http://127.0.0.1:{http}/metrics", timeout=10).read().decode()
            assert 'troupe_transport_refusals_total{reason="wrong_secret"} 2' in metrics, metrics
            assert "troupe_transport_nodes 1" in metrics, metrics


def main():
    if not MODEL or not os.path.exists(MODEL):
        print("skipped: there is no model (TROUPE_TEST_MODEL)")
        return 77
    for test in (test_refusals, test_local, test_cluster_file, test_ranked, test_wrong_secret, test_hostfile):
        began = time.monotonic()
        test()
        print(f"{test.__name__}: {time.monotonic() - began:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
