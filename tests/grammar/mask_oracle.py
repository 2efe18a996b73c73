#!/usr/bin/env python3
"""Compares Troupe's token masks with those of llguidance, bit for bit, along walks through grammars and JSON schemas.

    mask_oracle.py --print-masks PROGRAM --model MODEL.gguf

Three comparisons, since what a mask is and how a schema is read are two questions:

  masks     the rules that Troupe made of each grammar and of each of the 50 schemas, written out for llguidance: the same
            language, so every mask is the same, every bit of it
  GBNF      the grammars as llguidance's own converter reads them: the same language and the same masks
  schemas   the 50 schemas as llguidance reads them, one optional space after ":" and "," on both sides. Troupe's language is
            narrower by intent (json_schema.hpp), here and there llguidance's is. Every difference falls into one of the
            categories of schema_differences.py, in schemas that give cause for it, and schemas without cause have equal masks

Exit code 77 says that something it needs is absent, and 1 that masks differ.
"""

import argparse
import collections
import json
import os
import struct
import subprocess
import sys
import threading

from schema_differences import Differences

ABSENT = 77
TEXT, END, NEVER = range(3)

GRAMMARS = {
    "yes or no": (r'root ::= "yes" | "no"', ["yes", "no"]),
    "a list of names": ('root ::= name (", " name){0,9} "."\nname ::= [A-Z] [a-z]{1,12}', ["Ann, Bob, Zoe."]),
    "a sentence": (r'root ::= [A-Z] [a-z]* (" " [a-z]+)* [.!?]', ["The quick brown fox jumps."]),
    "letters of many alphabets": (r"root ::= [\u0391-\u03C9éü世界😀-😏]{1,20}", ["ΑΒγé世😀", "ü界"]),
    "what is not ASCII": (r"root ::= [^\x00-\x7F]+", ["日本語のテキスト", "привет"]),
    "any three characters": ("root ::= . . .", ["a世😀", "\n\t "]),
    "a comment in C": (r'root ::= "/*" ([^*] | "*"+ [^*/])* "*"+ "/"', ["/* a * b **/", "/***/"]),
    "ambiguous repetitions": (r'root ::= ("a"? "b"?){7} ("ab" | "a")* "c"', ["ababac", "bbbc", "aabababc"]),
    "numbers": (r'root ::= "-"? ("0" | [1-9] [0-9]{0,15}) ("." [0-9]+)? ([eE] [-+]? [1-9] [0-9]{0,2})?', ["-12.50e+3", "0", "7"]),
    "brackets": (r'root ::= v' + "\n" + r'v ::= "[" (v ("," v)*)? "]" | "{" v? "}" | "x"', ["[x,{[]},[x]]", "{}", "x"]),
    "arithmetic": ('root ::= e "="\ne ::= t ([-+] t)*\nt ::= f ([*/] f)*\nf ::= [0-9]{1,6} | "(" e ")"', ["(12+3)*4/(5-66)=", "7="]),
    "lists of Lisp": (r'root ::= "(" (x (" " x)*)? ")"' + "\n" + r'x ::= [a-z]+ | root | "\"" [^"\\\x00-\x1F]* "\""',
                      ['(define (f x) "a b c" (g y))', "()"]),
    "a table of a query": ('root ::= "SELECT " columns " FROM " name (" WHERE " test (" AND " test)*)? ";"\ncolumns ::= "*" | name (", " name)*\n'
                           'name ::= [a-z_]{1,16}\ntest ::= name (" = " | " < " | " > ") value\nvalue ::= [0-9]{1,9} | "\'" [^\'\\n]{0,30} "\'"',
                           ["SELECT a, b_c FROM users WHERE id = 42 AND name < 'Zoë';"]),
    "JSON": ('root ::= v\nv ::= o | a | s | n | "true" | "false" | "null"\no ::= "{" (s ":" v ("," s ":" v)*)? "}"\na ::= "[" (v ("," v)*)? "]"\n'
             's ::= "\\"" ([^"\\\\\\x00-\\x1F] | "\\\\" ["\\\\/bfnrt])* "\\""\nn ::= "-"? ("0" | [1-9] [0-9]*) ("." [0-9]+)?',
             ['{"a":[1,-2.5,{"b":"c\\n\\"d\\""},[]],"é":null}', "[[[true]]]"]),
}  # fmt: skip

# What llguidance's converter of GBNF reads otherwise than llama.cpp: \u escapes in classes, . without the end of a line, and each
# part of a sequence as long as it can be, whatever follows. These grammars are compared by their rules only.
NOT_CONVERTED = {"letters of many alphabets", "any three characters", "ambiguous repetitions"}


# Where only one text can follow, llguidance would allow only the token that its tokenizer makes of it. A mask is every token that fits.
EXACT = '%llguidance {"no_forcing": true}\n'


