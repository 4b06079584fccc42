"""Print site_specs/index.json: what `gen list` says about each spec."""

import sys

from generator.loading.index import text

if __name__ == "__main__":
    sys.stdout.write(text())
