"""Why llguidance's reading of a JSON schema and Troupe's may differ, token by token (mask_oracle.py)."""

import re

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
