"""Rules that other programs check: clang-format, the shells, Python's compiler."""

import concurrent.futures
import os
import re
import shutil
import subprocess

from tree import Finding, rule


def _run(*arguments):
    return subprocess.run(arguments, capture_output=True, text=True, errors="replace")


def _parallel(function, items):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(function, items))


@rule("format")
def clang_format(tree):
    paths = [path for path in tree.paths if path.endswith((".cc", ".h", ".c", ".proto"))
             and path.split("/")[0] in ("common", "agent", "controller", "tests", "proto", "deploy")]
    if not paths:
        return
    if not shutil.which("clang-format"):
        yield Finding(".clang-format", 1, "format", "clang-format is missing: apt-get install clang-format")
        return
    chunks = [paths[index:index + 20] for index in range(0, len(paths), 20)]
    style = f"--style=file:{tree.root / '.clang-format'}"
    results = _parallel(lambda chunk: _run("clang-format", style, "--dry-run",
                                           *(str(tree.root / path) for path in chunk)), chunks)
    seen = set()
    for result in results:
        for name, line in re.findall(r"^(.+?):(\d+):\d+: (?:warning|error): code should be", result.stderr,
                                     re.M):
            path = os.path.relpath(name, tree.root)
            if path not in seen:
                seen.add(path)
                yield Finding(path, int(line), "format", f"run clang-format -i {path}")
        if result.returncode != 0 and "code should be" not in result.stderr:
            yield Finding(".clang-format", 1, "format", result.stderr.strip()[:500])


def _interpreter(tree, path):
    first = tree.text(path).split("\n", 1)[0]
    match = re.match(r"#!\s*(?:\S*/env\s+)?(\S+)", first)
    return os.path.basename(match[1]) if match else ""


@rule("script-mode", "script-syntax", "shellcheck")
def scripts(tree):
    shells = []
    for path in tree.paths:
        name = _interpreter(tree, path)
        if name and not tree.executable(path):
            yield Finding(path, 1, "script-mode", f"has a shebang: chmod +x {path}, or drop the shebang "
                          "when it is only sourced")
        elif not name and tree.executable(path):
            yield Finding(path, 1, "script-mode", f"is executable without a shebang: chmod -x {path}, or "
                          "add #!/usr/bin/env …")
        if name in ("sh", "dash", "bash"):
            shells.append((path, "sh" if name != "bash" else "bash"))
        elif path.endswith(".sh"):
            directive = re.search(r"^# shellcheck shell=(\w+)", tree.text(path), re.M)
            shells.append((path, directive[1] if directive else "bash"))
        elif name.startswith("python") or path.endswith(".py"):
            try:
                compile(tree.text(path), path, "exec")
            except SyntaxError as error:
                yield Finding(path, error.lineno or 1, "script-syntax", error.msg)

    results = _parallel(lambda item: _run(item[1], "-n", str(tree.root / item[0])), shells)
    for (path, _), result in zip(shells, results):
        if result.returncode != 0:
            match = re.search(r"(?:line |: )(\d+): ?(.*)", result.stderr)
            yield Finding(path, int(match[1]) if match else 1, "script-syntax",
                          match[2] if match else result.stderr.strip())
    shells = [item for item, result in zip(shells, results) if result.returncode == 0]
    if not shells or not shutil.which("shellcheck"):
        return
    results = _parallel(lambda item: _run("shellcheck", "--severity=warning", "--format=gcc", "-x",
                                          f"--shell={item[1]}", f"--source-path={tree.root}",
                                          str(tree.root / item[0])), shells)
    for (path, _), result in zip(shells, results):
        for line, text in re.findall(r"^.+?:(\d+):\d+: (.*)$", result.stdout, re.M):
            yield Finding(path, int(line), "shellcheck", text)