class Vocabulary:
    """What llguidance wants of a tokenizer."""

    def __init__(self, stream):
        self.tokens, self.special_token_ids, self.ends = [], [], []
        for token in range(stream.number()):
            text = stream.text()
            kind = stream.read(1)[0]
            self.tokens.append(text)
            if kind != TEXT:
                self.special_token_ids.append(token)
            if kind == END:
                self.ends.append(token)
        self.eos_token_id, self.bos_token_id = self.ends[0], None
        self.mask_bytes = (len(self.tokens) + 63) // 64 * 8

    def __call__(self, text):
        return list(text if isinstance(text, bytes) else text.encode())  # asked for once, and not used: see EXACT


class Stream:
    def __init__(self, file):
        self.file = file

    def read(self, count):
        data = self.file.read(count)
        if len(data) != count:
            raise EOFError("print_masks ended early")
        return data

    def number(self):
        return struct.unpack("=i", self.read(4))[0]

    def text(self, size=None):
        return self.read(self.number() if size is None else size)


def tokens_of(bits):
    """The indices of the bits that are set in an integer."""
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


class Comparison:
    def __init__(self, name, words):
        self.name, self.words = name, words
        self.of = set()
        self.masks = self.equal = self.narrower = self.wider = self.both = 0
        self.kinds = collections.Counter()
        self.errors = []

    def add(self, ours, theirs, before, explain, what):
        """One mask of each side after the bytes `before`. explain(before, token bytes, is_ours) names a difference or returns None."""
        self.masks += 1
        self.of.add(what)
        a, b = int.from_bytes(ours, "little"), int.from_bytes(theirs, "little")
        if a == b:
            self.equal += 1
            return
        more, fewer = a & ~b, b & ~a
        self.narrower += bool(fewer) and not more
        self.wider += bool(more) and not fewer
        self.both += bool(more) and bool(fewer)
        for bits, is_ours in ((more, True), (fewer, False)):
            for token in tokens_of(bits):
                text = b"" if token in self.words.ends else self.words.tokens[token]
                kind = explain(before, text, is_ours)
                if kind is not None:
                    self.kinds[kind] += 1
                    continue
                self.errors.append(f"{what}: after {before.decode(errors='replace')!r} only {'Troupe' if is_ours else 'llguidance'} allows "
                                   f"{token} {text!r}")  # fmt: skip
                break

    def report(self):
        print(f"{self.name}: {len(self.of)} grammars, {self.masks} masks, {self.equal} equal, {self.narrower} narrower, {self.wider} wider, "
              f"{self.both} both")
        for kind, count in sorted(self.kinds.items()):
            print(f"  {count:9} tokens: {kind}")
        for error in self.errors[:12]:
            print(f"  WRONG {error}")
        if len(self.errors) > 12:
            print(f"  ... and {len(self.errors) - 12} more")
        return bool(self.errors)


def nothing_differs(before, text, is_ours):
    return None


class Oracle:
    """One grammar of llguidance and the comparison that its masks go to."""

    def __init__(self, llguidance, tokenizer, lark, comparison, explain, what):
        grammar = llguidance.LLMatcher.grammar_from_lark(EXACT + lark.replace("%llguidance {}\n", ""))
        self.matcher = llguidance.LLMatcher(tokenizer, grammar, limits=llguidance.LLParserLimits(
            initial_lexer_fuel=50_000_000, step_lexer_fuel=50_000_000, step_max_items=5_000_000, max_items_in_row=100_000))  # fmt: skip
        self.comparison, self.explain, self.what = comparison, explain, what
        if self.matcher.is_error():
            raise ValueError(f"{what}: {self.matcher.get_error()[:400]}\n{grammar[:2000]}")

    def begin(self):
        self.matcher.reset()
        self.follows = True

    def step(self, mask, before, token):
        """One mask of Troupe's and the token that came then. Where llguidance does not take the token, the walk ends for it."""
        if not self.follows:
            return
        self.comparison.add(mask, self.matcher.compute_bitmask(), before, self.explain, self.what)
        self.follows = token >= 0 and self.matcher.validate_tokens([token]) == 1 and self.matcher.consume_token(token)
        if self.matcher.is_error():
            self.comparison.errors.append(f"{self.what}: llguidance fails: {self.matcher.get_error()[:200]}")


