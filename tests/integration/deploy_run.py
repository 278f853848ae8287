"""deploy/run as a person uses it: it starts everything, brings back what dies, refuses a second run, stops in order, and a wrong
configuration ends it."""
import os
import signal
import subprocess

from managed_process import ManagedProcess
from verbatim_harness import BIN_DIR, SOURCE_DIR, Pipeline, room_post, wait_until

RUN = os.path.join(SOURCE_DIR, "deploy", "run")


def start(pipeline):
    return ManagedProcess([RUN, "--bin", BIN_DIR, "--root", pipeline.dir, "--config", pipeline.config_path],
                          os.path.join(pipeline.dir, "run.log"), name="deploy/run").start()


def queue_pid(pipeline):
    states = {state["service"]: state for state in pipeline.verbatimctl_json("status")["services"]}
    return int(states["queue"]["info"]["pid"]) if states["queue"]["is_up"] else None


def is_alive(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


with Pipeline("deploy_run") as pipeline:
    run = start(pipeline)
    try:
        wait_until(lambda: "running; stop with Ctrl-C" in run.log_text() or not run.is_running(), 60, "deploy/run to be up")
        assert "All accounted for" in run.log_text(), run.tail(60)

        second = subprocess.run(run.arguments, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 1 and "already running" in second.stderr, second.stderr

        first_pid = queue_pid(pipeline)
        os.kill(first_pid, signal.SIGKILL)
        wait_until(lambda: queue_pid(pipeline) not in (None, first_pid), 60, "the queue to be started again")
        with pipeline.producer() as producer:
            producer.send([room_post("room@conference.example", "alice@example", f"text {i}") for i in range(10)])
        pipeline.wait_archived(10)

        last_pid = queue_pid(pipeline)
        run.terminate(90)  # must end with 0
        assert not is_alive(last_pid), "the queue has outlived deploy/run"
        text = run.log_text()
        assert "queue ended (code 137)" in text and "queue started again" in text and text.rstrip().endswith("stopped"), text

        with open(pipeline.config_path, "a", encoding="utf-8") as file:
            file.write("\n[nonsense]\n")
        wrong = subprocess.run(run.arguments, capture_output=True, text=True, timeout=60, check=False)
        assert wrong.returncode == 2 and "nonsense" in wrong.stderr, wrong.stderr + wrong.stdout
        for arguments in (["--nonsense"], ["--config"]):
            wrong = subprocess.run([RUN, *arguments], capture_output=True, text=True, timeout=60, check=False)
            assert wrong.returncode == 2, wrong.stderr
    except BaseException:
        print(run.tail(60))
        raise
    finally:
        run.terminate(90) if run.is_running() else run.kill()
print("deploy_run: ok")
