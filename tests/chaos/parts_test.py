#!/usr/bin/env python3
"""Tests of the chaos suite's own parts: each check of the oracle can fail, the plan is a function of its seed."""

import copy
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]
sys.dont_write_bytecode = True

import evidence  # noqa: E402
import faults  # noqa: E402
import janitor  # noqa: E402
import oracle  # noqa: E402
import plan  # noqa: E402
import report  # noqa: E402
import workload  # noqa: E402


def task(name, run, kind, state, **more):
    group = ("shop", "publish:weixin/weixin") if kind == "publish" else ("lab", "")
    return dict({"id": name, "run": run, "kind": kind, "state": state, "attempt": 1, "group": group, "failure_class": "",
                 "reason": "", "missing": 0, "log_size": None, "log_root": None, "release": "", "agent": "agent-1",
                 "began": 1000.0, "ended": 1010.0}, **more)


def fault(name, target, begun, ended, hit="no container was running"):
    return {"fault": name, "target": target, "hit": hit, "begun": begun, "ended": ended}


def chain(entries):
    rows, before = [], ""
    for number, entry in enumerate(entries, 1):
        text = json.dumps(entry)
        before = hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()
        rows.append((number, text, before))
    return rows


def log_of(sort, cut=None):
    return b"slipway: begun\n" + workload.SORTS[sort].log[:cut] + b"slipway: ended\n"


def good():
    """Evidence of a run in which everything held: one build of each kind of end, publishes, and a preview."""
    tasks = [
        task("t1", "r1", "build", "succeeded"),
        task("t2", "r2", "build", "failed", failure_class="build", reason="SCRIPT_FAILED"),
        task("t3", "r3", "build", "canceled"),
        task("t4", "r4", "build", "succeeded"), task("t5", "r4", "publish", "succeeded", release="R1"),
        task("t6", "r6", "build", "succeeded"), task("t7", "r6", "publish", "unknown"),
        task("t8", "r8", "build", "succeeded"), task("t9", "r8", "preview", "succeeded", attempt=2),
    ]
    logs = {"t1": log_of("ticking"), "t2": log_of("failing"), "t3": log_of("sleeping", 5)}
    logs |= {name: b"slipway: publishing\n" for name in ("t4", "t5", "t6", "t7", "t8", "t9")}
    for one in tasks:
        one["log_size"] = len(logs[one["id"]])
        # All of them are shorter than a segment.
        one["log_root"] = hashlib.sha256(hashlib.sha256(logs[one["id"]]).digest()).hexdigest()
    entries = [{"action": "finish_task", "subject": one["id"], "state": one["state"]} for one in tasks
               if one["state"] != "unknown"]
    entries.append({"action": "mark_unknown", "subject": "t7"})
    record = [{"request": f"q{number}", "sort": sort, "version": f"{number}.0", "run": run, "tasks": names,
               "cancelled": sort == "sleeping"}
              for number, (sort, run, names) in enumerate([
                  ("ticking", "r1", ["t1"]), ("failing", "r2", ["t2"]), ("sleeping", "r3", ["t3"]),
                  ("publish", "r4", ["t4", "t5"]), ("publish", "r6", ["t6", "t7"]),
                  ("preview", "r8", ["t8", "t9"])])]
    return {
        "record": record, "unanswered": [], "runs": [{"id": one["run"], "request": one["request"]} for one in record],
        "tasks": tasks, "again": {one["id"]: one["state"] for one in tasks}, "logs": logs,
        "products": {"t1": {"product": b"ticked\n"}, "t4": {"app.json": b"{}"}, "t6": {"app.json": b"{}"}, "t8": {"app.json": b"{}"}},
        "accepted": ["3.0", "4.0"], "previewed": ["5.0", "5.0"], "releases": [{"id": "R1", "version": "3.0", "publish_task": "t5"}],
        "audit": chain(entries), "ended": [("controller", 1)], "left": [], "faults": [fault("agent-freeze", "agent-1", 1004, 1006, "publish t7-1")], "busy_long_enough": True,
    }


def failing(evidence):
    return {name for name, _ in oracle.judge(evidence)}


