"""What the documents promise about the code: the list of reasons in docs/errors.md."""

import re

import allowlists
from tree import Finding, line_of, rule

LIST = "docs/errors.md"
# Names every reason and gives none; a test compares it with the list.
TABLE = "common/status/remedies.cc"
ROW = re.compile(r"^\| `([A-Z][A-Z0-9_]*)` \|", re.M)
WORD = re.compile(r'"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)"')
# A reason of one word is only told from other capitals by where it stands.
PLACE = re.compile(r'\bMakeError\(\s*[\w:]+\s*,\s*"([A-Z][A-Z0-9]*)"|\breason\s*=\s*"([A-Z][A-Z0-9]*)"')
PROTO = re.compile(r"\breason +([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)\b")


@rule("reasons")
def reasons(tree):
    listed = {}
    text = tree.text(LIST) if LIST in tree.known else ""
    for match in ROW.finditer(text):
        line = line_of(text, match.start())
        if match[1] in listed:
            yield Finding(LIST, line, "reasons", f"{match[1]}: stands in line {listed[match[1]]} too")
        listed.setdefault(match[1], line)

    words = set()
    for path in tree.cpp():
        if path.split("/")[0] not in ("controller", "agent", "common") or path == TABLE:
            continue
        code = tree.without_comments(path)
        found = {(match[1], match.start()) for match in WORD.finditer(code) if "_" in match[1]}
        found |= {(match[1] or match[2], match.start()) for match in PLACE.finditer(code)}
        words |= {match[1] for match in WORD.finditer(code)}
        yield from _unlisted(path, code, found, listed)
    for path in tree.paths:
        if path.endswith(".proto"):
            # Words that a comment breaks over lines.
            text = re.sub(r"\n[ \t]*//", lambda m: "\n" + " " * (len(m[0]) - 1), tree.text(path))
            found = {(match[1], match.start(1)) for match in PROTO.finditer(re.sub(r"\s", " ", text))}
            yield from _unlisted(path, text, found, listed)

    for name, line in listed.items():
        if name not in words:
            yield Finding(LIST, line, "reasons", f"{name}: no code gives it; take the line out")


def _unlisted(path, text, found, listed):
    for name, offset in found:
        if name not in listed and name not in allowlists.NOT_REASONS and not name.startswith("SLIPWAY_"):
            yield Finding(path, line_of(text, offset), "reasons",
                          f"{name}: not in {LIST}; add a line there, or, when it is no reason, to "
                          "NOT_REASONS in tests/lint/allowlists.py")
