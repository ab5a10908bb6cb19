"""A network that loses packets without a word: a namespace, a pair of interfaces, and rules that drop."""

from __future__ import annotations

import atexit
import os
import random
import secrets
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from procrastinate_conn.demo.postgres import SERVER_USER, EmbeddedPostgres

RULES = """
table inet lossy {
  set silenced { type inet_service; flags interval; }
  chain to { type filter hook input priority 0; tcp sport @silenced drop; }
  chain from { type filter hook output priority 0; tcp dport @silenced drop; }
}
"""
"""The packets of clients' ports that are silenced are dropped, in both directions."""

EVERY_PORT = "1-65535"


class LossyNetwork:
    """A network namespace at the other end of a pair of interfaces.

    Attributes
    ----------
    name : str
        The namespace.
    address : str
        Its address, seen from here.
    subnet : str
        Both addresses.
    """

    def __init__(self) -> None:
        self.name = f"lossy{secrets.token_hex(3)}"
        prefix = f"10.{random.randrange(200, 250)}.{random.randrange(256)}"
        self.ours, self.address, self.subnet = f"{prefix}.1", f"{prefix}.2", f"{prefix}.0/30"

    def __enter__(self) -> Self:
        atexit.register(self.remove)
        here, there = f"{self.name}h", f"{self.name}t"
        try:
            run("ip", "netns", "add", self.name)
            run("ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", self.name)
            run("ip", "addr", "add", f"{self.ours}/30", "dev", here)
            run("ip", "link", "set", here, "up")
            self.inside("ip", "addr", "add", f"{self.address}/30", "dev", there)
            self.inside("ip", "link", "set", there, "up")
            self.inside("nft", RULES)
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def inside(self, *command: str | Path) -> None:
        """Run a command in the namespace."""
        run("ip", "netns", "exec", self.name, *command)

    def silence(self, ports: Iterable[int | str]) -> None:
        """Drop every packet from and to these ports of clients from now on."""
        elements = ", ".join(map(str, ports))
        self.inside("nft", f"add element inet lossy silenced {{ {elements} }}")

    def heal(self) -> None:
        """Drop nothing any more."""
        self.inside("nft", "flush set inet lossy silenced")

    def remove(self) -> None:
        """Remove the namespace, and the interfaces with it; safe to repeat."""
        atexit.unregister(self.remove)
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)


class FarPostgres(EmbeddedPostgres):
    """A server in a network namespace.

    Parameters
    ----------
    network
        The namespace.
    """

    def __init__(self, network: LossyNetwork) -> None:
        self.network = network
        self.host = network.address
        super().__init__(settings={"synchronous_commit": "on"})

    def create_data_directory(self) -> None:
        super().create_data_directory()
        with (self.data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {self.network.subnet} trust\n")

    def run_command(self, command: str, *arguments: str | Path) -> None:
        if arguments[0] != "start":
            super().run_command(command, *arguments)
            return
        as_server = ("setpriv", f"--reuid={SERVER_USER}", f"--regid={SERVER_USER}", "--clear-groups")
        self.network.inside(*as_server, self.binaries / command, *arguments)

    def silence_clients(self, database: str) -> int:
        """Silence the present connections to a database, and return how many; new ones are received."""
        query = "SELECT client_port FROM pg_stat_activity WHERE datname = %s AND client_port > 0"
        with self.connect() as connection:
            ports = [port for (port,) in connection.execute(query, [database]).fetchall()]
        self.network.silence(ports)
        return len(ports)


def why_not() -> str | None:
    """Return why there can be no such network here; None if there can."""
    if os.name == "nt" or os.geteuid() != 0:
        return "a network namespace takes root"
    missing = [command for command in ("ip", "nft", "setpriv") if shutil.which(command) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (Debian: iproute2, nftables, util-linux)"
    try:
        with LossyNetwork():
            return None
    except subprocess.CalledProcessError as error:
        return f"the kernel refuses a network namespace: {error.stderr.strip()}"


def run(*command: str | Path) -> None:
    """Run a command without reading what the processes print that it leaves behind."""
    subprocess.run(
        command,
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