class Oracle(unittest.TestCase):
    def setUp(self):
        self.e = copy.deepcopy(good())

    def of(self, name):
        return next(one for one in self.e["tasks"] if one["id"] == name)

    def finds(self, *checks):
        self.assertEqual(failing(self.e), set(checks), oracle.judge(self.e))

    def test_finds_nothing_where_all_holds(self):
        self.finds()

    def test_a_call_that_was_never_answered(self):
        self.e["unanswered"].append("submit q9")
        self.finds("answered")

    def test_a_run_stored_twice_for_one_request(self):
        self.e["runs"].append({"id": "r1b", "request": "q0"})
        self.finds("one_run_per_request")

    def test_a_run_that_nobody_asked_for(self):
        self.e["runs"].append({"id": "r9", "request": "q9"})
        self.finds("one_run_per_request")

    def test_an_acknowledged_run_that_is_gone(self):
        self.e["runs"].pop(0)
        self.finds("one_run_per_request")

    def test_an_acknowledged_task_that_is_gone(self):
        self.e["tasks"].pop(2)
        self.finds("one_terminal_state")

    def test_a_task_that_never_ends(self):
        self.of("t1")["state"] = self.e["again"]["t1"] = "running"
        self.assertIn("one_terminal_state", failing(self.e))

    def test_a_publish_behind_one_of_unknown_outcome(self):
        self.e["audit"] = chain([entry for entry in (json.loads(text) for _, text, _ in self.e["audit"]) if entry["subject"] != "t5"])
        self.of("t5").update(state="queued", release="")
        self.e["again"]["t5"] = "queued"
        self.e["releases"], self.e["accepted"] = [], ["4.0"]
        self.assertNotIn("one_terminal_state", failing(self.e))
        self.of("t7")["state"] = self.e["again"]["t7"] = "failed"
        self.assertIn("one_terminal_state", failing(self.e))

    def test_a_publish_that_waits_though_only_another_target_is_of_unknown_outcome(self):
        self.test_a_publish_behind_one_of_unknown_outcome()
        self.of("t7")["state"] = self.e["again"]["t7"] = "unknown"
        self.assertNotIn("one_terminal_state", failing(self.e))
        for group in (("shop", "publish:weixin/second"), ("stall", "publish:weixin/weixin")):
            self.of("t7")["group"] = group
            self.assertIn("one_terminal_state", failing(self.e))

    def test_a_build_of_unknown_end(self):
        self.of("t1")["state"] = self.e["again"]["t1"] = "unknown"
        self.assertIn("one_terminal_state", failing(self.e))

    def test_a_task_that_was_finished_twice(self):
        entries = [json.loads(text) for _, text, _ in self.e["audit"]]
        self.e["audit"] = chain([*entries, {"action": "finish_task", "subject": "t1", "state": "failed"}])
        self.finds("one_terminal_state")

    def test_a_state_that_a_restart_changes(self):
        self.e["again"]["t1"] = "failed"
        self.finds("one_terminal_state")

    def test_a_failing_build_that_succeeds(self):
        self.of("t2")["state"] = "succeeded"
        self.assertIn("expected_end", failing(self.e))

    def test_a_good_build_that_fails_for_a_reason_of_its_own(self):
        self.of("t1").update(state="failed", failure_class="policy")
        self.assertIn("expected_end", failing(self.e))

    def fails(self, failure_class, reason, *faults_met):
        """What the oracle says of a good build that failed so amid these."""
        self.of("t3").update(state="failed", failure_class=failure_class, reason=reason)
        self.e["again"]["t3"] = "failed"
        self.e["faults"] = [*self.e["faults"], *faults_met]
        return "expected_end" in failing(self.e)

    def test_a_good_build_may_fail_by_a_fault(self):
        self.assertFalse(self.fails("agent_lost", "CONTAINER_LOST", fault("agent-kill", "agent-1", 1004, 1006)))

    def test_a_failure_without_any_fault(self):
        self.assertTrue(self.fails("agent_lost", "CONTAINER_LOST"))

    def test_a_failure_amid_faults_of_another_agent(self):
        self.assertTrue(self.fails("agent_lost", "CONTAINER_LOST", fault("agent-kill", "agent-2", 1004, 1006)))

    def test_a_failure_before_or_long_after_the_fault(self):
        self.assertTrue(self.fails("agent_lost", "CONTAINER_LOST", fault("agent-kill", "agent-1", 1011, 1012),
                                   fault("agent-kill", "agent-1", 900, 910)))

    def test_a_failure_amid_a_fault_that_hit_nothing(self):
        self.assertTrue(self.fails("agent_lost", "CONTAINER_LOST", fault("agent-kill", "agent-1", 1004, 1006, faults.NOT_RUNNING)))

    def test_a_failure_that_this_fault_cannot_bring_about(self):
        self.assertTrue(self.fails("infrastructure", "NO_DOCKER_ENGINE", fault("net-cut", "net-1", 1004, 1006)))
        self.assertFalse(self.fails("infrastructure", "NO_DOCKER_ENGINE", fault("engine-kill", "engine", 1004, 1006)))

    def test_a_product_for_which_the_controller_had_no_room(self):
        self.assertTrue(self.fails("infrastructure", "STORAGE_FULL", fault("disk-agent", "disk-1", 1004, 1006)))
        self.assertFalse(self.fails("infrastructure", "STORAGE_FULL", fault("disk-controller", "controller-disk", 1004, 1006)))

    def test_a_reason_that_no_fault_brings_about(self):
        everything = [fault(name, kind.part + ("-1" if kind.each else ""), 1001, 1009) for name, kind in plan.FAULTS.items()]
        self.assertTrue(self.fails("agent_lost", "AGENT_LOST", *everything))

    def test_a_lost_container_where_another_one_was_hit(self):
        self.assertTrue(self.fails("agent_lost", "CONTAINER_LOST", fault("init-kill", "init", 1004, 1004, "build t1-1")))
        self.assertFalse(self.fails("agent_lost", "CONTAINER_LOST", fault("init-kill", "init", 1004, 1004, "build t3-1")))

    def test_a_cancel_that_nobody_asked_for(self):
        self.e["record"][2]["cancelled"] = False
        self.finds("expected_end")

    def test_a_publish_that_nobody_saw_end_for_no_reason(self):
        self.e["faults"] = []
        self.finds("expected_end")

    def test_every_reason_that_a_fault_may_bring_about_exists(self):
        errors = (HERE.parents[1] / "docs/errors.md").read_text()
        for name in oracle.BECAUSE:
            self.assertIn(f"`{name}`", errors)

    def test_a_publish_skipped_after_a_good_build(self):
        self.of("t5")["state"] = "skipped"
        self.assertIn("expected_end", failing(self.e))

    def test_a_log_that_lost_its_end(self):
        self.e["logs"]["t1"] = log_of("ticking", -7)
        self.of("t1")["log_size"] = len(self.e["logs"]["t1"])
        self.finds("logs_are_what_was_written")

    def test_a_log_with_one_byte_changed(self):
        self.e["logs"]["t2"] = self.e["logs"]["t2"].replace(b"step 7", b"step 8")
        self.finds("logs_are_what_was_written")

    def test_a_log_with_a_piece_repeated(self):
        self.e["logs"]["t3"] = b"slipway: begun\n" + b"asleep asleep"
        self.of("t3")["log_size"] = len(self.e["logs"]["t3"])
        self.finds("logs_are_what_was_written")

    def test_a_log_shorter_than_reported(self):
        self.of("t5")["log_size"] += 1
        self.finds("logs_are_what_was_written")

    def test_a_publish_s_log_of_the_right_length_and_other_bytes(self):
        self.e["logs"]["t5"] = self.e["logs"]["t5"].replace(b"publishing", b"qublishing")
        self.finds("logs_are_what_was_written")

    def test_missing_bytes_are_breach_unless_the_agents_own_disk_was_full(self):
        self.of("t1")["missing"] = 5
        self.finds("logs_are_what_was_written")
        self.e["faults"] += [fault("disk-agent", "disk-2", 1004, 1006), fault("disk-controller", "controller-disk", 1004, 1006)]
        self.finds("logs_are_what_was_written")
        self.e["faults"] += [fault("disk-agent", "disk-1", 1004, 1006)]
        self.finds()

    def test_a_product_that_is_not_archived(self):
        del self.e["products"]["t4"]
        self.finds("products_are_archived")

    def test_a_product_of_other_bytes(self):
        self.e["products"]["t1"]["product"] = b"tricked\n"
        self.finds("products_are_archived")

    def test_a_version_uploaded_twice(self):
        self.e["accepted"].append("3.0")
        self.finds("published_at_most_once")

    def test_an_upload_without_a_record(self):
        self.of("t7").update(state="failed", failure_class="infrastructure")
        self.assertIn("published_at_most_once", failing(self.e))

    def test_a_release_without_an_upload(self):
        self.e["accepted"].remove("3.0")
        self.finds("published_at_most_once")

    def test_a_success_without_a_release(self):
        self.e["releases"].clear()
        self.finds("published_at_most_once")

    def test_a_version_released_twice(self):
        self.e["releases"].append({"id": "R2", "version": "3.0", "publish_task": "t5"})
        self.finds("published_at_most_once")

    def test_a_preview_of_unknown_outcome(self):
        self.of("t9")["state"] = self.e["again"]["t9"] = "unknown"
        self.finds("one_terminal_state")

    def test_a_preview_that_waits_for_a_publish(self):
        self.of("t9").update(state="queued", group=self.of("t7")["group"])
        self.e["again"]["t9"] = "queued"
        self.finds("one_terminal_state")

    def test_a_preview_whose_permit_is_remembered(self):
        entries = [json.loads(text) for _, text, _ in self.e["audit"]]
        self.e["audit"] = chain([*entries, {"action": "grant_permit", "subject": "t9"}])
        self.finds("previews_change_nothing")

    def test_a_preview_that_is_uploaded(self):
        self.e["accepted"].append("5.0")
        self.assertIn("previews_change_nothing", failing(self.e))

    def test_a_preview_that_is_released(self):
        self.e["releases"].append({"id": "R9", "version": "5.0", "publish_task": "t9"})
        self.assertIn("previews_change_nothing", failing(self.e))

    def test_a_preview_that_succeeded_and_was_never_made(self):
        self.e["previewed"].clear()
        self.finds("previews_change_nothing")

    def test_a_preview_of_what_was_to_be_published(self):
        self.e["previewed"].append("3.0")
        self.finds("previews_change_nothing")

    def test_a_preview_that_failed_though_no_fault_explains_it(self):
        self.of("t9").update(state="failed", failure_class="platform_refused", reason="REFUSED")
        entries = [json.loads(text) for _, text, _ in self.e["audit"]]
        self.e["audit"] = chain([{**one, "state": "failed"} if one["subject"] == "t9" else one for one in entries])
        self.e["again"]["t9"] = "failed"
        self.finds("expected_end")

    def test_an_audit_row_changed_later(self):
        number, text, digest = self.e["audit"][2]
        self.e["audit"][2] = (number, text.replace("{", '{"by": "x", '), digest)
        self.finds("audit_is_a_chain")

    def test_an_audit_row_removed(self):
        self.e["audit"].pop(0)
        self.assertIn("audit_is_a_chain", failing(self.e))

    def test_a_program_that_crashed(self):
        self.e["ended"].append(("agent-1", -11))
        self.finds("no_program_crashed")

    def test_something_left(self):
        self.e["left"].append("container 0123")
        self.finds("nothing_is_left")

    def test_a_run_in_which_nothing_was_done(self):
        for one in self.e["tasks"]:
            one.update(state="failed", failure_class="infrastructure")
        self.assertIn("something_was_done", failing(self.e))

    def test_every_check_has_a_test_that_it_can_fail(self):
        seen = pathlib.Path(__file__).read_text()
        for name in oracle.CHECKS:
            self.assertIn(f'"{name}"', seen)


