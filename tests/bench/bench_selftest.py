"""The benchmarks work and print every line that they promise. Nothing of how fast it was is judged here."""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = ("put_1", "put_64", "put_64_shared", "put_batch256", "receive_hot", "receive_cold", "mixed")
REPORTS = (*CASES, "null_put_1", "null_put_64", "null_put_batch256", "open_1000", "open_10000", "slow_sync_put_64",
           "slow_sync_put_64_shared", "slow_sync_put_batch256")


def run(*arguments):
    done = subprocess.run([os.path.join(HERE, "run"), *arguments, "--bin", os.environ["VERBATIM_BIN_DIR"]], capture_output=True,
                          text=True, timeout=300, check=False)
    print(done.stdout + done.stderr)
    # A missed bar is 1; the address sanitizer's build misses most.
    assert done.returncode == (1 if re.search(r"^bar .* short$", done.stdout, re.MULTILINE) else 0), done.returncode
    return done.stdout


def main():
    text = run("queue", "--seconds", "2", "--rounds", "1")
    bars = re.findall(r"^bar (\w+) measured=(\d+) null=(\d+) bare=(\d+) ratio=[0-9.]+ bar=[0-9.]+ (?:ok|short)$", text, re.MULTILINE)
    assert [name for name, *_ in bars] == list(CASES), bars
    assert all(int(figure) > 0 for _, *figures in bars for figure in figures), bars
    reports = set(re.findall(r"^report (\w+) ", text, re.MULTILINE))
    assert reports == set(REPORTS), reports.symmetric_difference(REPORTS)
    text = run("queue", "--seconds", "1", "--rounds", "1", "--case", "put_64_shared", "--no-report")
    assert re.findall(r"^bar (\w+)", text, re.MULTILINE) == ["put_64_shared"], text
    text = run("recovery", "--messages", "2000", "--order-keys", "10")
    assert re.search(r"^bar recovery_2e3 order_keys=10 seconds=[0-9.]+ bytes_per_message=[0-9.-]+ .*bar=10/64 (ok|short)$", text,
                     re.MULTILINE), text


sys.exit(main())
