"""What a refusal by a rule of admission is among the service's failures."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from utilities.admission_rules import Rule
from voice_validation_api.failures import ServiceCode

_ABOUT_REPOSITORIES: Final[Mapping[Rule, ServiceCode]] = MappingProxyType(
    {
        "repository-name": ServiceCode.REPOSITORY_NOT_FOUND,
        "repository-not-gated": ServiceCode.REPOSITORY_NOT_PUBLIC,
        # The hub does not tell a private repository from none.
        "repository-public": ServiceCode.REPOSITORY_NOT_FOUND,
        "revision-exists": ServiceCode.REVISION_NOT_FOUND,
    }
)


def code_of_refusal(rule: Rule) -> ServiceCode:
    """The failure code of a submission that breaks ``rule``."""
    return _ABOUT_REPOSITORIES.get(rule, ServiceCode.MODEL_REFUSED)
