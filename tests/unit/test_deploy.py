"""What the files in deploy/ promise: no default password, nothing published by accident, no alert
on a metric that nobody exports."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from neurons.settings import ModelQueueSettings
from voice_validation_api.api_settings import ApiSettings
from voice_validation_api.settings import WorkerSettings

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
COMPOSE = (DEPLOY / "compose.yml").read_text("utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
RUNNING = sorted(set(SERVICES) - {"evaluator", "operator"})
SECRETS = ("POSTGRES_PASSWORD", "OWNER_PASSWORD", "WORKER_PASSWORD", "ADMIN_KEY")


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def exported() -> set[str]:
    """The names of all metrics in the code, with what the client adds to them."""
    modules = (DEPLOY.parent / "voice_validation_api").glob("metrics*.py")
    code = "\n".join(module.read_text("utf-8") for module in modules)
    names = set(re.findall(r'"(speech_[a-z_]+)"', code))
    return names | {f"{name}_bucket" for name in names if name.endswith("_seconds")}


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_every_metric_of_an_alert_is_exported(alert: dict[str, Any]) -> None:
    named = set(re.findall(r"\bspeech_[a-z_]+", alert["expr"]))
    assert named or "up{" in alert["expr"]
    assert named <= exported()


def test_every_alert_has_its_line_in_the_runbook() -> None:
    runbook = (DEPLOY.parent / "docs" / "operator.md").read_text("utf-8")
    assert [a["alert"] for a in alerts() if f"`{a['alert']}`" not in runbook] == []


def test_every_alert_says_how_grave_it_is_and_what_it_is_about() -> None:
    for alert in alerts():
        assert alert["labels"]["severity"] in {"warning", "critical"}
        assert alert["annotations"]["summary"]
        assert alert["for"]


def test_the_alerts_do_what_their_tests_say() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool (Debian: prometheus) is not installed")
    for command in (["check", "config", "prometheus.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run(
            ["promtool", *command], cwd=RULES.parent, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_has_no_default_and_its_absence_is_told(name: str) -> None:
    uses = re.findall(rf"\$\{{{name}\b[^}}]*\}}", COMPOSE)
    assert set(uses) == {f"${{{name}:?set {name} in deploy/.env}}"}
    example = (DEPLOY / ".env.example").read_text("utf-8")
    assert re.search(rf"^{name}=$", example, re.MULTILINE)


@pytest.mark.parametrize("name", RUNNING)
def test_a_service_can_write_to_its_volumes_alone_and_has_no_more_rights_than_it_needs(
    name: str,
) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["cap_drop"] == ["ALL"]
    assert service["restart"] == "unless-stopped"
    assert "privileged" not in service


def test_postgres_is_reached_by_its_users_alone() -> None:
    assert "ports" not in SERVICES["postgres"]
    assert SERVICES["postgres"]["networks"] == ["database"]
    assert yaml.safe_load(COMPOSE)["networks"]["database"] == {"internal": True}
    users = {name for name in SERVICES if "database" in SERVICES[name].get("networks", ())}
    assert users == {"postgres", "api", "worker", "keeper", "operator"}


def test_what_is_published_is_published_to_this_machine() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert not any(port.endswith(":9100") for port in ports)


def test_only_the_worker_is_given_the_engine() -> None:
    holders = {name for name in SERVICES if "docker.sock" in str(SERVICES[name])}
    assert holders == {"worker"}


def test_the_worker_has_neither_the_admin_key_nor_the_owners_password() -> None:
    worker = str(SERVICES["worker"])
    assert "ADMIN_KEY" not in worker
    assert "OWNER_PASSWORD" not in worker


@pytest.mark.parametrize(
    ("service", "settings"),
    [("api", ApiSettings), ("worker", WorkerSettings), ("modelq", ModelQueueSettings)],
)
def test_every_setting_that_is_passed_on_exists(service: str, settings: type[Any]) -> None:
    prefix = settings.model_config.get("env_prefix", "")
    known = {
        field.validation_alias or f"{prefix}{name}".upper()
        for name, field in settings.model_fields.items()
    }
    passed = {name for name in SERVICES[service]["environment"] if not name.startswith("AWS_")}
    assert passed - known - {"HF_HOME"} == set()
