#!/usr/bin/env python3
"""Compares Troupe's token masks with those of llguidance, bit for bit, along walks through grammars and JSON schemas.

    mask_oracle.py --print-masks PROGRAM --model MODEL.gguf

Three comparisons, since what a mask is and how a schema is read are two questions:

  masks     the rules that Troupe made of each grammar and of each of the 50 schemas, written out for llguidance: the same
            language, so every mask is the same, every bit of it
  GBNF      the grammars as llguidance's own converter reads them: the same language and the same masks
  schemas   the 50 schemas as llguidance reads them, one optional space after ":" and "," on both sides. Troupe's language is
            narrower by intent (json_schema.hpp), here and there llguidance's is. Every difference falls into one of the
            CATEGORIES below, for schemas in which there is cause for it, and the schemas without cause have equal masks

Exit code 77 says that something it needs is absent, and 1 that masks differ.
"""

import argparse
import collections
import json
import os
import re
import struct
import subprocess
import sys
import threading
import time

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


CATEGORIES = {
    "more digits": r"a number of more digits than Troupe writes: 18 before the point, 17 after it (fewer beside an exclusive bound), 2 in an exponent",
    "minus zero": "-0, which Troupe writes for a number without bounds only",
    "last zero": "the end of a fraction whose last digit is 0, beside an exclusive bound, which llguidance does not offer",
    "format": "what a format allows beside the plain texts of it: 29 February, a leap second, more digits of a second, IPv6 with ::, ...",
    "space": "a space inside an array or an object that is a constant, which Troupe writes in one way",
    "members": "further members where additionalProperties is not given: Troupe, as OpenAI's strict mode, takes none beside properties",
    "control": r"a control character as a \u escape where the length of a string is bounded or a key is not given; Troupe has one spelling there",
    "escape": r"\/ or a \u escape of any other character, which llguidance does not offer",
    "delete": "the character DEL, which JSON allows and llguidance does not",
}  # fmt: skip


def each_schema(schema):
    if isinstance(schema, dict):
        yield schema
        for keyword in ("properties", "$defs"):
            for part in schema.get(keyword, {}).values():
                yield from each_schema(part)
        for keyword in ("items", "additionalProperties"):
            yield from each_schema(schema.get(keyword))
        for keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
            for part in schema.get(keyword, []):
                yield from each_schema(part)


def read_so_far(text):
    """Where a JSON text stands: ("string" | "key" | "number" | "", its bytes so far, the last key before it)."""
    stack, kind, start, key, i = [], "", 0, b"", 0
    expects_key = False
    while i < len(text):
        byte = text[i : i + 1]
        if kind in ("string", "key"):
            if byte == b"\\":
                i += 1
            elif byte == b'"':
                if kind == "key":
                    key = text[start + 1 : i]
                kind, expects_key = "", False
        elif byte == b'"':
            kind, start = ("key" if expects_key else "string"), i
        elif byte in b"-0123456789" or (kind == "number" and byte in b"+.eE"):
            if kind != "number":
                kind, start = "number", i
        else:
            kind = ""
            if byte in b"{[":
                stack.append(byte)
            elif byte in b"}]" and stack:
                stack.pop()
            if byte in b"{,":
                expects_key = bool(stack) and stack[-1] == b"{"
        i += 1
    return kind, text[start:] if kind else b"", key


