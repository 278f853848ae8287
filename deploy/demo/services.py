"""The services of the demo: queue, processor, XML adapter, collector and a Prosody of its own, in one folder."""
import json
import os
import secrets
import subprocess

from managed_process import HarnessError, ManagedProcess, free_port, wait_until
from prosody import HOST, ROOMS, Prosody
from toml_writer import to_toml

ORDER = ("queue", "processor", "adapter-xml", "collector")


class Services:
    def __init__(self, folder, bin_dir):
        self.dir = folder
        self.bin_dir = bin_dir
        self.archive_dir = os.path.join(folder, "archive", "xml")
        self.config_path = os.path.join(folder, "verbatim.toml")
        self.xcp_port = free_port()
        self.secret = secrets.token_hex(16)
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write(to_toml(self._config()))
        self.processes = {}
        self.prosody = None

    def _config(self):
        ports = {name: free_port() for name in ("queue", "queue_admin", "collector_admin", "grpc", "zmq", "processor_admin", "hub")}
        tcp, host = "tcp://127.0.0.1:{}".format, "127.0.0.1:{}".format
        path = lambda *parts: os.path.join(self.dir, *parts)  # noqa: E731
        return {
            "queue": {"data_dir": path("queue"), "listen": tcp(ports["queue"]), "admin_listen": host(ports["queue_admin"]),
                      "metrics_listen": host(0), "segment_bytes": 64 << 20, "free_disk_min_bytes": 64 << 20},
            "files": {"data_dir": path("files")},
            "collector": {"data_dir": path("collector"), "admin_listen": host(ports["collector_admin"]),
                          "queue_address": tcp(ports["queue"]), "internal_domains": [HOST, ROOMS],
                          "policies": {"listen": host(0)}, "metrics_listen": host(0),
                          "grpc": {"listen": host(ports["grpc"])}, "zmq": {"listen": tcp(ports["zmq"])},
                          "xcp": [{"name": "prosody", "listen": host(self.xcp_port), "component": "op-demo",
                                   "secret": self.secret}]},
            "processor": {"data_dir": path("processor"), "admin_listen": host(ports["processor_admin"]),
                          "hub_listen": host(ports["hub"]), "metrics_listen": host(0), "free_disk_min_bytes": 128 << 20,
                          "queues": [{"name": "events", "address": tcp(ports["queue"]),
                                      "admin_address": host(ports["queue_admin"])}],
                          "adapters": [{"name": "xml", "required": True, "interval_ms": 2000}]},
            "adapter_xml": {"hub_address": host(ports["hub"]), "output_dir": self.archive_dir},
        }

    # --- processes

    def start(self):
        for name in ORDER:
            self._start(name)
        self.prosody = Prosody(self.dir, {"verbatim_port": self.xcp_port, "verbatim_component": "op-demo",
                                          "verbatim_secret": self.secret})
        self.prosody.start()
        wait_until(self._is_linked, 20, lambda: f"the link of Prosody with the collector\n{self.prosody.process.tail()}")

    def _start(self, name):
        binary = os.path.join(self.bin_dir, "verbatim-" + name)
        process = ManagedProcess([binary, "--config", self.config_path], os.path.join(self.dir, name + ".log"), cwd=self.dir)
        self.processes[name] = process.start()

        def is_ready():
            if not process.is_running():
                raise HarnessError(f"{name} ended with {process.exit_code()}\n{process.tail()}")
            return self._has_ready_file(name, process.pid)
        wait_until(is_ready, 30, lambda: f"{name} to be ready\n{process.tail()}")

    def _has_ready_file(self, name, pid):
        wanted = {name + ".ready", f"verbatim-{name}.ready"}
        for folder, _, files in os.walk(self.dir):
            for file_name in wanted.intersection(files):
                with open(os.path.join(folder, file_name), encoding="utf-8") as file:
                    if f"pid={pid}" in file.read().split():
                        return True
        return False

    def _is_linked(self):
        return "Linked with the collector" in self.prosody.log_text()

    def stop(self):
        """Everything ends, the chat first; each with exit code 0."""
        self.prosody.stop()
        for name in reversed(ORDER):
            self.processes[name].terminate()

    def kill(self):
        if self.prosody:
            self.prosody.kill()
        for process in self.processes.values():
            process.kill()

    def tails(self):
        processes = [*self.processes.values(), *([self.prosody.process] if self.prosody else [])]
        return "\n".join(process.tail(15) for process in processes)

    # --- questions

    def _run(self, program, *arguments):
        return subprocess.run([os.path.join(self.bin_dir, program), *arguments], capture_output=True, text=True, timeout=60,
                              check=False)

    def status_text(self):
        return self._run("verbatimctl", "--config", self.config_path, "status").stdout

    def status(self):
        """The report of `verbatimctl status`, numbers as numbers; None while it cannot be had."""
        done = self._run("verbatimctl", "--config", self.config_path, "--json", "status")
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError:
            return None

    def balance(self):
        """Sums over all sources: accepted, archived, queued, staged, quarantined, difference."""
        report = self.status() or {}
        rows = report.get("balance", [])
        if not rows:
            return None
        names = {"accepted": "accepted_total", "archived": "archived", "queued": "queued", "staged": "staged",
                 "quarantined": "quarantined"}
        totals = {ours: sum(int(row.get(theirs, row.get(_camel(theirs), 0))) for row in rows) for ours, theirs in names.items()}
        totals["difference"] = int(report.get("difference_total", report.get("differenceTotal", 0)))
        outbox = report.get("collector", {}).get("outbox", {})
        totals["outbox"] = int(outbox.get("event_count", outbox.get("eventCount", 0)))
        return totals

    def validate(self):
        """Gives what is wrong with the documents, or ""."""
        done = self._run("verbatim-adapter-xml", "--validate", self.archive_dir)
        return "" if done.returncode == 0 else done.stdout + done.stderr


def _camel(name):
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
