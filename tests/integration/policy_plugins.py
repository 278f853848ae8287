"""The shipped policies and the Python example as programs: they attach, decide, take new rules and leave bad ones, come back, and stop.

`policy_plugins.py ethicalwall | contentfilter | example | commands`
"""
import hashlib
import os
import signal
import subprocess
import sys
import time

from policy_broker import PolicyBroker, direct_message
from verbatim.v1 import event_pb2
from verbatim_harness import BIN_DIR, BUILD_DIR, SOURCE_DIR, test_dir

PASS, CHANGED = event_pb2.DECISION_PASS, event_pb2.DECISION_PASS_CHANGED
HANDLE, ERROR = event_pb2.DECISION_HANDLE, event_pb2.DECISION_ERROR
POLICIES = os.path.join(SOURCE_DIR, "deploy", "policies")


def write(path, text):
    """Replaces the file as an administrator should: whole."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".new", path)


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).digest()


class Plugin:
    """A policy's process, attached to a broker of ours."""

    def __init__(self, name, rules, folder, broker):
        self.rules = os.path.join(folder, "rules.toml")
        write(self.rules, rules)
        settings = {"collector_address": broker.address, "rules_file": self.rules, "data_dir": os.path.join(folder, "data")}
        command = [os.path.join(BIN_DIR, "verbatim-policy-" + name)]
        for key, value in settings.items():
            command += ["--set", f"policy_{name}.{key}={value}"]
        self.log = open(os.path.join(folder, "plugin.log"), "ab")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=60) == 0

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log.close()


def wait_digest(stream, expected, event):
    """Asks until the verdict carries this digest; all before must carry one of the two."""
    end = time.monotonic() + 60
    while True:
        verdict = stream.ask(event)
        if verdict.rule_set_sha256 == expected:
            return verdict
        assert time.monotonic() < end, "the new rules did not come into force"
        time.sleep(0.05)


# conformance: 36 48
def check_ethicalwall():
    broker = PolicyBroker()
    folder = test_dir("policy_ethicalwall")
    block = '[[rules]]\nname = "wall"\naction = "block"\na = { groups = ["research"] }\nb = { groups = ["trading"] }\n'
    plugin = Plugin("ethicalwall", block, folder, broker)
    try:
        stream = broker.wait_stream()
        assert stream.hello.policy == "ethicalwall" and stream.hello.is_order_free
        assert stream.hello.rule_set_sha256 == digest_of(plugin.rules)
        stream.welcome(heartbeat_ms=200)
        assert stream.wait("credit").questions == 1024
        walled = direct_message("a", sender_groups=["research"], recipient_groups=["trading"])
        verdict = stream.ask(walled)
        assert (verdict.decision, verdict.rule) == (HANDLE, "wall"), verdict
        assert verdict.rule_set_sha256 == digest_of(plugin.rules) and "wall" in verdict.text_for_sender
        assert stream.ask(direct_message("a", sender_groups=["research"])).decision == PASS
        verdict = stream.ask(walled, allowed=(PASS,))  # what has happened cannot be stopped
        assert (verdict.decision, verdict.dry_run_decision, verdict.is_flagged) == (PASS, HANDLE, True), verdict
        # A changed file comes into force by itself, a bad one does not, and SIGHUP asks for it.
        write(plugin.rules, block.replace('"block"', '"notify"'))
        verdict = wait_digest(stream, digest_of(plugin.rules), walled)
        assert (verdict.decision, verdict.is_flagged) == (PASS, True), verdict
        good = digest_of(plugin.rules)
        write(plugin.rules, block.replace("groups", "gruops"))
        plugin.process.send_signal(signal.SIGHUP)
        for _ in range(20):
            assert stream.ask(walled).rule_set_sha256 == good
            time.sleep(0.05)
        write(plugin.rules, block)
        plugin.process.send_signal(signal.SIGHUP)
        assert wait_digest(stream, digest_of(plugin.rules), walled).decision == HANDLE
        assert stream.heartbeats > 0
        # It comes back when the broker has gone, and stops when it is told to.
        stream.close()
        stream = broker.wait_stream()
        stream.welcome()
        assert stream.ask(walled).decision == HANDLE
        plugin.stop()
        with open(os.path.join(folder, "plugin.log"), encoding="utf-8") as file:
            log = file.read()
        assert "rules.toml:4: rules.0.a.gruops: no such setting" in log, log
    finally:
        plugin.kill()
        broker.close()


