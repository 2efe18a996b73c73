#!/usr/bin/env python3
"""Compares Troupe's token ids with llama.cpp's on real and on hostile text: for vocabularies of kind "llama".

    llama_cpp_oracle.py --tokenize-lines PROGRAM --model MODEL.gguf --shared SHARED_FOLDER

Exit code 77 says that something it needs is absent, and 1 that ids differ. Text that spells a control token is only
compared where it is parsed: as text llama.cpp may merge it into the token, which Troupe never does.
"""

import argparse
import os
import random
import sys
from types import SimpleNamespace

import oracle

SPECIAL = ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>", "<unused7>", "[multimodal]", "<table>", "</h1>"]


class llama_cpp_tokenizer:
    """The part of Hugging Face's interface that oracle.compare uses."""

    def __init__(self, llama, parse):
        self.llama = llama
        self.parse = parse

    def encode_batch_fast(self, texts, add_special_tokens):
        for text in texts:
            data = text.encode("utf-8")
            ids = self.llama.tokenize(data, add_bos=add_special_tokens, special=self.parse) if data else []
            yield SimpleNamespace(ids=ids)


def hostile_only(texts):
    """Without texts that a stand-alone tokenizer library would also reject: llama.cpp reads up to 2^31 bytes, no NUL."""
    return [text for text in texts if "\x00" not in text]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokenize-lines", required=True, metavar="PROGRAM")
    parser.add_argument("--model", default=os.environ.get("TROUPE_TEST_GEMMA3", ""))
    parser.add_argument("--shared", default=os.environ.get("TROUPE_SHARED", ""))
    parser.add_argument("--lines-per-file", type=int, default=1000)
    parser.add_argument("--hostile", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    try:
        from llama_cpp import Llama
    except ImportError as problem:
        print(f"skipped: {problem}; pip install llama-cpp-python")
        return oracle.ABSENT
    if not os.path.exists(args.model):
        print("skipped: no model; set TROUPE_TEST_GEMMA3 to gemma-3-270m-q4_k_m.gguf")
        return oracle.ABSENT
    llama = Llama(args.model, vocab_only=True, verbose=False)
    plain, parsing = llama_cpp_tokenizer(llama, False), llama_cpp_tokenizer(llama, True)
    hostile = hostile_only(oracle.hostile_texts(random.Random(args.seed), SPECIAL, args.hostile))
    long = hostile_only(text[:20_000] for text in oracle.long_texts())
    characters = hostile_only(oracle.every_character())
    wrong = 0
    for name, texts, tokenizer, mode in [
        ("real text", oracle.real_texts(args.shared, args.lines_per_file), plain, b"text"),
        ("hostile text", hostile, plain, b"text"),
        ("hostile text with special tokens", hostile, parsing, b"parse"),
        ("every character", characters, plain, b"text"),
        ("long text", long, plain, b"text"),
    ]:
        wrong += oracle.compare(args.tokenize_lines, args.model, name, texts, tokenizer, mode)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
