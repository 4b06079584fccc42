"""Print site_specs/index.json: what `gen list` says about each spec."""

import sys

from generator.loading.index import text

# A program of its own, so that gen needs no command for it. `just docs` writes its output to the
# file, and tests compare both.
if __name__ == "__main__":
    sys.stdout.write(text())