class Evidence(unittest.TestCase):
    def test_of_an_attempt_that_says_itself_nothing_of_its_beginning(self):
        read = evidence.read_task({
            "id": "t", "run": "r", "kind": "TASK_KIND_BUILD", "state": "TASK_STATE_FAILED", "application": "lab",
            "created_at": "2026-01-01T00:00:00Z", "started_at": "2026-01-01T00:00:05.123456789Z",
            "finished_at": "2026-01-01T00:00:09Z", "agent": "agent-2",
            "result": {"started_at": "1970-01-01T00:00:00Z", "log": {"size": "3", "root": "AAH/"},
                       "failure": {"failure_class": "FAILURE_CLASS_AGENT_LOST", "reason": "CONTAINER_LOST"}}})
        self.assertAlmostEqual(read["ended"] - read["began"], 3.876544, 5)
        self.assertEqual((read["failure_class"], read["agent"], read["log_size"], read["log_root"]),
                         ("agent_lost", "agent-2", 3, "0001ff"))


class Body(unittest.TestCase):
    def test_is_what_lies_between_the_farms_own_lines(self):
        self.assertEqual(oracle.body_of(b"slipway: a\nslipway: b\nx\ny\nslipway: c\n"), b"x\ny\n")

    def test_of_a_log_cut_anywhere(self):
        whole = b"slipway: a\nx\ny"
        self.assertEqual([oracle.body_of(whole[:end]) for end in (5, 11, 13, 14)], [b"slipw", b"", b"x\n", b"x\ny"])

    def test_of_a_last_line_without_an_end(self):
        self.assertEqual(oracle.body_of(b"slipway: a\nx\nyslipway: c\n"), b"x\ny")


