#!/usr/bin/env python3
"""aiperf against a running server: 40 streamed chats, four at a time, none of which may fail.

    run_aiperf.py BASE_URL [--requests 40] [--concurrency 4] [--api-key KEY]

Offline: aiperf makes prompts up with a tokenizer, and the one it calls built in would be downloaded; so it gets one made here,
in which a token is a byte. Tokens of the answers are counted by the server's own usage.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request


def first_model(base_url, api_key):
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    with urllib.request.urlopen(urllib.request.Request(base_url + "/v1/models", headers=headers), timeout=30) as answer:
        return json.load(answer)["data"][0]["id"]


def make_byte_tokenizer(folder):
    """A folder as transformers loads it: byte-level BPE without a merge."""
    import tokenizers

    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: number for number, character in enumerate([*alphabet, "<|end|>"])}
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    folder.mkdir()
    made.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|end|>", "eos_token": "<|end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return str(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base_url")
    parser.add_argument("--requests", type=int, default=40)
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--input-bytes", type=int, default=512)
    parser.add_argument("--output-tokens", type=int, default=32)
    parser.add_argument("--api-key")
    arguments = parser.parse_args()
    base_url = arguments.base_url.rstrip("/")
    with tempfile.TemporaryDirectory() as folder:
        command = [
            str(pathlib.Path(sys.executable).parent / "aiperf"), "profile",
            "--model", first_model(base_url, arguments.api_key), "--url", base_url,
            "--endpoint-type", "chat", "--streaming",
            "--tokenizer", make_byte_tokenizer(pathlib.Path(folder) / "byte_tokenizer"), "--use-server-token-count",
            "--request-count", str(arguments.requests), "--concurrency", str(arguments.concurrency),
            "--isl", str(arguments.input_bytes), "--osl", str(arguments.output_tokens),
            "--extra-inputs", "ignore_eos:true", "--random-seed", "1", "--ui", "none", "--artifact-dir", folder,
        ]  # fmt: skip
        if arguments.api_key:
            command += ["--api-key", arguments.api_key]
        # Not with HF_HUB_OFFLINE: aiperf then takes a folder for the name of a repository.
        environment = {name: value for name, value in os.environ.items() if not name.endswith("_OFFLINE")}
        outcome = subprocess.run(command, cwd=folder, env=environment)
        if outcome.returncode != 0:
            print(f"FAILED: aiperf ended with {outcome.returncode}")
            return 1
        found = list(pathlib.Path(folder).rglob("profile_export_aiperf.json"))
        assert len(found) == 1, f"aiperf left no summary in {folder}"
        summary = json.loads(found[0].read_text())
    done = summary["request_count"]["avg"]
    errors = summary.get("error_request_count") or {"avg": 0}
    tokens = summary["output_sequence_length"]["avg"]
    print(
        f"aiperf: {done:.0f} requests, {errors['avg']:.0f} errors, {tokens:.1f} tokens each; "
        f"TTFT p50 {summary['time_to_first_token']['p50']:.2f} ms, "
        f"inter-token p50 {summary['inter_token_latency']['p50']:.2f} ms, "
        f"{summary['output_token_throughput']['avg']:.0f} tokens/s"
    )
    if done != arguments.requests or errors["avg"] != 0 or tokens != arguments.output_tokens:
        print("FAILED: every request must be answered in full")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
