# Made by gen for all projects; do not edit. gen site and gen project write it again.
"""The login at the site: a certificate or a connection that the user opened, before a run needs it."""

import subprocess
import sys

import dagster as dg
import dagster_slurm as ds
from pydantic import PrivateAttr

from .site import chosen, connection, master

SOCKET = (103 if sys.platform == "darwin" else 107) - 17
"""Longest path of a shared connection in bytes: that of a socket, minus the suffix that ssh adds while it creates one."""


class Login:
    """Prepares each connection, so that ssh does not ask the user."""

    def __init__(self) -> None:
        self.site = chosen()

    def ensure(self) -> None:
        """Renew the certificate if it is due, or check that the user has opened a connection to share.

        A failed renewal is only a warning: the certificate may still be valid, and the timer tries again.

        Raises:
            Failure: no connection can be shared, or the site asks for input and the user has not logged in.
        """
        if renew := self.site.get("renew"):
            try:
                subprocess.run(renew, check=True, capture_output=True, text=True, timeout=300)
            except (OSError, subprocess.SubprocessError) as error:
                why = getattr(error, "stderr", None) or error
                dg.get_dagster_logger().warning(f"the certificate was not renewed: {why}")
        ssh = connection(self.site)
        shared = ssh.control_socket_path()
        if shared and len(shared.encode()) > SOCKET:  # the job would run, but its messages would be lost
            raise dg.Failure(f"{shared}: too long for ssh; set DAGSTER_SLURM_SSH_CONTROL_DIR to a shorter directory")
        if asks := self.site.get("asks"):
            check = ["ssh", "-O", "check", "-o", f"ControlPath={shared}", f"{ssh.user}@{ssh.host}"]
            if subprocess.run(check, check=False, capture_output=True, timeout=30).returncode:
                raise dg.Failure(
                    f"{self.site['title']} asks {asks} at each login. Log in with this command, then start the run again:\n{master(ssh)}"
                )


class SiteSlurm(ds.SlurmResource):
    """Slurm behind a login.

    Dagster creates resources again from their fields for each run. It would lose a provider that `set_auth_provider`
    sets, but keeps a default.
    """

    _auth_provider: object = PrivateAttr(default_factory=Login)
