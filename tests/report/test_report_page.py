"""The page as Chromium shows it. The browser's own content policy is switched off where escaping is what is tested."""

import json
import re
import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from saddlepoint.errors import InputError
from saddlepoint.recipe import load
from saddlepoint.report.page import write_report
from saddlepoint.training.pictures import write_png
from tests.report.chromium import Tab, chromium
from tests.report.run_folders import ENVIRONMENT, VALUES, progress, start, write_run

UPDATES = range(50, 1001, 50)

ATTACKS = (
    "<script>window.hacked = 1</script>",
    "\"><img src=x onerror='window.hacked = 2'>",
    "'><svg onload='window.hacked = 3'>",
    "</pre></code></style><iframe srcdoc='<script>parent.hacked = 4</script>'>",
    "</script><script>window.hacked = 5</script>",
    "<a href='javascript:window.hacked = 6' id=lure>https://example.invalid/lure</a>",
    "&lt;b&gt; stays &amp; as it is",
)


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    events = [start(), *map(progress, UPDATES), {"event": "done", "update": 1000}]
    return write_run(tmp_path / "dcgan-digits-1", events, pictures=range(0, 1001, 250))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("points", [False, True], ids=["images", "points"])
def test_nothing_sticks_out_and_all_words_have_contrast(tmp_path: Path, tab: Tab, points: bool, width: int, scheme: str) -> None:
    # Long words without a place to break come from users: paths, terms, class names.
    environment = ENVIRONMENT | {"data": {"name": "x" * 150, "digest": "f" * 64, "found": ["y" * 400]}}
    warnings = [{"event": "warning", "update": 1, "message": "z" * 300}, {"event": "diverged", "update": 1000, "term": "w" * 300}]
    events = [start(), *map(progress, UPDATES), progress(1000, {f"discriminator/{'v' * 150}": 1e-5}), *warnings]
    run = write_run(tmp_path / ("n" * 120), events, environment=environment, pictures=(0, 500, 1000), points=points)
    tab.show(write_report(run), width, scheme=scheme)
    assert tab.logs == []
    assert tab.ask("innerWidth") == width
    assert tab.ask("document.documentElement.scrollWidth") <= width
    assert tab.ask(STICKING_OUT) == []
    background = tab.ask("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background))) < 150) is (scheme == "dark")
    assert tab.ask(CONTRASTS) == []
    assert tab.ask("document.querySelectorAll('figure.chart').length") == 19


def test_the_page_loads_nothing(finished: Path, tab: Tab) -> None:
    page = write_report(finished)
    assert page == finished / "report.html"
    alone = finished.parent / "elsewhere" / "page.html"
    alone.parent.mkdir()
    shutil.move(page, alone)
    shutil.rmtree(finished)
    tab.show(alone, 1400)
    assert [address for address in tab.requests if not address.startswith("data:")] == [alone.as_uri()]
    assert tab.ask("[...document.images].filter(image => !image.complete || image.naturalWidth === 0).length") == 0
    assert tab.ask("[...document.images].length") == 5
    assert not re.search(r"(src|href|srcset|action)=(?![\"']?(data:|#))|url\(|@import|<link|<iframe|<object", alone.read_text())


def test_hostile_words_stay_words(tmp_path: Path, tab: Tab) -> None:
    everything = " ".join(ATTACKS)
    environment: dict[str, Any] = {
        "format": 1,
        "sessions": [
            {
                "started_at_update": everything,
                "date": everything,
                "command": f"saddlepoint train {everything}",
                "versions": {everything: everything},
                "threads": everything,
                "device": everything,
                "machine": everything,
            }
        ],
        "data": {"name": everything, "digest": everything, "found": list(ATTACKS)},
    }
    values: dict[str, float | str] = {f"discriminator/penalty {everything}": 1.0, f"{everything}/loss": 2.0, everything: 3.0}
    values |= {f"discriminator/score {everything}": 0.1, f"generator/{everything}/{everything}": 0.5}
    events = [
        {"event": "start", "update": 0, "parameters": {everything: 7}},
        *(progress(update, values) for update in UPDATES),
        {"event": "warning", "update": 3, "message": everything},
        {"event": "diverged", "update": 1000, "term": everything},
    ]
    recipe = json.dumps(
        {"data": {"name": everything, "resolution": 8}, "objective": {"name": everything}, "seed": everything, "x": ATTACKS}
    )
    name = "<img src=x onerror='window.hacked=7'><script>window.hacked=8<" + chr(92) + "script>"
    run = write_run(tmp_path / name, events, recipe=recipe, environment=environment, pictures=(0, 500))
    (run / "samples" / "000700.png").write_bytes(everything.encode())
    page = write_report(run)

    tab.call("Page.setBypassCSP", enabled=True)
    try:
        tab.show(page, 1400)
        tab.ask("new Promise(done => setTimeout(done, 300))")
        assert tab.ask("window.hacked") is None
        assert tab.logs == []
        assert [address for address in tab.requests if not address.startswith("data:")] == [page.as_uri()]
        assert tab.ask(
            "[document.scripts.length, document.images.length, document.querySelectorAll('iframe, object, b, #lure').length]"
        ) == [1, 2, 2]
        assert tab.ask("document.querySelectorAll('svg').length") == tab.ask("document.querySelectorAll('.plot').length") == 6
        assert (
            tab.ask("[...document.querySelectorAll('*')].filter(e => e.getAttributeNames().some(n => n.startsWith('on'))).length")
            == 0
        )
        text = tab.ask("document.body.textContent")
        assert all(attack in text for attack in ATTACKS)
        assert tab.ask("document.title").startswith(name)
        assert tab.ask("document.querySelector('h1').textContent") == name
        # Reading out puts the words into the page once more.
        tab.ask("document.querySelector('.plot').focus()")
        tab.press("Home")
        assert tab.ask("window.hacked") is None
    finally:
        tab.call("Page.setBypassCSP", enabled=False)


def test_only_our_own_script_may_run(finished: Path, tab: Tab) -> None:
    page = write_report(finished)
    page.write_text(page.read_text().replace("<main>", f"<main>{ATTACKS[0]}{ATTACKS[2]}<img src='http://127.0.0.1:9/x.png'>"))
    tab.show(page, 1400)
    tab.ask("new Promise(done => setTimeout(done, 200))")
    assert tab.ask("window.hacked") is None
    assert tab.ask("document.querySelector('.slider input').getAttribute('aria-valuetext')") == "update 1,000"
    assert "Content Security Policy" in " ".join(tab.logs)


def test_the_slider_reaches_every_picture_by_key(finished: Path, tab: Tab) -> None:
    tab.show(write_report(finished), 400)
    tab.ask("document.querySelector('.slider input').focus()")
    assert tab.ask(SHOWN) == ["1000"]
    tab.press("Home")
    seen = []
    for _ in range(5):
        seen += tab.ask(SHOWN)
        update = f"{int(seen[-1]):,}"
        assert tab.ask("document.querySelector('.slider output').textContent") == f"update {update}"
        assert tab.ask("document.querySelector('.slider input').getAttribute('aria-valuetext')") == f"update {update}"
        assert (
            tab.ask("[...document.querySelectorAll('.frames img')].find(image => !image.hidden).alt")
            == f"Samples at update {update}"
        )
        tab.press("ArrowRight")
    assert seen == ["0", "250", "500", "750", "1000"]


def test_play_shows_every_picture_and_stops(finished: Path, tab: Tab) -> None:
    tab.show(write_report(finished), 1400)
    seen = tab.ask(
        """new Promise(done => {
             const seen = [], frames = document.querySelector('.frames'), button = document.querySelector('.slider button');
             new MutationObserver(() => {
               const shown = [...frames.children].filter(image => !image.hidden);
               if (shown.length === 1 && seen.at(-1) !== shown[0].dataset.update) seen.push(shown[0].dataset.update);
             }).observe(frames, {attributes: true, subtree: true});
             button.click();
             const wait = setInterval(() => { if (button.textContent === 'Play') { clearInterval(wait); done(seen); } }, 50);
           })"""
    )
    assert seen == ["0", "250", "500", "750", "1000"]


def test_many_pictures_are_thinned_and_the_page_stays_small(tmp_path: Path, tab: Tab) -> None:
    run = write_run(tmp_path / "run", [progress(50)], pictures=())
    write_png(Image.fromarray(torch.randint(256, (200, 200, 3), dtype=torch.uint8).numpy()), run / "samples" / "000000.png")
    for update in range(10, 1500, 10):
        (run / "samples" / f"{update:06d}.png").hardlink_to(run / "samples" / "000000.png")
    (run / "samples" / "grid-seed0.png").write_text("what `saddlepoint sample` writes is not a frame")
    page = write_report(run)
    assert page.stat().st_size < 10_000_000
    tab.show(page, 1400)
    frames = tab.ask("[...document.querySelectorAll('.frames img')].map(image => Number(image.dataset.update))")
    assert len(frames) == 40
    assert (frames[0], frames[-1]) == (0, 1490)
    assert tab.ask("document.querySelector('.slider input').max") == "39"
    assert tab.ask("[...document.images].filter(image => image.naturalWidth === 0).length") == 0


def test_reading_a_curve_by_key_and_by_pointer(finished: Path, tab: Tab) -> None:
    tab.show(write_report(finished), 1400)
    first, last = (progress(update)["values"] for update in (50, 1000))
    assert [float(text) for text in tab.ask(READ_OUT)] == pytest.approx([last[name] for name in VALUES[:3]], rel=1e-3)
    tab.ask("document.querySelector('.plot').focus()")
    tab.press("Home")
    assert [float(text) for text in tab.ask(READ_OUT)] == pytest.approx([first[name] for name in VALUES[:3]], rel=1e-3)
    assert set(tab.ask("[...document.querySelectorAll('.chart .at')].map(at => at.textContent)")) == {"update 50"}
    tab.press("ArrowRight")
    assert tab.ask("document.querySelector('.chart .at').textContent") == "update 100"
    tab.ask("document.activeElement.blur()")
    assert tab.ask("document.querySelector('.chart .at').textContent") == ""

    tab.ask("document.querySelector('.area').scrollIntoView({block: 'center'})")
    box = tab.ask(
        "(({left, top, width, height}) => ({left, top, width, height}))(document.querySelector('.area').getBoundingClientRect())"
    )
    tab.point(box["left"] + box["width"] * 0.302, box["top"] + box["height"] / 2)
    assert tab.ask("document.querySelector('.chart .at').textContent") == "update 300"
    left = tab.ask("document.querySelector('.cursor').getBoundingClientRect().left")
    assert left == pytest.approx(box["left"] + box["width"] * 0.3, abs=1)


def test_how_to_repeat_it_is_exact(finished: Path, tab: Tab) -> None:
    tab.show(write_report(finished), 1400)
    commands = tab.ask("[...document.querySelectorAll('.command code')].map(code => code.textContent)")
    assert commands == ["saddlepoint train dcgan data=digits", f"saddlepoint train {finished}/recipe.yaml"]
    assert tab.ask("document.querySelector('#repeat pre').textContent") == (finished / "recipe.yaml").read_text()
    facts = tab.ask("document.querySelector('#repeat .keys').textContent")
    assert load(finished / "recipe.yaml").digest() in facts
    assert "b3c1f0a99d1e" in facts


def test_a_run_in_the_plane_is_animated(tmp_path: Path, tab: Tab) -> None:
    run = write_run(tmp_path / "run", [progress(50)], pictures=(0, 500, 1000), points=True)
    page = write_report(run)
    assert (run / "samples" / "training.gif").is_file()
    tab.show(page, 1400)
    moving = "document.querySelector('.animation img').currentSrc.slice(0, 14)"
    assert tab.ask(moving) == "data:image/gif"
    tab.show(page, 1400, motion="reduce")
    assert tab.ask(moving) == "data:image/png"
    (run / "samples" / "training.gif").unlink()
    write_report(run, tmp_path / "elsewhere.html")
    assert not (run / "samples" / "training.gif").exists()


def test_an_unfinished_run_says_how_to_go_on(tmp_path: Path, tab: Tab) -> None:
    run = write_run(tmp_path / "my run", [start(), progress(50)])
    with (run / "events.jsonl").open("a") as file:
        file.write('{"event": "progress", "upd')
    tab.show(write_report(run), 400)
    assert tab.ask("document.querySelector('.status').textContent") == "unfinished: 50 of 1,000 updates"
    assert f"saddlepoint resume '{run}'" in tab.ask("document.querySelector('#repeat').textContent")
    assert "No samples have been drawn yet." in tab.ask("document.querySelector('#samples').textContent")
    assert tab.ask("document.querySelectorAll('.notice').length") == 0


def test_a_diverged_run_says_what_and_where(tmp_path: Path, tab: Tab) -> None:
    broken = {"discriminator/loss": "inf", "discriminator/penalty gradient": "nan"}
    diverged = {"event": "diverged", "update": 107, "term": "discriminator/penalty gradient"}
    run = write_run(tmp_path / "run", [start(), progress(50), progress(100, broken), diverged], pictures=(0,))
    tab.show(write_report(run), 1400)
    assert tab.ask("document.querySelector('.status').textContent") == "diverged"
    alert = tab.ask("document.querySelector('[role=alert]').textContent")
    assert alert.startswith("Diverged at update 107: discriminator/penalty gradient stopped being finite.")
    charts, ends = tab.ask("[document.querySelectorAll('.chart').length, document.querySelectorAll('line.end').length]")
    assert charts == ends > 10
    assert "1 value is not finite, first at update 100." in tab.ask("document.querySelector('#curves').textContent")


def test_a_bare_folder_has_a_page_too(tmp_path: Path, tab: Tab) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "events.jsonl").write_text("")
    tab.show(write_report(run), 400)
    assert tab.logs == []
    assert tab.ask("document.querySelector('.status').textContent") == "unfinished: 0 updates"
    warnings = tab.ask("[...document.querySelectorAll('.notice li')].map(item => item.textContent)")
    assert [warning.split(":")[0] for warning in warnings] == ["recipe.yaml", "environment.json"]
    assert "No progress has been logged yet." in tab.ask("document.querySelector('#curves').textContent")


