"""The pages as a browser asks for them, over HTTP from the API as a process."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path

import httpx2
import pytest
from queue_helpers import SCORE, complete, sample
from service_helpers import fresh_database, new_submission, run_sql, wait_until
from service_processes import RunningApi, running_api

from scoring.competition import Weights
from scoring.competition.records import Explanation, PreviousRound, Share
from voice_validation_api.database import Database
from voice_validation_api.failures import ServiceCode
from voice_validation_api.records import SubmissionId
from voice_validation_api.store import Store
from voice_validation_api.submission_queue import SubmissionQueue

HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
HOTKEY = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
NEWCOMER = "5FLSigC9HGRKVhB9FiEo4Y3koPsNmBmLJbpXg2mp1hXcS59Y"
ATTACK = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>\u202e{{7*7}}"
MAX_PAGE_BYTES = 200_000
BLOCKS = count(100)


@dataclass(frozen=True)
class Site:
    """A running API and the database behind it."""

    api: RunningApi
    dsn: str
    store: Store
    queue: SubmissionQueue

    def page(self, path: str, **headers: str) -> httpx2.Response:
        """A page as a browser gets it."""
        return self.api.client.get(path, headers={**HTML, **headers})

    def scored(self) -> SubmissionId:
        """A submission with a score and one sample."""
        row = self.store.submit(new_submission(next(BLOCKS), hotkey=HOTKEY))
        claim = self.queue.claim()
        assert claim is not None
        self.queue.start_running(claim)
        complete(self.queue, claim)
        return row.id


@contextmanager
def serving(dsn: str, place: Path) -> Iterator[Site]:
    environment = {
        "POSTGRES_URL": dsn,
        "VAR_DIR": str(place),
        "HF_ENDPOINT": "http://user:secret@127.0.0.1:9/hub",
        "API_BOARD_SECONDS": "0",
        "API_REQUESTS_PER_SECOND": "1000",
    }
    database = Database(dsn, size=2, application="tests")
    queue = SubmissionQueue(database, worker_id="worker-a", lease=timedelta(seconds=60))
    with running_api(environment, place / "log") as api:
        yield Site(api, dsn, Store(database), queue)
    database.close()


@pytest.fixture(scope="module")
def site(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        fresh_database(server, template) as dsn,
        serving(dsn, tmp_path_factory.mktemp("pages")) as site,
    ):
        yield site


@pytest.fixture
def own_site(dsn: str, tmp_path: Path) -> Iterator[Site]:
    """For tests after which the others could not go on."""
    with serving(dsn, tmp_path) as site:
        yield site


def test_browsers_get_pages_and_programs_json_at_the_same_addresses(site: Site) -> None:
    number = site.scored()
    for path in ("/", f"/submissions/{number}"):
        page, answer = site.page(path), site.api.client.get(path)
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert page.headers["Vary"] == "Accept"
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.status_code == page.status_code == 200
    assert site.api.client.get("/progress").status_code == 404
    record = site.page(f"/submissions/{number}/record.json")
    assert record.json() == site.api.client.get(f"/submissions/{number}").json()


def test_every_page_forbids_what_it_does_not_need(site: Site) -> None:
    number = site.scored()
    for path in (
        "/",
        f"/submissions/{number}",
        f"/miners/{HOTKEY}",
        "/miners",
        "/progress",
        f"/compare?a={number}&b={number}",
        "/submissions/99",
        "/?sort=nonsense",
    ):
        page = site.page(path)
        policy = page.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'"), path
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=\"/)", page.text), path
        assert "user:secret" not in page.text


def test_assets_may_be_kept_for_ever_at_addresses_that_name_their_content(site: Site) -> None:
    links = re.findall(r'(?:href|src)="(/assets/[^"]+)"', site.page("/progress").text)
    assert len(links) >= 6
    for link in links:
        asset = site.api.client.get(link)
        assert asset.status_code == 200
        assert "immutable" in asset.headers["Cache-Control"]
    assert "javascript" in site.api.client.get(links[2]).headers["Content-Type"]
    wrong = re.sub(r"/assets/\w+/", "/assets/000000000000/", links[0])
    assert site.api.client.get(wrong).status_code == 404
    assert site.api.client.get("/assets/x/../../validation_api.py").status_code == 404


def test_whoever_has_the_newest_page_is_told_so(dsn: str, tmp_path: Path) -> None:
    environment = {"POSTGRES_URL": dsn, "VAR_DIR": str(tmp_path), "HF_ENDPOINT": "http://h"}
    with running_api({**environment, "API_BOARD_SECONDS": "10"}, tmp_path / "log") as api:
        first = api.client.get("/", headers=HTML)
        again = api.client.get("/", headers={**HTML, "If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_what_strangers_write_stays_text(site: Site) -> None:
    row = site.store.submit(
        new_submission(next(BLOCKS), hotkey=HOTKEY, namespace=ATTACK[:96], name="a<b>")
    )
    claim = site.queue.claim()
    assert claim is not None
    site.queue.start_running(claim)
    fields = {
        "text": ATTACK,
        "transcript": ATTACK,
        "second_transcript": ATTACK,
        "reason": ATTACK,
        "prompt": {"emotion": ATTACK, "speaker": ATTACK, "description": ATTACK},
    }
    hostile = type(sample())(**{**vars(sample()), **fields})
    details = {"asr": {"engine": ATTACK, "model": ATTACK, "version": ATTACK, "digest": ATTACK}}
    site.queue.complete(
        claim, SCORE, weights_digest=None, details=details, samples=[hostile], log=""
    )
    failed = site.store.record_precheck_failure(
        new_submission(next(BLOCKS), hotkey=HOTKEY, namespace=ATTACK[:96]),
        ServiceCode.MODEL_REFUSED,
        ATTACK,
    )
    site.store.submit(
        new_submission(next(BLOCKS), hotkey=ATTACK[:60], namespace="n", revision=ATTACK[:40])
    )
    site.queue.claim()
    shown = 0
    for path in (
        "/",
        f"/?q={ATTACK}",
        f"/submissions/{row.id}",
        f"/submissions/{failed.id}",
        f"/submissions/{failed.id + 1}",
        f"/compare?a={row.id}&b={row.id}",
        f"/miners/{HOTKEY}",
        f"/miners?hotkey={ATTACK}",
        "/progress",
        "/submissions/<script>alert(1)",
    ):
        page = site.page(path)
        assert page.headers["Content-Type"].startswith("text/html"), path
        assert "<script>alert" not in page.text, path
        assert "<img" not in page.text, path
        assert "\u202e" not in page.text, path
        assert "\\u202e" not in page.text, path
        shown += page.text.count("&lt;script&gt;alert")
    assert shown > 10


def test_a_failure_says_what_the_miner_can_do(site: Site) -> None:
    row = site.store.record_precheck_failure(
        new_submission(next(BLOCKS), hotkey=HOTKEY), ServiceCode.MODEL_REFUSED, "it holds a pickle"
    )
    page = site.page(f"/submissions/{row.id}").text
    assert "it holds a pickle" in page
    assert "scripts/evaluate_local.py" in page
    assert "it holds a pickle" in site.page(f"/miners/{HOTKEY}").text


def test_errors_are_pages_too(site: Site) -> None:
    for path, status, words in (
        ("/submissions/99", 404, "there is no submission 99"),
        ("/submissions/nonsense", 422, "submission_id"),
        ("/?page=0", 422, "page"),
        ("/miners/nonsense", 422, "no hotkey"),
        ("/compare?a=1", 422, "b"),
    ):
        page = site.page(path)
        assert page.status_code == status
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert words in page.text


def test_a_miner_is_found_by_the_form(site: Site) -> None:
    found = site.page(f"/miners?hotkey=%20{HOTKEY}%20")
    assert (found.status_code, found.headers["Location"]) == (303, f"/miners/{HOTKEY}")
    assert "No submission yet" in site.page(f"/miners/{NEWCOMER}").text


def test_a_published_round_adds_weights_and_a_point_of_the_chart(
    own_site: Site,
) -> None:
    site = own_site
    number = site.scored()
    assert "Best score by day" in site.page("/progress").text
    assert ">Weight<" not in site.page("/").text
    weights = Weights(
        competition_id="tts",
        block=9_000,
        rounds=(PreviousRound(number=7, digest="a" * 64),),
        shares=(Share(hotkey=HOTKEY, win_rate=0.75, units=16_384, weight=0.25),),
        burned_units=0,
        explanations=(
            Explanation(submission_id=number, hotkey=HOTKEY, verdict="competes", reason=""),
        ),
    )
    run_sql(
        site.dsn,
        """INSERT INTO rounds (competition_id, number, state, start_block, seed_block, end_block,
            seed_block_hash, seed, closed_block, protocol, digest, published, weights, ended_at)
            VALUES ('tts', 7, 'CLOSED', 100, 101, 200, '0x' || repeat('b', 64), repeat('c', 64),
                200, repeat('1', 64), repeat('d', 64), '', %s, now())""",
        weights.model_dump_json(),
    )

    def board() -> str:
        return site.page("/?show=earning").text

    wait_until(lambda: ">Weight<" in board())
    row = board().partition(f'<tr id="row-{number}"')[2].partition("</tr>")[0]
    assert "75.0" in row
    assert "25.0" in row
    assert "competes" in row
    assert board().count('<tr id="row-') == 1
    assert "Round 7" in board()
    progress = site.page("/progress").text
    assert "Best score by round" in progress
    assert "round 7" in progress
    assert "weight, wins 75.0" in site.page(f"/miners/{HOTKEY}").text


def test_an_event_tells_open_pages_of_a_new_score(site: Site) -> None:
    with site.api.client.stream("GET", "/events", timeout=20.0) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        events = (line[6:] for line in stream.iter_lines() if line[:6] == "data: ")
        first = next(events)
        site.scored()
        assert next(event for event in events if event != first)
    latest = re.search('data-state="([0-9a-f]+)"', site.page("/").text)
    assert latest
    assert latest[1] != first


def test_the_service_stops_although_pages_listen(own_site: Site) -> None:
    api = own_site.api
    with api.client.stream("GET", "/events", timeout=20.0) as stream:
        assert next(stream.iter_lines())
        begun = time.monotonic()
        assert api.stop() == 0
    assert time.monotonic() - begun < 8
    assert "ERROR" not in api.log


def test_ten_thousand_submissions_are_one_light_page(site: Site) -> None:
    _insert_scored(site.dsn, 10_000)
    site.page("/")
    begun = time.monotonic()
    page = site.page("/?sort=wer&q=a-voice-of")
    seconds = time.monotonic() - begun
    assert "10000 of 1" in page.text
    assert page.text.count('<tr id="row-') == 50
    loaded = {*re.findall(r'(?:href|src)="(/assets/[^"]+)"', page.text)}
    loaded |= {
        re.sub(r"[^/]+$", name, link)
        for link in loaded
        for name in re.findall(r'from "\./([^"]+)"', site.api.client.get(link).text)
    }
    total = len(page.content) + sum(len(site.api.client.get(link).content) for link in loaded)
    assert total < MAX_PAGE_BYTES
    # A quarter of a second on an idle machine; this one may be busy.
    assert seconds < 3
    for path in ("/progress", "/submissions/5000", f"/miners/{HOTKEY}"):
        assert len(site.page(path).content) < MAX_PAGE_BYTES


def _insert_scored(dsn: str, how_many: int) -> None:
    run_sql(
        dsn,
        """INSERT INTO submissions (competition_id, hotkey, block, revision, namespace, name,
            config_template, submission_hash, status)
            SELECT 'tts', '5miner' || n %% 200, n, lpad(to_hex(n), 40, '0'), 'miner' || n %% 200,
                'a-voice-of-some-length-' || n, 'default', '1', 'QUEUED'
            FROM generate_series(1, %s) AS n""",
        how_many,
    )
    run_sql(
        dsn,
        """INSERT INTO evaluations (submission_id, fence, worker_id, ended_at, outcome)
            SELECT id, 1, 'w', now(), 'COMPLETED' FROM submissions WHERE name LIKE 'a-voice-of%'""",
    )
    run_sql(
        dsn,
        """INSERT INTO results (evaluation_id, submission_id, competition_id, block, protocol,
            prompts_digest, score, low, high, wer, human_likeness, scored, unscored, details)
            SELECT e.id, s.id, 'tts', s.block, repeat('1', 64), repeat('2', 64),
                s.id %% 997 / 1000.0, greatest(0, s.id %% 997 / 1000.0 - 0.01),
                s.id %% 997 / 1000.0 + 0.003, s.id %% 100 / 100.0, s.id %% 997 / 1000.0, 1, 0,
                '{"aggregate": {"components": {"gate": 0.5}}}'
            FROM submissions s JOIN evaluations e ON e.submission_id = s.id
            WHERE s.name LIKE %s""",
        "a-voice-of%",
    )


def test_a_database_that_is_away_is_said_on_a_page(
    server: str, template: str, tmp_path: Path
) -> None:
    with fresh_database(server, template) as dsn:
        environment = {"POSTGRES_URL": dsn, "VAR_DIR": str(tmp_path), "HF_ENDPOINT": "http://h"}
        with running_api(environment, tmp_path / "log") as api:
            name = dsn.rpartition("dbname=")[2].split()[0]
            run_sql(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            run_sql(
                server,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                name,
            )
            page = api.client.get("/", headers=HTML)
            assert page.status_code == 503
            assert "the database does not answer" in page.text
