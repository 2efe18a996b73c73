#!/usr/bin/env python3
"""A node in another language: examples/python_client streams what the HTTP endpoint says, plain on loopback and sealed with a secret, and
goes on when the worker dies that answers it.

    python_client_test.py TROUPE EXAMPLE

The model is the environment's TROUPE_TEST_MODEL; without one, without msgpack and xxhash or without UCX's library, exits 77.
"""
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from live_cluster import Cluster, live_cluster, wait_for_workers

TROUPE, EXAMPLE = sys.argv[1], sys.argv[2]
PROMPT = "The sea is"


def client(address, prompt, max_tokens, *flags):
    return subprocess.Popen([sys.executable, os.path.join(EXAMPLE, "client.py"), address, prompt, "--max-tokens", str(max_tokens), "--show-tokens", *flags],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def outcome(process):
    """(text, ids)"""
    text, ids = process.communicate(timeout=120)
    assert process.returncode == 0, (process.returncode, text, ids)
    return text.removesuffix("\n"), ids.split()


def over_http(url, max_tokens):
    body = json.dumps({"model": "model", "prompt": PROMPT, "max_tokens": max_tokens, "temperature": 0}).encode()
    request = urllib.request.Request(url + "/v1/completions", body, {"content-type": "application/json"})
    answer = json.load(urllib.request.urlopen(request, timeout=120))
    return answer["choices"][0]["text"], answer["usage"]["completion_tokens"]


def check_equal(cluster, prompt, max_tokens, *flags):
    text, ids = outcome(client(cluster.address, prompt, max_tokens, *flags))
    expected, n_tokens = over_http(cluster.url, max_tokens)
    assert text == expected and len(ids) == n_tokens > 10, (text, expected, ids, n_tokens)


def test_plain(model, prompt):
    with live_cluster(TROUPE, model, 1, node_flags=["--threads", "1"]) as cluster:
        check_equal(cluster, prompt, 40)


def test_lost_worker(model, prompt):
    with live_cluster(TROUPE, model, 2, node_flags=["--threads", "1"]) as cluster:
        expected = over_http(cluster.url, 1000)
        process = client(cluster.address, prompt, 1000)
        end = time.monotonic() + 20
        while not (busy := [request["worker"] for request in cluster.status()["requests"] if "worker" in request]):
            assert process.poll() is None and time.monotonic() < end, "no request is seen"
        cluster.nodes[cluster.worker_name(busy[0])].signal(signal.SIGKILL)
        text, ids = outcome(process)
        assert (text, len(ids)) == expected, (text, expected)


def address_of_this_host():
    """One that is not of loopback, so that frames are sealed; None where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return None
        host = probe.getsockname()[0]
    return None if host.startswith("127.") else host


def test_sealed(model, prompt):
    host = address_of_this_host()
    try:
        import cryptography  # noqa: F401
    except ImportError:
        print("skipped: sealed sessions (the package cryptography is needed)")
        return
    if host is None:
        print("skipped: sealed sessions (this host has no address but loopback)")
        return
    with tempfile.TemporaryDirectory() as folder:
        secret = os.path.join(folder, "secret")
        subprocess.run([TROUPE, "secret", secret], check=True)
        flags = ["--cluster-secret-file", secret]
        cluster = Cluster(TROUPE, model, flags, [*flags, "--threads", "1"], host)
        cluster.status_command = lambda: [TROUPE, "status", "--join", cluster.address, "--json", *flags]
        try:
            cluster.start_node("node-1")
            wait_for_workers(cluster, 1)
            check_equal(cluster, prompt, 40, "--secret", secret)
            refused = client(cluster.address, prompt, 40)
            assert refused.wait(timeout=30) == 1 and "secret" in refused.stderr.read()
        finally:
            cluster.end()


def test_message_parts():
    """No answer to a client is that large, so the frames are made here."""
    sys.path.insert(0, EXAMPLE)
    import session
    whole = bytes(range(256)) * 2048
    end = session.Session.__new__(session.Session)
    end.sent = end.received = end.epoch = 0
    end.seal, end.part, end.endpoint = None, b"", 0
    frames = []
    end.fabric = type("fabric", (), {"send": lambda self, endpoint, frame: frames.append(frame)})()
    for at in range(0, len(whole), 1 << 18):
        end.send(session.MESSAGE_PART, len(whole).to_bytes(4, "little") + whole[at:at + (1 << 18)])
    assert len(frames) == 2
    assert [message for frame in frames for message in end.messages(frame)] == [whole]


def main():
    model = os.environ.get("TROUPE_TEST_MODEL", "")
    if not model or not os.path.exists(model):
        print("skipped: there is no model (TROUPE_TEST_MODEL)")
        return 77
    try:
        import msgpack  # noqa: F401
        import xxhash  # noqa: F401
        ctypes.CDLL("libucp.so.0")
    except (ImportError, OSError) as missing:
        print(f"skipped: {missing}")
        return 77
    test_message_parts()
    prompt = subprocess.run([TROUPE, "tokenize", model, PROMPT], capture_output=True, text=True, check=True).stdout.strip()
    for test in (test_plain, test_lost_worker, test_sealed):
        began = time.monotonic()
        test(model, prompt)
        print(f"{test.__name__}: {time.monotonic() - began:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