def test_what_cannot_be_read_is_named(tmp_path: Path, tab: Tab) -> None:
    run = write_run(tmp_path / "run", [progress(50)], recipe="objektive: vanilla\n", pictures=(0,))
    (run / "samples" / "000100.png").write_text("no picture")
    (run / "samples" / "000200.png").write_bytes((run / "samples" / "000000.png").read_bytes()[:-40])
    (run / "samples" / "000300.png").write_bytes(claimed_size(20_000, 20_000))
    with (run / "events.jsonl").open("a") as file:
        file.write("{damaged\n" + json.dumps(progress(100)) + "\n")
    tab.show(write_report(run), 1400)
    warnings = tab.ask("[...document.querySelectorAll('.notice li')].map(item => item.textContent)")
    assert len(warnings) == 5
    assert all(
        any(part in warning for warning in warnings) for part in ("000100", "000200", "000300", "objektive", "1 line is damaged")
    )
    assert tab.ask("document.querySelectorAll('.frames img').length") == 1


def test_a_page_that_cannot_be_written_is_one_line(finished: Path) -> None:
    with pytest.raises(InputError, match=r"missing/page\.html: cannot be written") as refusal:
        write_report(finished, finished / "missing" / "page.html")
    assert len(refusal.value.problems) == 1
    with pytest.raises(InputError, match="not a run folder"):
        write_report(finished / "samples")


