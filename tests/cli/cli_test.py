#!/usr/bin/env python3
"""The command line as a person meets it: settings and where they come from, exit codes, messages, completion.

    cli_test.py TROUPE

Needs no model, except for what says so (TROUPE_TEST_MODEL).
"""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

TROUPE, MODEL = sys.argv[1], os.environ.get("TROUPE_TEST_MODEL", "")
DONE, USAGE, CONFIGURATION = 0, 2, 78


def troupe(*words, stdin="", **environment):
    """Exit code, standard output, standard error."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TROUPE_")}
    ran = subprocess.run([TROUPE, *words], input=stdin, env={**clean, **environment}, text=True, capture_output=True, timeout=60)
    return ran.returncode, ran.stdout, ran.stderr


class Settings(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def file(self, text):
        path = pathlib.Path(self.folder.name) / "troupe.toml"
        path.write_text(text)
        return str(path)

    def shown(self, *words, **environment):
        code, out, error = troupe("config", "check", "--print", *words, **environment)
        self.assertEqual(code, DONE, error)
        return {line.split()[0]: line.split()[1:3] for line in out.splitlines()}

    def test_flag_beats_environment_beats_file_beats_default(self):
        file = self.file("[server]\nport = 1\n[worker]\nthreads = 2\nmax_num_seqs = 3\n")
        values = self.shown("--config", file, "--port", "4", TROUPE_PORT="5", TROUPE_THREADS="6")
        self.assertEqual(values["port"], ["4", "flag"])
        self.assertEqual(values["threads"], ["6", "environment"])
        self.assertEqual(values["max-num-seqs"], ["3", "file"])
        self.assertEqual(values["host"], ["127.0.0.1", "default"])

    def test_the_file_can_be_named_by_the_environment(self):
        self.assertEqual(self.shown(TROUPE_CONFIG=self.file("[server]\nport = 7\n"))["port"], ["7", "file"])

    def test_names_people_know(self):
        values = self.shown("-m", "x.gguf", "-c", "512", "-t", "3", "--no-enable-prefix-caching")
        self.assertEqual(values["model"], ["x.gguf", "flag"])
        self.assertEqual(values["max-model-len"], ["512", "flag"])
        self.assertEqual(values["threads"], ["3", "flag"])
        self.assertEqual(values["enable-prefix-caching"], ["false", "flag"])
        self.assertEqual(self.shown("--ctx-size", "256")["max-model-len"], ["256", "flag"])

    def test_flags_of_other_verbs_have_variables_too(self):
        code, _, error = troupe("bench", "tokenizer", "no-such-model", TROUPE_TEXT="x", TROUPE_QUICK="1")
        self.assertNotIn("argument", error)
        self.assertIn("TROUPE_DECODE_TOKENS", troupe("bench", "engine", "--help")[1])
        self.assertEqual(troupe("bench", "engine", TROUPE_REPEATS="many")[0], USAGE)

    def test_keys_are_not_printed(self):
        code, out, _ = troupe("config", "check", "--print", "--api-key", "sesame-1")
        self.assertEqual(code, DONE)
        self.assertNotIn("sesame", out)

    def test_what_is_wrong_is_said(self):
        for words, environment, file, *parts in [
            (["--port", "70000"], {}, None, "port", "flag", "70000", "65535"),
            (["--port", "80x"], {}, None, "port", "80x"),
            ([], {"TROUPE_MAX_NUM_SEQS": "0"}, None, "max-num-seqs", "environment"),
            ([], {"TROUPE_LOG_FORMAT": "xml"}, None, "log-format", "xml", "json"),
            ([], {}, "[server]\nprot = 1\n", "server.prot", "server.port", ":2:"),
            ([], {}, "[nowhere]\nport = 1\n", "nowhere.port"),
            ([], {}, "port = 1\n", "port", "section"),
            ([], {}, "[server\n", ":1:"),
            ([], {}, "[server]\nport = 1.5\n", "whole number"),
            (["--api-key-file", "/nonexistent"], {}, None, "/nonexistent"),
            (["--config", "/nonexistent.toml"], {}, None, "/nonexistent.toml"),
            (["--dispatch", "random"], {}, None, "dispatch", "random", "hexgen_text2sql", "prefix_aware"),
            ([], {"TROUPE_SCHEDULER": "random"}, None, "scheduler", "environment", "random", "jitserve", "las"),
            ([], {}, '[scheduler]\nrescheduling = "always"\n', "rescheduling", "file", "llumnix"),
            (["--length-quantile", "1"], {}, None, "length-quantile", "0.99"),
            (["--dispatch-alpha", "-0.1"], {}, None, "dispatch-alpha", "from 0 to 1"),
            (["--tenant-weights", "a=2,b"], {}, None, "tenant-weights", "'b'", "TENANT=WEIGHT"),
            (["--tenant-weights", "a=0"], {}, None, "tenant-weights", "a=0", "0.001"),
            (["--max-running-seqs", "65"], {}, None, "max-running-seqs", "max-num-seqs", "64"),
            (["--migrate-below", "9"], {}, None, "migrate-below", "migrate-above"),
            (["--max-workers", "2", "--min-workers", "3"], {}, None, "min-workers", "max-workers"),
            (["--max-workers", "2", "--scale-up-below", "90"], {}, None, "scale-up-below", "scale-down-above"),
        ]:
            with self.subTest(words=words, environment=environment, file=file):
                given = [*words, "--config", self.file(file)] if file else words
                code, out, error = troupe("config", "check", *given, **environment)
                self.assertEqual((code, out), (CONFIGURATION, ""), error)
                for part in parts:
                    self.assertIn(part, error)

    def test_policies_and_their_constants(self):
        file = self.file('[scheduler]\npolicy = "jitserve"\nlength_quantile = 0.75\ntenant_weights = ["a=2", "b=0.5"]\n[scaling]\nmax_workers = 3\n')
        values = self.shown("--config", file, "--dispatch", "llumnix", "--migrate-above", "12.5", TROUPE_DISPATCH_ALPHA="0.4")
        self.assertEqual(values["scheduler"], ["jitserve", "file"])
        self.assertEqual(values["length-quantile"], ["0.75", "file"])
        self.assertEqual(values["tenant-weights"], ["a=2,b=0.5", "file"])
        self.assertEqual(values["max-workers"], ["3", "file"])
        self.assertEqual(values["dispatch"], ["llumnix", "flag"])
        self.assertEqual(values["migrate-above"], ["12.5", "flag"])
        self.assertEqual(values["dispatch-alpha"], ["0.4", "environment"])

    def test_help_names_every_policy(self):
        code, out, error = troupe("policy", "list", "--json")
        self.assertEqual(code, DONE, error)
        policies = json.loads(out)
        self.assertEqual({policy["kind"] for policy in policies}, {"dispatch", "scheduler", "rescheduling", "placement"})
        text, shown = troupe("policy", "list")[1], " ".join(troupe("serve", "--help")[1].split())
        for policy in policies:
            self.assertIn(policy["name"], text)
            self.assertIn(policy["paper"] if policy["paper"] != "none" else policy["use"], text)
            if policy["kind"] != "placement":
                self.assertIn(policy["name"], shown)

    def test_further_workers_need_a_cluster(self):
        code, _, error = troupe("serve", "--max-workers", "2")
        self.assertEqual(code, CONFIGURATION, error)
        self.assertIn("--cluster-listen", error)

    def test_serve_refuses_what_check_refuses(self):
        code, _, error = troupe("serve", "--port", "70000")
        self.assertEqual(code, CONFIGURATION, error)

    def test_no_listening_beyond_this_machine_without_a_key(self):
        code, _, error = troupe("serve", "--host", "0.0.0.0", "--port", "0")
        self.assertEqual(code, CONFIGURATION, error)
        self.assertIn("--api-key", error)


class Verbs(unittest.TestCase):
    def test_usage_errors(self):
        for words in ([], ["fly"], ["serve", "--no-such-flag"], ["completion", "tcsh"], ["tokenize"], ["bench"]):
            with self.subTest(words=words):
                code, out, error = troupe(*words)
                self.assertEqual((code, out), (USAGE, ""))
                self.assertTrue(error)

    def test_help_of_every_verb(self):
        code, out, _ = troupe("--help")
        self.assertEqual(code, DONE)
        for verb in "serve node up status policy place run chat model tokenize embed bench eval config doctor completion version".split():
            self.assertIn(f"\n  {verb} ", out)
            self.assertEqual(troupe(verb, "--help")[0], DONE)

    def test_version(self):
        code, out, _ = troupe("version")
        self.assertEqual(code, DONE)
        self.assertRegex(out, r"^troupe \d+\.\d+\.\d+ \(.*kernels (avx512|avx2|reference)\)\n$")

    def test_completion_scripts_are_scripts(self):
        for shell in ("bash", "zsh", "fish"):
            code, out, _ = troupe("completion", shell)
            self.assertEqual(code, DONE)
            self.assertIn("max-model-len", out)
            if shutil.which(shell):
                subprocess.run([shell, "-n"], input=out, text=True, check=True, timeout=20)
        script = troupe("completion", "bash")[1] + "COMP_WORDS=(troupe model pu); COMP_CWORD=2; _troupe; echo ${COMPREPLY[@]}\n"
        offered = subprocess.run(["bash"], input=script, text=True, capture_output=True, timeout=20, check=True).stdout
        self.assertIn("pull", offered.split())

    def test_unknown_and_broken_models(self):
        with tempfile.TemporaryDirectory() as folder:
            code, _, error = troupe("model", "inspect", "no-such-model", TROUPE_CACHE_DIR=folder)
            self.assertNotEqual(code, DONE)
            self.assertIn("no-such-model", error)
            self.assertIn("smollm2", error)
            junk = pathlib.Path(folder) / "junk.gguf"
            junk.write_bytes(b"JUNK" * 100)
            code, _, error = troupe("model", "inspect", str(junk))
            self.assertNotEqual(code, DONE)
            self.assertIn("GGUF", error)

    def test_a_files_text_cannot_speak_to_the_terminal(self):
        text = b"\x1b]0;owned\x07 \xc2\x9b31m"
        key = b"general.name"
        header = b"GGUF" + struct.pack("<IQQ", 3, 0, 1)
        entry = struct.pack("<Q", len(key)) + key + struct.pack("<IQ", 8, len(text)) + text
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "hostile.gguf"
            file.write_bytes(header + entry)
            code, out, error = troupe("model", "inspect", str(file))
        self.assertEqual(code, DONE, error)
        self.assertIn("owned", out)
        self.assertFalse([c for c in out if (ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160], out)

    @unittest.skipUnless(MODEL, "TROUPE_TEST_MODEL names no model")
    def test_tokenize_there_and_back(self):
        text = "Hello, wörld 日本! <|im_start|>"
        code, out, error = troupe("tokenize", MODEL, stdin=text)
        self.assertEqual(code, DONE, error)
        code, back, error = troupe("tokenize", MODEL, "--decode", out.strip().strip("[]"))
        self.assertEqual((code, back), (DONE, text + "\n"), error)
        self.assertEqual(troupe("tokenize", MODEL, "--special", "<|im_start|>")[1], "[1]\n")

    @unittest.skipUnless(MODEL, "TROUPE_TEST_MODEL names no model")
    def test_run_is_reproducible(self):
        words = ["run", MODEL, "The capital of France is", "--max-tokens", "8", "--temperature", "0"]
        first, second = troupe(*words), troupe(*words)
        self.assertEqual(first[0], DONE, first[2])
        self.assertIn("Paris", first[1])
        self.assertEqual(first[1], second[1])

    @unittest.skipUnless(MODEL, "TROUPE_TEST_MODEL names no model")
    def test_run_holds_the_answer_to_a_schema(self):
        schema = '{"type": "object", "properties": {"town": {"enum": ["Rome", "Oslo"]}}, "required": ["town"]}'
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "schema.json"
            file.write_text(schema)
            for option in (["--json-schema", schema], ["--json-schema-file", str(file)]):
                code, out, error = troupe("run", MODEL, "A town: ", "--seed", "1", *option)
                self.assertEqual(code, DONE, error)
                self.assertIn(json.loads(out.removeprefix("A town: "))["town"], ("Rome", "Oslo"))
        code, _, error = troupe("run", MODEL, "x", "--grammar", "root ::= other")
        self.assertNotEqual(code, DONE)
        self.assertIn("other", error)

    @unittest.skipUnless(MODEL, "TROUPE_TEST_MODEL names no model")
    def test_the_log_is_coloured_on_a_terminal_unless_told_not_to(self):
        for setting, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
            try:
                ours, theirs = os.openpty()
            except OSError as error:
                self.skipTest(f"no pseudo-terminal: {error}")
            clean = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
            with subprocess.Popen([TROUPE, "serve", MODEL, "--port", "0"], stderr=theirs, env={**clean, "TERM": "xterm", **setting}) as server:
                os.close(theirs)
                shown = ""
                while "ready" not in shown:
                    shown += os.read(ours, 4096).decode()
                server.terminate()
                server.wait(timeout=20)
            os.close(ours)
            self.assertEqual("\x1b[" in shown, coloured, shown)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
