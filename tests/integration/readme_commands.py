"""The commands of README.md, run as they stand there, in a folder of their own and with the built binaries; and its links."""
import os
import re
import subprocess

from managed_process import ManagedProcess
from verbatim_harness import BIN_DIR, SOURCE_DIR, HarnessError, Pipeline, wait_until


def read(name):
    with open(os.path.join(SOURCE_DIR, name), encoding="utf-8") as file:
        return file.read()


def marked_blocks(text):
    """(mark, commands) of each fenced block below a <!-- test… --> line."""
    return re.findall(r"<!-- test(?:: ([\w ]+))? -->\n```sh\n(.*?)```", text, re.DOTALL)


def links_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", read(name)):
        path = os.path.normpath(os.path.join(SOURCE_DIR, os.path.dirname(name), target))
        assert os.path.exists(path), f"{name}: {target} is not there"


def the_first_thing_is_the_two_commands():
    first = re.search(r"```sh\n(.*?)```", read("README.md"), re.DOTALL).group(1)
    assert re.match(r"deploy/run --demo\b.*\ntests/run\b", first), first
    for program in ("deploy/run", "tests/run", "tests/bench/run", "tests/clean_clone", ".ci/run"):
        assert os.access(os.path.join(SOURCE_DIR, program), os.X_OK), f"{program} cannot be run"
        done = subprocess.run([os.path.join(SOURCE_DIR, program), "--help"], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and done.stdout, f"{program} --help: {done.stderr}"


def run_commands(pipeline, commands):
    commands = commands.replace("deploy/policies/", os.path.join(SOURCE_DIR, "deploy/policies/"))
    commands = commands.replace("build/release/bin/", BIN_DIR + "/").replace("127.0.0.1:7420",
                                                                             f"127.0.0.1:{pipeline.ports['grpc']}")
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", commands], cwd=pipeline.dir, capture_output=True, text=True,
                          env={**os.environ, "VERBATIM_CONFIG": pipeline.config_path}, timeout=120, check=False)
    if done.returncode != 0:
        raise HarnessError(f"README.md: exit {done.returncode} of\n{commands}\n{done.stdout}{done.stderr}")
    return done.stdout


for document in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/architecture.md", "docs/operations.md",
                 "docs/adr/README.md"):
    links_lead_somewhere(document)
the_first_thing_is_the_two_commands()
blocks = marked_blocks(read("README.md"))
assert [mark for mark, _ in blocks].count("background") == 1 and len(blocks) >= 4, blocks

# The paths of the README: data under var/ of the folder where it runs. Ports are the test's own.
config = {section: {"data_dir": f"var/{section}"} for section in ("queue", "collector", "processor")}
config["adapter_xml"] = {"output_dir": "var/archive/xml"}
config["processor"]["adapters"] = [{"name": "xml"}]
with Pipeline("readme_commands", config=config) as pipeline:
    background = None
    output = ""
    try:
        for mark, commands in blocks:
            if mark == "background":
                assert commands.strip() == "deploy/run", commands
                background = ManagedProcess(
                    [os.path.join(SOURCE_DIR, "deploy/run"), "--bin", BIN_DIR, "--root", pipeline.dir, "--config",
                     pipeline.config_path], os.path.join(pipeline.dir, "run.log"), name="deploy/run").start()
                wait_until(lambda: "running; stop with Ctrl-C" in background.log_text(), 60, background.tail)
            elif mark != "without building":
                output += run_commands(pipeline, commands)
        assert "rules=5" in output and "it has not attached yet" in output, output
        assert "accepted=300" in output and "All accounted for: accepted 300, difference 0." in output, output
        assert re.search(r"^batch-\d+\.xml$", output, re.MULTILINE), output
    except BaseException:
        print(output, background.tail(60) if background else "")
        raise
    finally:
        if background:
            background.terminate(90)
print("readme_commands: ok")
