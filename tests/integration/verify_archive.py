"""`verbatimctl verify` over what the pipeline has written: untouched, also with replaced batches; then a change, a removal, an
insertion, a re-ordering and a truncation, each on a copy of its own, named with file and batch.
"""
import json
import os
import re
import shutil

from verbatim_documents import assert_valid
from verbatim_harness import Pipeline, room_post

FOREIGN = "not ours"


def archive_with_replaced_batches(pipeline):
    """At least eight batches; a foreign file under the name of the next one makes it rejected and replaced."""
    folder = pipeline.config["adapter_xml"]["output_dir"]
    with pipeline.producer() as producer:
        for number in range(24):
            if number == 9:
                producer.wait_answered()
                pipeline.wait_archived(9)
                pipeline.adapter_xml.terminate()
                in_the_way = os.path.join(folder, f"batch-{numbers_of(folder)[-1] + 1:012d}.xml")
                with open(in_the_way, "x", encoding="utf-8") as file:
                    file.write(FOREIGN)
                pipeline.adapter_xml.start()
            producer.submit([room_post("desk@rooms.example.test", "ayu@example.test/phone", f"post {number}", message_id=f"m{number}")])
        producer.wait_answered()
    totals = pipeline.wait_archived(24)
    assert totals["difference"] == 0 and totals["quarantined"] == 0, totals
    os.remove(in_the_way)
    return folder


def numbers_of(folder):
    return sorted(int(match[1]) for name in os.listdir(folder) if (match := re.fullmatch(r"batch-(\d+)\.manifest\.json", name)))


def verify(pipeline, folder, code, *arguments):
    """The report as JSON; the text says the same."""
    done = pipeline.verbatimctl("--json", "verify", folder, *arguments)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    report = json.loads(done.stdout)
    text = pipeline.verbatimctl("verify", folder, *arguments)
    assert text.returncode == code, text
    assert report["is_good"] == (code == 0)
    for problem in report["problems"]:
        assert problem["what"] in text.stdout and problem["remedy"] in text.stdout and problem["file"] in text.stdout, text.stdout
    assert ("untouched" in text.stdout) == (code == 0), text.stdout
    return report


def found(report):
    return [(problem["kind"].removeprefix("KIND_"), int(problem["batch"]), problem["file"]) for problem in report["problems"]]


def names_of(folder, batch):
    return sorted(name for name in os.listdir(folder) if name.startswith(f"batch-{batch:012d}."))


class Copy:
    """A copy of the archive to do something to."""

    def __init__(self, pipeline, folder):
        self.path = os.path.join(pipeline.dir, "copy")
        self.folder = folder

    def __enter__(self):
        shutil.copytree(self.folder, self.path)
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path)


def five_ways(pipeline, folder, last):
    numbers = numbers_of(folder)
    one, other = numbers[4], numbers[5]
    manifest = "batch-{:012d}.manifest.json".format
    with Copy(pipeline, folder) as copy:  # a change
        path = os.path.join(copy, f"batch-{one:012d}.xml")
        text = open(path, encoding="utf-8").read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("post", "past"))
        assert found(verify(pipeline, copy, 1)) == [("CHANGED", one, os.path.basename(path))]
    with Copy(pipeline, folder) as copy:  # a removal
        for name in names_of(copy, one):
            os.remove(os.path.join(copy, name))
        assert found(verify(pipeline, copy, 1)) == [("REMOVED", one, manifest(one))]
    with Copy(pipeline, folder) as copy:  # an insertion
        shutil.copy(os.path.join(copy, f"batch-{one:012d}.xml"), os.path.join(copy, f"batch-{one:012d}.more.xml"))
        assert found(verify(pipeline, copy, 1)) == [("INSERTED", one, f"batch-{one:012d}.more.xml")]
    with Copy(pipeline, folder) as copy:  # a re-ordering
        for name in names_of(copy, one):
            twin = name.replace(f"{one:012d}", f"{other:012d}")
            for source, target in ((name, "aside"), (twin, name), ("aside", twin)):
                os.rename(os.path.join(copy, source), os.path.join(copy, target))
        assert found(verify(pipeline, copy, 1)) == [("REORDERED", one, manifest(one)), ("REORDERED", other, manifest(other))]
    with Copy(pipeline, folder) as copy:  # a truncation: what stays is a good chain, but not the one that is known
        for name in names_of(copy, numbers[-1]):
            os.remove(os.path.join(copy, name))
        verify(pipeline, copy, 0)
        assert "as far as a folder alone can tell" in pipeline.verbatimctl("verify", copy).stdout
        for known in (("--last", last), ("--ask-processor", "xml")):
            assert found(verify(pipeline, copy, 1, *known)) == [("TRUNCATED", numbers[-2], manifest(numbers[-2]))]
    with Copy(pipeline, folder) as copy:  # all of it
        for name in os.listdir(copy):
            os.remove(os.path.join(copy, name))
        assert found(verify(pipeline, copy, 1)) == [("TRUNCATED", 0, "")]
    with Copy(pipeline, folder) as copy:  # and at the oldest end
        for number in numbers[:2]:
            for name in names_of(copy, number):
                os.remove(os.path.join(copy, name))
        assert found(verify(pipeline, copy, 1)) == [("TRUNCATED", numbers[2], manifest(numbers[2]))]
        verify(pipeline, copy, 0, "--first", str(numbers[2]), "--last", last)


def usage_is_checked(pipeline, folder):
    for arguments in ((), (os.path.join(pipeline.dir, "nowhere"),), (folder, "--last", "x"), (folder, "--first", "0"),
                      (folder, "--last", "1", "--ask-processor", "xml")):
        done = pipeline.verbatimctl("verify", *arguments)
        assert done.returncode == 2 and done.stderr, (arguments, done)
    assert pipeline.verbatimctl("verify", folder, "--ask-processor", "nobody").returncode == 1
    assert "--ask-processor" in pipeline.verbatimctl("verify", "--help").stdout


with Pipeline("verify_archive",
              config={"processor": {"adapters": [{"name": "xml", "interval_ms": 20, "batch_max_events": 3}]}}) as pipeline:
    pipeline.start()
    folder = archive_with_replaced_batches(pipeline)
    report = verify(pipeline, folder, 0, "--ask-processor", "xml")
    assert (report["adapter"], report["running_event_count"], report["event_count"]) == ("xml", "24", "24"), report
    assert int(report["batch_count"]) >= 8 and int(report["replaced_count"]) >= 1, report
    assert report["notices"] == [], report
    assert f"{folder}: untouched.\n" in pipeline.verbatimctl("verify", folder, "--ask-processor", "xml").stdout
    last = f"{report['last_batch']}:{report['last_manifest_sha256']}"
    verify(pipeline, folder, 0, "--last", last)
    verify(pipeline, folder, 0, "--last", f"{report['last_batch']}:{report['last_digest']}")
    five_ways(pipeline, folder, last)
    usage_is_checked(pipeline, folder)
    assert_valid(folder)
    pipeline.stop()
    assert pipeline.verbatimctl("verify", folder, "--ask-processor", "xml").returncode == 3
    print(f"verify_archive: {report['batch_count']} batches, {report['replaced_count']} replaced: changed, removed, inserted, "
          "re-ordered, truncated: each found")
