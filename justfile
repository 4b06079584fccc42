# The usual commands of this project.

python := ".venv/bin/python"

# create a virtual environment with all dependencies
install:
    python3 -m venv .venv
    {{python}} -m pip install --quiet --editable '.[test]'

# the tests that are run often; GEN_TEST_DEPTH=full runs all
test *arguments:
    {{python}} -m pytest {{arguments}}

lint:
    {{python}} -m ruff check .
    {{python}} -m ruff format --check .
    {{python}} -m mypy

# write the snapshots again; review the diff like code
snapshots:
    {{python}} -m pytest --snapshot-update

# write the schema and the references from the models and the parser, and the index of the catalogue from the specs
docs:
    {{python}} -m generator schema > docs/site-spec.schema.json
    {{python}} docs/spec_reference.py > docs/spec-reference.md
    {{python}} docs/profile_reference.py > docs/profile.md
    {{python}} docs/commands.py > docs/commands.md
    {{python}} docs/catalogue_index.py > site_specs/index.json

# `just bench startup`, `catalogue`, `dagster_run`, `drift`, `on_connect` or `scaffold`
bench name:
    {{python}} benchmarks/{{name}}.py

# everything, on Debian 12 as root
ci:
    bash .ci/run
