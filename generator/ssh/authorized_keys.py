"""A key in `~/.ssh/authorized_keys` at a site: the scripts that find, add and remove its line.

A script goes to the stdin of the site's /bin/sh, whatever the login shell is. Nothing in it comes
from a spec: a key has two words of base64 characters, and the comment is made by gen.
"""

import re
from dataclasses import dataclass
from typing import Literal

from generator.ssh.keys import key_blob

AUTHORIZED_KEYS = "~/.ssh/authorized_keys"
"""The file at the site, for messages."""
Place = Literal["bare", "options", "none"]
"""Whether the file has a key: in a line that begins with it, behind options, or not at all."""

_UNKNOWN_MODE = "unknown"
_KEY = r"[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}"
_LARGEST = 10**12  # bytes
_MODE = rf"[0-7]{{3,4}}|none|{_UNKNOWN_MODE}"

# Tabs and several blanks separate too, and an editor of Windows leaves CR at the ends (sshd(8),
# AUTHORIZED_KEYS FILE FORMAT). sshd uses the first line with the key.
_FIND = """\
place() {{
  [ -f "$file" ] || {{ echo none; return; }}
  awk -v key='{key}' '
    {{ gsub(/[ \\t\\r]+/, " "); sub(/^ /, ""); at = index($0 " ", key " ") }}
    /^#/ || !at {{ next }}
    {{ place = at == 1 ? "bare" : "options"; exit }}
    END {{ print place ? place : "none" }}' "$file"
}}
"""
_HEAD = """\
LC_ALL=C; export LC_ALL; umask 077
directory=$HOME/.ssh; file=$directory/authorized_keys; line='{line}'
say() {{ printf '\\n@gen {mark} %s\\n' "$1"; }}
fail() {{ say "failed $1"; exit; }}
mode() {{ stat -L -c %a "$1" 2>/dev/null || stat -L -f %Lp "$1" 2>/dev/null || echo unknown; }}
size() {{ echo $(($(wc -c <"$file"))); }}
cut_to() {{ dd if=/dev/null of="$file" bs=1 seek="$1" 2>/dev/null; }}
"""
# The line is appended, so that a file behind a link, its mode and its other lines stay. On a full
# disk printf may write a part of it: the file is then cut to its earlier size again (dd(1), seek).
_ADD = """\
[ -d "$HOME" ] || fail 'the site has no home directory for you'
[ ! -e "$file" ] || [ -f "$file" ] || fail '~/.ssh/authorized_keys is not a file'
[ -e "$file" ] || [ ! -L "$file" ] || fail '~/.ssh/authorized_keys is a link to a missing file'
[ ! -e "$file" ] || [ -r "$file" ] || fail '~/.ssh/authorized_keys cannot be read'
found=$(place) || fail 'awk does not run at the site'
[ "$found" = none ] || { say "$found"; exit; }
directory_mode=none; file_mode=none; before=0; begin=
[ ! -d "$directory" ] || directory_mode=$(mode "$directory")
if [ -f "$file" ]; then
  file_mode=$(mode "$file"); before=$(size)
  [ "$before" = 0 ] || [ "$(($(tail -c 1 "$file" | wc -l)))" = 1 ] || begin='
'
fi
[ "$directory_mode" != none ] || mkdir "$directory" || fail '~/.ssh cannot be created'
if ! printf '%s%s\\n' "$begin" "$line" >>"$file" || [ "$(place)" != bare ]; then
  if [ "$file_mode" = none ]; then rm -f "$file"; else cut_to "$before"; fi
  [ "$directory_mode" != none ] || rmdir "$directory"
  fail '~/.ssh/authorized_keys cannot be written: no permission, or a full disk or quota'
fi
chmod 600 "$file"; chmod 700 "$directory"
say "added $directory_mode $file_mode $before $(($(size) - before))"
"""
# If the line is still the last one, cutting it off restores every byte, also a missing last
# newline. Otherwise the user has changed the file since, and only the line goes. A mode that the
# user has changed since stays; chmod keeps the bits in front of the last three digits.
_REMOVE = """\
directory_mode={directory_mode}; file_mode={file_mode}; before={before}
[ -f "$file" ] && grep -qxF -e "$line" "$file" || {{ say gone; exit; }}
if [ "$(($(size) - before))" = "{appended}" ] && [ "$(tail -n 1 "$file")" = "$line" ]; then
  cut_to "$before" || fail '~/.ssh/authorized_keys cannot be written'
else
  target=$(readlink -f "$file") && copy=$(mktemp "$target.gen-XXXXXX") &&
    cp -p "$target" "$copy" && awk -v newline="$(tail -c 1 "$target" | wc -l)" '
      $0 == ENVIRON["line"] {{ next }}
      {{ printf "%s%s", separator, $0; separator = "\\n" }}
      END {{ if (separator && newline > 0) print "" }}' "$target" >"$copy" &&
    mv -f "$copy" "$target" || {{ rm -f "$copy"; fail '~/.ssh/authorized_keys cannot be written'; }}
fi
case $file_mode in
none) [ -s "$file" ] || [ -L "$file" ] || rm -f "$file" ;;
unknown) ;;
*) case $(mode "$file") in 600|?600) chmod "$file_mode" "$file" ;; esac ;;
esac
case $directory_mode in
none) rmdir "$directory" 2>/dev/null ;;
unknown) ;;
*) case $(mode "$directory") in 700|?700) chmod "$directory_mode" "$directory" ;; esac ;;
esac
say removed
"""
# sshd ignores the file if others can write to it or to a directory above it (StrictModes).
_CHECK = """\
file=$HOME/.ssh/authorized_keys
place
for path in "$HOME" "$HOME/.ssh" "$file"; do
  find -L "$path" -prune '(' -perm -020 -o -perm -002 ')' -print 2>/dev/null | sed 's/^/loose /'
done
"""


