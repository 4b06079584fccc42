# The commands of this project, a word each.

python := ".venv/bin/python"

# a virtual environment with everything
install:
    python3 -m venv .venv
    {{python}} -m pip install --quiet --editable '.[test]'

test *arguments:
    {{python}} -m pytest {{arguments}}

lint:
    {{python}} -m ruff check .
    {{python}} -m ruff format --check .
    {{python}} -m mypy

# write snapshots anew; review the diff like code
snapshots:
    {{python}} -m pytest --snapshot-update

# the schema and the reference, from the models
docs:
    {{python}} -m generator schema > docs/site-spec.schema.json
    {{python}} docs/spec_reference.py > docs/spec-reference.md

# `just bench startup`, `catalogue`, `drift`, `on_connect` or `scaffold`
bench name:
    {{python}} benchmarks/{{name}}.py

ci:
    bash .ci/run