class Plan(unittest.TestCase):
    def make(self, seed=1, seconds=300, agents=2, kinds=None):
        return plan.make_plan(seed, seconds, agents, kinds or set(plan.FAULTS))

    def test_is_the_same_for_the_same_seed(self):
        self.assertEqual(self.make(), self.make())
        self.assertNotEqual(self.make(seed=1), self.make(seed=2))

    def test_of_a_shorter_run_is_the_beginning_of_a_longer_one(self):
        short = self.make(seconds=60)
        self.assertEqual(self.make(seconds=300)[:len(short)], short)

    def test_draws_every_fault_sooner_or_later(self):
        self.assertEqual({event.fault for event in self.make(seconds=3600)}, set(plan.FAULTS))

    def test_never_holds_a_part_twice_at_once(self):
        held = {}
        for event in self.make(seconds=3600):
            self.assertGreaterEqual(event.at, held.get(event.target, 0), event)
            held[event.target] = event.at + event.seconds

    def test_draws_only_what_was_asked_for(self):
        self.assertEqual({event.fault for event in self.make(kinds={"net-cut", "init-kill"})}, {"net-cut", "init-kill"})


class Faults(unittest.TestCase):
    def test_each_that_a_plan_draws_can_be_done(self):
        self.assertEqual(set(faults.Faults(None).acts), set(plan.FAULTS))