def test_the_same_folder_gives_the_same_page(finished: Path) -> None:
    assert write_report(finished).read_bytes() == write_report(finished).read_bytes()


def claimed_size(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims a size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


SHOWN = "[...document.querySelectorAll('.frames img')].filter(image => !image.hidden).map(image => image.dataset.update)"

READ_OUT = "[...document.querySelector('.chart').querySelectorAll('.legend output')].map(output => output.textContent)"

# Elements whose box leaves the window sideways; what scrolls or is cut inside its own box is measured by that box.
STICKING_OUT = """
[...document.querySelectorAll('body *')].filter(element => {
  if (element.closest('svg')) return false;
  const box = element.getBoundingClientRect();
  return box.width > 0 && (box.left < -0.5 || box.right > document.documentElement.clientWidth + 0.5);
}).map(element => element.outerHTML.slice(0, 80))
"""

# Texts whose contrast with the nearest background is below WCAG's 4.5 : 1.
CONTRASTS = """
(() => {
  const channels = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = colour => {
    const [r, g, b] = channels(colour).map(c => { c /= 255; return c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4; });
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (channels(colour).length === 3 || channels(colour)[3] > .99) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  return [...document.querySelectorAll('body *')].filter(element =>
    !['SCRIPT', 'STYLE'].includes(element.tagName) && [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim())
  ).map(element => {
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))].sort((x, y) => y - x);
    return [(a + .05) / (b + .05), element.outerHTML.slice(0, 80)];
  }).filter(([contrast]) => contrast < 4.5);
})()
"""
