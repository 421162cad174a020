"""Schemathesis reads the API's description and asks whatever it allows, and much that it does not.

Every answer must be one that the description promises, in its form, and no fault of the service's.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hub_helpers import parler_files, running_hub
from service_helpers import fresh_database, run_sql
from service_processes import ADMIN_KEY, running_api

EXAMPLES = 15
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "unsupported_method",
)


@pytest.mark.slow
def test_no_request_makes_the_service_fault_or_answer_out_of_form(
    server: str, template: str, tmp_path: Path
) -> None:
    with fresh_database(server, template) as dsn, running_hub(tmp_path / "hub") as hub:
        hub.publish("voice", parler_files())
        environment = {
            "POSTGRES_URL": dsn,
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path / "hf"),
            "VAR_DIR": str(tmp_path / "var"),
            "ADMIN_KEY": ADMIN_KEY,
            "API_REQUESTS_PER_SECOND": "100000",
            "API_ADMIN_REQUESTS_PER_SECOND": "100000",
            "API_BOARD_SECONDS": "0",
        }
        with running_api(environment, tmp_path / "api.log") as api:
            found = subprocess.run(
                [
                    *(sys.executable, "-m", "schemathesis.cli", "run"),
                    f"{api.client.base_url}/openapi.json",
                    *("--seed", "1", "--max-examples", str(EXAMPLES), "--no-shrink"),
                    *("--phases", "examples,coverage,fuzzing,stateful"),
                    *("--checks", ",".join(CHECKS), "--continue-on-failure"),
                    *("--header", f"admin-key: {ADMIN_KEY}", "--request-timeout", "20"),
                    *("--warnings", "off", "--no-color"),
                ],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=240,
                check=False,
            )
            assert found.returncode == 0, found.stdout[-8_000:] + found.stderr[-2_000:]
            generated = re.search(r"(\d+) generated", found.stdout)
            assert generated is not None, found.stdout
            assert int(generated[1]) > 500
            assert "Traceback" not in api.log
            # It came past the door: something was stored.
            assert run_sql(dsn, "SELECT count(*) FROM telemetry_reports")[0][0] > 10
            assert run_sql(dsn, "SELECT count(*) FROM submissions")[0][0] > 0