RUNNER = """
import os, signal, subprocess, sys
sys.path.insert(0, sys.argv[1])
from janitor import Janitor
janitor = Janitor()
janitor.tell(farm=sys.argv[2], id="", network="slipway-chaos-none")
subprocess.Popen(["sh", "-c", "while :; do sleep 1; done", "daemon", sys.argv[2]], start_new_session=True)
if sys.argv[3] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[3] == "exec":
    again = "import sys; sys.path.insert(0, sys.argv[1]); from janitor import Janitor; sys.exit(0 if Janitor.handed_over().finish() else 1)"
    os.execvpe(sys.executable, [sys.executable, "-c", again, sys.argv[1]], {**os.environ, **janitor.passed_on()})
janitor.tell(closed=sys.argv[2])
sys.exit(0 if janitor.finish() else 1)
"""


class JanitorOfARun(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="slipway-chaos-parts-")
        pathlib.Path(self.folder, "agent-1").mkdir()
        self.addCleanup(lambda: janitor.clear_farm(self.folder, "", "slipway-chaos-none"))

    def run_to_the_end(self, how):
        return subprocess.run([sys.executable, "-c", RUNNER, str(HERE), self.folder, how], timeout=60).returncode

    def test_clears_away_what_a_killed_run_leaves(self):
        if os.geteuid() == 0:
            subprocess.run(["mount", "-t", "tmpfs", "slipway-chaos", f"{self.folder}/agent-1"], check=True)
        self.assertEqual(self.run_to_the_end("killed"), -9)
        janitor.wait_until(lambda: not os.path.exists(self.folder), 30)
        self.assertFalse(os.path.exists(self.folder))
        self.assertEqual(janitor.pids_of(self.folder), [])
        self.assertEqual(janitor.mounts_below(self.folder), [])

    def test_is_the_same_one_after_exec(self):
        self.assertEqual(self.run_to_the_end("exec"), 0)
        self.assertFalse(os.path.exists(self.folder))

    def test_leaves_alone_what_the_run_closed_itself(self):
        self.assertEqual(self.run_to_the_end("closed"), 0)
        self.assertTrue(os.path.exists(self.folder))


class Report(unittest.TestCase):
    def test_counts_the_faults_that_met_something(self):
        events = [{"fault": "agent-kill", "hit": "running: build t-1"}, {"fault": "init-kill", "hit": "nothing: no container was running"},
                  {"fault": "net-cut", "hit": "no container was running"}]
        run = {"seed": 3, "events": events, "tasks": [{}, {}], "retried": 1, "releases": 0, "log_bytes": 2_000_000, "breaches": []}
        self.assertEqual(report.as_table([run]).splitlines()[-1], "| 3 | 1 | 0 | 0 | 0 | 1 | 0 | 2 | 1 | 0 | 2 MB | clean |")
        run["breaches"] = [("one_terminal_state", "t1 never ended")]
        self.assertIn("one terminal state", report.as_table([run]))


if __name__ == "__main__":
    unittest.main()
