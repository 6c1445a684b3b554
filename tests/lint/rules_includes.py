"""The include graph: directions, pure files, concrete parts, cycles, third-party headers."""

import os
import re

import allowlists
from tree import Finding, at, rule

STANDARD = set("""algorithm any array atomic barrier bit bitset cassert cctype cerrno cfenv cfloat
charconv chrono cinttypes climits clocale cmath codecvt compare complex concepts condition_variable
coroutine csetjmp csignal cstdarg cstddef cstdint cstdio cstdlib cstring ctime cuchar cwchar cwctype
deque exception execution expected filesystem format forward_list fstream functional future
initializer_list iomanip ios iosfwd iostream istream iterator latch limits list locale map memory
memory_resource mutex new numbers numeric optional ostream queue random ranges ratio regex
scoped_allocator semaphore set shared_mutex source_location span sstream stack stdexcept stop_token
streambuf string string_view strstream syncstream system_error thread tuple type_traits typeindex
typeinfo unordered_map unordered_set utility valarray variant vector version""".split())
POSIX = set("""arpa asm assert.h ctype.h dirent.h dlfcn.h endian.h err.h errno.h fcntl.h fnmatch.h fts.h
getopt.h glob.h grp.h ifaddrs.h inttypes.h limits.h linux malloc.h math.h mntent.h net netdb.h
netinet netpacket poll.h pthread.h pty.h pwd.h sched.h semaphore.h shadow.h signal.h spawn.h
fts.h locale.h wchar.h stdarg.h stdbool.h stddef.h stdint.h stdio.h stdlib.h string.h strings.h sys syslog.h termios.h
time.h ucontext.h unistd.h utime.h utmp.h wait.h""".split())


def is_platform(header):
    return header in STANDARD or header in POSIX or header.split("/")[0] in POSIX


def family(header):
    found = [prefix for prefix in allowlists.THIRD_PARTY if header.startswith(prefix)]
    return max(found, key=len, default=None)


def folder(path):
    return os.path.dirname(path)


@rule("include-direction", "include-path", "include-concrete")
def project_includes(tree):
    for path in tree.cpp():
        top = path.split("/")[0]
        for line, header, quoted in tree.includes(path):
            if header not in tree.known:
                if quoted and not family(header):
                    yield Finding(path, line, "include-path",
                                  f'"{header}" is no header of the repository: write the full path '
                                  "from the root, or <…> for a system header")
                continue
            if not quoted:
                yield Finding(path, line, "include-path", f'write "{header}" in quotes: it is ours')
            target = header.split("/")[0]
            allowed = allowlists.DIRECTIONS.get(top, ())
            if target not in allowed:
                yield Finding(path, line, "include-direction",
                              f"{top} must not include {target}: move what both need to common")
            for place, remedy in allowlists.CONCRETE_FOLDERS.items():
                if at(header, (place,)) and not at(path, (place, *allowlists.WIRING)):
                    yield Finding(path, line, "include-concrete",
                                  f"only app.cc names concrete parts of {place}: {remedy}")


@rule("include-pure")
def pure_files(tree):
    sources = [path for path in tree.cpp() if not path.startswith("tests/")]
    queue = [path for path in sources
             if at(path, allowlists.PURE_FOLDERS)
             or re.fullmatch(allowlists.PURE_FILE_NAMES, os.path.basename(path))]
    seen = set()
    while queue:
        path = queue.pop()
        if path in seen or path in allowlists.PURE_EXCEPT:
            continue
        seen.add(path)
        for line, header, _ in tree.includes(path):
            problem = next((why for prefix, why in allowlists.PURE_BANNED_HEADERS.items()
                            if header == prefix or (prefix.endswith("/") and header.startswith(prefix))),
                           None)
            if header in tree.known:
                if at(header, (*allowlists.VALUE_FOLDERS, *allowlists.VALUE_FILES)):
                    continue
                if folder(header) == folder(path):
                    queue.append(header)
                    source = header[:-2] + ".cc"
                    if source in tree.known:
                        queue.append(source)
                    continue
                problem = "includes only values (" + ", ".join(allowlists.VALUE_FOLDERS) + ")"
            elif not problem and header not in STANDARD | set(allowlists.PURE_C_HEADERS):
                if not header.startswith(allowlists.PURE_THIRD_PARTY):
                    problem = "includes only Abseil and the standard library"
            if problem:
                yield Finding(path, line, "include-pure",
                              f"{header}: a pure file {problem}; pass a value or an action instead")


@rule("include-cycle")
def folder_cycles(tree):
    edges = {}
    for path in tree.cpp():
        if path.startswith("tests/"):
            continue
        for line, header, _ in tree.includes(path):
            if header in tree.known and folder(header) != folder(path):
                edges.setdefault(folder(path), {}).setdefault(folder(header), (path, line, header))
    for start in sorted(edges):
        for target in sorted(edges[start]):
            back = _shortest(edges, target, start)
            # Each cycle once: from its alphabetically first folder.
            if back and min(back) == start:
                path, line, header = edges[start][target]
                yield Finding(path, line, "include-cycle",
                              f"{header} closes a cycle of folders: " + " → ".join([start, *back])
                              + "; move the shared values to a folder below both")


def _shortest(edges, start, goal):
    """The folders from start to goal, both included; None when there is no way."""
    ways, seen = [[start]], {start}
    for way in ways:
        if way[-1] == goal:
            return way
        for target in sorted(edges.get(way[-1], ())):
            if target not in seen:
                seen.add(target)
                ways.append([*way, target])
    return None


@rule("third-party", "third-party-unknown")
def third_party(tree):
    for path in tree.cpp():
        for line, header, quoted in tree.includes(path):
            if header in tree.known or is_platform(header):
                continue
            prefix = family(header)
            if prefix is None:
                if not quoted:
                    yield Finding(path, line, "third-party-unknown",
                                  f"<{header}> is not listed: wrap the library in one folder and add "
                                  "it to THIRD_PARTY in tests/lint/allowlists.py")
                continue
            places, reason = allowlists.THIRD_PARTY[prefix]
            if not path.startswith("tests/") and not at(path, places):
                where = ", ".join(places) or "tests"
                yield Finding(path, line, "third-party",
                              f"<{header}> belongs to {where} ({reason}): use that library's own "
                              "interface")
