"""Whether a farm slows down with what lies behind it and with what nobody can do: the load of
slipway-bench tasks on three farms in turn, one empty, one with finished tasks in the database, one
with tasks in the queue that fit no agent.

The rows are copies of those that the same load left behind, made in the database itself: a million
tasks through the front door would take longer than what is to be measured. Their audit entries are
chained as the controller chains them, and the chain is checked."""

import pathlib
import subprocess
import time

import load
from farm import Failed, Farm, until
from figure import SIZES
from reconnect import said

APPLICATIONS = 50
STEPS = ("fetch", "prepare", "script", "archive")

# $finished$, $applications$ and the rest are filled in by sql(). Ids are as long and as random as real ones.
HISTORY = """
INSERT INTO applications (id, name, repository, description, created_at, created_by, requirements, queue_timeout)
SELECT overlay(id PLACING lpad(n::text, 6, '0') FROM length(id) - 5), 'history-' || n, repository, description, created_at,
       created_by, requirements, queue_timeout
  FROM generate_series(1, $applications$) n, (SELECT * FROM applications ORDER BY created_at LIMIT 1) AS a;

CREATE TEMP TABLE copies AS
SELECT n, now() - (90.0 * (1 - n::float8 / $finished$)) * interval '1 day' AS at,
       overlay(task.id PLACING substr(md5(n || 't'), 1, 20) FROM length(task.id) - 19) AS task,
       overlay(task.run_id PLACING substr(md5(n || 'r'), 1, 20) FROM length(task.run_id) - 19) AS run,
       app.id AS application
  FROM generate_series(1, $finished$) n
  JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS number FROM applications WHERE name LIKE 'history-%') AS app
    ON app.number = n % $applications$,
       (SELECT id, run_id FROM tasks WHERE state = 'succeeded' ORDER BY sequence DESC LIMIT 1) AS task
 ORDER BY n;

INSERT INTO runs (id, application_id, ref, version, description, submitted_by, submitted_at, request_id)
SELECT copies.run, application, ref, version, description, submitted_by, copies.at, 'history-' || n
  FROM copies, (SELECT r.* FROM runs r JOIN tasks t ON t.run_id = r.id WHERE t.state = 'succeeded'
                 ORDER BY t.sequence DESC LIMIT 1) AS run;

INSERT INTO tasks (id, run_id, application_id, kind, platform, target, depends_on, requirements, priority, state, attempt,
                   agent_id, cancel_requested, created_at, started_at, finished_at, result, concurrency_group,
                   queue_timeout, starts)
SELECT copies.task, copies.run, application, kind, platform, target, NULL, requirements, priority, state, attempt, agent_id,
       cancel_requested, copies.at, copies.at + interval '1 s', copies.at + interval '1 min', result, concurrency_group,
       queue_timeout, starts
  FROM copies, (SELECT * FROM tasks WHERE state = 'succeeded' ORDER BY sequence DESC LIMIT 1) AS task;

INSERT INTO steps (task_id, attempt, number, name, state, started_at, finished_at, detail)
SELECT task, 1, step.number, step.name, 'succeeded', at + step.number * interval '1 s', at + (step.number + 1) * interval '1 s',
       '0123456789ab (main), 42 files, 3 written, 84 ms'
  FROM copies, unnest(ARRAY[$steps$]) WITH ORDINALITY AS step (name, number);

DO $chain$
DECLARE
  template audit[];
  copy record;
  line audit;
  last text;
  number bigint;
BEGIN
  SELECT sequence, hash INTO number, last FROM audit_head FOR NO KEY UPDATE;
  SELECT array_agg(audit ORDER BY sequence) INTO template FROM audit WHERE sequence > number - 3;
  FOR copy IN SELECT task FROM copies ORDER BY n LOOP
    FOREACH line IN ARRAY template LOOP
      number := number + 1;
      line.sequence := number;
      line.subject := copy.task;
      line.entry := regexp_replace(line.entry, 'task-[0-9a-z-]+', copy.task);
      last := encode(sha256(convert_to(last || E'\\n' || line.entry, 'UTF8')), 'hex');
      line.hash := last;
      INSERT INTO audit SELECT line.*;
    END LOOP;
  END LOOP;
  UPDATE audit_head SET sequence = number, hash = last;
END
$chain$;
"""
BROKEN_LINKS = """
SELECT count(*) FROM (SELECT hash, encode(sha256(convert_to(coalesce(lag(hash) OVER (ORDER BY sequence), '') || E'\\n' || entry,
                             'UTF8')), 'hex') AS right_hash FROM audit) AS links WHERE hash <> right_hash;
"""
QUEUE = """
CREATE TEMP TABLE copies AS
SELECT n, overlay(task.id PLACING substr(md5(n || 't'), 1, 20) FROM length(task.id) - 19) AS task,
       overlay(task.run_id PLACING substr(md5(n || 'r'), 1, 20) FROM length(task.run_id) - 19) AS run
  FROM generate_series(1, $queued$) n,
       (SELECT id, run_id FROM tasks WHERE state = 'succeeded' ORDER BY sequence DESC LIMIT 1) AS task;

INSERT INTO runs (id, application_id, ref, version, description, submitted_by, submitted_at, request_id)
SELECT copies.run, application_id, ref, version, description, submitted_by, now(), 'queue-' || n
  FROM copies, (SELECT r.* FROM runs r JOIN tasks t ON t.run_id = r.id WHERE t.state = 'succeeded'
                 ORDER BY t.sequence DESC LIMIT 1) AS run;

INSERT INTO tasks (id, run_id, application_id, kind, platform, target, depends_on, requirements, priority, state, attempt,
                   agent_id, cancel_requested, created_at, result, concurrency_group, queue_timeout, starts, queued_since)
SELECT copies.task, copies.run, application_id, kind, platform, target, NULL, '{"executor": "nobody"}', priority, 'queued', 0, '',
       false, now(), NULL, concurrency_group, queue_timeout, 0, now()
  FROM copies, (SELECT * FROM tasks WHERE state = 'succeeded' ORDER BY sequence DESC LIMIT 1) AS task;

INSERT INTO unfinished (task_id) SELECT task FROM copies;
"""


