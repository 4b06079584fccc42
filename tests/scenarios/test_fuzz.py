"""Any bytes as a spec give a spec or lines that say what is wrong: soon, and in little memory.

The documents come from a fixed seed, so a name in a failure is always the same document:
`PYTHONPATH=tests/rigs python tests/scenarios/test_fuzz.py NAME` prints it. A child process loads
them, so that its peak memory is theirs alone.
"""

import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest
from depth import examples

from generator import resources
from generator.compiler.compile import compile_site
from generator.errors import GenError
from generator.loading import validate
from generator.schema.profile import SiteProfile

ROOT = Path(__file__).parents[2]
DOCUMENTS = examples(2000)
# Some hundred times as long as a spec of the catalogue takes.
SECONDS = 2.0  # of the processor, for one document
MEBIBYTES = 200  # for all of them, the interpreter and its libraries counted
SHIPPED = {name: (resources.CATALOGUE / f"{name}.yaml").read_bytes() for name in ("mila", "musica")}

# Values that mean something to YAML, to JSON, to a shell, to ssh or to a terminal.
ODD: tuple[str, ...] = (
    *(
        "null",
        "~",
        "yes",
        "true",
        "-1",
        "0",
        "0o17",
        # Beyond what a float holds: Python reads it as infinity.
        "1e999",
        ".inf",
        "12:30:45",
        "2026-02-30",
        "9" * 30,
        "[]",
        "{}",
    ),
    *(
        "[[[]]]",
        "{a: {b: {c: d}}}",
        "&a x",
        "*a",
        "&a [*a]",
        # A loader that is not safe would run the command.
        "!!python/object/apply:os.system [id]",
        "!!binary aGk=",
    ),
    *(
        "!!float 1",
        "! x",
        "|\n  x\n  y",
        ">-\n  x",
        "<<",
        # Merge keys of YAML 1.1, which 1.2 does not have.
        "{<<: {a: b}}",
        "'",
        '"',
        '"\\0"',
        '"\\ud800"',
        '"\\N"',
    ),
    *(
        '"\\UFFFFFFFF"',
        '"\\x1b[31m"',
        '"a\\nb"',
        '"\\u202e"',
        '"\\L"',
        "x" * 1001,
        "x" * 5000,
        "\u00e9",
        "\u00a0",
    ),
    *(
        "\U0001f600",
        "-oProxyCommand=id",
        "{user}",
        "{nobody}",
        "{" * 50,
        "%h",
        "$(id)",
        "SHA256:",
        "1-99999",
        "5-1",
    ),
    *("a b", "#", ": :"),
)
# Bytes that an editor, a terminal or another operating system puts into a file.
RAW = (
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\r",
    b"\t",
    b"\x1b",
    b"\x85",
    "\u2028".encode(),
    "\u0085".encode(),
    b"\n---\n",
)
# Words of the specs, so that mutations of them pass the first checks.
WORDS: list[str] = sorted(
    set(re.findall(r"[A-Za-z_]+", SHIPPED["mila"].decode() + SHIPPED["musica"].decode()))
)
HEAD = "site: x\ntitle: x\nauth: { method: agent }\nsources: { s: { ref: r } }\n"

Mutation = Callable[[random.Random, list[bytes]], list[bytes]]


