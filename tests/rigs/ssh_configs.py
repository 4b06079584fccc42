"""Random ssh configs like those of users. The same number gives the same bytes."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Case:
    """A config with the files that it includes, and some of its hosts."""

    content: bytes
    included: dict[str, bytes] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()

    @property
    def readable(self) -> bool:
        """Return whether ssh accepts the file; it refuses a byte order mark."""
        return not self.content.startswith(BOM)


# Names as users write them: Latin letters or not, addresses, and one that is very short.
_WORDS = ("work", "Büro", "lab", "box", "node-7", "10.1.2.3", "git.example.org", "a_b", "x")
# The markers of other tools, whose blocks must stay as they are.
_OTHERS = (
    ("# ------------START-CODER-----------", "# ------------END-CODER------------"),
    ("# DevPod Start ws.devpod", "# DevPod End ws.devpod"),
    ("# Google Compute Engine Section", "# End of Google Compute Engine Section"),
)
_OPTIONS = (
    *(
        "User ada",
        # readconf.c accepts `=` and blanks between keyword and value, and any case.
        "Port=2200",
        "port 22",
        "HostName %h.example.org",
        "  ForwardAgent   no",
        "\tCompression=yes",
    ),
    *(
        # Options that add up, and values in quotes.
        'IdentityFile "~/.ssh/a key"',
        "IdentityFile ~/.ssh/id_b",
        "SendEnv LANG LC_*",
        'SetEnv A="b c" D=e',
    ),
    *(
        "ServerAliveInterval 30",
        "serveraliveinterval\t=\t15",
        "RequestTTY auto",
        "ProxyJump none",
        "LogLevel=ERROR",
    ),
    *(
        "LocalForward 8080 localhost:80",
        "StrictHostKeyChecking ask",
        "ControlPath ~/.ssh/c-%C",
        'User="grace h"',
    ),
    *("HostKeyAlias alias # a comment", "TCPKeepAlive yes"),
)
_MATCHES = (
    *(
        "Match all",
        "match host {0}",
        "Match originalhost {0},{1}",
        'Match exec "true" host {0}',
        "MATCH user nobody",
    ),
    *("Match !host {0}", "  Match host {0} user root"),
)


def case(number: int) -> Case:
    """Return the config of a number; each thousandth has 20,000 lines."""
    draw = random.Random(number)  # noqa: S311 - the same each time
    hosts = [f"{draw.choice(_WORDS)}{draw.randrange(90)}" for _ in range(draw.randrange(5))]
    lines: list[str] = []
    included: dict[str, bytes] = {}
    _head(draw, lines, included, number)
    for host in hosts:
        _block(draw, lines, host, hosts)
    # A user with many generated entries: quadratic code takes minutes for it.
    if number % 1000 == 999:
        for extra in range(4000):
            lines += [f"Host many{extra}", *draw.choices(_OPTIONS, k=3), ""]
    return Case(_encoded(draw, lines), included, tuple(hosts))


def cases(count: int) -> Iterator[Case]:
    """Yield the first configs."""
    return map(case, range(count))


def _head(draw: random.Random, lines: list[str], included: dict[str, bytes], number: int) -> None:
    """Add the start of a file: comments, options for every host, IgnoreUnknown, an Include."""
    parts: list[Callable[[], list[str]]] = [
        lambda: _comments(draw),
        lambda: draw.choices(_OPTIONS, k=draw.randrange(3)),
        lambda: ["IgnoreUnknown Fancy*,UseKeychain", "FancyOption yes"],
        lambda: _include(draw, included, number),
        lambda: [""] * draw.randrange(3),
    ]
    for part in draw.sample(parts, k=draw.randrange(len(parts) + 1)):
        lines += part()


def _include(draw: random.Random, included: dict[str, bytes], number: int) -> list[str]:
    name = f"more-{number}"
    included[f"{name}.inner"] = b"Host inner\n  Port 3022\n"
    included[name] = (
        f"Host included{number}\n    User included\nMatch all\nInclude {name}.inner\n".encode()
    )
    return [
        draw.choice(
            (f"Include {name}", f"include={name} nothing-here", f'  Include "~/.ssh/{name}"')
        )
    ]


def _comments(draw: random.Random) -> list[str]:
    texts = (
        "# my hosts",
        "#",
        "   # >>> conda >>>",
        "# vim: ft=sshconfig",
        "# " + "x" * 150,
        "# für später",
        "\t",
        "#Host no",
    )
    return draw.choices(texts, k=draw.randrange(4))


def _block(draw: random.Random, lines: list[str], host: str, hosts: list[str]) -> None:
    """Add a Host block, a Match block, or the block of another tool."""
    second = draw.choice(hosts)
    heads = (
        *(
            f"Host {host}",
            f"host={host}",
            f"HOST\t{host} !{second}x",
            f'"Host" {host}',
            f"    Host   {host}   ",
        ),
        *(
            f'Host "{host}" *.{host}',
            f"Host = {host}",
            "Host *",
            f"Host {host} # mine"[: 5 + len(host)],
        ),
        *(match.format(host, second) for match in _MATCHES),
    )
    block = [
        draw.choice(heads),
        *(
            draw.choice(("", "  ", "\t")) + line
            for line in draw.choices(_OPTIONS, k=draw.randrange(4))
        ),
    ]
    if draw.random() < 0.15:
        first, last = draw.choice(_OTHERS)
        block = [first, *block, last]
    lines += [*block, *_comments(draw)]


def _encoded(draw: random.Random, lines: list[str]) -> bytes:
    """Return the lines as bytes, with a random encoding, line endings and last line."""
    kind = draw.choice(("lf", "lf", "crlf", "mixed"))
    choices = {"lf": (b"\n",), "crlf": (b"\r\n",), "mixed": (b"\n", b"\r\n")}[kind]
    endings = [draw.choice(choices) for _ in lines]
    # Older editors write Latin-1, and ssh takes any bytes.
    encoding = draw.choice(("utf-8", "utf-8", "latin-1"))
    content = b"".join(
        line.encode(encoding) + ending for line, ending in zip(lines, endings, strict=True)
    )
    if draw.random() < 0.2:
        content = content.rstrip(b"\r\n")
    return BOM + content if draw.random() < 0.06 else content
