"""A small ext4 of its own for a test: an image in the test's folder, mounted through a loop device.

    import small_disk
    small_disk.enter_own_mounts()            # first of all: starts the script again in its own mount namespace
    with small_disk.SmallDisk(folder, size_mib=96) as disk:
        ... disk.path, disk.free_bytes(), disk.fill(), disk.unfill()

The mounts live in the namespace only: whatever becomes of the test, they and the loop device end with its last process.
Mounting needs root. Where it is not possible the test fails and says so; it is never left out in silence.
"""
import os
import subprocess
import sys

_MARK = "VERBATIM_TEST_OWN_MOUNTS"


def enter_own_mounts():
    if os.environ.get(_MARK) == "1":
        return
    if os.geteuid() != 0:
        sys.exit("this test mounts a small file system and must run as root")
    os.environ[_MARK] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])


def _run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"this machine cannot mount a small file system, which this test needs: {' '.join(command)}: "
                         f"{done.stderr.strip()}")


class SmallDisk:
    def __init__(self, folder, size_mib):
        self.path = os.path.join(folder, "disk")
        self._image = os.path.join(folder, "disk.image")
        self._filler = os.path.join(self.path, "somebody-elses-file")
        os.makedirs(self.path)
        with open(self._image, "wb") as image:
            image.truncate(size_mib << 20)
        _run("mkfs.ext4", "-q", "-m", "0", self._image)
        _run("mount", "-o", "loop", self._image, self.path)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        _run("umount", "--lazy", self.path)
        os.remove(self._image)

    def free_bytes(self):
        state = os.statvfs(self.path)
        return state.f_bavail * state.f_frsize

    def fill(self, leave_bytes=0):
        """Somebody else's file takes everything but so much. Gives what is free then."""
        with open(self._filler, "ab", buffering=0) as file:
            block = b"\xff" * (64 << 10)
            try:
                while self.free_bytes() > leave_bytes:
                    # A last part may fit where a whole block does not.
                    file.write(block[:max(1, min(len(block), self.free_bytes() - leave_bytes))])
            except OSError:
                pass
        return self.free_bytes()

    def unfill(self):
        os.remove(self._filler)
