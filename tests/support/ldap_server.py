"""A real slapd (Debian's) for a test: a free loopback port, data in the test's own folder, nothing of the system's.

    with LdapServer(folder, people=[{"mail": "ann@people.test", "displayName": "Ann", ...}]) as server:
        config = {"ldap_url": server.url, "ldap_base": SUFFIX, ...}

The server's certificate is good for 127.0.0.1 and signed by `ca_file`; plain ldap and StartTLS share the port.
"""
import os
import shutil
import socket
import subprocess

from managed_process import HarnessError, ManagedProcess, free_port, wait_until

SUFFIX = "dc=people,dc=test"
READER_DN, READER_PASSWORD = f"cn=reader,{SUFFIX}", "reader's secret"

CONF = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
pidfile {folder}/slapd.pid
TLSCACertificateFile {folder}/ca.pem
TLSCertificateFile {folder}/host.pem
TLSCertificateKeyFile {folder}/host.key
database mdb
suffix "{suffix}"
directory {folder}/data
rootdn "cn=admin,{suffix}"
overlay memberof
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{reader}" read by * none
"""


class LdapServer(ManagedProcess):
    def __init__(self, folder, people):
        self.folder = folder
        self.port = free_port()
        self.url = f"ldap://127.0.0.1:{self.port}"
        self.ca_file = os.path.join(folder, "ca.pem")
        self.password_file = os.path.join(folder, "reader.password")
        os.makedirs(os.path.join(folder, "data"))
        # A copy: Debian's AppArmor profile lets /usr/sbin/slapd see the system's own folders only.
        self.binary = shutil.copy("/usr/sbin/slapd", os.path.join(folder, "slapd"))
        self._write_certificates()
        self._write(self.password_file, READER_PASSWORD + "\n", mode=0o600)
        self.conf = self._write("slapd.conf", CONF.format(folder=folder, suffix=SUFFIX, reader=READER_DN))
        self._load(people)
        super().__init__([self.binary, "-h", self.url, "-f", self.conf, "-d", "0"], os.path.join(folder, "slapd.log"))

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()

    def start(self):
        super().start()

        def answers():
            if not self.is_running():
                raise HarnessError(f"slapd ended\n{self.tail()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return True
            except OSError:
                return False

        wait_until(answers, 20, lambda: f"slapd to listen\n{self.tail()}")
        return self

    def _write(self, name, text, mode=0o644):
        path = os.path.join(self.folder, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def _write_certificates(self):
        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=self.folder)

        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test CA", "-keyout", "ca.key", "-out", "ca.pem")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", "host.key", "-out", "host.csr")
        self._write("names", "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl("x509", "-req", "-in", "host.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "host.pem")

    def _load(self, people):
        """`groups` of a person are names; memberOf then holds the group's whole name, as the overlay writes it."""
        parts = [f"dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: test\n",
                 f"dn: {READER_DN}\nobjectClass: person\nsn: reader\nuserPassword: {READER_PASSWORD}\n"]
        for number, person in enumerate(people):
            lines = [f"dn: uid=u{number},{SUFFIX}", "objectClass: inetOrgPerson", f"cn: {number}", f"sn: {number}"]
            lines += [f"{key}: {value}" for key, value in person.items() if key != "groups"]
            lines += [f"memberOf: cn={group},ou=groups,{SUFFIX}" for group in person.get("groups", ())]
            parts.append("\n".join(lines) + "\n")
        path = self._write("people.ldif", "\n".join(parts))
        done = subprocess.run([self.binary, "-T", "add", "-f", self.conf, "-l", path], capture_output=True, text=True, check=False)
        if done.returncode:
            raise HarnessError(f"slapadd: {done.stdout}{done.stderr}")
