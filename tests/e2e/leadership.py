"""One writer: a second controller on the same database cannot write beside the first, takes over from a
frozen one, and what was frozen writes no row any more when it goes on."""

import os
import shutil
import signal
import subprocess
import time

from farm import Daemon, Farm, Suite, expect, expect_in, free_port, program, until

suite = Suite()
case = suite.case


class Second:
    """Another controller on the farm's database, with the farm's keys and files of its own."""

    def __init__(self, farm, name):
        self.folder, self.port = farm.folder / name, free_port()
        self.folder.mkdir(mode=0o711)
        shutil.copytree(farm.folder / "controller/keys", self.folder / "keys")
        config = farm.folder / f"{name}.yaml"
        config.write_text(f"data_dir: {self.folder}\nlisten: 127.0.0.1:{self.port}\nhttp_listen: 127.0.0.1:0\nallow_local_repositories: true\n"
                          f"database_url: '{farm.database()['libpq']}'\n")
        self.daemon = Daemon(name, [program("slipway-controller"), "--config", str(config)], farm.folder / f"{name}.log")

    def slipway(self, *arguments):
        return subprocess.run([program("slipway"), "--server", f"127.0.0.1:{self.port}", "--ca", str(self.folder / "ca.pem"),
                               "--token-file", str(self.folder / "admin.token"), *arguments],
                              capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


def rows(farm):
    """A hash of every table's rows but the leader's own."""
    tables = [name for (name,) in farm.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public' "
                                             "AND tablename <> 'leadership' ORDER BY 1")]
    return {name: farm.query(f"SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {name} t") for name in tables}


def epoch(farm):
    return int(farm.query("SELECT epoch FROM leadership")[0][0])


@case("a second controller on the same database ends, names the first, and has written nothing")
def mistake(farm):
    farm.slipway("apps", "create", "lab", "--repository", f"file://{farm.folder}/repos/none.git")
    before, term = rows(farm), epoch(farm)
    second = Second(farm, "mistake")
    second.daemon.start()
    until("the second controller to end", lambda: not second.daemon.running(), 30)
    said = second.daemon.tail()
    expect(second.daemon.process.returncode == 1, second.daemon.process.returncode, said)
    for words in ("another controller leads: 'slipway-controller-", f"term {term}", "database of its own"):
        expect_in(words, said)
    expect(rows(farm) == before and epoch(farm) == term, before)
    expect(farm.slipway("apps").returncode == 0)


@case("a frozen controller's place is taken; when it goes on it writes no row, says so and ends")
def frozen(farm):
    term = epoch(farm)
    os.kill(farm.controller.process.pid, signal.SIGSTOP)
    # Asked of the frozen one: it will find these when it goes on.
    late = [subprocess.Popen(farm.command("apps", "create", f"late-{number}", "--repository", "file:///nowhere"),
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL) for number in range(3)]
    second = Second(farm, "second")
    began = time.monotonic()
    second.daemon.start()
    try:
        until("the second controller to lead", lambda: second.slipway("apps").returncode == 0, 45)
        print(f"    took over after {time.monotonic() - began:.1f} s")
        expect(epoch(farm) == term + 1, epoch(farm), term)
        expect(second.slipway("apps", "create", "new", "--repository", "file:///nowhere").returncode == 0)
        before = rows(farm)
        os.kill(farm.controller.process.pid, signal.SIGCONT)
        until("the first one to end", lambda: not farm.controller.running(), 20)
        expect(farm.controller.process.returncode == 1, farm.controller.process.returncode, farm.controller.tail())
        expect_in("no longer leads", farm.controller.tail())
        expect(rows(farm) == before, before, rows(farm))
        expect(all(process.wait(60) != 0 for process in late))
        expect(second.slipway("apps", "show", "new").returncode == 0, "the first one took the database with it")

        farm.controller.start()
        until("the first one to see who leads", lambda: not farm.controller.running(), 40)
        expect_in("another controller leads", farm.controller.tail())
        expect(second.slipway("apps", "show", "new").returncode == 0, "the first one took the database with it")
    finally:
        if farm.controller.running():
            os.kill(farm.controller.process.pid, signal.SIGCONT)
        for process in late:
            process.kill()
            process.wait()
        expect(second.daemon.stop() == 0, second.daemon.tail())
    farm.start_controller()
    expect(farm.slipway("apps", "show", "new").returncode == 0)
    expect(farm.slipway("apps", "show", "late-1", check=False).returncode == 3)


@case("a database in use without its farm's keys is refused; --new-keys makes new ones")
def keys(farm):
    farm.slipway("apps", "create", "keyed", "--repository", "file:///nowhere")
    expect(farm.controller.stop() == 0, farm.controller.tail())
    folder = farm.folder / "controller/keys"
    folder.rename(farm.folder / "kept-keys")
    farm.controller.start()
    until("the controller to end", lambda: not farm.controller.running(), 40)
    expect(farm.controller.process.returncode == 1, farm.controller.tail())
    for words in ("keys/ca.pem is not there", "a farm's in use", "--new-keys"):
        expect_in(words, farm.controller.tail())
    expect(not any(folder.iterdir()), list(folder.iterdir()))
    farm.controller.command.append("--new-keys")
    farm.start_controller()
    expect(farm.slipway("apps", "show", "keyed").returncode == 0)
    expect((folder / "ca.pem").read_bytes() != (farm.folder / "kept-keys/ca.pem").read_bytes())


if __name__ == "__main__":
    suite.run(lambda: Farm(agents=0))