def flip_a_bit(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    content = bytearray(b"\n".join(lines) or b"x")
    # One bit of a key may make another word, and one of a letter another line.
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(content).split(b"\n")


def drop_a_line(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    gone = chance.randrange(len(lines))
    return [*lines[:gone], *lines[gone + 1 :]] or [b""]


def repeat_a_line(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    again = chance.randrange(len(lines))
    return [*lines[: again + 1], *lines[again:]]


def swap_two_lines(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return lines


def replace_a_value(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    at = chance.choice([number for number, line in enumerate(lines) if b": " in line] or [0])
    key, _, _ = lines[at].partition(b": ")
    return [*lines[:at], key + b": " + chance.choice(ODD).encode(), *lines[at + 1 :]]


def insert_raw_bytes(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    content = b"\n".join(lines)
    at = chance.randrange(len(content) + 1)
    return (content[:at] + chance.choice(RAW) + content[at:]).split(b"\n")


def change_an_indent(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    at = chance.randrange(len(lines))
    lines[at] = lines[at].removeprefix(b"  ") if chance.random() < 0.5 else b"  " + lines[at]
    return lines


def misspell_a_word(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    word, other = chance.choice(WORDS).encode(), chance.choice(WORDS).encode()
    return b"\n".join(lines).replace(word, other, 1).split(b"\n")


def cut_the_end(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    content = b"\n".join(lines)
    return content[: chance.randrange(len(content) + 1)].split(b"\n")


def mark_and_break_lines_as_windows_does(_: random.Random, lines: list[bytes]) -> list[bytes]:
    return (b"\xef\xbb\xbf" + b"\r\n".join(lines)).split(b"\n")


def add_a_comment(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    at = chance.randrange(len(lines) + 1)
    return [*lines[:at], b"# " + chance.choice(ODD).encode().split(b"\n")[0], *lines[at:]]


def end_lines_with_blanks(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    return [line + b" " * chance.randrange(3) for line in lines]


def change_a_title(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    """Add a word to a title, which may say anything."""
    at = chance.choice([number for number, line in enumerate(lines) if b"title: " in line] or [0])
    return [*lines[:at], lines[at] + b" " + chance.choice(WORDS).encode(), *lines[at + 1 :]]


MUTATIONS: tuple[Mutation, ...] = (
    flip_a_bit,
    drop_a_line,
    repeat_a_line,
    swap_two_lines,
    replace_a_value,
    insert_raw_bytes,
    change_an_indent,
    misspell_a_word,
    cut_the_end,
    mark_and_break_lines_as_windows_does,
    # Most of the others leave no spec. These leave one, so that the way of a spec is walked too.
    add_a_comment,
    end_lines_with_blanks,
    change_a_title,
)


def many(chance: random.Random, most: int) -> int:
    """Return a number that is small as often as it is large."""
    return int(most ** chance.random())


def listed(chance: random.Random, most: int, item: str) -> str:
    """Return an item many times in a row, `#` in it replaced by the number of each."""
    return ", ".join(item.replace("#", str(number)) for number in range(many(chance, most)))


def laughs(chance: random.Random) -> str:
    """Return lists of aliases of lists of aliases: each line multiplies the one above it."""
    width = chance.randrange(2, 12)
    lines = [
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]"
        for level in range(1, many(chance, 60) + 1)
    ]
    return "\n".join([f"a0: &a0 {'x' * many(chance, 3000)}", *lines])


def ladder(chance: random.Random) -> str:
    """Return aliases that nest one another: few values, but deep."""
    # Each alias is as deep as all before it together.
    deep = chance.randrange(1, 16)
    steps = range(1, many(chance, 200) + 1)
    return "\n".join(
        [
            "a0: &a0 x",
            *(f"a{step}: &a{step} {'[' * deep}*a{step - 1}{']' * deep}" for step in steps),
        ]
    )


def nested(chance: random.Random) -> str:
    opening = chance.choice(
        ["[", "{", "{a: ", "[{a: ", "- ", "? ", "a: ", "&a [", "!!str [", "|\n", "'", '"']
    )
    # Below the largest size, so that the parser gets it.
    return opening * many(chance, 40_000 // len(opening))


def indented(chance: random.Random) -> str:
    return "\n".join(
        " " * level + chance.choice(["a:", "- b:", "- -"]) for level in range(many(chance, 300))
    )


def keys_twice(chance: random.Random) -> str:
    key = chance.choice(
        ["site", "'a b'", '"a\\nHost *"', '"\\e[2J"', "? x", "*a ", "~", "1", "<<", '"\\ud800"']
    )
    return "z: &a site\n" + f"{key}: 1\n" * chance.randrange(1, 4)


def huge_texts(chance: random.Random) -> str:
    text = chance.choice(["x", "a ", "\u00e9", "{user}", "{x", "'", "a:b ", "- "]) * many(
        chance, 40_000
    )
    style = chance.choice(
        [
            "title: {}",
            "title: '{}'",
            "? {}\n: 1",
            "{}: 1",
            "&{} a: 1",
            "*{}",
            "!{} a: 1",
            "# {}",
            "|\n {}",
        ]
    )
    return HEAD + style.format(text)


def documents_in_a_row(chance: random.Random) -> str:
    rows = [
        "---",
        "...",
        "%YAML 1.1",
        "%YAML 99999999999999999999.1",
        "%TAG ! tag:x,2000:",
        "site: x",
        "- x",
        "# x",
        "!x y",
    ]
    return "\n".join(chance.choice(rows) for _ in range(many(chance, 200)))


def merge_keys(chance: random.Random) -> str:
    return (
        SHIPPED["musica"].decode()
        + f"<<: {chance.choice(['*a', '{a: b}', '[*a, *b]', 'x', '&a {site: y}'])}\n"
    )


def escapes(chance: random.Random) -> str:
    letters = '0abtnvfre "/\\N_LPxuUZ\n'
    made = "".join(
        f"\\{chance.choice(letters)}{chance.randrange(2**32):08X}" for _ in range(many(chance, 200))
    )
    return HEAD + f'hosts:\n  x: {{ host: x }}\nnote: "{made}"\n'


def soup(chance: random.Random) -> str:
    signs = "{}[]:,-?!&*|>'\"%@`#~ \n\t<=a1\u00e9\u2028\U0001f600"
    return "".join(chance.choice(signs) for _ in range(many(chance, 4000)))


def words_of_specs(chance: random.Random) -> str:
    """Return mappings of real keys, misplaced at times, with values that may not fit."""

    def tree(level: int) -> str:
        if level == 0 or chance.random() < 0.3:
            return chance.choice(
                [chance.choice(ODD), chance.choice(WORDS), str(chance.randrange(100))]
            ).replace("\n", " ")
        keys = {chance.choice(WORDS): tree(level - 1) for _ in range(chance.randrange(1, 5))}
        return "{" + ", ".join(f"{key}: {below}" for key, below in keys.items()) + "}"

    keys = chance.sample(WORDS, chance.randrange(1, 30))
    return (HEAD if chance.random() < 0.5 else "") + "\n".join(f"{key}: {tree(3)}" for key in keys)


def many_hosts(chance: random.Random) -> str:
    """Return a large spec that is valid or nearly so: its comparisons cost the most."""
    nodes = (
        ", nodes: { alias: 'a#-{n}', host: 'h#-{n}', n: 1-100 }" if chance.random() < 0.5 else ""
    )
    via = chance.choice(
        ["", ", via: h0", ", via: h#", ", via: h#1", ", source: s#", ", auth: { method: agent }"]
    )
    hosts = listed(chance, 600, f"h#: {{ host: h#.org{nodes}{via} }}")
    pattern = chance.choice(['"z#*"', '"*a*#*zz"', '"!h#*"', "h#?", '"' + "*a" * 40 + '#"'])
    also = listed(chance, 30, pattern) if chance.random() < 0.3 else ""
    groups = listed(chance, 300, f"c#: {{ through: h, match: z#, also: [{also}] }}")
    first = f"c: {{ through: h, match: [x, {listed(chance, 1500, pattern)}] }}"
    return HEAD + f"hosts: {{ h: {{ host: h }}, {hosts} }}\ncompute: {{ {first}, {groups} }}\n"


def many_queues(chance: random.Random) -> str:
    name = chance.choice(["p#", "partition#", "a-name-that-is-like-others-#"])
    # Names that resemble each other: the search for a similar one compares all pairs.
    partitions = listed(chance, 900, f"{name}: {{ qos: {name} }}")
    qos = listed(chance, 900, f"{name}x: {{ }}")
    chosen = listed(chance, 100, f"{name}y").replace(", ", ",")
    devel = f"devel: {{ partition: '{chosen}', qos: z }}"
    return (
        HEAD
        + "hosts: { h: { host: h } }\n"
        + f"slurm: {{ {devel}, partitions: {{{partitions}}}, qos_limits: {{{qos}}} }}\n"
    )


def many_faults(chance: random.Random) -> str:
    sources = listed(chance, 3000, "source-of-the-facts-#")
    wrong = (
        f"filesystems: {{ {listed(chance, 1900, 'f#: { }')} }}",
        f"filesystems: {{ {listed(chance, 1900, 'f#: { path: 1, source: t# }')} }}",
        f"slurm: {{ {listed(chance, 1900, 'max_wlltime#: 1')} }}",
        f"http_api: {{ kind: k, url: u, source: [{listed(chance, 3000, 's#')}] }}",
        f"http_api: {{ kind: k, url: 'https://u/', source: [{sources}] }}",
        f"ray: {{ port_config: {{ {listed(chance, 1500, 'k#: {}')} }} }}",
    )
    return HEAD + "hosts: { h: { host: h } }\n" + chance.choice(wrong)


GENERATORS: tuple[Callable[[random.Random], str], ...] = (
    laughs,
    ladder,
    nested,
    indented,
    keys_twice,
    huge_texts,
    documents_in_a_row,
    merge_keys,
    escapes,
    soup,
    words_of_specs,
    many_hosts,
    many_queues,
    many_faults,
)


def mutated(number: int) -> tuple[str, bytes]:
    """Return one of the shipped specs after one change or a few."""
    chance = random.Random(f"changed {number}")  # noqa: S311 - chance, not secrecy
    origin = chance.choice(sorted(SHIPPED))
    changes = [chance.choice(MUTATIONS) for _ in range(chance.randrange(1, 3))]
    lines = SHIPPED[origin].split(b"\n")
    for change in changes:
        lines = change(chance, lines)
    return f"{number}: {origin}, {', '.join(change.__name__ for change in changes)}", b"\n".join(
        lines
    )


def generated(number: int) -> tuple[str, bytes]:
    """Return a document made from nothing."""
    chance = random.Random(f"generated {number}")  # noqa: S311 - chance, not secrecy
    # Each in turn, so that a short run has all of them.
    generator = GENERATORS[number % len(GENERATORS)]
    return f"{number}: {generator.__name__}", generator(chance).encode("utf-8", "surrogatepass")


def documents() -> Iterator[tuple[str, bytes]]:
    """Yield all documents with their names; every third is made from nothing."""
    for number in range(DOCUMENTS):
        yield generated(number // 3) if number % 3 == 0 else mutated(number)


@dataclass
class FuzzResult:
    """What became of the documents."""

    accepted: int = 0
    refused: int = 0
    failed: list[str] = field(default_factory=list)
    """Documents that ended in anything but a spec or a GenError."""
    odd_lines: list[str] = field(default_factory=list)
    """Lines of messages without file and line, or with characters that a terminal would obey."""
    slowest: tuple[float, str] = (0, "")
    peak: float = 0
    """Most memory of the process at any time, in MiB."""


def load_all() -> FuzzResult:
    """Load every document in this process."""
    outcome = FuzzResult()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spec.yaml"
        for name, content in documents():
            path.write_bytes(content)
            # Of the processor: a busy machine must not make the test fail.
            start = time.process_time()
            try:
                _load(path, outcome)
            except Exception as error:
                outcome.failed.append(f"{name}: {type(error).__name__}: {error}"[:300])
            outcome.slowest = max(outcome.slowest, (time.process_time() - start, name))
    outcome.peak = peak()
    return outcome


def _load(path: Path, outcome: FuzzResult) -> None:
    try:
        site = validate.site(path)
    except GenError as error:
        outcome.refused += 1
        # The end of a file may be a line of its own.
        last = len(path.read_bytes().splitlines()) + 1
        outcome.odd_lines += [
            line[:300] for line in str(error).split("\n") if not well_formed(line, str(path), last)
        ]
    else:
        outcome.accepted += 1
        compile_site(site, SiteProfile(user="ada", home="/home/ada", accept_unverified=True))


def well_formed(line: str, path: str, last: int) -> bool:
    """Return whether a message starts with the file and a line of it, and can be printed."""
    found = re.match(rf"{re.escape(path)}:([1-9][0-9]*): .", line)
    return found is not None and int(found[1]) <= last and line.isprintable()


def peak() -> float:
    """Return the most memory that this process held, in MiB.

    Linux hands ru_maxrss down from the parent, so there it is read from the process's own account.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.findall(r"VmHWM:\s*([0-9]+) kB", status.read_text())[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        2**20 if sys.platform == "darwin" else 1024
    )


@pytest.fixture(scope="module")
def outcome() -> FuzzResult:
    """The results for all documents, from a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT}/tests/rigs"},
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    return FuzzResult(**json.loads(done.stdout))


def test_every_document_is_a_spec_or_is_refused(outcome: FuzzResult) -> None:
    assert outcome.failed == []
    assert outcome.accepted + outcome.refused == DOCUMENTS


def test_many_documents_are_accepted_and_many_are_refused_so_both_ways_are_walked(
    outcome: FuzzResult,
) -> None:
    assert min(outcome.accepted, outcome.refused) > DOCUMENTS / 10


def test_every_line_of_every_refusal_starts_with_file_and_line_and_can_be_printed(
    outcome: FuzzResult,
) -> None:
    assert outcome.odd_lines == []


def test_no_document_takes_longer_than_two_seconds(outcome: FuzzResult) -> None:
    assert tuple(outcome.slowest) < (SECONDS, "")


def test_all_documents_together_take_no_more_memory_than_200_mib(outcome: FuzzResult) -> None:
    assert outcome.peak < MEBIBYTES


def test_the_same_documents_are_made_each_time() -> None:
    assert [mutated(number) for number in range(20)] == [mutated(number) for number in range(20)]
    assert [generated(number) for number in range(20)] == [
        generated(number) for number in range(20)
    ]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_every_mutation_changes_something(mutation: Mutation) -> None:
    lines = SHIPPED["mila"].split(b"\n")
    assert any(mutation(random.Random(seed), list(lines)) != lines for seed in range(5))  # noqa: S311


if __name__ == "__main__":
    if asked := " ".join(sys.argv[1:]):
        sys.stdout.buffer.write(dict(documents())[asked])
    else:
        print(json.dumps(asdict(load_all())))  # noqa: T201
