#!/usr/bin/env python3
"""Compares Troupe's token ids with those of Hugging Face's `tokenizers` on real text and on hostile Unicode.

    oracle.py --tokenize-lines PROGRAM --model MODEL.gguf --shared SHARED_FOLDER

Exit code 77 says that something it needs is absent, and 1 that ids differ. Random texts use only characters that this
Python's unicodedata knows: the two sides may disagree about younger ones (scripts/generate_unicode_tables.py says which).
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import unicodedata

ABSENT = 77
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
ASSIGNED = [c for c in CODE_POINTS if unicodedata.category(chr(c)) not in ("Cn", "Co")]
WHITE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2003\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
ALMOST_WHITE = "\u180e\u200b\u200c\u200d\u2060\ufeff\x1c\x1d\x1e\x1f\x00\x7f"
DIGITS = "0123456789٠٣٩۴०९৪๓༣᠓０９𝟘𝟗½²③Ⅷⅷ〇㈠一𐄇𖩣"
JOINED = ["👩‍👩‍👧‍👦", "🏳️‍🌈", "🇫🇷", "👍🏽", "1️⃣", "❤️", "🧑🏿‍🚀", "é", "q̣̇", "ཀྵ", "각", "각", "שָׁ", "مُحَمَّد", "क्षि", "ﷺ", "\u202eabc\u202c"]
NO_TOKEN = [*range(0x20), 0x50000, 0x9ABCD, 0xF0000, 0x10FFFD]  # among them bytes that SmolLM2's vocabulary lacks
CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'LL", "''", "' s", "\u2019s", "'sx", "'l", "'r"]


def lines_of(path):
    """Every line, and every string inside those that are JSON or CSV."""
    with open(path, encoding="utf-8", newline="") as file:
        if path.endswith(".csv"):
            for row in csv.reader(file):
                yield ",".join(row)
                yield from row
            return
        for line in file:
            yield line
            if path.endswith(".jsonl"):
                yield from strings_of(json.loads(line))


def strings_of(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings_of(item)


def real_texts(shared, limit_per_file):
    files = ["gsm8k/test_a.jsonl", "gsm8k/train.jsonl", "banking77/train.csv", "chat_prompts/prompts.jsonl",
             "longchat_contexts/longchat.jsonl", "wikitext2/valid.txt", "next_edit/cases.jsonl",
             "musique_rag/musique.jsonl", "code_refinement/valid.jsonl"]  # fmt: skip
    for name in files:
        path = os.path.join(shared, "data", name)
        if not os.path.exists(path):
            sys.stderr.write(f"skipped: {path} is absent\n")
            sys.exit(ABSENT)
        for count, line in enumerate(lines_of(path)):
            if count == limit_per_file:
                break
            yield line


def hostile_texts(rng, special, count):
    def piece():
        kind = rng.randrange(10)
        if kind == 0:
            return "".join(chr(rng.choice(ASSIGNED)) for _ in range(rng.randrange(1, 8)))
        if kind == 1:
            return "".join(rng.choice(WHITE) for _ in range(rng.randrange(1, 5)))
        if kind == 2:
            return rng.choice(ALMOST_WHITE)
        if kind == 3:
            return "".join(rng.choice(DIGITS) for _ in range(rng.randrange(1, 4)))
        if kind == 4:
            return rng.choice(JOINED)
        if kind == 5:
            return rng.choice(CONTRACTIONS)
        if kind == 6:
            return rng.choice(special)[: rng.randrange(1, 20)]
        if kind == 7:
            return rng.choice(["a", "the", " ", "=", "\n", "́", "é", "の"]) * rng.randrange(1, 100)
        if kind == 8:
            return chr(rng.choice(NO_TOKEN))
        return rng.choice(["hello", "World", "naïve", "Привет", "世界", "שלום", "don", "I", "x_1", "->", "...", "$", "  "])

    for _ in range(count):
        yield "".join(piece() for _ in range(rng.randrange(1, 12)))


def every_character(n_together=16):
    """Each assigned character behind a letter, a sign, a digit and white space, which tells its class."""
    for i in range(0, len(ASSIGNED), n_together):
        yield "\n".join(f"a{chr(c)}b!{chr(c)}?7{chr(c)}8 {chr(c)} \t{chr(c)}" for c in ASSIGNED[i : i + n_together])


def long_texts():
    yield "a" * 100_000
    yield " " * 50_001 + "x"
    yield "\n\n \t" * 20_000
    yield "0123456789" * 5_000
    yield "ab" * 30_000 + "é" * 20_000 + "!?" * 10_000
    yield "世界" * 20_000
    yield "<|im_start|>" * 2_000 + "<|im_start" * 2_000


def framed(text, mode):
    data = text.encode("utf-8")
    return b"%d %s\n" % (len(data), mode) + data


def compare(program, model, name, texts, tokenizer, mode):
    texts = list(texts)
    data = b"".join(framed(text, mode) for text in texts)
    run = subprocess.run([program, model], input=data, stdout=subprocess.PIPE, check=True)
    answers = run.stdout.decode().split("\n")[:-1]
    assert len(answers) == len(texts), f"{len(answers)} answers to {len(texts)} texts"
    wrong = 0
    encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    for text, answer, encoding in zip(texts, answers, encodings):
        ours = [int(word) for word in answer.split()]
        theirs = encoding.ids
        if ours != theirs:
            wrong += 1
            if wrong <= 5:
                print(f"{name}: {text[:200]!r}\n  troupe     {ours[:60]}\n  tokenizers {theirs[:60]}")
    print(f"{name}: {len(texts)} texts, {sum(len(t.encode()) for t in texts)} bytes, {wrong} differ")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokenize-lines", required=True, metavar="PROGRAM")
    parser.add_argument("--model", default=os.environ.get("TROUPE_TEST_MODEL", ""))
    parser.add_argument("--shared", default=os.environ.get("TROUPE_SHARED", ""))
    parser.add_argument("--lines-per-file", type=int, default=2000)
    parser.add_argument("--hostile", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    try:
        import hf_tokenizer
    except ImportError as problem:
        print(f"skipped: {problem}; pip install tokenizers")
        return ABSENT
    if not os.path.exists(args.model):
        print("skipped: no model; set TROUPE_TEST_MODEL to SmolLM2-135M-Instruct.Q4_1.gguf")
        return ABSENT
    plain, parsing, special = hf_tokenizer.load(args.model)
    rng = random.Random(args.seed)
    hostile = list(hostile_texts(rng, special, args.hostile))
    wrong = 0
    for name, texts, tokenizer, mode in [
        ("real text", real_texts(args.shared, args.lines_per_file), plain, b"text"),
        ("hostile text", hostile, plain, b"text"),
        ("hostile text with special tokens", hostile, parsing, b"parse"),
        ("every character", every_character(), plain, b"text"),
        ("long text", long_texts(), plain, b"text"),
        ("long text with special tokens", long_texts(), parsing, b"parse"),
    ]:
        wrong += compare(args.tokenize_lines, args.model, name, texts, tokenizer, mode)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
