"""What must not stand in the text: banned calls, exceptions, leftovers, paths of one machine."""

import re

import allowlists
from tree import Finding, at, line_of, rule

# A free call: not a member, not of another namespace than std, not a declaration's name part.
CALL = r"(?<![\w.>:])(?:std::|::)?"

# Rule → (regular expression over code without comments and strings, places that may, remedy).
BANNED = {
    "ban-regex": (r"std::(basic_)?regex\b|<regex>", (), "std::regex is slow and overflows the "
                  "stack on hostile input: parse by hand"),
    "ban-shell": (CALL + r"(system|popen)\s*\(", allowlists.SHELL, "no shell: start the program with an argument "
                  "vector"),
    "ban-unbounded": (CALL + r"(strcpy|strcat|sprintf|vsprintf|gets|strtok|alloca)\s*\(", (),
                      "unbounded: use std::string, fmt::format or snprintf"),
    "ban-getenv": (CALL + r"(getenv|secure_getenv|setenv|putenv)\s*\(", allowlists.ENVIRONMENT,
                   "take it as an option: only main.cc and app.cc read the environment"),
    "ban-clock": (r"\b(system_clock|steady_clock|high_resolution_clock)::now\b|\babsl::Now\s*\(|"
                  + CALL + r"(gettimeofday|clock_gettime|time\s*\(\s*(NULL|nullptr|0|&)|localtime"
                  r"|gmtime)\b", allowlists.CLOCKS,
                  "take `now` as an argument, or a slipway::Clock"),
    "ban-sleep": (CALL + r"(sleep|usleep|nanosleep)\s*\(|\bsleep_(for|until)\s*\(|\babsl::SleepFor\b",
                  allowlists.SLEEPS, "wait for the event, with a deadline"),
    "ban-random": (CALL + r"(rand|srand|random|drand48|lrand48)\s*\(|std::(mt19937|random_device)\b"
                   r"|std::default_random_engine|\babsl::(InsecureBitGen|BitGen)\b",
                   allowlists.RANDOMNESS,
                   "take randomness as an argument; ids come from NewId, keys from common/crypto"),
    "ban-terminal": (r"std::(cout|cerr|clog)\b|" + CALL + r"(printf|puts|putchar)\s*\("
                     r"|\bfprintf\s*\(\s*std(out|err)|\bfmt::print\s*\(", allowlists.TERMINAL,
                     "write to the log (common/log), or return the text"),
    "ban-using-namespace": (r"\busing\s+namespace\s+(?!(std|absl)::([\w:]*_)?literals\b"
                            r"|std::([\w:]*::)?\w+_literals\b)", (),
                            "name what you use; only namespaces of literals may be opened"),
    "unfenced-connection": (r"\bSession::Open\s*\(|\bpqxx::(lazy|async)?connection\s+\w",
                            {**allowlists.CONNECTIONS, "tests": ""},
                            "a connection of its own writes without comparing the epoch: use "
                            "Database::Read and Database::Write (CONNECTIONS in tests/lint/allowlists.py)"),
    "exceptions": (r"\btry\s*\{|\bthrow\b|\bcatch\s*\(", {**allowlists.EXCEPTIONS, "tests": ""},
                   "exceptions stop at the adapter of the library that throws (EXCEPTIONS in "
                   "tests/lint/allowlists.py): return absl::Status"),
}


@rule(*BANNED)
def banned_code(tree):
    for path in tree.cpp():
        code = tree.code(path)
        for name, (pattern, places, remedy) in BANNED.items():
            if at(path, places):
                continue
            for match in re.finditer(pattern, code):
                yield Finding(path, line_of(code, match.start()), name,
                              f"{match[0].strip()}: {remedy}")


@rule("non-ascii")
def non_ascii(tree):
    for path in tree.cpp():
        for match in re.finditer(r"[^\x00-\x7f]+", tree.code(path)):
            yield Finding(path, line_of(tree.code(path), match.start()), "non-ascii",
                          f"{match[0]!r}: outside of comments and strings only ASCII")


@rule("pragma-once")
def pragma_once(tree):
    for path in tree.cpp():
        if path.endswith(".h") and not re.search(r"^#pragma once$", tree.code(path), re.M):
            yield Finding(path, 1, "pragma-once", "a header begins with #pragma once")


@rule("leftover", "machine-path")
def every_text(tree):
    leftover = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    machine = re.compile(r"(?<![\w.\-/$}])(/work/(wt|main|shared|bin)\b|/home/\w|/farm/in\b)|\.\./shared\b"
                         r"|\bshared/(design|style|requirements|facts)\b")
    for path in tree.paths:
        if path == "LICENSE" or path.endswith("package-lock.json") or at(path, ("tests/lint",)):
            continue
        text = tree.text(path)
        for match in leftover.finditer(text):
            yield Finding(path, line_of(text, match.start()), "leftover",
                          f"{match[0]}: do it now or open an issue")
        if at(path, allowlists.MACHINE_PATHS):
            continue
        for match in machine.finditer(text):
            yield Finding(path, line_of(text, match.start()), "machine-path",
                          f"{match[0]}: exists on one machine only; use a path from the repository "
                          "root or a temporary folder")


@rule("line-length")
def line_length(tree):
    for path in tree.paths:
        if path.endswith((".cc", ".h", ".c", ".proto")):
            for number, line in enumerate(tree.text(path).split("\n"), 1):
                # A URL or a path cannot be broken.
                if len(line) > 100 and len(line.split()) > 2:
                    yield Finding(path, number, "line-length", f"{len(line)} columns, at most 100")


@rule("file-length")
def file_length(tree):
    kinds = (".cc", ".h", ".c", ".proto", ".py", ".sh", ".ts", ".js", ".mjs", ".cjs", ".cmake", ".sql")
    for path in tree.paths:
        text = tree.text(path)
        if not (path.endswith(kinds) or text.startswith("#!")) or path in allowlists.LONG_FILES:
            continue
        lines = text.count("\n")
        if lines > allowlists.MAX_LINES:
            yield Finding(path, lines, "file-length",
                          f"{lines} lines, at most {allowlists.MAX_LINES}: split it by concern")
    for path in allowlists.LONG_FILES:
        if path in tree.known and tree.text(path).count("\n") <= allowlists.MAX_LINES:
            yield Finding(path, 1, "file-length", "short enough now: take it from LONG_FILES")
