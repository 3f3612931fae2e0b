"""The page in a real browser: what stands in it, that it works, and that it looks after its readers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import browser
import documents
import hostile
import pytest

from pytest_leakguard.report import formats


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    with browser.driven(tmp_path_factory.mktemp("profile")) as window:
        yield window


@pytest.fixture
def opened(window, tmp_path):
    """Open a report; afterwards nothing may stand in the console, and nothing may have been asked of a network."""

    def opened(report: dict[str, Any]) -> Any:
        file = tmp_path / "page.html"
        file.write_text(formats.render("html", report), "utf-8")
        window.get(file.as_uri())
        return window

    window.get("about:blank")
    window.get_log("browser")
    window.get_log("performance")
    yield opened
    assert [entry["message"] for entry in window.get_log("browser")] == []
    events = [json.loads(entry["message"])["message"] for entry in window.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert asked
    assert {url.partition(":")[0] for url in asked} == {"file"}


def run(window: Any, script: str) -> Any:
    return window.execute_script(f"return {script}")


def texts(window: Any, selector: str) -> list[str]:
    """What is seen of each element."""
    return run(window, f"Array.from(document.querySelectorAll({json.dumps(selector)}), e => e.innerText.trim())")


def shown(window: Any) -> list[str]:
    """The places of the leaks that are not filtered out."""
    return run(
        window,
        "Array.from(document.querySelectorAll('#list > .leak:not([hidden]) .where'), e => e.textContent)",
    )


def look(window: Any, *, dark: bool = False, width: int = 1280, height: int = 1400) -> None:
    """As on a screen of this size with these colours."""
    scheme = "dark" if dark else "light"
    window.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    window.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )


def open_all(window: Any) -> None:
    """Unfold everything, and have all of it rendered: what nobody has scrolled to is, some frames later or never."""
    window.execute_async_script(
        "const [done] = arguments;"
        "for (const e of document.querySelectorAll('.leak')) e.style.contentVisibility = 'visible';"
        "for (const e of document.querySelectorAll('details')) e.open = true;"
        "requestAnimationFrame(() => requestAnimationFrame(() => done()))"
    )


# -- what stands in it


def test_the_tiles_tell_the_summary(opened):
    """Leaks, tests, peak, and what else there is, each with its number."""
    window = opened(documents.everything())
    tiles = [tile.split("\n")[:2] for tile in texts(window, ".tile")]
    assert tiles == [
        ["Leaks", "34"], ["Tests checked", "120"], ["Peak descriptors", "212"], ["In failed tests", "1"],
        ["Allowed", "1"],
    ]  # fmt: skip
    assert texts(window, ".verdict") == ["34 leaks"]


def test_a_leak_is_told_in_full(opened):
    """Place, words, source line, holder, owner, first and last test, patch, all in the entry of the fingerprint."""
    window = opened(documents.everything())
    open_all(window)
    (entry,) = [text for text in texts(window, ".leak") if "fd:app/loader.py:open_source" in text]
    for words in (
        "app/loader.py:42 in open_source", "\N{MULTIPLICATION SIGN}31",
        "fd 14, regular file open for reading: data/header.csv",
        "[audit: open]", "open it in a `with` block", "tests/test_loader.py::test_header",
        "tests/test_loader.py::test_more[29]", "31 tests",
    ):  # fmt: skip
        assert words in entry
    assert texts(window, ".leak:first-child pre .hit") == ["42    stream = open(name)"]
    assert texts(window, ".leak:first-child .chain li") == [
        "module app.cache, global `_SOURCES`", "dict['header']", "TextIOWrapper"
    ]  # fmt: skip
    assert texts(window, ".leak:first-child pre .add") == [
        "+    with open(name) as stream:",
        "+        return header(stream)",
    ]
    (fixture,) = [text for text in texts(window, ".leak") if "thread:tests/conftest.py:broker" in text]
    assert "fixture 'broker' (module scope)" in fixture
    assert "tests/conftest.py:18" in fixture
    (unknown,) = [text for text in texts(window, ".leak") if "fd 17, epoll instance" in text]
    assert "try --leakguard-trace" in unknown


def test_the_timeline_has_a_chart_for_each_thing_that_is_counted(opened):
    """Four curves and the strip with the leaks; each says in words what it shows."""
    window = opened(documents.everything())
    labels = run(window, "Array.from(document.querySelectorAll('.chart svg'), e => e.getAttribute('aria-label'))")
    assert labels == [
        "4 leaks over the session",
        "Descriptors: 12 at the start, 26 at the end, 26 at most",
        "Threads: 1 at the start, 4 at the end, 4 at most",
        "Children: 0 at the start, 0 at the end, 2 at most",
        "Memory: 50.0 MB at the start, 58.9 MB at the end, 58.9 MB at most",
    ]
    inside = run(
        window,
        "Array.from(document.querySelectorAll('.chart path.run-line'), e => e.getBBox())"
        ".every(b => b.x >= 0 && b.y >= 0 && b.x + b.width <= 1000.1 && b.y + b.height <= 60)",
    )
    assert inside is True
    assert "tests/test_loader.py::test_other" in run(window, "document.querySelector('#chart-leaks').textContent")


def test_the_workers_of_a_distributed_run_have_a_line_each(opened):
    """Two timelines: two lines a chart, and the tests of both."""
    timelines = [{**documents.TIMELINE, "worker": worker} for worker in ("gw0", "gw1")]
    window = opened(documents.document(documents.LEAK, timelines=timelines))
    assert run(window, "document.querySelectorAll('#chart-descriptors path.run-line').length") == 2
    assert "198 tests of 2 workers" in texts(window, ".axis")[0]


def test_the_sweeps_are_a_matrix_and_a_list_of_points(opened):
    """Families by outcome, then what each point came to; the one with a finding first."""
    window = opened(documents.everything())
    table = [row.split("\t") for row in texts(window, "#matrix tr")]
    assert [cell.strip() for cell in table[0]] == ["points", "leak", "swallowed", "clean, raised", "not tried", "all"]
    assert [cell.strip() for cell in table[1]] == ["acquire", "1", "", "1", "1", "3"]
    assert [cell.strip() for cell in table[2]] == ["body", "", "1", "", "", "1"]
    open_all(window)
    sweeps = texts(window, "details.plain")
    assert "tests/test_pair.py::test_pair" in sweeps[0]
    assert "app/pair.py:15" in sweeps[0]
    assert "stopped: 2 trials did not end in time" in sweeps[1]


def test_the_cleanup_ledger_is_a_table_and_three_lists(opened):
    """What ran under an error, what only without one, what never; each path with its place and its counts."""
    window = opened(documents.everything())
    table = [[cell.strip() for cell in row.split("\t")] for row in texts(window, "#ledger tr")]
    assert table == [
        ["kind", "paths", "never ran", "only without an error", "under an error"],
        ["with", "1", "", "", "1"],
        ["finally", "2", "1", "1"],
        ["except", "1", "", "", "1"],
    ]
    open_all(window)
    never = next(text for text in texts(window, "details.plain") if text.startswith("never ran"))
    assert "app/pair.py:30 in Pair.close" in never
    assert "app/pair.py:20" not in never


def test_the_ending_is_told(opened):
    """What the baseline says, what was tried again, what is still there, and how a verdict came about."""
    window = opened(documents.everything())
    open_all(window)
    text = texts(window, "main")[0]
    for words in (
        "leaks.json: 5 fingerprints, 3 known leaks", "fd:a.py:f", "fd:b.py:g", "may hold the exit",
        "tests/conftest.py:21 in broker", "grace 1 s: default", "acquired app/loader.py:42: it fails",
    ):  # fmt: skip
        assert words in text
    assert texts(window, "#isolated + .card dd") == ["2", "1", "1", "2"]


def test_a_clean_run_says_so(opened):
    """No leaks: green, no list, no tools."""
    window = opened(documents.document())
    assert texts(window, ".verdict.good") == ["no leaks"]
    assert "Nothing was left behind." in texts(window, "main")[0]
    assert run(window, "document.getElementById('search')") is None


def test_a_blind_run_is_not_shown_as_clean(opened):
    """No leak found, because a probe did not see: told in red."""
    window = opened(documents.document(blind={"fd": "the listing failed"}))
    assert texts(window, ".verdict.bad") == ["blind"]
    assert "the listing failed" in texts(window, ".alert.bad")[0]


# -- that it works


def test_searching_leaves_what_has_all_the_words(opened):
    """Any part of a leak can be searched, in any order; Escape brings all back."""
    from selenium.webdriver.common.keys import Keys

    window = opened(documents.everything())
    field = window.find_element("id", "search")
    everything = shown(window)
    field.send_keys("broker MODULE")
    browser.until(lambda: len(shown(window)) == 1)
    assert shown(window) == ["tests/conftest.py:21 in broker"]
    assert texts(window, "#shown") == ["1 of 6 shown"]
    field.send_keys(" nonsense")
    browser.until(lambda: not shown(window))
    assert texts(window, "#none") == ["Nothing fits."]
    field.send_keys(Keys.ESCAPE)
    browser.until(lambda: shown(window) == everything)
    assert run(window, "document.getElementById('none').hidden") is True


def test_chips_filter_by_kind_and_by_what_became_of_it(opened):
    """Two kinds are either; a kind and a state are both."""
    window = opened(documents.everything())

    def press(value: str) -> None:
        window.find_element("css selector", f".chip[value='{value}']").click()

    press("thread")
    assert shown(window) == ["tests/conftest.py:21 in broker"]
    press("temp")
    assert len(shown(window)) == 2
    press("allowed")
    assert shown(window) == ["/tmp/N"]
    press("thread")
    press("temp")
    press("allowed")
    assert len(shown(window)) == 6


def test_a_link_to_a_leak_opens_it(opened):
    """The anchor of an entry is the same in every run, and opens it."""
    window = opened(documents.everything())
    anchor = run(window, "document.querySelector('.leak').id")
    assert anchor.startswith("leak-")
    window.get(f"{window.current_url}#{anchor}")
    assert run(window, f"document.getElementById('{anchor}').open") is True


@pytest.mark.parametrize("scripts", [True, False])
def test_every_message_leads_to_what_it_means(opened, window, scripts):
    """Each link to a section leads to one that is in the page, and opens it, without scripts too."""
    from selenium.webdriver.support.ui import WebDriverWait

    window.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
    try:
        opened(documents.everything())
        window.execute_cdp_cmd("Page.navigate", {"url": f"{window.current_url}#means-leaked"})
    finally:
        window.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    links = run(window, "Array.from(document.querySelectorAll('a[href^=\"#means-\"]'), e => e.hash)")
    assert {"#means-leaked", "#means-held", "#means-acquired-unknown", "#means-trouble"} <= set(links)
    dead = "!document.querySelector(`details.plain > pre${hash}`)"
    assert run(window, f"{json.dumps(sorted(set(links)))}.filter(hash => {dead})") == []
    assert run(window, "document.getElementById('means-leaked').parentElement.open") is True
    assert run(window, "document.getElementById('means-held').parentElement.open") is False
    is_in_sight = "document.getElementById('means-leaked').getBoundingClientRect().top < innerHeight"
    WebDriverWait(window, 10).until(lambda _: run(window, is_in_sight))  # browsers scroll smoothly
    assert "An entry has a headline and labelled lines" in run(
        window, "document.getElementById('means-leaked').innerText"
    )


def test_it_can_be_read_without_scripts(opened, window):
    """Scripts off: no tool that would not work, and every leak opens by a click."""
    window.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        opened(documents.everything())
        tree = json.dumps(window.execute_cdp_cmd("DOM.getDocument", {"depth": -1}))
        assert "fd:app/loader.py:open_source" in tree
        page = window.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
        assert page["data"]
    finally:
        window.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    # the tools never came out: only the script shows them
    assert run(window, "document.querySelector('.tools').hidden") is True
    assert run(window, "document.querySelector('[data-copy]').hidden") is True
    window.find_element("css selector", ".leak > summary").click()
    assert "Held by" in texts(window, ".leak")[0]


# -- that everybody can read it

CONTRAST = """
const luminance = (c) => {
  const [r, g, b] = c.map((v) => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
  return .2126 * r + .7152 * g + .0722 * b;
};
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const ground = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] === 1) return c.slice(0, 3);
  }
  return [255, 255, 255];
};
const bad = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let seen = 0;
while (walk.nextNode()) {
  const element = walk.currentNode.parentElement;
  if (!walk.currentNode.textContent.trim() || !element.checkVisibility()) continue;
  if (element.closest("svg, script, meter")) continue;
  const [a, b] = [parse(getComputedStyle(element).color).slice(0, 3), ground(element)].map(luminance);
  const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  seen += 1;
  if (ratio < 4.5) bad.push([element.className, walk.currentNode.textContent.trim().slice(0, 40), ratio]);
}
return [seen, bad];
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_has_enough_contrast(opened, window, dark):
    """WCAG AA, 4.5 to 1, for each piece of text as the browser draws it, in both colour schemes."""
    look(window, dark=dark)
    opened(documents.everything())
    open_all(window)
    seen, bad = window.execute_script(CONTRAST)
    assert seen > 100
    assert bad == []


