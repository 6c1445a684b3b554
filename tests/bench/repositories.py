"""Repositories of the measured builds."""

import hashlib
import subprocess
import time

IMAGE = "slipway-test-min:1"


def yaml(run, output="out"):
    return (f"version: 1\nbuild:\n  image: {IMAGE}\n  timeout: 5m\n  network: none\n"
            f"  run: |\n    {run}\nplatforms:\n  demo:\n    output: {output}\n")


def import_commits(application, commits):
    """`commits`: lists of (path, bytes), each on top of the one before; to main."""
    stream, parent = bytearray(), application.git(application.bare, "for-each-ref", "--format=%(objectname)")
    for number, files in enumerate(commits):
        stream += b"commit refs/heads/main\ncommitter Bench <bench@slipway.invalid> %d +0000\n" % int(time.time())
        stream += b"data 8\na change\n"
        if number == 0 and parent:
            stream += b"from refs/heads/main^0\n"
        for path, content in files:
            stream += b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(content), content)
    subprocess.run(["git", "-C", str(application.bare), "fast-import", "--quiet"], input=bytes(stream), check=True, timeout=300)


def noise(name, size):
    """Text that compresses about as well as front-end code, different for every name."""
    text, block = bytearray(), hashlib.sha256(name.encode()).digest()
    while len(text) < size:
        block = hashlib.sha256(block).digest()
        text += b"  const value = lookup('" + block[:16].hex().encode() + b"', options);\n"
    return bytes(text[:size])


def large_repository(farm, name):
    """10,000 files of 2 kB and 301 commits; and the files of the first, to change."""
    application = farm.application(name)
    files = [(f"src/{i % 100}/file-{i}.js", noise(f"source {i}", 2000)) for i in range(10_000)]
    extra = [("slipway.yaml", yaml("mkdir -p out && echo ok >out/ok").encode())]
    import_commits(application, [files + extra] + [[(files[i][0], noise(f"change {i}", 2000))] for i in range(300)])
    return application, files


def seconds_of_git(application, directory, *arguments):
    """Of a command that fills a new directory. Nothing is deleted before the end, because ext4 is slow
    for a while at handing out inodes that were just freed."""
    started = time.monotonic()
    application.git(directory, *arguments)
    return time.monotonic() - started
