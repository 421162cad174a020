"""The pages in a real Chromium, with speech that was really evaluated.

Screenshots are left in ``var/screenshots``. Without a browser the tests are skipped, unless
REQUIRE_BROWSER is set.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright
from service_helpers import fresh_database, new_submission, wait_until
from service_processes import RunningApi, running_api
from spoken_subnet import PROMPTS, Evaluated, Subnet, speak

from voice_validation_api.database import Database
from voice_validation_api.failures import ServiceCode
from voice_validation_api.records import NewSubmission, SubmissionId

SCREENSHOTS = Path(__file__).parents[2] / "var" / "screenshots"
ALICE = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
BOB = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"
MALLORY = "5FLSigC9HGRKVhB9FiEo4Y3koPsNmBmLJbpXg2mp1hXcS59Y"
ATTACK = "\"'><img src=x onerror=alert(1)><script>alert(2)</script>"
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
MAX_BYTES = 200_000

pytestmark = pytest.mark.slow


@dataclass
class Site:
    """A service with evaluated submissions, a browser, and what the browser asked for."""

    api: RunningApi
    subnet: Subnet
    good: Evaluated
    wrong: Evaluated
    first: SubmissionId
    second: SubmissionId
    context: BrowserContext
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str, size: str = "desktop") -> Page:
        """A page in a window of that size; whatever it complains of is kept."""
        page = self.context.new_page()
        width, height = SIZES[size]
        page.set_viewport_size({"width": width, "height": height})
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        page.on(
            "console",
            lambda said: self.complaints.append(said.text) if said.type == "error" else None,
        )
        page.goto(f"{self.url}{path}")
        return page

    @property
    def url(self) -> str:
        return str(self.api.client.base_url).rstrip("/")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if program is None:
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail("REQUIRE_BROWSER is set and there is no chromium: apt-get install chromium")
        pytest.skip("no chromium on this machine: apt-get install chromium")
    # Its own sandbox refuses to run for root, as which containers of CI work.
    expect.set_options(timeout=20_000)
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=flags)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def service(
    server: str, template: str, tmp_path_factory: pytest.TempPathFactory, browser: Browser
) -> Iterator[Site]:
    place = tmp_path_factory.mktemp("site")
    good, wrong = (speak(voice, place / voice) for voice in ("hibari", "hibari-wrong-text"))
    with fresh_database(server, template) as dsn:
        database = Database(dsn, size=2, application="tests")
        subnet = Subnet.on(database, place / "audio")
        subnet.anchor("hibari", good)
        subnet.submit(100, hotkey=ALICE, namespace="alice", name="clear")
        first = subnet.score(good)
        subnet.submit(101, hotkey=BOB, namespace="bob", name="other-words")
        second = subnet.score(wrong)
        subnet.submit(102, hotkey=MALLORY, namespace=ATTACK, name=ATTACK)
        subnet.score(wrong)
        subnet.store.record_precheck_failure(_broken(), ServiceCode.MODEL_REFUSED, ATTACK)
        environment = {
            "POSTGRES_URL": dsn,
            "VAR_DIR": str(place),
            "HF_ENDPOINT": "http://127.0.0.1:9",
            "API_REQUESTS_PER_SECOND": "1000",
        }
        context = browser.new_context()
        with running_api(environment, place / "log") as api:
            site = Site(api, subnet, good, wrong, first, second, context)
            context.on("request", lambda request: site.requests.append(_host(request)))
            yield site
        database.close()


def _broken() -> NewSubmission:
    return new_submission(103, hotkey=MALLORY, namespace=ATTACK, name="broken")


def _host(request: Request) -> str:
    return urlsplit(request.url).netloc


@pytest.fixture
def site(service: Site) -> Iterator[Site]:
    """The site; afterwards no page has complained, and none has asked another host."""
    yield service
    for page in service.context.pages:
        # Closing one may wait for its renderer for ever; leaving has a deadline.
        page.goto("about:blank")
    assert set(service.requests) == {urlsplit(service.url).netloc}
    complaints, service.complaints[:] = [*service.complaints], []
    assert complaints == []


def rows(page: Page) -> list[str]:
    """The ids of the rows that are shown, top to bottom."""
    return page.locator(".board tbody tr").evaluate_all("rows => rows.map(row => row.id)")


def test_a_board_is_sorted_searched_and_filtered_without_a_new_page(site: Site) -> None:
    page = site.open("/")
    page.evaluate("window.same = true")
    assert rows(page)[0] in {f"row-{site.first}", "anchor-hibari"}

    page.get_by_role("link", name="WER").click()
    expect(page).to_have_url(re.compile(r"sort=wer$"))
    page.get_by_role("link", name="WER").click()
    expect(page).to_have_url(re.compile(r"reverse=1"))
    expect(page.locator(".board tbody tr").last).to_have_id(
        re.compile(rf"anchor-hibari|row-{site.first}$")
    )
    page.keyboard.press("/")
    page.keyboard.type("other-w")
    expect(page.locator("#found")).to_contain_text("1 of")
    assert rows(page) == [f"row-{site.second}"]
    page.get_by_label("Search").fill("nobody has this")
    expect(page.get_by_text("No submission matches")).to_be_visible()
    page.get_by_label("Search").fill("")
    page.get_by_label("Show").select_option("best")
    expect(page).to_have_url(re.compile("show=best"))
    assert page.evaluate("window.same") is True

    again = site.open(urlsplit(page.url).path + "?" + urlsplit(page.url).query)
    assert rows(again) == rows(page)
    page.go_back()


def test_a_board_works_without_script(site: Site, browser: Browser) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(site.url)
        page.get_by_role("link", name="Likeness").click()
        page.get_by_label("Search").fill("clear")
        page.get_by_role("button", name="Find").click()
        assert "sort=likeness" in page.url
        assert rows(page) == [f"row-{site.first}"]
        page.goto(f"{site.url}/submissions/{site.first}")
        assert page.locator("audio").count() == PROMPTS


@pytest.mark.parametrize("size", SIZES)
def test_a_recording_is_seen_and_played(site: Site, size: str) -> None:
    page = site.open(f"/submissions/{site.first}", size)
    player = page.locator(".player").first
    player.scroll_into_view_if_needed()
    expect(player.locator("canvas")).to_be_visible()
    player.locator("audio").evaluate("audio => { audio.muted = true; return audio.play(); }")
    wait_until(lambda: page.evaluate("document.querySelector('audio').currentTime > 0.3"))

    player.get_by_role("button", name="Spectrogram").click()
    expect(player.locator(".spectrogram")).to_be_enabled()
    colours = player.locator("canvas").evaluate(
        """canvas => new Set(canvas.getContext("2d")
            .getImageData(0, 0, canvas.width, canvas.height).data).size"""
    )
    assert colours > 50
    box = player.locator("canvas").bounding_box()
    assert box is not None
    player.locator("canvas").click(position={"x": box["width"] * 0.8, "y": 10})
    wait_until(lambda: player.locator("audio").evaluate("a => a.currentTime / a.duration > 0.7"))


def test_wrong_words_are_marked(site: Site) -> None:
    page = site.open(f"/submissions/{site.second}")
    assert page.locator(".text del").count() >= PROMPTS
    assert page.locator(".text ins").count() >= PROMPTS
    good = site.open(f"/submissions/{site.first}")
    assert good.locator(".text del").count() <= 1


def test_a_new_score_appears_by_itself_and_nothing_jumps(site: Site) -> None:
    page = site.open("/", "phone")
    page.evaluate("window.same = true")
    expect(page.locator("html[data-listening]")).to_have_count(1)
    before = rows(page)
    waiting = site.subnet.submit(200, hotkey=BOB, namespace="bob", name="newcomer")
    open_page = site.open(f"/submissions/{waiting}")
    expect(open_page.locator("html[data-listening]")).to_have_count(1)
    expect(open_page.get_by_text("It waits for a worker")).to_be_visible()
    last = page.locator(f"#{before[-1]}")
    page.evaluate("scrollTo(0, document.body.scrollHeight / 3)")
    seen = page.evaluate(
        """() => [...document.querySelectorAll("main tr[id]")]
            .map(row => [row.id, row.getBoundingClientRect().top]).find(([, top]) => top >= 0)"""
    )
    assert site.subnet.score(site.good) == waiting

    expect(page.locator(f"#row-{waiting}")).to_have_count(1)
    now = page.evaluate("id => document.getElementById(id).getBoundingClientRect().top", seen[0])
    assert abs(now - seen[1]) < 2
    assert last.count() == 1
    assert page.evaluate("window.same") is True
    expect(open_page.locator(".player").first).to_be_visible()


def test_two_submissions_are_compared_blindly(site: Site) -> None:
    page = site.open(f"/submissions/{site.first}")
    page.get_by_label("Compare by ear with").select_option(str(site.second))
    page.get_by_role("button", name="A/B").click()
    expect(page.locator(".pairs > li")).to_have_count(PROMPTS)
    expect(page.locator(".sides")).to_be_hidden()
    first = page.locator(".pairs > li").first
    expect(first.locator(".take h4").first).to_have_text("Left")
    left = first.locator(".take").first.get_attribute("data-side")
    first.get_by_role("button", name="Left is better").click()
    name = {"0": "A, alice/clear", "1": "B, bob/other-words"}[left or ""]
    expect(first.get_by_role("status")).to_have_text(f"You chose {name}.")
    expect(page.locator("#tally")).to_contain_text(f"{name[0]} 1")
    expect(first.get_by_role("button", name="Right is better")).to_be_disabled()
    first.locator("audio").last.evaluate("audio => { audio.muted = true; return audio.play(); }")
    heard = first.locator("audio").last
    wait_until(lambda: heard.evaluate("audio => audio.currentTime > 0.2"))

    page.get_by_label("Blind").uncheck()
    expect(page.locator(".sides")).to_be_visible()
    expect(page.locator(".take h4").first).to_have_text("A · alice/clear")


def test_the_sides_of_a_blind_comparison_are_drawn_by_lot(site: Site) -> None:
    page = site.open(f"/compare?a={site.first}&b={site.second}")
    seen = set()
    for _ in range(40):
        seen |= set(
            page.locator(".takes .take:first-child").evaluate_all(
                "takes => takes.map(take => take.dataset.side)"
            )
        )
        if len(seen) == 2:
            break
        page.reload()
    assert seen == {"0", "1"}


def test_colours_are_switched_and_stay(site: Site) -> None:
    page = site.open("/")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate(paper) != light
    page.reload()
    assert page.evaluate(paper) != light
    page.get_by_role("button", name="Light").click()
    assert page.evaluate(paper) == light
    # The other tests' pages shall follow their browser.
    page.evaluate("localStorage.clear()")


@pytest.mark.parametrize(("size", "scheme"), [("desktop", "light"), ("phone", "dark")])
def test_pages_are_accessible_fit_and_are_kept_as_pictures(
    site: Site, size: str, scheme: str
) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    paths = {
        "board": "/",
        "nobody": "/?q=nothing-is-called-so",
        "submission": f"/submissions/{site.first}",
        "wrong": f"/submissions/{site.second}",
        "hostile": f"/submissions/{site.second + 2}",
        "compare": f"/compare?a={site.first}&b={site.second}",
        "miner": f"/miners/{BOB}",
        "form": "/miners",
        "progress": "/progress",
    }
    page = site.open("/", size)
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for name, path in paths.items():
        page.goto(site.url + path)
        found = Axe().run(page).response["violations"]
        faults = [(one["id"], one["nodes"][0]["html"]) for one in found if _is_serious(one)]
        assert faults == [], name
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= SIZES[size][0], f"{name} is {width} wide"
        page.screenshot(path=SCREENSHOTS / f"{name}-{size}-{scheme}.png", full_page=True)


def _is_serious(violation: dict[str, object]) -> bool:
    return violation["impact"] in {"serious", "critical"}


def test_hostile_names_stay_text_in_a_browser(site: Site) -> None:
    for path in ("/", "/progress", f"/miners/{MALLORY}", f"/submissions/{site.second + 2}"):
        page = site.open(path)
        assert ATTACK in page.locator("main").inner_text()
        assert page.locator("img, main script").count() == 0


def test_a_first_view_is_light(site: Site) -> None:
    page = site.context.new_page()
    sizes: dict[str, int] = {}
    page.on(
        "response",
        lambda answer: (
            None
            if "/events" in answer.url
            else sizes.__setitem__(answer.url, int(answer.headers.get("content-length", 0)))
        ),
    )
    for path in ("/", "/progress", f"/submissions/{site.first}"):
        sizes.clear()
        page.goto(site.url + path, wait_until="load")
        assert 10_000 < sum(sizes.values()) < MAX_BYTES, sizes
