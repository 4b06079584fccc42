# Made by gen for all projects; do not edit. gen site and gen project write it again.
"""An IO manager: values and files of assets are JSON and files at the site, and what runs here gets them from there."""

import json
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dagster as dg

from .compute import Compute
from .data import LIMIT


class SiteFiles(dg.ConfigurableIOManager):
    """Keeps each asset as a file in the directory for data at the site.

    An asset returns a value that JSON has, or the `Path` of a file here. An asset that depends on it gets the value, or
    the `Path` of a copy if its parameter is annotated so. Nothing is unpickled, since others may write where data lie.
    """

    compute: dg.ResourceDependency[Compute]
    limit: int = LIMIT

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Write a value or a file to the site."""
        name = self.name(context)
        with tempfile.TemporaryDirectory() as directory:
            source = obj if isinstance(obj, Path) else Path(directory, "value.json")
            if source is not obj:
                source.write_text(json.dumps(obj))
            self.compute.send(source, name, limit=self.limit)
            context.add_output_metadata({"file": dg.MetadataValue.path(name), "bytes": source.stat().st_size})

    def load_input(self, context: dg.InputContext) -> Any:
        """Return the value or the file of an asset, which the metadata `file` of its materialization names."""
        partitions = [context.partition_key] if context.has_partition_key else None
        wanted = dg.AssetRecordsFilter(asset_key=context.asset_key, asset_partitions=partitions)
        for record in context.instance.fetch_materializations(wanted, limit=1).records:
            if record.asset_materialization and (file := record.asset_materialization.metadata.get("file")):
                copy = self.compute.fetch(str(file.value), limit=self.limit)
                return copy if context.dagster_type.typing_type is Path else json.loads(copy.read_text())
        raise dg.Failure(f"{context.asset_key.to_user_string()}: its newest materialization has no metadata `file`")

    def name(self, context: dg.OutputContext) -> str:
        """Return the path of an asset below the directory for data."""
        parts = [*context.asset_key.path, *([context.partition_key] if context.has_partition_key else [])]
        return "assets/" + "/".join(quote(part, safe="") for part in parts)
