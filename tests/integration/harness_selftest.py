"""The harness itself: what it starts, it ends; what does not come true, it says."""
import os
import subprocess
import sys
import tempfile
import tomllib

from managed_process import HarnessError, ManagedProcess, free_port, wait_until
from toml_writer import merged, to_toml


def exits_with_zero_are_clean_ends(folder):
    process = ManagedProcess(["bash", "-c", "trap 'exit 0' TERM; echo up; while :; do sleep 0.1; done"], folder + "/a.log").start()
    wait_until(lambda: "up" in process.log_text(), 10, "the process to be up")
    process.terminate()


def other_exits_fail_the_test(folder):
    process = ManagedProcess(["bash", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done"], folder + "/b.log").start()
    wait_until(lambda: "up" in process.log_text(), 10, "the process to be up")
    try:
        process.terminate()
    except HarnessError as error:
        assert "ended with 7" in str(error), error
        return
    raise AssertionError("a process that ends with 7 passed for a clean end")


def waiting_has_an_end():
    try:
        wait_until(lambda: False, 0.1, "what never comes")
    except HarnessError as error:
        assert "what never comes" in str(error)
        return
    raise AssertionError("wait_until did not give up")


def a_killed_test_leaves_nothing_behind(folder):
    script = ("from managed_process import ManagedProcess\nimport threading, time\n"
              "process = ManagedProcess(['sleep', '1000'], %r)\n"
              "thread = threading.Thread(target=process.start); thread.start(); thread.join()\n"
              "print(process.pid, flush=True)\ntime.sleep(1000)\n" % (folder + "/c.log"))
    test = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    pid = int(test.stdout.readline())
    assert os.path.exists(f"/proc/{pid}"), "the process ended with the thread that asked for it"

    # Only what runs already has been told to end with its parent.
    def runs():
        with open(f"/proc/{pid}/comm", encoding="ascii") as file:
            return file.read().strip() == "sleep"
    wait_until(runs, 10, f"process {pid} to run")
    test.kill()
    test.wait()

    def is_gone():
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                return file.read().split()[2] == "Z"
        except FileNotFoundError:
            return True
    wait_until(is_gone, 10, f"process {pid} to be gone")


def toml_is_what_was_meant():
    table = {"a": 1, "t": {"s": 'quote " and \\ and ü', "on": True, "deep": {"x": [1, 2]}},
             "l": [{"n": "one", "settings": {"k": "v"}}, {"n": "two"}]}
    assert tomllib.loads(to_toml(table)) == table, to_toml(table)
    assert merged({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}) == {"a": {"b": 1, "c": 3}}


def ports_differ():
    ports = {free_port() for _ in range(50)}
    assert len(ports) == 50


with tempfile.TemporaryDirectory() as temporary:
    exits_with_zero_are_clean_ends(temporary)
    other_exits_fail_the_test(temporary)
    waiting_has_an_end()
    a_killed_test_leaves_nothing_behind(temporary)
    toml_is_what_was_meant()
    ports_differ()
print("harness_selftest: ok")
