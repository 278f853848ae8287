"""verbatim-adapter-check over the shipped adapters and the example, which must pass, and over an adapter with one planted fault
after another, which must not; and the commands of docs/write-an-adapter.md: `adapter_check.py python | xml | count | faults | guide`.
"""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys

from verbatim_harness import BIN_DIR, BUILD_DIR, SOURCE_DIR, test_dir

folders = []  # kept when a test fails
PYTHON = "/usr/bin/python3"
# Fault, the check that must find it, what it is, what is said.
FAULTS = [
    ("impolite", "hello", "its first message is a heartbeat", "heartbeat"),
    ("silent", "heartbeat", "sends no heartbeats", "silent"),
    ("hasty", "succeed", "acknowledges before the effect", "there are 0 events"),
    ("no_digest", "succeed", "acknowledges without the digest", "has the digest"),
    ("denies", "state", "says of every batch that it was not applied", "STATE_NOT_APPLIED"),
    ("boasts", "state", "says of every batch that it was applied", "another batch of this number"),
    ("doubles", "repeat", "applies a repeat again", "came three times there are 12 events, and 4 should be"),
    ("first_epoch", "repeat", "answers under the epoch of its first welcome", "answered under epoch 1"),
    ("wrong_hello", "repeat", "its hello has another digest than the batch had", "another digest"),
    ("trusting", "damage", "does not look at the digest", "digest"),
    ("blames_events", "retry", "rejects a good batch because its target is down", "reject, as if the events were to blame"),
    ("insists", "reject", "wants to retry what it can never read", "for ever"),
    ("blames_others", "reject", "names an innocent event as the culprit", "it blames event"),
    ("half_rejects", "reject", "rejects a batch of which a part took effect", "STATE_APPLIED"),
    ("slow_answers", "epoch", "answers on a new stream what was asked on an old one", "on a new stream"),
    ("restless", "standby", "leaves when it is to stand by", "left the stream"),
    ("rigid", "standby", "remembers from its start what the next batch must follow", "another instance has applied"),
    ("torn", "kill", "writes its file in pieces under its final name", "after a kill and the repeat there are"),
    ("forgetful", "kill", "knows what it applied only in memory", "after a kill and the repeat there are 100 events, and 50 should be"),
    ("same_instance", "kill", "has the same instance in every process", "instance"),
]


def new_folder(name):
    folders.append(test_dir("adapter_check_" + name))
    return folders[-1]


def check(folder, out, count, command, *options):
    """Exit code and output of the check; the target goes away by being renamed and a file put in its place."""
    os.makedirs(out, exist_ok=True)
    environment = dict(os.environ, PYTHONPATH=os.path.join(BUILD_DIR, "python"), PYTHONDONTWRITEBYTECODE="1")
    done = subprocess.run(
        [os.path.join(BIN_DIR, "verbatim-adapter-check"), "--count-effects", count, "--log", os.path.join(folder, "plugin.log"),
         "--target-down", f"mv {out} {out}.away && touch {out}", "--target-up", f"rm {out} && mv {out}.away {out}",
         "--patience", "30", *options, "--", *command],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False)
    return done.returncode, done.stdout + done.stderr


def expect_pass(name, count, command, takes_broken_events=False):
    folder = new_folder(name)
    out = os.path.join(folder, "out")
    code, text = check(folder, out, count.format(out=out), [part.format(out=out, hub="{hub}") for part in command])
    print(text)
    assert code == 0 and "ok=11 failed=0 skipped=0" in text, (code, folder)
    assert ("it took an event that cannot be read" in text) == takes_broken_events
    return out


def find_fault(fault, where, what, said):
    folder = new_folder(fault)
    out = os.path.join(folder, "out")
    code, text = check(folder, out, f"cat {out}/*.txt 2>/dev/null | wc -l",
                       [PYTHON, os.path.join(SOURCE_DIR, "tests", "support", "faulty_adapter.py"), "{hub}", out, fault],
                       "--heartbeat-ms", "400", *(() if where is None else ("--only", where)))
    return fault, where, what, said, code, text


def expect_faults():
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(find_fault, "none", None, "", "")] + [pool.submit(find_fault, *fault) for fault in FAULTS]
    for fault, where, what, said, code, text in (job.result() for job in jobs):
        if where is None:
            assert code == 0 and "failed=0" in text, text
            continue
        lines = text.splitlines()
        failed = [at for at, line in enumerate(lines) if line.startswith("FAILED")]
        assert code == 1 and failed, (fault, what, text)
        assert [lines[at].split()[1] for at in failed] == [where], (fault, what, text)
        assert said in lines[failed[0]], (fault, said, text)
        assert lines[failed[0] + 1].strip().startswith("contract:"), (fault, what, text)
        print(f"{fault:14} {lines[failed[0]]}")


