"""Runs the built services as a user would: real processes, real disk, loopback ports, one TOML file.

    from verbatim_harness import Pipeline, room_post

    with Pipeline("adapter_dies", config={"processor": {"receive_max_count": 10}}) as pipeline:
        pipeline.start()                                  # queue, processor, adapters, collector
        with pipeline.producer("alice") as producer:
            producer.send([room_post("room@x", "a@x", "hello")])
        pipeline.adapter_xml.kill()                       # SIGKILL; start() again has the same ports and data
        pipeline.adapter_xml.start()
        pipeline.wait_archived(1)
        pipeline.stop()                                   # SIGTERM to all; each must end with exit code 0

Leaving the `with` block kills whatever still runs. On an error the last lines of every service's log are printed and
the folder is kept; otherwise it is removed (VERBATIM_KEEP=1 keeps it).

Environment: VERBATIM_BIN_DIR names the folder of the binaries; without it the newest build/*/bin is taken.
"""
import glob
import json
import os
import shutil
import subprocess
import sys
import time

SOURCE_DIR = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def find_bin_dir():
    given = os.environ.get("VERBATIM_BIN_DIR")
    if given:
        return os.path.abspath(given)
    found = glob.glob(os.path.join(SOURCE_DIR, "build", "*", "bin", "verbatim-queue"))
    if not found:
        sys.exit("no built services under build/; build them or set VERBATIM_BIN_DIR")
    return os.path.dirname(max(found, key=os.path.getmtime))


BIN_DIR = find_bin_dir()
BUILD_DIR = os.path.dirname(BIN_DIR)
# Python modules of the protos, made by the build target `verbatim_python`.
sys.path.insert(0, os.path.join(BUILD_DIR, "python"))

import grpc  # noqa: E402
from ingest_producer import (IngestProducer, direct_post, room_join, room_leave, room_post)  # noqa: E402,F401
from managed_process import (HarnessError, ManagedProcess, free_port, kill_all, wait_until)  # noqa: E402,F401
from toml_writer import merged, to_toml  # noqa: E402
from verbatim.v1 import admin_pb2, admin_pb2_grpc  # noqa: E402

# Starting under the address sanitizer on a loaded machine with two cores takes its time.
START_TIMEOUT_S = 60


def test_dir(name):
    """A fresh folder on a real disk (VERBATIM_TEST_DIR, else the build folder, else /var/tmp)."""
    def is_memory(path):
        kind = subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True, check=True)
        return kind.stdout.strip() in ("tmpfs", "ramfs")

    parent = os.environ.get("VERBATIM_TEST_DIR") or (BUILD_DIR if not is_memory(BUILD_DIR) else "/var/tmp")
    path = os.path.join(parent, "test_run", f"{name}-{os.getpid()}-{time.time_ns() % 1_000_000}")
    os.makedirs(path)
    return path


class Service(ManagedProcess):
    """A service or adapter of a Pipeline: start() returns when it is ready."""

    def __init__(self, pipeline, binary, extra_arguments=()):
        self.pipeline = pipeline
        self.extra_arguments = list(extra_arguments)
        self.endpoints = {}
        super().__init__([os.path.join(BIN_DIR, binary), "--config", pipeline.config_path],
                         os.path.join(pipeline.dir, binary + ".log"), cwd=pipeline.dir, name=binary)

    def start(self, wait=True, environment=None):
        """Starts the binary with the pipeline's present configuration. `environment` is for this start only, such as
        {"VERBATIM_FAULT_POINT": "queue.before_sync"}."""
        self.pipeline.write_config()
        kept = self.environment
        self.environment = {**kept, **(environment or {})}
        self.arguments = [os.path.join(BIN_DIR, self.name), "--config", self.pipeline.config_path, *self.extra_arguments]
        try:
            super().start()
        finally:
            self.environment = kept
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout=START_TIMEOUT_S):
        """Returns when the ready file of this very process is there; its lines are in `endpoints`."""
        def ready():
            if not self.is_running():
                raise HarnessError(f"{self.name} ended with {self.exit_code()} before it was ready\n{self.tail()}")
            for path in self._ready_files():
                endpoints = read_ready_file(path)
                if endpoints.get("pid") == str(self.pid):
                    return endpoints
            return None

        self.endpoints = wait_until(ready, timeout, lambda: f"{self.name} to be ready\n{self.tail()}")
        return self

    def _ready_files(self):
        names = {self.name + ".ready", self.name.removeprefix("verbatim-") + ".ready"}
        for folder, _, files in os.walk(self.pipeline.dir):
            for name in names.intersection(files):
                yield os.path.join(folder, name)

    def restart(self, kill=False):
        if kill:
            self.kill()
        else:
            self.terminate()
        return self.start()


