"""What must be registered, named and commented: CMake targets, tests, migrations, protos."""

import os
import re

from tree import Finding, line_of, rule

LABELS = ("unit", "sim", "contract", "db", "integration", "e2e")


def cmake_files(tree):
    return [path for path in tree.paths if os.path.basename(path) == "CMakeLists.txt"]


def listed(tree, cmake, words):
    """The repository paths that words of a call in `cmake` name."""
    folder = os.path.dirname(cmake)
    for word in words:
        word = word.replace("${CMAKE_CURRENT_SOURCE_DIR}/", "")
        if word.startswith("${CMAKE_SOURCE_DIR}/"):
            yield word.removeprefix("${CMAKE_SOURCE_DIR}/")
        else:
            yield os.path.normpath(os.path.join(folder, word))


@rule("cmake-source", "test-unregistered")
def sources_are_listed(tree):
    in_target, in_test = set(), set()
    for cmake in cmake_files(tree):
        for _, command, words in tree.cmake_calls(cmake):
            paths = set(listed(tree, cmake, words))
            if command in ("slipway_library", "slipway_test", "slipway_fuzz", "add_library", "add_executable",
                           "target_sources", "set", "list"):
                in_target |= paths
            if command == "slipway_test":
                # The test belongs to the CMakeLists.txt of its own folder.
                in_test |= {path for path in paths
                            if os.path.dirname(path) == os.path.dirname(cmake)}
    for path in tree.cpp():
        if path.endswith("_test.cc") and path not in in_test:
            yield Finding(path, 1, "test-unregistered",
                          f"it never runs: add slipway_test(… SOURCES {os.path.basename(path)} …) to "
                          f"{os.path.dirname(path)}/CMakeLists.txt")
        elif path.endswith((".cc", ".c")) and path not in in_target:
            yield Finding(path, 1, "cmake-source", "no CMakeLists.txt lists this file")


def libraries_of(tree):
    """Name → (CMakeLists.txt, line, folder, words, sources) of the libraries outside of tests."""
    found = {}
    for cmake in cmake_files(tree):
        folder = os.path.dirname(cmake)
        for line, command, words in tree.cmake_calls(cmake):
            if command == "slipway_library" and not folder.startswith("tests") and folder:
                sources = {path for path in listed(tree, cmake, words)
                           if path.endswith((".cc", ".c"))}
                found[words[0]] = (cmake, line, folder, set(words[1:]), sources)
    return found


@rule("target-name")
def library_names(tree):
    for name, (cmake, line, folder, _, sources) in libraries_of(tree).items():
        expected = folder.replace("/", "_")
        # A part of the folder that builds without the folder's heavy dependencies has the name of
        # its main source.
        parts = {f"{folder.split('/')[0]}_{os.path.basename(path).rsplit('.', 1)[0]}"
                 for path in sources}
        if name != expected and name not in parts:
            yield Finding(cmake, line, "target-name",
                          f"{name}: one folder, one library, named {expected}"
                          + (f" (or {', '.join(sorted(parts))} for a part of it)" if parts else ""))


@rule("test-name")
def test_names(tree):
    for cmake in cmake_files(tree):
        folder = os.path.dirname(cmake)
        for line, command, words in tree.cmake_calls(cmake):
            if command != "slipway_test" or words[0].startswith("$"):
                continue
            label = folder.split("/")[-1]
            labels = words[words.index("LABELS") + 1:] if "LABELS" in words else []
            if not words[0].endswith("_test"):
                yield Finding(cmake, line, "test-name", f"{words[0]}: ends with _test")
            if label in LABELS and label not in labels:
                yield Finding(cmake, line, "test-name",
                              f"{words[0]}: a test in {folder} has the label {label}")
            elif label not in LABELS and not set(labels) & set(LABELS):
                yield Finding(cmake, line, "test-name",
                              f"{words[0]}: needs one of the labels {' '.join(LABELS)}, or "
                              "tests/run never runs it")


@rule("cmake-deps")
def links_match_includes(tree):
    libraries = libraries_of(tree)
    in_folder, by_source = {}, {}
    for name, (_, _, folder, _, sources) in libraries.items():
        in_folder.setdefault(folder, []).append(name)
        by_source.update((path, name) for path in sources)

    def owner(path):
        """The library of a file: its own source's, else the only one of its folder."""
        stem = path.rsplit(".", 1)[0]
        names = in_folder.get(os.path.dirname(path), [])
        return by_source.get(stem + ".cc") or (names[0] if len(names) == 1 else None)

    def reached_from(name):
        reached, queue = set(), [name]
        while queue:
            current = queue.pop()
            if current not in reached and current in libraries:
                reached.add(current)
                queue += libraries[current][3]
        return reached

    reach = {name: reached_from(name) for name in libraries}
    for path in tree.cpp():
        name = owner(path)
        if path.startswith("tests/") or not name:
            continue
        for number, header, _ in tree.includes(path):
            used = owner(header) if header in tree.known else None
            if used and used not in reach[name]:
                yield Finding(path, number, "cmake-deps",
                              f"{name} includes {header} but does not link {used}: add it to "
                              f"PRIVATE (or DEPS, when a header of {name} needs it) in "
                              f"{libraries[name][0]}")


@rule("support-test")
def no_tests_in_support(tree):
    for path in tree.cpp():
        if path.startswith("tests/support/"):
            for match in re.finditer(r"\b(TEST_CASE|SCENARIO|TEMPLATE_TEST_CASE)\s*\(", tree.code(path)):
                yield Finding(path, line_of(tree.code(path), match.start()), "support-test",
                              "tests/support holds fakes and fixtures only: move the test to tests/unit")


@rule("migration")
def migrations(tree):
    folders = {}
    for path in tree.paths:
        if os.path.basename(os.path.dirname(path)) == "migrations" and path.endswith(".sql"):
            folders.setdefault(os.path.dirname(path), []).append(path)
    for paths in folders.values():
        expected = 1
        for path in sorted(paths):
            match = re.fullmatch(r"(\d{4})_[a-z0-9_]+\.sql", os.path.basename(path))
            if not match:
                yield Finding(path, 1, "migration", "name it NNNN_lower_case_words.sql")
                continue
            if int(match[1]) != expected:
                yield Finding(path, 1, "migration",
                              f"expected number {expected:04d}: numbers rise by one, without gap or twin")
            expected = int(match[1]) + 1


@rule("proto-comment", "proto-enum-zero")
def proto_comments(tree):
    for path in tree.paths:
        if not path.endswith(".proto"):
            continue
        lines = tree.text(path).split("\n")
        for index, line in enumerate(lines):
            match = re.match(r"\s*(service|rpc|message|enum)\s+(\w+)", line)
            if not match:
                continue
            before = lines[index - 1].strip() if index else ""
            if not (before.startswith("//") or before.endswith("*/")):
                yield Finding(path, index + 1, "proto-comment",
                              f"{match[1]} {match[2]}: the line above says what it is for"
                              + (" and which errors it gives" if match[1] == "rpc" else ""))
            if match[1] == "enum":
                body = " ".join(lines[index:index + 12]).partition("{")[2]
                first = re.search(r"(\w+)\s*=\s*(\d+)", re.sub(r"//.*", "", "\n".join(
                    lines[index + 1:index + 12])) or body)
                # Other people's schemas are as they are.
                if path.startswith("proto/slipway/") and first and not (first[2] == "0" and first[1].endswith("_UNSPECIFIED")):
                    yield Finding(path, index + 1, "proto-enum-zero",
                                  f"enum {match[2]}: its first value is …_UNSPECIFIED = 0")
