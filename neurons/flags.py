"""Command lines made from settings classes: every flag is a field, checked in one place.

A value comes from the command line, else from the environment, else from ``.env``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import Field, ValidationError
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

_FLAG, _EXAMPLE = "flag", "example"

_Settings = TypeVar("_Settings", bound=BaseSettings)


def option(flag: str, default: Any, *, explained: str, example: str, **constraints: Any) -> Any:
    """A field that ``flag`` sets. ``example`` is a value that ``--help`` shows."""
    extra: JsonDict = {_FLAG: flag, _EXAMPLE: example}
    return Field(default=default, description=explained, json_schema_extra=extra, **constraints)


def parse_settings(
    settings: type[_Settings], argv: Sequence[str] | None, *, description: str, examples: str
) -> _Settings:
    """The settings of a program. Wrong ones end it with exit code 2 and a message what to do."""
    parser = _parser(settings, description, examples)
    given = vars(parser.parse_args(argv))
    try:
        return settings(**given)
    except ValidationError as error:
        parser.error("; ".join(_told(settings, problem) for problem in error.errors()))


def _parser(
    settings: type[BaseSettings], description: str, examples: str
) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description,
        epilog=f"{_environment_only(settings)}\n\nexamples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for name, field in settings.model_fields.items():
        extra = _extra(field)
        if _FLAG not in extra:
            continue
        shape: dict[str, Any] = {"metavar": extra[_FLAG].rsplit(".", 1)[-1].strip("-").upper()}
        if field.annotation is bool:
            shape = {"nargs": "?", "const": "True", "metavar": "True|False"}
        parser.add_argument(
            extra[_FLAG],
            dest=name,
            default=argparse.SUPPRESS,
            help=f"{field.description} Example: {_example(extra)}. {_default_of(field)}"
            f"Environment: {_environment_name(settings, name, field)}.",
            **shape,
        )
    return parser


def _environment_only(settings: type[BaseSettings]) -> str:
    lines = [
        f"  {_environment_name(settings, name, field)}: {field.description}"
        for name, field in settings.model_fields.items()
        if _FLAG not in _extra(field)
    ]
    head = "Flags win over the environment, and that over .env. "
    return head + "Set there, and not by a flag:\n" + "\n".join(lines)


def _told(settings: type[BaseSettings], problem: Any) -> str:
    """One problem that pydantic found, in the words of the command line. Values are not repeated:
    they may be secret."""
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not problem["loc"]:
        return message
    key = str(problem["loc"][0])
    for name, field in settings.model_fields.items():
        environment = _environment_name(settings, name, field)
        if key.upper() in {name.upper(), environment}:
            extra = _extra(field)
            if _FLAG not in extra:
                return f"{environment}: {message}"
            return f"{extra[_FLAG]}: {message} (for example {_example(extra)})"
    return f"{key}: {message}"


def _environment_name(settings: type[BaseSettings], name: str, field: FieldInfo) -> str:
    if isinstance(field.validation_alias, str):
        return field.validation_alias
    return f"{settings.model_config.get('env_prefix', '')}{name}".upper()


def _default_of(field: FieldInfo) -> str:
    if field.default in {None, ""} or field.is_required():
        return ""
    return f"Default: {field.default}. "


def _example(extra: dict[str, str]) -> str:
    return f"{extra[_FLAG]} {extra[_EXAMPLE]}".rstrip()


def _extra(field: FieldInfo) -> dict[str, str]:
    extra = field.json_schema_extra
    return {key: str(value) for key, value in extra.items()} if isinstance(extra, dict) else {}