def read_ready_file(path):
    try:
        with open(path, encoding="utf-8") as file:
            return dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)
    except FileNotFoundError:
        return {}


class Pipeline:
    """The three services and their adapters over one folder and one configuration.

    adapters: which of "xml" and "count" there are, all required. config: laid over the harness's own settings (tables
    merged key by key, lists replaced). services: what start() starts, in that order.
    """

    def __init__(self, name, adapters=("xml",), config=None, services=None, keep=False):
        self.name = name
        self.dir = test_dir(name)
        self.config_path = os.path.join(self.dir, "verbatim.toml")
        self.keep = keep or os.environ.get("VERBATIM_KEEP") == "1"
        self.ports = {key: free_port() for key in ("queue", "queue_admin", "collector_admin", "policies", "grpc", "zmq",
                                                   "processor_admin", "hub")}
        self.config = merged(self._own_config(adapters), config or {})
        self.write_config()
        self.queue = Service(self, "verbatim-queue")
        self.processor = Service(self, "verbatim-processor")
        self.collector = Service(self, "verbatim-collector")
        self.adapter_xml = Service(self, "verbatim-adapter-xml")
        self.adapter_count = Service(self, "verbatim-adapter-count")
        by_adapter = {"xml": self.adapter_xml, "count": self.adapter_count}
        self.services = list(services) if services is not None else [
            self.queue, self.processor, *(by_adapter[adapter] for adapter in adapters), self.collector]
        self._channels = {}

    def _own_config(self, adapters):
        tcp, host = "tcp://127.0.0.1:{}".format, "127.0.0.1:{}".format
        path = lambda *parts: os.path.join(self.dir, *parts)  # noqa: E731
        ports = self.ports
        return {
            "queue": {"data_dir": path("queue"), "listen": tcp(ports["queue"]), "admin_listen": host(ports["queue_admin"]),
                      "metrics_listen": host(0), "probe_interval_ms": 0,
                      "segment_bytes": 32 << 20, "message_max_bytes": 2 << 20, "free_disk_min_bytes": 16 << 20},
            "files": {"data_dir": path("files"), "free_disk_min_bytes": 0},
            "collector": {"data_dir": path("collector"), "admin_listen": host(ports["collector_admin"]),
                          "queue_address": tcp(ports["queue"]), "metrics_listen": host(0),
                          # Fits every deadline that a test sets.
                          "policies": {"listen": host(ports["policies"]), "put_reserve_ms": 50, "outage_wait_ms": 50},
                          "grpc": {"listen": host(ports["grpc"])}, "zmq": {"listen": tcp(ports["zmq"])}},
            "processor": {"data_dir": path("processor"), "admin_listen": host(ports["processor_admin"]),
                          "hub_listen": host(ports["hub"]), "metrics_listen": host(0), "free_disk_min_bytes": 0,
                          "queues": [{"name": "events", "address": tcp(ports["queue"]),
                                      "admin_address": host(ports["queue_admin"])}],
                          "adapters": [{"name": name, "required": True, "interval_ms": 200} for name in adapters]},
            "adapter_xml": {"hub_address": host(ports["hub"]), "output_dir": path("archive", "xml")},
            "adapter_count": {"hub_address": host(ports["hub"]), "data_dir": path("adapter-count")},
        }

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        failed = kind is not None and not (kind is SystemExit and value.code in (0, None))
        if failed:
            print(f"\n{kind.__name__}: {value}\nfolder kept: {self.dir}", file=sys.stderr)
            for service in self._all_services():
                if service.process is not None:
                    print(service.tail(), file=sys.stderr)
        for channel in self._channels.values():
            channel.close()
        for service in self._all_services():
            service.kill()
        if not failed and not self.keep:
            shutil.rmtree(self.dir, ignore_errors=True)

    def _all_services(self):
        return [self.collector, self.adapter_xml, self.adapter_count, self.processor, self.queue]

    # --- processes

    def write_config(self):
        with open(self.config_path + ".new", "w", encoding="utf-8") as file:
            file.write(to_toml(self.config))
        os.replace(self.config_path + ".new", self.config_path)

    def start(self):
        for service in self.services:
            service.start()
        return self

    def stop(self):
        """SIGTERM to all, the collector first; each must end with exit code 0."""
        for service in self._all_services():
            service.terminate()

    # --- what tests ask and do

    def producer(self, name="producer", **options):
        """A producer of the collector's gRPC source."""
        return IngestProducer(f"127.0.0.1:{self.ports['grpc']}", name, **options)

    def channel(self, key):
        if key not in self._channels:
            # A stopped service is asked again soon after its restart.
            options = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.min_reconnect_backoff_ms", 50),
                       ("grpc.max_reconnect_backoff_ms", 200)]
            self._channels[key] = grpc.insecure_channel(f"127.0.0.1:{self.ports[key]}", options=options)
        return self._channels[key]

    def queue_admin(self):
        return admin_pb2_grpc.QueueAdminStub(self.channel("queue_admin"))

    def collector_admin(self):
        return admin_pb2_grpc.CollectorAdminStub(self.channel("collector_admin"))

    def processor_admin(self):
        return admin_pb2_grpc.ProcessorAdminStub(self.channel("processor_admin"))

    def queue_info(self, name="events"):
        for info in self.queue_admin().ListQueues(admin_pb2.ListQueuesRequest(), timeout=10).queues:
            if info.name == name:
                return info
        raise HarnessError(f"no queue {name}")

    def accounting(self, recount=False):
        return self.processor_admin().GetAccounting(admin_pb2.GetAccountingRequest(recount=recount), timeout=120)

    def totals(self, recount=False):
        """Sums over all queues and sources of the cut: accepted, archived, quarantined, staged, difference."""
        cut = self.accounting(recount)
        sources = [source for queue in cut.queues for source in queue.sources]
        return {key: sum(getattr(source, key) for source in sources)
                for key in ("accepted", "archived", "quarantined", "staged", "difference")}

    def wait_archived(self, count, timeout=60, manages=None):
        """Waits until at least `count` events are archived and none is queued or staged; gives the totals. `manages`: a service
        that is started again when it has ended, as its manager would."""
        seen = {}

        def archived():
            if manages is not None and not manages.is_running():
                manages.start()
            try:
                seen["totals"] = totals = self.totals()
                seen["depth"] = depth = self.queue_info().depth
            except grpc.RpcError as error:  # a service that is being restarted
                seen["error"] = error.code().name
                return None
            return totals if depth == 0 and totals["staged"] == 0 and totals["archived"] >= count else None

        return wait_until(archived, timeout, lambda: f"{count} archived events, seen: {seen}", poll=0.05)

    def verbatimctl(self, *arguments, timeout=60):
        """Runs verbatimctl with this pipeline's configuration; gives the CompletedProcess (text)."""
        return subprocess.run([os.path.join(BIN_DIR, "verbatimctl"), "--config", self.config_path, *map(str, arguments)],
                              capture_output=True, text=True, timeout=timeout, check=False)

    def verbatimctl_json(self, *arguments):
        done = self.verbatimctl("--json", *arguments)
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError:
            raise HarnessError(f"verbatimctl {arguments}: exit {done.returncode}\n{done.stdout}{done.stderr}") from None

    def documents(self, pattern="**/*.xml"):
        """Paths of the XML adapter's files, sorted."""
        folder = self.config["adapter_xml"]["output_dir"]
        return sorted(glob.glob(os.path.join(folder, pattern), recursive=True))