def test_it_follows_the_colours_of_the_system_and_the_button(opened, window):
    """Dark where the system is dark, and the other way round after a press of the button."""
    grounds = {}
    for dark in (False, True):
        look(window, dark=dark)
        opened(documents.everything())
        grounds[dark] = run(window, "getComputedStyle(document.body).backgroundColor")
        window.find_element("id", "theme").click()
        grounds[dark, "pressed"] = run(window, "getComputedStyle(document.body).backgroundColor")
    assert grounds[False] == grounds[True, "pressed"]
    assert grounds[True] == grounds[False, "pressed"]
    assert grounds[True] != grounds[False]


@pytest.mark.parametrize("report", [documents.everything, hostile.hostile], ids=["usual", "hostile"])
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_sticks_out_of_the_screen(opened, window, width, report):
    """No width of a phone or of a desk makes the page scroll sideways, not even with names of 10,000 characters."""
    look(window, width=width)
    opened(report())
    open_all(window)
    assert run(window, "document.documentElement.scrollWidth <= innerWidth") is True


# -- hostile and huge


def test_hostile_names_are_only_text(opened):
    """Nothing that came in by a name is an element, an attribute or a script; a reader sees it as it is."""
    window = opened(hostile.hostile())
    open_all(window)
    assert run(window, "typeof window.hacked") == "undefined"
    assert (
        run(
            window,
            "document.querySelectorAll('img, b b, iframe, a:not(.skip):not([href^=\\'#means-\\']), [onerror]').length",
        )
        == 0
    )
    assert run(window, "document.querySelectorAll('script').length") == 1
    text = run(window, "document.body.innerText")
    assert "<script>window.hacked = 1</script>" in text
    for sign in ("\x1b", "\x9b", "\u202e", "\u2028", "\u200b", "\ufffd", "\x7f"):
        assert sign not in text
    assert run(window, "document.body.outerHTML.length") < 2_000_000


