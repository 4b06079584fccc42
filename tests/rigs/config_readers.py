"""Programs other than ssh that read the ssh configuration of a user, each in its own process.

Each reader gets pairs of a file and a name, and prints a line for each pair: the HostName that it
finds for the name, or the error.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

Pair = tuple[Path, str]

# It does not follow an Include. VSCodium's open-remote-ssh puts the lines of the included files in
# place of it, and parses them all together.
_JAVASCRIPT = r"""
const fs = require('fs');
const library = require('ssh-config');
const parse = library.parse || library.default.parse;
const included = (_, file) => fs.readFileSync(file, 'utf8') + '\n';
for (const [file, name] of JSON.parse(fs.readFileSync(0, 'utf8'))) {
  try {
    const text = fs.readFileSync(file, 'utf8').replace(/^Include (.*)\n/m, included);
    console.log(parse(text).compute(name).HostName);
  } catch (error) {
    console.log(String(error.message).split('\n')[0]);
  }
}
"""
_GO = """package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/kevinburke/ssh_config"
)

func main() {
	var pairs [][2]string
	json.NewDecoder(os.Stdin).Decode(&pairs)
	for _, pair := range pairs {
		file, _ := os.Open(pair[0])
		config, err := ssh_config.Decode(file)
		if err != nil {
			fmt.Println(err)
			continue
		}
		value, err := config.Get(pair[1], "HostName")
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(value)
	}
}
"""
_PYTHON = """import json, sys
def asyncssh(file, name):
    from asyncssh.config import SSHClientConfig
    options = SSHClientConfig.load(None, [file], False, False, False, "ada", (), name, ())
    return options.get("Hostname")
def paramiko(file, name):
    from paramiko import SSHConfig
    return SSHConfig.from_path(file).lookup(name)["hostname"]
for file, name in json.load(sys.stdin):
    try:
        print(globals()[sys.argv[1]](file, name))
    except Exception as error:
        print(type(error).__name__, str(error).splitlines()[0])
"""


def _javascript(version: str) -> Callable[[Path], list[str]]:
    def prepared(directory: Path) -> list[str]:
        package = f"ssh-config@{version}"
        options = ("--silent", "--no-audit", "--no-fund", "--prefix", str(directory))
        subprocess.run(["npm", "install", *options, package], check=True, timeout=300)
        (directory / "reader.js").write_text(_JAVASCRIPT)
        return ["node", str(directory / "reader.js")]

    return prepared


def _go(directory: Path) -> list[str]:
    (directory / "main.go").write_text(_GO)
    for command in (
        ("mod", "init", "reader"),
        ("get", "github.com/kevinburke/ssh_config@v1.6.0"),
        ("build", "-o", "reader", "."),
    ):
        subprocess.run(["go", *command], cwd=directory, check=True, timeout=300)
    return [str(directory / "reader")]


def _python(module: str) -> Callable[[Path], list[str]]:
    return lambda _: [sys.executable, "-c", _PYTHON, module]


READERS: dict[str, tuple[tuple[str, ...], Callable[[Path], list[str]]]] = {
    # The version that open-remote-ssh asks for, and the newest.
    "ssh-config 4.4.4 for JavaScript": (("node", "npm"), _javascript("4.4.4")),
    "ssh-config 5.3.0 for JavaScript": (("node", "npm"), _javascript("5.3.0")),
    "kevinburke/ssh_config for Go": (("go",), _go),
    "asyncssh": ((), _python("asyncssh")),
    "paramiko": ((), _python("paramiko")),
}
"""The programs that a reader needs, and a function that prepares it and returns its command."""


def answers(command: list[str], pairs: Iterable[Pair]) -> list[str]:
    """Return the line that a reader prints for each pair."""
    text = json.dumps([(str(file), name) for file, name in pairs])
    result = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=300, check=True
    )
    return result.stdout.splitlines()
