#!/usr/bin/env python3
"""`troupe serve` with a real model as its users and its enemies meet it.

    TROUPE_TEST_MODEL=FILE serve_test.py TROUPE

Exits 77 when there is no model. Every case is bounded in time and talks to 127.0.0.1 only.
"""
import concurrent.futures
import json
import os
import socket
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request

from live_server import live_server

TROUPE, MODEL = sys.argv[1], os.environ.get("TROUPE_TEST_MODEL", "")


def post(url, body, timeout=120, headers=None):
    """Status and parsed body."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def events(url, body, timeout=120):
    """The data of each server-sent event, [DONE] included."""
    request = urllib.request.Request(url, json.dumps({**body, "stream": True}).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        for line in answer:
            if line.startswith(b"data: "):
                yield line[6:].strip().decode()


def raw_connection(url):
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def wait_until(condition, seconds):
    end = time.time() + seconds
    while time.time() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


class Serving(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.context = live_server(TROUPE, MODEL, "--served-model-name", "small")
        cls.server = cls.context.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.context.__exit__(None, None, None)

    def url(self, path):
        return self.server.url + path

    def test_streams_of_several_users_at_once_are_what_each_gets_alone(self):
        questions = ["Why is the sky blue?", "Name three rivers.", "What is 2 + 2?", "Write a line about rain.", "Who was Ada Lovelace?",
                     "Say hello in French."]

        def ask(question):
            body = {"messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 40}
            chunks = list(events(self.url("/v1/chat/completions"), body))
            self.assertEqual(chunks[-1], "[DONE]")
            return "".join(c["choices"][0]["delta"].get("content") or "" for c in map(json.loads, chunks[:-1]) if c["choices"])

        alone = [ask(question) for question in questions]
        with concurrent.futures.ThreadPoolExecutor(len(questions)) as pool:
            together = list(pool.map(ask, questions))
        self.assertEqual(alone, together)
        self.assertTrue(all(len(text) > 5 for text in alone))

    def test_a_seed_gives_the_same_answer_again(self):
        body = {"prompt": "Once upon a time", "seed": 42, "temperature": 1.0, "max_tokens": 30}
        first, second = (post(self.url("/v1/completions"), body)[1]["choices"][0]["text"] for _ in range(2))
        self.assertEqual(first, second)

    def test_a_client_that_vanishes_frees_its_blocks_within_a_second(self):
        body = json.dumps({"prompt": "Count to a thousand: 1, 2, 3,", "max_tokens": 4000, "ignore_eos": True, "stream": True}).encode()
        connection = raw_connection(self.server.url)
        connection.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: "
                           + str(len(body)).encode() + b"\r\n\r\n" + body)
        received = b""
        while received.count(b"data: ") < 3:
            received += connection.recv(4096)
        self.assertGreater(self.server.metrics()['troupe_kv_blocks{state="used"}'], 0)
        connection.close()
        self.assertTrue(wait_until(lambda: self.server.metrics()['troupe_kv_blocks{state="used"}'] == 0, 1.0),
                        "blocks are still held a second after the client went")
        self.assertEqual(self.server.metrics()["troupe_requests_running"], 0)

    def test_bad_requests_are_refused_with_what_was_wrong(self):
        too_long = {"prompt": "word " * 9000, "max_tokens": 1}
        cases = [
            (b"{not json", 400, "invalid_request_error", None),
            ({"prompt": 12.5}, 400, "invalid_request_error", "prompt"),
            ({"prompt": "x", "temperature": "hot"}, 400, "invalid_request_error", "temperature"),
            ({"prompt": "x", "temperature": -1}, 400, "invalid_request_error", "temperature"),
            ({"prompt": "x", "n": 1000}, 400, "invalid_request_error", "n"),
            ({"prompt": "x", "model": "gpt-17"}, 404, None, "model"),
            (too_long, 400, "invalid_request_error", None),
            ({"prompt": [49152]}, 400, "invalid_request_error", None),
        ]
        for body, status, kind, param in cases:
            got, answer = post(self.url("/v1/completions"), body)
            self.assertEqual(got, status, (str(body)[:80], answer))
            self.assertEqual(set(answer["error"]), {"message", "type", "param", "code"})
            self.assertTrue(answer["error"]["message"])
            if kind:
                self.assertEqual(answer["error"]["type"], kind)
            if param:
                self.assertEqual(answer["error"]["param"], param)
        self.assertEqual(post(self.url("/v1/completions"), too_long)[1]["error"]["code"], "context_length_exceeded")

    def test_a_deadline_is_kept(self):
        began = time.time()
        status, answer = post(self.url("/v1/completions"), {"prompt": "On and on", "max_tokens": 4000, "ignore_eos": True},
                              headers={"x-troupe-deadline-ms": "500"})
        self.assertEqual((status, answer["error"]["code"]), (408, "deadline_exceeded"))
        self.assertLess(time.time() - began, 3.0)

    def test_a_client_of_a_byte_a_second_does_not_hold_up_others(self):
        connection = raw_connection(self.server.url)
        for byte in b"GET ":
            connection.sendall(bytes([byte]))
            began = time.time()
            status, _ = post(self.url("/tokenize"), {"prompt": "hello"})
            self.assertEqual(status, 200)
            self.assertLess(time.time() - began, 1.0)
            time.sleep(0.5)
        connection.close()

    def test_the_second_of_two_prompts_that_begin_alike_hits_the_prefix_cache(self):
        prompt = "The quick brown fox jumps over the lazy dog. " * 20
        body = {"prompt": prompt, "max_tokens": 4, "temperature": 0}
        first = post(self.url("/v1/completions"), body)[1]
        second = post(self.url("/v1/completions"), body)[1]
        self.assertEqual(first["choices"][0]["text"], second["choices"][0]["text"])
        self.assertGreater(second["usage"]["prompt_tokens_details"]["cached_tokens"], 100)


class Operating(unittest.TestCase):
    @unittest.skipIf(os.environ.get("TROUPE_TEST_SANITIZED"), "sanitizers have their own threads and shadow memory")
    def test_idle_costs_nothing_and_memory_stays_in_its_budget(self):
        with live_server(TROUPE, MODEL, "--kv-cache-mib", "64") as server:
            post(server.url + "/v1/completions", {"prompt": "Hello", "max_tokens": 8})
            self.assertTrue(wait_until(lambda: "generation_tokens_s=" in server.log(), 12), "no line about what was done")
            time.sleep(2)
            before = os.times(), self.processor_seconds(server)
            time.sleep(5)
            after = os.times(), self.processor_seconds(server)
            share = (after[1] - before[1]) / (after[0].elapsed - before[0].elapsed)
            self.assertLess(share, 0.01, "idle, the process uses more than 1 % of a processor")
            budget = os.path.getsize(MODEL) + (64 << 20) + (150 << 20)
            self.assertLess(server.metrics()["process_resident_memory_bytes"], budget)
            self.assertEqual(server.metrics()["troupe_queue_time_seconds_count"], 1)

    @staticmethod
    def processor_seconds(server):
        with open(f"/proc/{server.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def test_a_dead_worker_is_replaced_and_its_stream_goes_on(self):
        with live_server(TROUPE, MODEL) as undisturbed:
            body = {"prompt": "The history of Rome begins", "max_tokens": 60, "temperature": 0.8, "seed": 3, "ignore_eos": True}
            expected = post(undisturbed.url + "/v1/completions", body)[1]["choices"][0]["text"]
        with live_server(TROUPE, MODEL, environment={"TROUPE_FAILPOINTS": "engine.step=25"}) as server:
            status, answer = post(server.url + "/v1/completions", body)
            self.assertEqual(status, 200, answer)
            self.assertEqual(answer["choices"][0]["text"], expected)
            self.assertEqual(server.metrics()["troupe_worker_restarts_total"], 1)

    def test_keys_are_asked_for_and_a_wide_bind_without_one_is_refused(self):
        with live_server(TROUPE, MODEL, "--api-key", "sesame") as server:
            self.assertEqual(post(server.url + "/v1/completions", {"prompt": "x"})[0], 401)
            self.assertEqual(post(server.url + "/v1/completions", {"prompt": "x", "max_tokens": 1},
                                  headers={"authorization": "Bearer sesame"})[0], 200)
            self.assertEqual(urllib.request.urlopen(server.url + "/health/live").status, 200)
        refused = subprocess.run([TROUPE, "serve", MODEL, "--host", "0.0.0.0"], stderr=subprocess.PIPE, text=True, timeout=30)
        self.assertEqual(refused.returncode, 78)
        self.assertIn("--api-key", refused.stderr)

    def test_a_full_queue_answers_429_with_retry_after(self):
        with live_server(TROUPE, MODEL, "--max-num-seqs", "1", "--max-queue", "1") as server:
            body = {"prompt": "Go on", "max_tokens": 30, "ignore_eos": True}
            with concurrent.futures.ThreadPoolExecutor(40) as pool:
                answers = list(pool.map(lambda _: post(server.url + "/v1/completions", body), range(40)))
            statuses = [status for status, _ in answers]
            self.assertIn(429, statuses)
            # One runs and one waits; all 40 ask within the time that a few of them take.
            self.assertGreaterEqual(statuses.count(200), 2)
            self.assertLessEqual(statuses.count(200), 8)
            self.assertEqual(set(statuses), {200, 429})


class CommandLine(unittest.TestCase):
    def run_troupe(self, *arguments, **options):
        return subprocess.run([TROUPE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120, **options)

    def test_mistakes_are_named(self):
        self.assertEqual(self.run_troupe("serve", "--no-such-flag").returncode, 2)
        missing = self.run_troupe("run", "no-such-model", "x")
        self.assertNotEqual(missing.returncode, 0)
        self.assertIn("no-such-model", missing.stderr)
        wrong = self.run_troupe("config", "check", "--port", "70000")
        self.assertEqual(wrong.returncode, 78)
        self.assertIn("port", wrong.stderr)

    def test_flag_beats_environment_beats_file(self):
        import tempfile
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write("[server]\nport = 1111\nhost = \"127.0.0.2\"\n[worker]\nthreads = 3\n")
            file.flush()
            shown = self.run_troupe("config", "check", "--print", "--config", file.name, "--threads", "5",
                                    env={**os.environ, "TROUPE_PORT": "2222"}).stdout
        rows = {line.split()[0]: line.split()[1:3] for line in shown.splitlines()}
        self.assertEqual(rows["threads"], ["5", "flag"])
        self.assertEqual(rows["port"], ["2222", "environment"])
        self.assertEqual(rows["host"], ["127.0.0.2", "file"])

    def test_run_tokenize_and_doctor_work(self):
        self.assertTrue(self.run_troupe("run", MODEL, "The capital of France is", "--temperature", "0", "--max-tokens", "8")
                        .stdout.startswith("The capital of France is Paris"))
        ids = json.loads(self.run_troupe("tokenize", MODEL, "Hello world").stdout)
        self.assertEqual(self.run_troupe("tokenize", MODEL, "--decode", ",".join(map(str, ids))).stdout.strip(), "Hello world")
        self.assertEqual(self.run_troupe("doctor", "--model", MODEL, "--port", "0").returncode, 0)
        for shell in ("bash", "zsh", "fish"):
            self.assertIn("serve", self.run_troupe("completion", shell).stdout)


if __name__ == "__main__":
    if not MODEL or not os.path.exists(MODEL):
        print("skipped: there is no model (TROUPE_TEST_MODEL)")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
