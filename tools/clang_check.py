#!/usr/bin/env python3
"""Reads all our sources with clang 14 (-fsyntax-only -Wthread-safety -Werror): checks GUARDED_BY, and keeps the code in what
clang can parse, so that clang-tidy and fuzzing work. Usage: clang_check.py BUILD_DIR [-j N] [PATH_PART...]

Takes the commands of BUILD_DIR/compile_commands.json, without what only g++ knows. Where a command has one of our
precompiled headers, clang makes one of its own from the same cmake/pch/*.h: it only saves time.
"""
import argparse
import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys
import zlib

SOURCE_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CLANG = "clang++-14"


def clang_arguments(command):
    """What of a g++ command decides what the source means; and the name of its precompiled header or None."""
    words = shlex.split(command)
    arguments, header = [], None
    index = 0
    while index < len(words):
        word = words[index]
        following = words[index + 1] if index + 1 < len(words) else ""
        index += 1
        if word in ("-I", "-isystem", "-D", "-U"):
            arguments += [word, following]
            index += 1
        elif word == "-include":
            found = re.search(r"pch_(\w+)\.dir", following)
            header = found.group(1) if found else header
            index += 1
        elif re.match(r"-(I|isystem|D|U|std=)", word) and word != "-D_FORTIFY_SOURCE=2":
            arguments.append(word)
    return arguments, header


def ours(path):
    return path.startswith(SOURCE_DIR + os.sep) and not path.startswith(os.path.join(SOURCE_DIR, "build") + os.sep)


def is_meant(path, part):
    """A folder means its sources, a test beside them only where it is named."""
    return part in path and (part.endswith("_test.cc") or not path.endswith("_test.cc"))


def make_header(name, arguments, folder):
    """A clang precompiled header; its path, or None when it cannot be made (then sources go without)."""
    path = os.path.join(folder, f"{name}-{zlib.crc32(' '.join(arguments).encode()):08x}.pch")
    done = subprocess.run([CLANG, "-x", "c++-header", os.path.join(SOURCE_DIR, "cmake", "pch", name + ".h"), "-o", path,
                           "-pthread", *arguments], capture_output=True, text=True, check=False)
    return path if done.returncode == 0 else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build_dir")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count())
    parser.add_argument("parts", nargs="*", help="only sources whose path contains one of these; unit tests beside "
                        "them only where a part names one")
    options = parser.parse_intermixed_args()

    with open(os.path.join(options.build_dir, "compile_commands.json"), encoding="utf-8") as file:
        commands = {entry["file"]: entry["command"] for entry in json.load(file) if ours(entry["file"])}
    commands = {path: command for path, command in sorted(commands.items())
                if not options.parts or any(is_meant(path, part) for part in options.parts)}
    folder = os.path.join(os.path.abspath(options.build_dir), "clang_check")
    os.makedirs(folder, exist_ok=True)
    work, headers = [], {}
    for path, command in commands.items():
        arguments, header = clang_arguments(command)
        # A header fits only sources with the same definitions; include folders may be more.
        definitions = [argument for argument in arguments if argument.startswith(("-D", "-U", "-std"))]
        key = (header, tuple(definitions)) if header else None
        if key:
            headers.setdefault(key, arguments)
        work.append((path, arguments, key))

    def check(item):
        path, arguments, key = item
        header = made.get(key)
        done = subprocess.run([CLANG, "-fsyntax-only", "-Wall", "-Wextra", "-Wthread-safety", "-Werror", "-pthread",
                               *(["-include-pch", header] if header else []), *arguments, path],
                              capture_output=True, text=True, check=False, cwd=options.build_dir)
        return path, done.returncode, done.stderr

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        made = dict(zip(headers, pool.map(lambda key: make_header(key[0], headers[key], folder), headers)))
        failed = 0
        for path, code, text in pool.map(check, work):
            if code != 0:
                failed += 1
                print(f"{os.path.relpath(path, SOURCE_DIR)}:\n{text}")
    print(f"clang_check: {len(work)} files, {failed} with errors")
    return 1 if failed or not work else 0


sys.exit(main())