@dataclass(frozen=True)
class AddedKey:
    """A line that gen added, and what was there before: enough to restore every byte."""

    line: str
    directory_mode: str = _UNKNOWN_MODE
    file_mode: str = _UNKNOWN_MODE
    size: int = 0
    """Size of the file in bytes before."""
    appended: int = 0
    """Number of bytes that gen added; 0 if the answer of the site never came."""
    account: str = ""
    """The account that has the line, `user@host`; empty in a record of an older gen."""

    def is_from(self, site: str) -> bool:
        """Return whether gen could have made this record for a site: scripts trust its values."""
        modes = (self.directory_mode, self.file_mode)
        numbers = (self.size, self.appended)
        return (
            re.fullmatch(rf"{_KEY} gen-{re.escape(site)}-[0-9a-f]{{8}}", self.line) is not None
            and all(re.fullmatch(_MODE, mode) for mode in modes)
            and all(0 <= number < _LARGEST for number in numbers)
        )


def key_words(public_key_line: str) -> str:
    """Return type and base64 of a public key, without its comment.

    Raises:
        ValueError: the line is not a public key.
    """
    key_blob(public_key_line)
    words = " ".join(public_key_line.split()[:2])
    if not re.fullmatch(_KEY, words):
        raise ValueError("is not a public key")
    return words


def new_line(public_key_line: str, site: str, token: str) -> str:
    """Return the line for a key; by its comment, gen finds it again, and users see its origin.

    The token (8 hexadecimal digits) differs each time: a line of another machine is not ours.
    """
    return f"{key_words(public_key_line)} gen-{site}-{token}"


def addition(line: str, mark: str) -> str:
    """Return the script that adds a line, unless the file has its key already."""
    head = _HEAD.format(line=line, mark=mark)
    return head + _FIND.format(key=key_words(line)) + _ADD


def removal(added: AddedKey, mark: str) -> str:
    """Return the script that removes a line and restores what was there before."""
    body = _REMOVE.format(
        directory_mode=added.directory_mode,
        file_mode=added.file_mode,
        before=added.size,
        appended=added.appended,
    )
    # awk reads the line from the environment, where no character has a special meaning.
    return _HEAD.format(line=added.line, mark=mark) + "export line\n" + body


def check(public_key_line: str) -> str:
    """Return commands that print the place of a key, and the paths that others can write to."""
    return _FIND.format(key=key_words(public_key_line)) + _CHECK


def answer(output: str, mark: str) -> str | None:
    """Return the answer in the output of a script; ``None`` if it did not come."""
    match = re.search(rf"(?m)^@gen {mark} ([^\n]*)$", output)
    return match[1] if match else None


def added_key(line: str, words: str) -> AddedKey | None:
    """Return the record of an addition from the answer of its script."""
    match = re.fullmatch(rf"added ({_MODE}) ({_MODE}) (\d{{1,11}}) (\d{{1,11}})", words)
    if match is None:
        return None
    return AddedKey(line, match[1], match[2], int(match[3]), int(match[4]))