def replay(stream, words, oracles):
    """Reads the walks of one request, hands every step to the oracles and returns for each walk its text and whether it may end."""
    walks = []
    while stream.number() == 1:
        before, ended = b"", False
        for oracle in oracles:
            oracle.begin()
        while stream.number() == 1:
            mask, token = stream.read(words.mask_bytes), stream.number()
            ended = bool(mask[words.ends[0] // 8] >> words.ends[0] % 8 & 1)
            for oracle in oracles:
                oracle.step(mask, before, token)
            if token >= 0 and token not in words.ends:
                before += words.tokens[token]
        walks.append((before, ended))
    return walks


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def start(program, model, requests):
    process = subprocess.Popen([program, model], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    text = "".join(json.dumps(request) + "\n" for request in requests).encode()

    def feed():
        process.stdin.write(text)
        process.stdin.close()

    threading.Thread(target=feed, daemon=True).start()
    return process, Stream(process.stdout)


def read_rules(stream, name):
    size = stream.number()
    if size < 0:
        raise ValueError(f"{name}: Troupe refuses it: {stream.text().decode()}")
    return stream.text(size).decode()


def compare_grammars(stream, words, oracle, grammars, masks, gbnf):
    """By their rules, and as llguidance's converter reads them. Returns what is wrong beside masks."""
    from llguidance.gbnf_to_lark import any_to_lark

    wrong = []
    for name, (source, texts) in grammars.items():
        oracles = [oracle(read_rules(stream, name), masks, nothing_differs, name)]
        if name not in NOT_CONVERTED:
            oracles.append(oracle(any_to_lark(source), gbnf, nothing_differs, name))
        for text, (walked, ended) in zip(texts, replay(stream, words, oracles)):
            if walked.decode(errors="replace") != text or not ended:
                wrong.append(f"{name}: Troupe refuses {text!r} after {walked!r}")
    return wrong


def compare_schemas(stream, words, oracle, schemas, masks, same, reading):
    """By their rules, and as llguidance reads them. Returns what is wrong beside masks."""
    options = {"whitespace_flexible": False, "item_separator": ", ?", "key_separator": ": ?"}
    wrong = []
    for schema in schemas:
        name = schema["name"]
        theirs = "start: %json " + json.dumps({**schema["schema"], "x-guidance": options})
        explain = Differences(schema)
        oracles = [oracle(read_rules(stream, name), masks, nothing_differs, name),
                   oracle(theirs, reading if explain.has_cause else same, explain, name)]  # fmt: skip
        walks = replay(stream, words, oracles)
        expected = [(value, True) for value in schema["valid"]] + [(value, False) for value in schema["invalid"]]
        for (value, is_valid), (walked, ended) in zip(expected, walks):
            text = compact(value).encode()
            if (walked == text and ended) != is_valid:
                wrong.append(f"{name}: Troupe {'refuses' if is_valid else 'takes'} {text.decode()!r} after {walked!r}")
        wrong += [f"{name}: a walk did not end: {walked!r}" for walked, ended in walks[len(expected) :] if not ended]
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--print-masks", required=True, metavar="PROGRAM")
    parser.add_argument("--model", default=os.environ.get("TROUPE_TEST_MODEL", ""))
    parser.add_argument("--data", default=os.environ.get("TROUPE_TEST_DATA", os.path.join(os.path.dirname(__file__), "..", "data")))
    parser.add_argument("--walks", type=int, default=4, help="random walks for each grammar, besides those along its examples")
    parser.add_argument("--tokens", type=int, default=12, help="of a random walk before it makes for the end")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="schemas and grammars with this in their name")
    args = parser.parse_args()
    try:
        import llguidance
    except ImportError as problem:
        print(f"skipped: {problem}; pip install llguidance")
        return ABSENT
    if not os.path.exists(args.model):
        print("skipped: no model; set TROUPE_TEST_MODEL to SmolLM2-135M-Instruct.Q4_1.gguf")
        return ABSENT
    with open(os.path.join(args.data, "json_schemas.json"), encoding="utf-8") as file:
        schemas = [schema for schema in json.load(file) if args.only in schema["name"]]
    grammars = {name: grammar for name, grammar in GRAMMARS.items() if args.only in name}

    common = {"n_random": args.walks, "n_tokens": args.tokens, "seed": args.seed}
    requests = [{"kind": "gbnf", "source": source, "texts": texts, **common} for source, texts in grammars.values()]
    for schema in schemas:
        texts = [compact(value) for value in schema["valid"] + schema["invalid"]]
        requests.append({"kind": "json_schema", "source": json.dumps(schema["schema"]), "texts": texts, **common})
    process, stream = start(args.print_masks, args.model, requests)
    words = Vocabulary(stream)
    tokenizer = llguidance.LLTokenizer(llguidance.TokenizerWrapper(words), n_vocab=len(words.tokens), eos_token=words.ends, slices=[])

    def oracle(*how):
        return Oracle(llguidance, tokenizer, *how)

    masks = Comparison("masks of the same rules", words)
    gbnf = Comparison("masks of GBNF as both read it", words)
    same = Comparison("masks of schemas that both read alike", words)
    reading = Comparison("masks of schemas that Troupe reads more narrowly", words)
    wrong = compare_grammars(stream, words, oracle, grammars, masks, gbnf)
    wrong += compare_schemas(stream, words, oracle, schemas, masks, same, reading)
    process.wait()
    found = [comparison.report() for comparison in (masks, gbnf, same, reading)]
    for problem in wrong:
        print(f"WRONG {problem}")
    return 1 if any(found) or wrong or process.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
