"""`ssh/SITE.known_hosts`: the pins for clients that do not run KnownHostsCommand.

These are OpenSSH before 8.5, asyncssh, paramiko and dagster-slurm.
"""

from collections.abc import Iterator

from generator import paths
from generator.compiler import compiled_templates
from generator.compiler.account import Account
from generator.compiler.artifact import Artifact
from generator.compiler.host_key_policy import revoked_lines
from generator.compiler.known_hosts_lines import known_hosts_lines


def emit(account: Account) -> Iterator[Artifact]:
    """Yield the file, if the spec has trusted whole keys or authorities."""
    site = account.site.site
    texts = revoked_lines(account.site)
    texts += [line.text() for line in known_hosts_lines(account)]
    if not texts:
        return
    # Entries that share a host name have the same line.
    text = compiled_templates.known_hosts(
        header=paths.header(site), lines=list(dict.fromkeys(texts))
    )
    yield Artifact(
        path=paths.known_hosts(site),
        content="".join(text).encode(),
        mode=0o600,
        install_to=paths.installed_known_hosts(site),
    )
