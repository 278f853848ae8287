"""People are looked up when an event is captured: from a CSV file, and from a real LDAP server (Debian's slapd), which is
then silent, gone, and back. Whatever it does, events are accepted, and what became of each lookup is recorded."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from verbatim_harness import Pipeline, room_post, wait_until  # noqa: E402
from ldap_server import READER_DN, SUFFIX, LdapServer  # noqa: E402
from queue_reader import QueueReader  # noqa: E402
from verbatim.v1 import admin_pb2, event_pb2  # noqa: E402

FOUND, UNKNOWN, FAILED = (event_pb2.Party.Resolution.Value("RESOLUTION_" + word) for word in ("FOUND", "UNKNOWN", "FAILED"))
TIMEOUT_S = 1.0
PEOPLE = [
    {"mail": "ann@people.test", "displayName": "Ann Other", "departmentNumber": "Sales", "groups": ["traders", "all staff"]},
    {"mail": "bob@people.test", "displayName": "Bob", "departmentNumber": "Research"},
    {"mail": "two@people.test", "displayName": "First of two"},
    {"mail": "two@people.test", "displayName": "Second of two"},
]


def open_pipeline(name, directory):
    pipeline = Pipeline(name, adapters=(), config={"collector": {"directory": directory, "internal_domains": ["people.test"]}})
    pipeline.services = [pipeline.queue, pipeline.collector]
    pipeline.reader = QueueReader(f"tcp://127.0.0.1:{pipeline.ports['queue']}")
    return pipeline


def actor_of(pipeline, producer, address):
    """The actor of an event of that person, as it was stored, and how long its acceptance took."""
    text = f"{address} {time.monotonic_ns()}"
    begin = time.monotonic()
    producer.send([room_post("room@muc.people.test", address, text)])
    took = time.monotonic() - begin
    stored = [event for event in pipeline.reader.drain() if event.original_text.plain == text]
    assert len(stored) == 1, stored
    return stored[0].actor, took


def info_of(pipeline):
    return pipeline.collector_admin().ListSources(admin_pb2.ListSourcesRequest(), timeout=10).directory


def people_from_a_csv_file(folder_name="people_csv"):
    with open_pipeline(folder_name, {"csv_file": "people.csv"}) as pipeline:
        path = os.path.join(pipeline.dir, "people.csv")

        def write(text):
            with open(path + ".new", "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(path + ".new", path)

        write("address,name\nann@people.test,Ann,too much\n")
        pipeline.queue.start()
        pipeline.collector.start(wait=False)
        assert pipeline.collector.wait(30) == 1
        assert "line 2: 3 fields, not 2" in pipeline.collector.tail()
        write("address,name,email,department,groups\nAnn@People.Test,Ann Other,ann@mail.test,Sales,traders;all staff\n")
        pipeline.collector.start()
        with pipeline.producer() as producer:
            ann, _ = actor_of(pipeline, producer, "ann@people.test/phone")
            assert (ann.display_name, ann.email, ann.department) == ("Ann Other", "ann@mail.test", "Sales"), ann
            assert list(ann.groups) == ["traders", "all staff"] and ann.resolution == FOUND
            assert ann.affinity == event_pb2.AFFINITY_INTERNAL
            stranger, _ = actor_of(pipeline, producer, "eve@elsewhere.test/x")
            assert stranger.resolution == UNKNOWN and stranger.affinity == event_pb2.AFFINITY_FEDERATED
            write("address,name\nann@people.test,Ann Married\n")
            wait_until(lambda: actor_of(pipeline, producer, "ann@people.test")[0].display_name == "Ann Married", 20,
                       "the changed file to be read", poll=0.1)
            write("address,name\nann@people.test,Bad,line\n")
            wait_until(lambda: "line 2: 3 fields, not 2" in info_of(pipeline).problem, 20, "the bad line to be named")
            assert actor_of(pipeline, producer, "ann@people.test")[0].display_name == "Ann Married"
            assert info_of(pipeline).unknown_count == 1 and info_of(pipeline).kind == "csv"
        pipeline.stop()
    print("csv: ok")


def people_from_ldap():
    directory = {"ldap_base": SUFFIX, "ldap_bind_dn": READER_DN, "ldap_start_tls": True, "fresh_ms": 200,
                 "ldap_timeout_ms": int(TIMEOUT_S * 1000)}
    with open_pipeline("people_ldap", directory) as pipeline:
        folder = os.path.join(pipeline.dir, "slapd")
        os.makedirs(folder)
        with LdapServer(folder, PEOPLE) as server:
            directory.update(ldap_url=server.url, ldap_password_file=server.password_file, ldap_ca_file=server.ca_file)
            pipeline.config["collector"]["directory"] = directory
            pipeline.start()
            with pipeline.producer() as producer:
                found_and_unknown(pipeline, producer)
                a_silent_server_costs_one_timeout(pipeline, producer, server)
                a_server_that_is_gone_blocks_nothing(pipeline, producer, server)
        pipeline.stop()


def found_and_unknown(pipeline, producer):
    ann, _ = actor_of(pipeline, producer, "Ann@People.Test/phone")
    assert (ann.display_name, ann.email, ann.department) == ("Ann Other", "ann@people.test", "Sales"), ann
    assert list(ann.groups) == ["traders", "all staff"] and ann.resolution == FOUND
    for nobody in ("nobody@people.test", "*@people.test", "a*@people.test", "x)(mail=ann@people.test", "two@people.test"):
        actor, _ = actor_of(pipeline, producer, nobody)
        assert actor.resolution == UNKNOWN and not actor.display_name, actor
    info = info_of(pipeline)
    assert (info.kind, info.found_count, info.unknown_count, info.problem) == ("ldap", 1, 5, ""), info
    listed = pipeline.verbatimctl("sources", "list").stdout
    assert "People by ldap: 6 known, 1 found, 5 unknown, 0 not looked up, 0 stale\n" in listed, listed
    print("ldap with StartTLS: found, unknown, escaped: ok")


def a_silent_server_costs_one_timeout(pipeline, producer, server):
    server.pause()
    time.sleep(0.3)  # fresh_ms has passed: what is cached is stale now
    first, took = actor_of(pipeline, producer, "bob@people.test")
    assert first.resolution == FAILED and TIMEOUT_S * 0.9 < took < TIMEOUT_S + 2, (first, took)
    begin = time.monotonic()
    for number in range(50):
        actor, _ = actor_of(pipeline, producer, f"p{number}@people.test")
        assert actor.resolution == FAILED
    many_took = time.monotonic() - begin
    assert many_took < 50 * TIMEOUT_S / 5, many_took
    stale, _ = actor_of(pipeline, producer, "ann@people.test")
    assert stale.resolution == FOUND and stale.department == "Sales"
    info = info_of(pipeline)
    assert info.failed_count == 51 and info.stale_count == 1 and info.problem, info
    assert any("directory" in notice for notice in
               pipeline.collector_admin().GetInfo(admin_pb2.GetInfoRequest(), timeout=10).info.notices)
    server.resume()
    wait_until(lambda: actor_of(pipeline, producer, "bob@people.test")[0].resolution == FOUND, 30, "the directory to be back",
               poll=0.2)
    assert not info_of(pipeline).problem
    print(f"silent server: {took:.2f} s once, then 50 events in {many_took:.2f} s: ok")


def a_server_that_is_gone_blocks_nothing(pipeline, producer, server):
    server.kill()
    actor, took = actor_of(pipeline, producer, "carl@people.test")
    assert actor.resolution == FAILED and took < TIMEOUT_S + 2, took
    server.start()
    wait_until(lambda: actor_of(pipeline, producer, "ann@people.test")[0].resolution == FOUND
               and not info_of(pipeline).problem, 30, "the directory to be back", poll=0.2)
    # A connection that the server has closed is made again without a failure.
    failed = info_of(pipeline).lookup_failed_count
    server.kill()
    server.start()
    assert actor_of(pipeline, producer, "bob@people.test")[0].resolution == FOUND
    assert info_of(pipeline).lookup_failed_count == failed
    print("server gone and back: ok")


def main():
    people_from_a_csv_file()
    people_from_ldap()


main()
