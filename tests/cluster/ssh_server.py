"""Another host for tests that start processes on one: a real sshd on loopback."""
import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def has_ssh():
    return os.path.exists("/usr/sbin/sshd") and os.geteuid() == 0


@contextlib.contextmanager
def ssh_server(folder):
    """A real sshd on loopback, for this user and one key."""
    for name in ("host", "client"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{folder}/{name}"], check=True)
    shutil.copy(f"{folder}/client.pub", f"{folder}/authorized")
    port = free_port()
    with open(f"{folder}/config", "w") as config:
        config.write(f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\nStrictModes no\n"
                     f"PidFile {folder}/pid\nUsePAM no\nPermitRootLogin prohibit-password\n")
    os.makedirs("/run/sshd", exist_ok=True)
    server = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", f"{folder}/config"], stderr=subprocess.DEVNULL)
    time.sleep(0.3)
    try:
        yield f"ssh -p {port} -i {folder}/client -l {getpass.getuser()} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    finally:
        server.terminate()
        server.wait()
