"""The transcript of README.md: deploy/quickstart, run for the second time."""

import os
import pathlib
import subprocess

from farm import REPOSITORY, Failed

README = REPOSITORY / "README.md"
STATE = pathlib.Path("/var/lib/slipway")
COMMAND = "    # deploy/quickstart"


def quickstart(*arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLIPWAY_")}
    done = subprocess.run([str(REPOSITORY / "deploy/quickstart"), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, env=dict(environment, NO_COLOR="1", LANG="C.UTF-8", SLIPWAY_LANG="en"))
    if done.returncode != 0:
        raise Failed(f"deploy/quickstart {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}")
    return done.stdout


def record():
    """Plays it with the state where everybody has it, which must be free, and takes that away again; images and caches stay."""
    if STATE.exists():
        raise Failed(f"{STATE} is somebody's farm")
    try:
        quickstart()
        said = quickstart()
    finally:
        quickstart("--clean", "--keep-cache")
    lines = README.read_text().splitlines()
    first = end = lines.index(COMMAND)
    while end < len(lines) and (not lines[end] or lines[end].startswith("    ")):
        end += 1
    lines[first:end] = [COMMAND, *(f"    {line}".rstrip() for line in said.splitlines()), ""]
    README.write_text("\n".join(lines) + "\n")
    print(f"README.md: {len(said.splitlines())} lines")
