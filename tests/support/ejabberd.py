"""An own ejabberd for tests: Debian's program, our configuration, free loopback ports, a folder of its own; the tap built by erlc.

    with Ejabberd(folder, {"port": 7999, "component": "op-x", "secret": "s"}) as server:
        await server.register("alice") ... clients connect to 127.0.0.1, server.port

The system's own ejabberd, its configuration and its data are not touched; no Erlang node name is taken, so that no epmd starts. The
process is killed by its id whatever happens.
"""
import glob
import json
import os
import pwd
import shutil
import socket
import subprocess

from managed_process import HarnessError, ManagedProcess, free_port, wait_until
from prosody import HOST, PASSWORD, ROOMS, SOURCE_DIR

TAP_DIR = os.path.join(SOURCE_DIR, "deploy", "taps", "ejabberd")


def find_program():
    """The folder of Debian's ejabberd, or None."""
    found = glob.glob("/usr/lib/*/ejabberd-23.01*")
    return found[0] if found and shutil.which("erlc") else None


def build_tap(folder):
    """As deploy/taps/ejabberd/README.md has it, warnings being errors."""
    home = find_program()
    includes = [f"{home}/include", *glob.glob("/usr/lib/erlang/lib/p1_xmpp-*/include")]
    arguments = ["erlc", "-Werror", "-pa", f"{home}/ebin", "-o", folder]
    for include in includes:
        arguments += ["-I", include]
    done = subprocess.run([*arguments, *sorted(glob.glob(f"{TAP_DIR}/*.erl"))], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise HarnessError(f"the tap does not compile\n{done.stdout}{done.stderr}")


class Ejabberd:
    """link: options of the tap (deploy/taps/ejabberd/README.md). component: external component at component_port with PASSWORD.

    s2s_port, peers_port: speaks with other servers, by dialback without TLS. It looks names up in the system's own way, so a peer
    is named by its address (127.0.0.1).
    """

    def __init__(self, folder, link, component=None, s2s_port=None, peers_port=None):
        home = find_program()
        if not home:
            raise HarnessError("no ejabberd 23.01; install Debian's package `ejabberd` (deploy/install_packages test does)")
        self.dir = os.path.join(folder, "ejabberd")
        self.host = HOST
        self.port = free_port()
        self.component_port = free_port()
        self.s2s_port = s2s_port
        for name in ("spool", "tap"):
            os.makedirs(os.path.join(self.dir, name), exist_ok=True)
        build_tap(os.path.join(self.dir, "tap"))
        with open(os.path.join(self.dir, "ejabberd.yml"), "w", encoding="utf-8") as file:
            json.dump({**self._config(link, component), **self._federation(s2s_port, peers_port)}, file, indent=1)  # YAML, too
        # Schedulers that wait busily take the processor from everybody else of a test run.
        command = ["erl", "+S", "2:2", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none", "-noinput",
                   "-pa", os.path.join(self.dir, "tap"), "-mnesia", "dir", f'"{self.dir}/spool"', "-s", "ejabberd"]
        user = self._unprivileged_user()
        if user:
            for path in (self.dir, *(os.path.join(self.dir, name) for name in os.listdir(self.dir))):
                os.chown(path, user.pw_uid, user.pw_gid)
            command = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *command]
        self.process = ManagedProcess(command, self.dir + ".log", cwd=self.dir, name="ejabberd", environment={
            "HOME": self.dir, "ERL_LIBS": os.path.dirname(home), "EJABBERD_CONFIG_PATH": f"{self.dir}/ejabberd.yml",
            "EJABBERD_LOG_PATH": f"{self.dir}/ejabberd.log", "ERL_CRASH_DUMP": "/dev/null"})

    @staticmethod
    def _unprivileged_user():
        """ejabberd should not be root; None where we are not."""
        return pwd.getpwnam("ejabberd") if os.geteuid() == 0 else None

    @staticmethod
    def _federation(s2s_port, peers_port):
        return {"s2s_use_starttls": False, "outgoing_s2s_port": peers_port} if s2s_port else {}

    def _config(self, link, component):
        listen = [{"port": self.port, "ip": "127.0.0.1", "module": "ejabberd_c2s", "starttls": False}]
        if self.s2s_port:
            listen.append({"port": self.s2s_port, "ip": "127.0.0.1", "module": "ejabberd_s2s_in"})
        if component:
            listen.append({"port": self.component_port, "ip": "127.0.0.1", "module": "ejabberd_service",
                           "hosts": {component: {"password": PASSWORD}}})
        return {
            "hosts": [HOST], "loglevel": "info", "listen": listen, "auth_method": "internal", "registration_timeout": "infinity",
            "disable_sasl_mechanisms": ["digest-md5", "scram-sha-1", "scram-sha-256", "scram-sha-512", "X-OAUTH2"],
            "api_permissions": {}, "shaper": {}, "certfiles": [],
            "modules": {
                "mod_register": {"ip_access": "all"}, "mod_roster": {}, "mod_carboncopy": {}, "mod_disco": {}, "mod_offline": {},
                "mod_mam": {"default": "always"}, "mod_ping": {}, "mod_stream_mgmt": {"resend_on_timeout": True},
                "mod_s2s_dialback": {},
                "mod_muc": {"host": ROOMS, "access": "all", "access_create": "all", "default_room_options": {
                    "anonymous": False, "persistent": False, "moderated": False, "mam": True, "allow_user_invites": True,
                    "allow_subscription": True}},
                "mod_verbatim": link,
            },
        }

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()

    def start(self, timeout=150):
        """Returns when clients can connect."""
        self.process.start()

        def accepts():
            if not self.process.is_running():
                raise HarnessError(f"ejabberd did not start\n{self.process.tail()}")
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0
        wait_until(accepts, timeout, lambda: f"ejabberd to listen\n{self.process.tail()}\n{self.log_text()[-2000:]}")
        return self

    def stop(self):
        """SIGTERM; a clean end."""
        self.process.terminate()

    def kill(self):
        self.process.kill()

    def log_text(self):
        """Both what it prints and its own log."""
        text = self.process.log_text()
        path = os.path.join(self.dir, "ejabberd.log")
        if os.path.exists(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                text += file.read()
        return text

    def assert_healthy(self, but=None):
        """Fails on a crash in ejabberd's log: the tap must never cause one. but: words of an error that is expected."""
        bad = [line for line in self.log_text().splitlines() if ("CRASH" in line or "crasher" in line or "[error]" in line) and not (but and but in line)]
        if bad or not self.process.is_running():
            raise HarnessError("ejabberd is not well:\n" + "\n".join(bad[:5]) + "\n" + self.log_text()[-3000:])