def expect_usage():
    program = os.path.join(BIN_DIR, "verbatim-adapter-check")
    for arguments, code in ((["--help"], 0), (["--list"], 0), (["--only", "nothing"], 2), (["--target-down", "x"], 2),
                            (["--setting", "x", "--", "true"], 2), (["--listen", "0.0.0.0:0"], 2), (["--", "true"], 1),
                            (["--", "/no/such/program"], 1)):
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, (arguments, done)


def expect_attach():
    """A plugin that somebody else starts: what needs a kill or a target that refuses is skipped."""
    folder = new_folder("attach")
    checker = subprocess.Popen([os.path.join(BIN_DIR, "verbatim-adapter-check"), "--heartbeat-ms", "400"],
                               stdout=subprocess.PIPE, text=True)
    address = checker.stdout.readline().split()[-1]
    plugin = subprocess.Popen([PYTHON, os.path.join(SOURCE_DIR, "adapters", "examples", "file_adapter.py"), address, folder],
                              env=dict(os.environ, PYTHONPATH=os.path.join(BUILD_DIR, "python")), stderr=subprocess.DEVNULL)
    try:
        text = checker.communicate(timeout=120)[0]
    finally:
        plugin.kill()
        checker.kill()
    assert checker.returncode == 0 and "ok=9 failed=0 skipped=2" in text, text


def expect_guide():
    """The guide's own commands, with what is built here; the broken example that it speaks of fails."""
    with open(os.path.join(SOURCE_DIR, "docs", "write-an-adapter.md"), encoding="utf-8") as file:
        blocks = re.findall(r"^```sh\n(.*?)^```", file.read(), re.M | re.S)
    assert len(blocks) == 2 and "BIN=build/release/bin" in blocks[1], blocks
    folder = new_folder("guide")
    script = blocks[1].replace("BIN=build/release/bin", f"BIN={BIN_DIR}").replace("$(mktemp -d)", folder)
    example = os.path.join(SOURCE_DIR, "adapters", "examples", "file_adapter.py")
    for text, code in ((script, 0), (script.replace("mkdir", "mkdir -p").replace("adapters/examples/file_adapter.py", f"{folder}/broken.py"), 1)):
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], cwd=SOURCE_DIR, capture_output=True, text=True, timeout=200,
                              check=False)
        assert done.returncode == code, (code, done)
        assert ("ok=11 failed=0" in done.stdout) == (code == 0), done.stdout
        shutil.rmtree(os.path.join(folder, "out"))
        with open(example, encoding="utf-8") as file, open(os.path.join(folder, "broken.py"), "w", encoding="utf-8") as broken:
            source = file.read()
            changed = source.replace("if hashlib.sha256(begin.header + body.digest()).digest() != digest:", "if False:")
            assert changed != source
            broken.write(changed)
    assert len(source.splitlines()) < 60


if __name__ == "__main__":
    kind = sys.argv[1]
    if kind == "python":
        expect_usage()
        expect_attach()
        expect_pass(kind, "cat {out}/*.jsonl 2>/dev/null | wc -l",
                    [PYTHON, os.path.join(SOURCE_DIR, "adapters", "examples", "file_adapter.py"), "{hub}", "{out}"])
    elif kind == "xml":
        archive = expect_pass(kind, "cat {out}/*.companion.xml 2>/dev/null | grep -o '<Event ' | wc -l",
                              [os.path.join(BIN_DIR, "verbatim-adapter-xml"), "--set", "adapter_xml.hub_address={hub}",
                               "--set", "adapter_xml.output_dir={out}"])
        done = subprocess.run([os.path.join(BIN_DIR, "verbatimctl"), "verify", archive], capture_output=True, text=True, check=False)
        # In the folder only the batch is missing that another instance has taken while this one stood by.
        assert done.returncode == 1 and done.stdout.startswith("removed    batch ") and ", 1 problems." in done.stdout, done
    elif kind == "count":
        expect_pass(kind, "sed 's/.*events=//' {out}/count.txt 2>/dev/null || echo 0",
                    [os.path.join(BIN_DIR, "verbatim-adapter-count"), "--set", "adapter_count.hub_address={hub}",
                     "--set", "adapter_count.data_dir={out}"], takes_broken_events=True)
    elif kind == "guide":
        expect_guide()
    else:
        expect_faults()
    for one in folders:
        shutil.rmtree(one, ignore_errors=True)
    print(f"adapter_check {kind}: ok")
