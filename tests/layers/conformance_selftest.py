"""tools/conformance over small trees of its own: what it finds, what it counts, and when it refuses."""
import os
import shutil
import subprocess
import sys
import tempfile

SOURCE_DIR = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TABLE = "".join(f"{number} {'node Behaviour | the reason' if number == 84 else 'ours Behaviour'} {number}\n" for number in range(1, 103))
UNIT = """\
TEST(Suite, PassIsPass_C035_C036) {}
TEST_F(Suite,
       ALongName_C037) {}
// TAG: 38
TEST(Suite, Tagged) {}
TEST(Suite, HasNoTag) {}
""".replace("TAG", "conformance")
# Not written out: this file is looked through for tags itself.
SCRIPT = """\
# TAG: 40 41
def forgets(stage):
    pass


# TAG: 42
with something:
    pass
""".replace("TAG", "conformance")


class Tree:
    def __init__(self, files):
        self.dir = tempfile.mkdtemp()
        subprocess.run(["git", "init", "-q", self.dir], check=True)
        self.write("docs/conformance-cisco.in", TABLE)
        for path, text in files.items():
            self.write(path, text)
        os.makedirs(os.path.join(self.dir, "tools"))
        shutil.copy(os.path.join(SOURCE_DIR, "tools", "conformance"), os.path.join(self.dir, "tools"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir)

    def write(self, path, text):
        path = os.path.join(self.dir, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def run(self, *arguments):
        done = subprocess.run([sys.executable, os.path.join(self.dir, "tools", "conformance"), *arguments], capture_output=True,
                              text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def rows(self):
        with open(os.path.join(self.dir, "docs/conformance-cisco.md"), encoding="utf-8") as file:
            rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in file if line.startswith("| ")]
        return {int(row[0]): (row[2], row[3]) for row in rows if row[0].isdigit()}


def tags_become_rows():
    with Tree({"collector/x_test.cc": UNIT, "tests/integration/script.py": SCRIPT}) as tree:
        code, said = tree.run()
        assert code == 0 and said.endswith("conformance: ours=101 tested=7 nodes=1\n"), said
        assert "not yet: 1 Behaviour 1\n" in said, said
        rows = tree.rows()
        assert len(rows) == 102 and rows[1][1] == "not yet"
        for number, test in {35: "Suite.PassIsPass", 36: "Suite.PassIsPass", 37: "Suite.ALongName", 38: "Suite.Tagged",
                             40: "script: forgets", 41: "script: forgets", 42: "script"}.items():
            assert rows[number] == (f"`{test}`", "pass"), (number, rows[number])


def without_a_test_it_is_said_so():
    with Tree({}) as tree:
        assert tree.run()[1].endswith("conformance: ours=101 tested=0 nodes=1\n")
        assert tree.rows()[84] == ("the reason 84", "node's own"), tree.rows()[84]


def a_stale_document_is_refused():
    with Tree({"collector/x_test.cc": UNIT}) as tree:
        tree.run()
        assert tree.run("--check")[0] == 0
        tree.write("collector/x_test.cc", UNIT.replace("_C037", ""))
        code, said = tree.run("--check")
        assert code == 1 and "is stale: run tools/conformance" in said, said


def what_is_wrong_is_named():
    for path, text, said in (("a_test.cc", "TEST(Suite, Wrong_C103) {}\n", "no behaviour 103"),
                             ("a_test.cc", "TEST(Suite, Wrong_C084) {}\n", "a_test.cc: Suite.Wrong: behaviour 84 is the node's own"),
                             ("a_test.cc", "// conformance: 35\nint x;\n", "a_test.cc:2: a conformance tag without a test"),
                             ("tests/a.py", "# " + "conformance: 35\n", "tests/a.py:2: a conformance tag without a test"),
                             ("docs/conformance-cisco.in", TABLE.replace("| the reason 84", ""), "docs/conformance-cisco.in: 84"),
                             ("docs/conformance-cisco.in", TABLE.replace("5 ours Behaviour 5\n", "", 1), "not the numbers 1 to 102")):
        with Tree({path: text}) as tree:
            code, output = tree.run()
            assert code != 0 and said in output, (said, output)


tags_become_rows()
without_a_test_it_is_said_so()
a_stale_document_is_refused()
what_is_wrong_is_named()
print("conformance_selftest: ok")
