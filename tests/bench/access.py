"""What rights cost whoever reads: lists of an account that was granted much, and reads by HTTP."""

import http.client
import json
import pathlib
import re
import shutil
import statistics
import subprocess
import time

from farm import Failed, Farm
from figure import SIZES, CannotMeasure

CALLS = 300
CONNECTIONS = 32

# One grant in ten is for an application; the others narrow it to environments, so that each application has ten.
ROWS = """
INSERT INTO applications (id, name, repository, description, created_at, created_by, requirements, queue_timeout)
SELECT 'app-' || lpad(n::text, 8, '0'), 'app-' || lpad(n::text, 8, '0'), 'https://git.example/app.git', 'one of many', now(), 'bench', '{}', 0
  FROM generate_series(1, $applications$) n;
INSERT INTO grants (account_id, application_id, environment, pages, operations)
SELECT a.id, 'app-' || lpad((1 + n % $applications$)::text, 8, '0'), 'environment-' || n / $applications$, '', '{package,preview,publish}'
  FROM generate_series(0, $grants$ - 1) n, accounts a WHERE a.name = 'reader';
ANALYZE applications; ANALYZE grants; ANALYZE granted_applications;
"""


def rows(farm):
    values = {"applications": SIZES["applications"], "grants": SIZES["grants"]}
    sql = re.sub(r"\$(\w+)\$", lambda found: str(values[found.group(1)]), ROWS)
    done = subprocess.run(["psql", "-q", "-v", "ON_ERROR_STOP=1", "-h", str(farm.folder / "controller/postgres/run"), "-U", "slipway_admin",
                           "slipway", "-c", sql], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"psql: {done.stderr}")


def start_with_reader(farm):
    """The API token of an account with all those applications."""
    farm.start()
    farm.slipway("accounts", "create", "reader", "--kind", "service")
    token = farm.slipway("tokens", "create", "bench", "--account", "reader").stdout.strip()
    rows(farm)
    # What was written past the controller it does not know of.
    farm.controller.stop()
    farm.start_controller()
    return token


def http_port(farm):
    return int(re.findall(r"event=ready.*http_port=(\d+)", (farm.folder / "controller.log").read_text())[-1])


class Reader:
    """Calls by HTTP over one connection."""

    def __init__(self, port, token):
        self.connection = http.client.HTTPConnection("127.0.0.1", port)
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def call(self, method, message):
        begin = time.monotonic()
        self.connection.request("POST", f"/slipway.v1.{method}", json.dumps(message), self.headers)
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise Failed(f"{method}: {answer.status} {body[:300]}")
        return time.monotonic() - begin, json.loads(body)

    def calls(self, method, message):
        """(p50, p99) in seconds."""
        took = sorted(self.call(method, message)[0] for _ in range(CALLS))
        return statistics.median(took), took[int(len(took) * 0.99)]


def reads_per_second(port, token):
    """Of wrk with so many connections, on the same two cores."""
    if shutil.which("wrk") is None:
        raise CannotMeasure("wrk is not installed: apt-get install wrk")
    script = pathlib.Path("/tmp") / f"slipway-bench-{port}.lua"
    script.write_text('wrk.method = "POST"\nwrk.body = "{}"\n'
                      f'wrk.headers["Authorization"] = "Bearer {token}"\nwrk.headers["Content-Type"] = "application/json"\n')
    try:
        done = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", "-d5s", "-s", str(script),
                               f"http://127.0.0.1:{port}/slipway.v1.SessionService/GetSelf"], capture_output=True, text=True, timeout=60)
    finally:
        script.unlink()
    if "Non-2xx" in done.stdout or done.returncode != 0:
        raise Failed(f"wrk: {done.stdout}{done.stderr}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout).group(1))


def measure(rounds, say):
    """Rounds of {name: value}."""
    farm = Farm(agents=0)
    found = []
    try:
        token = start_with_reader(farm)
        port = http_port(farm)
        reader = Reader(port, token)
        _, page = reader.call("ApplicationService/ListApplications", {"pageSize": 100})
        if int(page["total"]) != SIZES["applications"] or len(page["applications"]) != 100:
            raise Failed(f"the list has {page['total']} applications, {len(page['applications'])} on the page")
        for _ in range(rounds):
            one = dict(zip(("list_p50", "list_p99"), reader.calls("ApplicationService/ListApplications", {"pageSize": 100})))
            one["self_p50"], _ = reader.calls("SessionService/GetSelf", {})
            one["reads"] = reads_per_second(port, token)
            say(f"access: {one}")
            found.append(one)
    finally:
        for line in farm.close():
            say(f"left behind: {line}")
    return found