# conformance: 37 48
def check_contentfilter():
    broker = PolicyBroker()
    folder = test_dir("policy_contentfilter")
    rules = ('[[rules]]\nname = "secrets"\naction = "redact"\nphrases = ["top secret"]\n'
             '[[disclaimers]]\nname = "legal"\ntext = "Archived."\n')
    plugin = Plugin("contentfilter", rules, folder, broker)
    try:
        stream = broker.wait_stream()
        stream.welcome()
        first = stream.ask(direct_message("a Top Secret"))
        assert first.decision == CHANGED and b"a [removed]\nArchived.</body>" in first.changed_raw, first
        assert stream.ask(direct_message("second")).decision == PASS
        plugin.kill()  # the memory of disclaimers is on the disk
        plugin = Plugin("contentfilter", rules, folder, broker)
        stream = broker.wait_stream()
        stream.welcome()
        assert stream.ask(direct_message("third")).decision == PASS
        assert stream.ask(direct_message("x", recipient="eve@elsewhere.example")).decision == CHANGED
        plugin.stop()
    finally:
        plugin.kill()
        broker.close()


def check_example():
    broker = PolicyBroker()
    folder = test_dir("policy_example")
    words = os.path.join(folder, "words")
    write(words, "forbidden Secret\n")
    environment = dict(os.environ, PYTHONPATH=os.path.join(BUILD_DIR, "python"), PYTHONDONTWRITEBYTECODE="1")
    script = os.path.join(SOURCE_DIR, "adapters", "examples", "policy.py")
    with open(script, encoding="utf-8") as file:
        assert len(file.readlines()) < 60
    process = subprocess.Popen(["/usr/bin/python3", script, broker.address, words], env=environment)
    try:
        stream = broker.wait_stream()
        stream.welcome(heartbeat_ms=200)
        assert stream.wait("credit").questions == 64
        assert stream.ask(direct_message("a harmless word")).decision == PASS
        verdict = stream.ask(direct_message("a SECRET word"))
        assert (verdict.decision, verdict.rule_set_sha256) == (HANDLE, digest_of(words)), verdict
        assert stream.ask(direct_message("a secret word"), allowed=(PASS,)).decision == PASS
        stream.wait("heartbeat")
        os.remove(words)  # an error of its own is an answer
        assert stream.ask(direct_message("x")).decision == ERROR
        write(words, "x\n")
        assert stream.ask(direct_message("x")).decision == HANDLE
        stream.close()
        stream = broker.wait_stream()
        stream.welcome()
        assert stream.ask(direct_message("y")).decision == PASS
    finally:
        process.kill()
        process.wait()
        broker.close()


def run(name, *arguments):
    done = subprocess.run([os.path.join(BIN_DIR, "verbatim-policy-" + name), *arguments], capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


def check_commands():
    folder = test_dir("policy_commands")
    for name in ("ethicalwall", "contentfilter"):  # the shipped examples are good
        code, text = run(name, "--check", os.path.join(POLICIES, name + ".toml"))
        assert code == 0 and "sha256=" in text, text
        bad = os.path.join(folder, name + ".toml")
        write(bad, "\n[[rules]]\nname = \"a\"\nacton = \"block\"\n")
        code, text = run(name, "--check", bad)
        assert code == 2 and f"{bad}:4: rules.0.acton: no such setting" in text, text
        code, text = run(name, "--set", f"policy_{name}.rules_file={bad}", "--set", f"policy_{name}.data_dir={folder}/data")
        assert code == 2 and f"{bad}:4:" in text, text
    rules = os.path.join(folder, "explain.toml")
    write(rules, '[[rules]]\nname = "wall"\naction = "block"\na = { groups = ["research"] }\nb = { domains = ["trade.example"] }\n'
                 'kinds = ["message"]\n')
    code, text = run("ethicalwall", "--explain", "ann@x", "bob@trade.example", "message", "--rules", rules, "--from-group", "Research")
    assert code == 1 and "blocked by=wall" in text and "told: " in text, text
    code, text = run("ethicalwall", "--explain", "ann@x", "bob@trade.example", "message", "--rules", rules)
    assert code == 0 and "allowed by=(no rule matches)" in text, text
    assert run("ethicalwall", "--explain", "ann@x", "bob@trade.example", "mesage", "--rules", rules)[0] == 2
    assert run("ethicalwall", "--explain", "ann@x")[0] == 2


if __name__ == "__main__":
    globals()["check_" + sys.argv[1]]()
    print("ok")
