"""Runs verbatim-staging-bench on a fresh folder of a real disk: the staging store with two adapters, one down for the first half.

Usage: staging_bench.py [--events N] [--steady-seconds S] [--no-bars] [options of the program]
"""
import os
import subprocess
import sys
import tempfile

BIN_DIR = os.environ["VERBATIM_BIN_DIR"]
with tempfile.TemporaryDirectory(prefix="bench.", dir=os.path.dirname(BIN_DIR)) as parent:
    sys.exit(subprocess.run([os.path.join(BIN_DIR, "verbatim-staging-bench"), "--folder", os.path.join(parent, "staging"),
                             *sys.argv[1:]], check=False).returncode)