def sql(farm, text):
    """Rows of text, in a connection of its own."""
    values = {"finished": SIZES["finished"], "queued": SIZES["queued"], "applications": APPLICATIONS,
              "steps": ", ".join(f"'{step}'" for step in STEPS)}
    for name, value in values.items():
        text = text.replace(f"${name}$", str(value))
    psql = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/psql"))[-1]
    done = subprocess.run([str(psql), "-XqAt", "-v", "ON_ERROR_STOP=1", "-f", "-", farm.database()["libpq"]],
                          input=text, capture_output=True, text=True, timeout=1800)
    if done.returncode != 0:
        raise Failed(f"psql: {done.stderr.strip()}")
    return done.stdout.split()


def restart(farm):
    """Seconds from the start of a controller whose predecessor was killed to its line `ready`."""
    farm.controller.kill9()
    offset = farm.controller.log.stat().st_size
    begin = time.time()
    farm.start_controller(seconds=120)
    return until("the controller to be ready", lambda: said(farm.controller.log, offset, "ready"), 60) - begin


def fill(farm, name):
    load.bench(farm, "tasks", "--tasks", 20, "--agents", 2)  # what the copies are of
    if name == "finished":
        sql(farm, HISTORY)
        ((broken, tasks),) = [sql(farm, BROKEN_LINKS + "SELECT count(*) FROM tasks WHERE state = 'succeeded';")]
        if broken != "0" or int(tasks) < SIZES["finished"]:
            raise Failed(f"{tasks} finished tasks, {broken} broken links of the audit chain")
    if name == "queued":
        farm.controller.kill9()  # it reads the queue when it starts
        sql(farm, QUEUE)
        farm.start_controller()
    sql(farm, "".join(f"VACUUM (ANALYZE) {table};\n" for table in ("applications", "runs", "tasks", "unfinished", "steps", "audit")))
    if farm.controller.stop(seconds=120) != 0:  # the database ends with it, and has written everything then
        raise Failed(f"the controller did not end well:\n{farm.controller.tail()}")
    farm.start_controller()


def measure(rounds, say):
    """Rounds of {kind of farm: {tasks_per_s, restart}}, for "empty", "finished" and "queued"."""
    made = {}
    found = []
    try:
        for name in ("empty", "finished", "queued"):
            made[name] = Farm(agents=0, controller_options=f"no_agent_grace: 7d\nmax_unfinished: {SIZES['queued'] + 100_000}\n")
            made[name].start()
            fill(made[name], name)
            say(f"history: the farm “{name}” is ready")
        for number in range(rounds + 1):
            one = {}
            for name, farm in made.items():
                one[name] = {"restart": restart(farm)}
                one[name]["tasks_per_s"] = load.bench(farm, "tasks", "--tasks", SIZES["tasks"])["tasks_per_s"]
            say("history: " + "; ".join(f"{name} {values['tasks_per_s']:.0f}/s, ready {values['restart'] * 1000:.0f} ms after kill -9"
                                        for name, values in one.items()))
            if number > 0:
                found.append(one)
        waiting = int(sql(made["queued"], "SELECT count(*) FROM unfinished JOIN tasks ON tasks.id = task_id WHERE state = 'queued';")[0])
        if waiting != SIZES["queued"]:
            raise Failed(f"{waiting} tasks are in the queue instead of {SIZES['queued']}")
        return found
    finally:
        for farm in made.values():
            for line in farm.close():
                say(f"left behind: {line}")
