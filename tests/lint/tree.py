"""The files under check and what the rules know about a file's text."""

import dataclasses
import functools
import os
import pathlib
import re
import subprocess

CPP = (".cc", ".h", ".c")
SKIPPED_FOLDERS = {".git", "build", ".cache", "node_modules"}


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    path: str
    line: int
    rule: str
    message: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


RULES = {}


def rule(*names):
    """Registers a generator of Findings with the names of the rules it may report."""
    def register(function):
        for name in names:
            assert name not in RULES, name
            RULES[name] = function
        return function
    return register


def at(path, places):
    """Whether `path` is in one of `places` (see allowlists.py)."""
    return any(path == place or path.startswith(place + "/")
               or (place.startswith("*/") and os.path.basename(path) == place[2:])
               for place in places)


_TOKENS = re.compile(
    r'//[^\n]*|/\*.*?\*/|\bR"(?P<tag>[^(\s"]{0,16})\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.S)


def _blank(text):
    return re.sub(r"[^\n]", " ", text)


class Tree:
    """A repository's files. Reads lazily, keeps what it has read."""

    def __init__(self, root, paths=None):
        self.root = pathlib.Path(root)
        self.paths = sorted(paths if paths is not None else self._list())
        self.known = set(self.paths)

    def _list(self):
        """What git tracks or would; in a plain export everything but the usual output folders."""
        try:
            out = subprocess.run(["git", "-C", str(self.root), "ls-files", "-z", "--cached",
                                  "--others", "--exclude-standard"],
                                 check=True, capture_output=True).stdout
            top = subprocess.run(["git", "-C", str(self.root), "rev-parse", "--show-prefix"],
                                 check=True, capture_output=True, text=True).stdout.strip()
            names = [name for name in out.decode().split("\0") if name]
            if not top and names:
                return [name for name in names if (self.root / name).is_file()]
        except (OSError, subprocess.CalledProcessError):
            pass
        found = []
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
            found += [pathlib.Path(folder, name).relative_to(self.root).as_posix()
                      for name in names if pathlib.Path(folder, name).is_file()]
        return found

    @functools.cache
    def bytes(self, path):
        return (self.root / path).read_bytes()

    @functools.cache
    def text(self, path):
        """The text, or "" of a binary file."""
        data = self.bytes(path)
        return "" if b"\0" in data[:8192] else data.decode(errors="replace")

    @functools.cache
    def without_comments(self, path):
        return _TOKENS.sub(lambda m: _blank(m[0]) if m[0].startswith("/") else m[0],
                           self.text(path))

    @functools.cache
    def code(self, path):
        """Without comments and what is inside quotes; lines and columns stay."""
        def blank(match):
            token = match[0]
            if token.startswith("/"):
                return _blank(token)
            return token[0] + _blank(token[1:-1]) + token[-1]
        return _TOKENS.sub(blank, self.text(path))

    @functools.cache
    def includes(self, path):
        """(line, header, is_quoted) of each #include."""
        found = []
        for number, line in enumerate(self.without_comments(path).split("\n"), 1):
            match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if match:
                found.append((number, match[2], match[1] == '"'))
        return found

    def cpp(self):
        return [path for path in self.paths
                if path.endswith(CPP) and path.split("/")[0] in
                ("common", "agent", "controller", "tests", "deploy")]

    def executable(self, path):
        return bool((self.root / path).stat().st_mode & 0o111)

    @functools.cache
    def cmake_calls(self, path):
        """(line, command, words) of each call in a CMakeLists.txt."""
        text = re.sub(r"#[^\n]*", lambda m: _blank(m[0]), self.text(path))
        calls, values = [], {}
        for match in re.finditer(r"(\w+)\s*\(([^()]*)\)", text):
            command, words = match[1].lower(), match[2].replace('"', " ").split()
            # A list of sources or libraries may have a name in the same file. Whatever any branch
            # adds counts.
            words = [value for word in words
                     for value in values.get(word.removeprefix("${").removesuffix("}"), [word])
                     if not (value == word and word.startswith("${") and word[2:-1] in values)]
            if command == "set" and words:
                values.setdefault(words[0], []).extend(words[1:])
            elif command == "list" and words[:1] == ["APPEND"] and len(words) > 1:
                values.setdefault(words[1], []).extend(words[2:])
            calls.append((line_of(text, match.start()), command, words))
        return calls


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1
