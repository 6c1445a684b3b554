"""An application of a test farm: a repository that tests commit to."""

import os
import shutil
import subprocess

from suite import Failed


class Application:
    """A bare repository that tests commit to, each case on a branch of its own."""

    def __init__(self, farm, name):
        self.farm, self.name = farm, name
        self.bare = farm.folder / "repos" / f"{name}.git"
        self.tree = farm.folder / "trees" / name
        self.bare.parent.mkdir(exist_ok=True)
        self.git(None, "init", "-q", "--bare", str(self.bare))
        self.git(None, "clone", "-q", str(self.bare), str(self.tree))

    def git(self, tree, *arguments):
        environment = dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_NOSYSTEM="1")
        command = ["git", "-c", "user.name=Tester", "-c", "user.email=tester@slipway.invalid",
                   "-c", "init.defaultBranch=main", *(["-C", str(tree)] if tree else []), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
        if done.returncode != 0:
            raise Failed(f"git {' '.join(arguments)}: {done.stderr}")
        return done.stdout.strip()

    def commit(self, files, branch="main", fresh=True, message="a change"):
        """Commits `files` (name → text or bytes; None removes; "name@" → target of a link) and
        returns the branch. `fresh`: nothing else is in the tree."""
        self.git(self.tree, "checkout", "-q", "-B", branch)
        if fresh:
            for entry in self.tree.iterdir():
                if entry.name != ".git":
                    shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        for name, content in files.items():
            path = self.tree / name.rstrip("@")
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink(missing_ok=True)
            elif name.endswith("@"):
                path.symlink_to(content)
            else:
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.git(self.tree, "add", "--all")
        self.git(self.tree, "commit", "-q", "--allow-empty", "-m", message)
        self.git(self.tree, "push", "-q", "--force", "origin", f"HEAD:{branch}")
        return branch