@pytest.mark.parametrize(("fingerprints", "most_bytes"), [(300, 2_000_000), (10_000, 5_000_000)])
def test_ten_thousand_leaks_are_a_page_that_opens(opened, fingerprints, most_bytes):
    """Of 300 fingerprints and of as many as leaks: a few megabytes, a bounded number of elements, and search works."""
    report = documents.many(10_000, fingerprints)
    assert len(formats.render("html", report).encode()) < most_bytes
    window = opened(report)
    assert run(window, "document.querySelectorAll('*').length") < 110_000
    assert len(shown(window)) == fingerprints
    window.find_element("id", "search").send_keys("open_250")
    browser.until(lambda: len(shown(window)) < fingerprints)
    assert "app/part_56.py:260 in open_250" in shown(window)


# -- of a real run

REAL = """
import pytest, threading
KEPT = []

@pytest.fixture(scope="module")
def wide():
    KEPT.append(open(__file__))
    yield

def test_one(wide):
    KEPT.append(open(__file__))

def test_two(tmp_path):
    open(tmp_path / "x", "w")
"""


def test_the_page_of_a_real_run_shows_its_leaks(opened, alone, pytester, window):
    """Written by pytest itself, with source lines, holders and a timeline."""
    pytester.makepyfile(test_real=REAL)
    alone("--leakguard-report=html:page.html")
    window.get((Path(pytester.path) / "page.html").as_uri())
    assert texts(window, ".verdict") == ["3 leaks"]
    open_all(window)
    entries = "\n".join(texts(window, ".leak"))
    assert "module test_real, global `KEPT`" in entries
    assert "fixture 'wide' (module scope)" in entries
    hits = [" ".join(line.split()[1:]) for line in texts(window, "pre .hit")]
    assert sorted(hits) == ["KEPT.append(open(__file__))", "KEPT.append(open(__file__))", 'open(tmp_path / "x", "w")']
    assert run(window, "document.querySelectorAll('.chart path.run-line').length") == 4
    assert sys.executable not in run(window, "document.documentElement.outerHTML")
