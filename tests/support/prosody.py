"""An own Prosody for tests and the demo: Debian's program, our configuration, free loopback ports, a folder of its own.

    with Prosody(folder, link={"verbatim_port": 7999, "verbatim_component": "op-x", "verbatim_secret": "s"}) as prosody:
        ... clients connect to 127.0.0.1, prosody.port; people are anyone@HOST, rooms anything@ROOMS ...

The system's own Prosody, its configuration and its data are not touched. The process is killed by its id whatever happens.
"""
import json
import os
import pwd
import shutil
import socket
import subprocess

from managed_process import HarnessError, ManagedProcess, free_port, wait_until

SOURCE_DIR = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TAP_DIR = os.path.join(SOURCE_DIR, "deploy", "taps", "prosody")
HOST = "chat.example"
ROOMS = "rooms.chat.example"
PASSWORD = "any will do"  # the open authentication of a test server asks for one and takes each


def find_program():
    path = shutil.which("prosody") or "/usr/bin/prosody"
    return path if os.path.exists(path) else None


# Federation on one machine: where another server is, its name does not say. Replaces the look-up by SRV records.
PINNED_NAMES = """
module:set_global();
local basic = require "net.resolvers.basic";
local ports = module:get_option("pinned_names");
require "net.resolvers.service".new = function (name) return basic.new("127.0.0.1", ports[name] or 1, "tcp"); end
"""


def to_lua(value):
    if isinstance(value, dict):
        return "{ " + "; ".join(f"[{json.dumps(key)}] = {to_lua(element)}" for key, element in value.items()) + " }"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "{ " + "; ".join(to_lua(element) for element in value) + " }"
    if value is None:
        return "nil"
    return json.dumps(value, ensure_ascii=False)


class Prosody:
    """link: options of the tap (deploy/taps/prosody/README.md), or None for a Prosody without it.

    component: name of an external component (XEP-0114) that may attach at component_port with PASSWORD.
    s2s_port, peers: speaks with other servers, by dialback without TLS; peers: {domain: port} of theirs.
    """

    def __init__(self, folder, link, log_level="info", component=None, host=HOST, rooms=ROOMS, s2s_port=None, peers=None):
        program = find_program()
        if not program:
            raise HarnessError("no prosody; install Debian's package `prosody` (deploy/run --demo does)")
        self.dir = os.path.join(folder, "prosody" if host == HOST else f"prosody-{host}")
        self.host, self.rooms, self.s2s_port, self.peers = host, rooms, s2s_port, peers or {}
        self.port = free_port()
        self.component_port = free_port() if component else None
        for name in ("data", "certs"):
            os.makedirs(os.path.join(self.dir, name), exist_ok=True)
        # A copy: the checkout may lie where another user cannot read.
        plugins = os.path.join(self.dir, "plugins")
        shutil.copytree(TAP_DIR, plugins, dirs_exist_ok=True)
        with open(os.path.join(plugins, "mod_pinned_names.lua"), "w", encoding="utf-8") as file:
            file.write(PINNED_NAMES)
        config_path = os.path.join(self.dir, "prosody.cfg.lua")
        user = self._unprivileged_user()
        with open(config_path, "w", encoding="utf-8") as file:
            file.write(self._config(link, log_level, component, plugins, run_as_root=user is None and os.geteuid() == 0))
        arguments = [program, "-F", "--config", config_path]
        if user:
            self._give_to(user)
            arguments = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *arguments]
        self.process = ManagedProcess(arguments, self.dir + ".log", cwd=self.dir, name="prosody",
                                      environment={"HOME": self.dir})

    def _unprivileged_user(self):
        """Prosody refuses to be root. None: we are not root, or its own user cannot reach the folder."""
        if os.geteuid() != 0:
            return None
        try:
            user = pwd.getpwnam("prosody")
        except KeyError:
            return None
        can_reach = subprocess.run(["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups",
                                    "test", "-x", self.dir], check=False).returncode == 0
        return user if can_reach else None

    def _give_to(self, user):
        for folder, _, files in os.walk(self.dir):
            for path in (folder, *(os.path.join(folder, file) for file in files)):
                os.chown(path, user.pw_uid, user.pw_gid)

    def _config(self, link, log_level, component, plugins, run_as_root):
        options = {
            "run_as_root": run_as_root, "data_path": os.path.join(self.dir, "data"),
            "pidfile": os.path.join(self.dir, "prosody.pid"), "plugin_paths": [plugins],
            "interfaces": ["127.0.0.1"], "c2s_ports": [self.port], "s2s_ports": [], "c2s_direct_tls_ports": [],
            "http_ports": [], "https_ports": [], "c2s_require_encryption": False, "allow_unencrypted_plain_auth": True,
            "authentication": "insecure", "insecure_open_authentication": "Yes please, I know what I'm doing!",
            "storage": "internal", "archive_expires_after": "never", "limits": [], "statistics": False,
            "modules_enabled": ["roster", "saslauth", "disco", "posix", "carbons", "ping", "version", "mam"],
            "modules_disabled": ["s2s", "tls", "offline"],
            **(link or {}),
        }
        if self.s2s_port:
            options.update({"s2s_ports": [self.s2s_port], "s2s_require_encryption": False, "s2s_secure_auth": False,
                            "pinned_names": self.peers, "modules_disabled": ["tls", "offline"]})
            options["modules_enabled"] = [*options["modules_enabled"], "s2s", "dialback", "pinned_names"]
        lines = [f"{key} = {to_lua(value)}" for key, value in options.items()]
        tap = ["verbatim"] if link else []
        lines += [f'log = {{ {log_level} = "*console" }}',
                  f'VirtualHost "{self.host}"', f"modules_enabled = {to_lua(tap)}",
                  f'Component "{self.rooms}" "muc"', f'modules_enabled = {to_lua(["muc_mam", *tap])}',
                  "muc_room_locking = false", "muc_log_by_default = true", "muc_room_default_public_jids = true"]
        if component:
            lines[:0] = [f"component_ports = {to_lua([self.component_port])}", 'component_interfaces = { "127.0.0.1" }']
            lines += [f'Component "{component}"', f"component_secret = {to_lua(PASSWORD)}"]
        return "\n".join(lines) + "\n"

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()

    def start(self, timeout=30):
        """Returns when clients can connect."""
        self.process.start()

        def accepts():
            if not self.process.is_running():
                raise HarnessError(f"prosody did not start\n{self.process.tail()}")
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0
        wait_until(accepts, timeout, lambda: f"prosody to listen\n{self.process.tail()}")
        return self

    def stop(self):
        """SIGTERM; a clean end."""
        self.process.terminate()

    def kill(self):
        self.process.kill()

    def log_text(self):
        return self.process.log_text()

    def assert_healthy(self, but=None):
        """Fails on a Lua error in Prosody's log: the tap must never cause one. but: words of an error that is expected."""
        bad = [line for line in self.log_text().splitlines()
               if any(word in line for word in ("stack traceback", "Traceback", "attempt to ", "unexpected async state"))
               and not (but and but in line)]
        if bad or not self.process.is_running():
            raise HarnessError("prosody is not well:\n" + "\n".join(bad[:5]) + "\n" + self.process.tail(60))
