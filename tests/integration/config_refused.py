"""A wrong configuration never starts a service: it is refused with file, line, key and reason, by the services and by
`verbatimctl config check` alike. Nothing listens beyond loopback."""
import os
import subprocess
import tempfile

from verbatim_harness import BIN_DIR

BINARIES = ("verbatim-queue", "verbatim-collector", "verbatim-processor", "verbatim-adapter-xml", "verbatim-adapter-count")

# text of the file, what the refusal must contain
WRONG = [
    ("[queue]\nlisten = \"tcp://127.0.0.1:0\"\nlisen = \"x\"\n", [":3:", "queue.lisen"]),
    ("[qeue]\n", [":1:", "qeue"]),
    ("[queue]\nsegment_bytes = \"large\"\n", [":2:", "queue.segment_bytes"]),
    ("[queue]\nsegment_bytes = 1\n", [":2:", "queue.segment_bytes"]),
    ("[queue]\nlisten = \"tcp://0.0.0.0:7410\"\n", [":2:", "queue.listen", "loopback"]),
    ("[queue]\nadmin_listen = \"192.0.2.1:7411\"\n", [":2:", "queue.admin_listen", "loopback"]),
    ("[collector]\nprofile = \"some\"\n", [":2:", "collector.profile"]),
    ("[[collector.xcp]]\nname = \"a\"\ncomponent = \"c\"\n", ["secret"]),
    ("[[collector.xcp]]\nname = \"a\"\ncomponent = \"c\"\nsecret = 12345678\n", [":4:", "collector.xcp.0.secret"]),
    ("[[collector.xcp]]\nname = \"a\"\ncomponent = \"c\"\nsecret = \"s\"\nlisten = \"0.0.0.0:7999\"\n",
     [":5: collector.xcp.0.listen: ", "plain = \"accepted\"", "stunnel"]),
    ("[queue\n", [":1"]),
    ("[log]\nlevel = \"loud\"\n", [":2:", "log.level"]),
    # what each setting alone does not show
    ("[processor]\nstaging_low_bytes = 2000000\nstaging_high_bytes = 1900000\n", [":2: processor.staging_low_bytes: "]),
    ("[[processor.adapters]]\nname = \"x\"\n[[processor.adapters]]\nname = \"x\"\n", [":4: processor.adapters.1.name: "]),
    ("[queue]\nmessage_max_bytes = 4194305\n", [":2: queue.message_max_bytes: ", "queue.segment_bytes"]),
    ("[queue]\nclient_credit_bytes = 1048576\n", [":2: queue.client_credit_bytes: ", "queue.message_max_bytes"]),
    ("[queue]\nlisten = \"tcp://127.0.0.1:7420\"\n", [":2: queue.listen: ", "collector.grpc.listen"]),
    ("[collector]\nqueue = \"other\"\n", [":2: collector.queue: ", "queue.queues"]),
    ("[queue]\nqueues = [\"events\"]\n[[processor.queues]]\nname = \"other\"\naddress = \"@queue\"\n",
     [":4: processor.queues.0.name: ", "queue.queues"]),
    ("[[collector.xcp]]\nname = \"a\"\ncomponent = \"c\"\nsecret = \"s\"\nstanza_max_bytes = 4194304\n",
     [":5: collector.xcp.0.stanza_max_bytes: ", "queue.message_max_bytes"]),
]


def run(*arguments):
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False, cwd=folder)


def all_refuse(text, words):
    path = os.path.join(folder, "wrong.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    check = run(os.path.join(BIN_DIR, "verbatimctl"), "config", "check", path)
    assert check.returncode == 1, f"config check: exit {check.returncode} for {text!r}\n{check.stdout}{check.stderr}"
    for word in [path, *words]:
        assert word in check.stdout, f"config check: {word!r} is missing for {text!r}\n{check.stdout}{check.stderr}"
    assert "12345678" not in check.stdout, "a secret is shown"
    for binary in BINARIES:
        done = run(os.path.join(BIN_DIR, binary), "--config", path)
        assert done.returncode == 2, f"{binary}: exit {done.returncode} for {text!r}\n{done.stderr}"
        for word in [path, *words]:
            assert word in done.stderr, f"{binary}: {word!r} is missing for {text!r}\n{done.stderr}"
        assert "12345678" not in done.stderr, f"{binary} shows a secret"


def unusable_paths_are_refused():
    blocked = os.path.join(folder, "a-file")
    with open(blocked, "w", encoding="ascii"):
        pass
    keys = [("verbatim-queue", "queue.data_dir"), ("verbatim-collector", "collector.data_dir"),
            ("verbatim-processor", "processor.data_dir"), ("verbatim-adapter-xml", "adapter_xml.output_dir"),
            ("verbatim-adapter-count", "adapter_count.data_dir"), ("verbatim-collector", "files.data_dir"),
            ("verbatim-processor", "files.data_dir")]
    path = os.path.join(folder, "path.toml")
    for binary, key in keys:
        table, name = key.split(".")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"\n[{table}]\n{name} = \"{blocked}/below\"\n")
        done = run(os.path.join(BIN_DIR, binary), "--config", path)
        assert done.returncode == 2, f"{binary}: exit {done.returncode}\n{done.stderr}"
        assert f"{path}:3: {key}: " in done.stderr and f"{blocked}/below" in done.stderr, f"{binary}: {done.stderr}"
        check = run(os.path.join(BIN_DIR, "verbatimctl"), "config", "check", path)
        assert check.returncode == 1, f"config check: exit {check.returncode}\n{check.stdout}"
        assert f"{path}:3: {key}: " in check.stdout and f"{blocked}/below" in check.stdout, check.stdout
        done = run(os.path.join(BIN_DIR, binary), "--set", f"{key}={blocked}/below")
        assert done.returncode == 2, f"{binary}: exit {done.returncode}\n{done.stderr}"
        assert f"--set: {key}: " in done.stderr and blocked in done.stderr, f"{binary}: {done.stderr}"


def good_ones_are_good():
    source = os.environ["VERBATIM_SOURCE_DIR"]
    done = run(os.path.join(BIN_DIR, "verbatimctl"), "config", "check", os.path.join(source, "deploy", "verbatim.toml"))
    assert done.returncode == 0 and "good" in done.stdout, done.stdout + done.stderr


with tempfile.TemporaryDirectory() as folder:
    for text, words in WRONG:
        all_refuse(text, words)
    unusable_paths_are_refused()
    good_ones_are_good()
print("config_refused: ok")
