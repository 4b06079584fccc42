#!/usr/bin/env bash
# Try the files of a release as a user would, and write the SBOM of what a user gets.
#   bash .github/try_release.sh DIST WORK    writes WORK/sbom.cdx.json
set -euo pipefail
dist=$1 work=$2

for file in "$dist"/*.whl "$dist"/*.tar.gz; do
    rm -rf "$work/environment" "$work/out"
    # Without pip: an SBOM lists each package of an environment, and gen does not need pip.
    python3 -m venv --without-pip "$work/environment"
    python3 -m pip --python "$work/environment/bin/python" install --quiet --disable-pip-version-check "$file"
    # In another directory, so that no module of the checkout is imported.
    (
        cd "$work"
        environment/bin/gen --version
        environment/bin/gen list --json >/dev/null
        environment/bin/gen site mila --out out >/dev/null
        environment/bin/gen check out
    )
done

# The last environment has what the sdist needs, which is what the wheel needs.
python3 -m cyclonedx_py environment --output-reproducible --output-file "$work/sbom.cdx.json" \
    "$work/environment/bin/python"
