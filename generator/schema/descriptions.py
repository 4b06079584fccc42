"""The docstrings of fields, for the JSON schema and the documentation.

pydantic can read them when a model is defined (`use_attribute_docstrings`), but then every
command pays for it at import: pydantic parses the source of each class. So they are read here,
only for the schema and the documentation.
"""

import ast
import inspect
import re
from functools import cache
from types import ModuleType
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from generator.schema.site import SiteSpec


@cache
def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """Return the docstring of each field of a model, by name.

    If a subclass declares a field again, the docstring is that of the subclass.
    """
    texts: dict[str, str] = {}
    # From the base to the subclass, so that a later docstring replaces an earlier one.
    for parent in reversed(model.__mro__):
        module = inspect.getmodule(parent)
        if module and issubclass(parent, BaseModel) and parent is not BaseModel:
            texts |= _docstrings(module).get(parent.__name__, {})
    return {name: text for name, text in texts.items() if name in model.model_fields}


@cache
def _docstrings(module: ModuleType) -> dict[str, dict[str, str]]:
    """Return the text below each annotated name, by the name of the class around it."""
    classes: dict[str, dict[str, str]] = {}
    for statement in ast.parse(inspect.getsource(module)).body:
        if not isinstance(statement, ast.ClassDef):
            continue
        texts = classes.setdefault(statement.name, {})
        # A docstring of a field is a statement of its own below it (PEP 257 calls it an attribute
        # docstring); Python itself does not keep it.
        for field, text in zip(statement.body, statement.body[1:], strict=False):
            match field, text:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str() as docstring)),
                ):
                    texts[name] = _joined(docstring)
    return classes


def _joined(docstring: str) -> str:
    """Return a docstring with a line for each paragraph.

    The line breaks within a paragraph follow the width of our source, not that of a page.
    """
    return re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(docstring))


class _Described(GenerateJsonSchema):
    """Puts the docstring of each field into the JSON schema of its model."""

    def model_schema(self, schema: Any) -> dict[str, Any]:
        result = super().model_schema(schema)
        if "description" in result:
            result["description"] = _joined(result["description"])
        for name, text in descriptions(schema["cls"]).items():
            # A description that a field has by itself wins.
            result["properties"][name].setdefault("description", text)
        return result


def json_schema(model: type[BaseModel] = SiteSpec) -> dict[str, Any]:
    """Return the JSON schema of a model; the docstrings of models and fields describe them."""
    schema = model.model_json_schema(schema_generator=_Described)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