class Differences:
    """Why the two readings of one schema may differ: explain(before, token bytes, is_ours) gives a category or None."""

    def __init__(self, schema):
        parts = list(each_schema(schema["schema"]))
        self.formats = {key.encode() for part in parts for key, member in part.get("properties", {}).items()
                        if any("format" in below for below in each_schema(member))}  # fmt: skip
        numbers, strings = False, False
        for part in parts:
            if "enum" in part or "const" in part:
                continue
            kinds = part.get("type", [])
            kinds = {kinds} if isinstance(kinds, str) else set(kinds)
            bounded = any(low in part for low in ("minimum", "exclusiveMinimum")) and any(
                high in part for high in ("maximum", "exclusiveMaximum"))  # fmt: skip
            numbers |= "number" in kinds or ("integer" in kinds and not bounded)
            strings |= ("string" in kinds and "pattern" not in part) or part.get("additionalProperties", not (
                "properties" in part or kinds != {"object"})) is not False and kinds == {"object"}  # fmt: skip
        values = [value for part in parts for value in part.get("enum", []) + [part.get("const")]]
        self.has_constants = any(isinstance(value, (dict, list)) for value in values)
        below_zero = any(part.get(bound, 0) < 0 for part in parts for bound in ("minimum", "exclusiveMinimum"))
        self.has_open_object = any("properties" in part and "additionalProperties" not in part for part in parts)
        self.has_cause = numbers or strings or below_zero or self.has_constants or self.has_open_object
        self.exclusive = [part[bound] for part in parts for bound in ("exclusiveMinimum", "exclusiveMaximum") if bound in part]
        self.max_fraction = min([15 - len(str(int(abs(bound)))) for bound in self.exclusive if bound] or [17])

    def __call__(self, before, text, is_ours):
        if not self.has_cause:
            return None
        kind, piece, key = read_so_far(before)
        if kind == "string" and key in self.formats and not is_ours:
            return CATEGORIES["format"]
        if not text and is_ours and self.exclusive and re.fullmatch(rb"-?\d+\.\d*0", piece):
            return CATEGORIES["last zero"]
        for end in range(1, len(text) + 1):
            kind, piece, key = read_so_far(before + text[:end])
            name = self.at(before + text[:end], kind, piece, key, is_ours)
            if name:
                return CATEGORIES[name]
        return None

    def at(self, read, kind, piece, key, is_ours):
        """The category of what is being read, when that is where the two sides part."""
        if kind == "number" and not is_ours:
            number = re.fullmatch(rb"-?(\d*)(?:\.(\d*))?(?:[eE][-+]?(\d*))?", piece)
            whole, fraction, exponent = (len(digits or b"") for digits in number.groups())
            if whole > 18 or fraction > self.max_fraction or exponent > 2:
                return "more digits"
            return "minus zero" if piece == b"-0" else None
        if kind in ("string", "key"):
            last = re.search(rb"(?<!\\)(?:\\\\)*(\\(?:/|u[0-9a-fA-F]{0,4}))$", piece)
            if is_ours and last:
                return "escape"
            if is_ours and piece.endswith(b"\x7f"):
                return "delete"
            if not is_ours and kind == "string" and key in self.formats:
                return "format"
            if not is_ours and last and last[1][:2] == b"\\u":
                return "control"
        if self.has_open_object and not is_ours and kind == "" and read.endswith(b","):
            return "members"
        if self.has_constants and not is_ours and kind == "" and read.endswith((b", ", b": ")):
            return "space"
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
        before, ended, tokens = b"", False, []
        for oracle in oracles:
            oracle.begin()
        while stream.number() == 1:
            mask, token = stream.read(words.mask_bytes), stream.number()
            ended = bool(mask[words.ends[0] // 8] >> words.ends[0] % 8 & 1)
            for oracle in oracles:
                oracle.step(mask, before, token)
            if token >= 0 and token not in words.ends:
                before += words.tokens[token]
                tokens.append(token)
        walks.append((before, ended, tokens))
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
        from llguidance.gbnf_to_lark import any_to_lark
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

    masks = Comparison("masks of the same rules", words)
    gbnf = Comparison("masks of GBNF as both read it", words)
    same = Comparison("masks of schemas that both read alike", words)
    reading = Comparison("masks of schemas that Troupe reads more narrowly", words)
    wrong = []

    def read_rules(name):
        size = stream.number()
        if size < 0:
            raise ValueError(f"{name}: Troupe refuses it: {stream.text().decode()}")
        return stream.text(size).decode()

    for name, (source, texts) in grammars.items():
        oracles = [Oracle(llguidance, tokenizer, read_rules(name), masks, nothing_differs, name)]
        if name not in NOT_CONVERTED:
            oracles.append(Oracle(llguidance, tokenizer, any_to_lark(source), gbnf, nothing_differs, name))
        for text, (walked, ended, _) in zip(texts, replay(stream, words, oracles)):
            if walked.decode(errors="replace") != text or not ended:
                wrong.append(f"{name}: Troupe refuses {text!r} after {walked!r}")
    for schema in schemas:
        name = schema["name"]
        options = {"whitespace_flexible": False, "item_separator": ", ?", "key_separator": ": ?"}
        theirs = "start: %json " + json.dumps({**schema["schema"], "x-guidance": options})
        explain = Differences(schema)
        oracles = [Oracle(llguidance, tokenizer, read_rules(name), masks, nothing_differs, name),
                   Oracle(llguidance, tokenizer, theirs, reading if explain.has_cause else same, explain, name)]  # fmt: skip
        walks = replay(stream, words, oracles)
        for value, (walked, ended, tokens), expected in zip(
            schema["valid"] + schema["invalid"], walks, [True] * len(schema["valid"]) + [False] * len(schema["invalid"])
        ):
            text = compact(value).encode()
            if (walked == text and ended) != expected:
                wrong.append(f"{name}: Troupe {'refuses' if expected else 'takes'} {text.decode()!r} after {walked!r}")
        for walked, ended, _ in walks[len(schema["valid"]) + len(schema["invalid"]) :]:
            if not ended:
                wrong.append(f"{name}: a walk did not end: {walked!r}")
    process.wait()
    found = [comparison.report() for comparison in (masks, gbnf, same, reading)]
    for problem in wrong:
        print(f"WRONG {problem}")
    return 1 if any(found) or wrong or process.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
