"""A real browser: the two sides show the same frame whatever is done, and a person finds what they need.

Chromium is Debian's (`apt-get install chromium`). The frame numbers that are painted on the film are read
back from the pixels of both canvases, not from what the page says of them.
"""

import itertools
import random
import shutil
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from catalog.decisions import accept, seen_of
from catalog.restorations import selected_takes
from review.server import Room, listen
from tasks.house import House
from tests.review.world import LENGTHS, squares

# Reads both canvases at one moment: the number painted on each, and what the page says of it.
READ = """squares => {
  const read = (name) => {
    const canvas = document.querySelector(`[data-canvas=${name}]`);
    const ink = canvas.getContext("2d");
    let number = 0;
    squares.forEach(([x, y], bit) => {
      const at = [Math.floor(x * canvas.width), Math.floor(y * canvas.height)];
      const [r, g, b] = ink.getImageData(...at, 1, 1).data;
      if (r + g + b > 381) number |= 1 << bit;
    });
    return [number, Number(canvas.dataset.frame), canvas.width];
  };
  return [read("a"), read("b")];
}"""
WATCH = f"""squares => {{
  const read = {READ};
  window.seen = [];
  const look = () => {{ window.seen.push(read(squares)); window.look = requestAnimationFrame(look); }};
  look();
}}"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        with playwright.chromium.launch(executable_path=program, args=arguments) as opened:
            yield opened


@pytest.fixture
def address(house: House) -> Iterator[str]:
    """The room, served as `restar review` serves it."""
    listener = listen("127.0.0.1", 0)
    server = Room(house)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on(
        "console",
        lambda said: (
            errors.append(said.text) if said.type == "error" and "409" not in said.text else None
        ),
    )
    opened.set_default_timeout(20_000)
    yield opened
    context.close()
    assert errors == []


def read(page: Page) -> list[list[int]]:
    found: list[list[int]] = page.evaluate(READ, squares())
    return found


def wait_for_frame(page: Page, frame: int) -> None:
    page.wait_for_function(
        "n => ['a', 'b'].every(k => document.querySelector(`[data-canvas=${k}]`).dataset.frame == n)",
        arg=frame,
    )


def open_scene(page: Page, address: str, rid: str, number: int = 1, query: str = "") -> None:
    page.goto(f"{address}/r/{rid}/scene/{number}{query}")
    page.wait_for_selector("[data-canvas=b][data-frame]")


def test_both_sides_show_the_same_frame_over_200_steps(page: Page, address: str, rid: str) -> None:
    open_scene(page, address, rid)
    for frame in range(1, 201):
        page.keyboard.press("ArrowRight")
        wait_for_frame(page, frame)
        (a, told_a, width_a), (b, told_b, width_b) = read(page)
        assert (a, b, told_a, told_b) == (frame,) * 4
        assert (width_a, width_b) == (128, 256)  # source and take, each in its own pixels
    page.keyboard.press("Shift+ArrowLeft")
    wait_for_frame(page, 190)
    page.keyboard.press("Home")
    wait_for_frame(page, 0)
    page.keyboard.press("End")
    wait_for_frame(page, LENGTHS[0] - 1)
    assert [one[0] for one in read(page)] == [LENGTHS[0] - 1] * 2


def test_a_scrub_never_shows_two_frames(page: Page, address: str, rid: str) -> None:
    open_scene(page, address, rid)
    page.evaluate(WATCH, squares())
    random.seed(5)
    wanted = [random.randrange(LENGTHS[0]) for _ in range(120)]  # noqa: S311
    page.evaluate(
        """async (wanted) => {
          const bar = document.querySelector("[data-scrub]");
          for (const frame of wanted) {
            bar.value = frame;
            bar.dispatchEvent(new Event("input", { bubbles: true }));
            await new Promise((next) => setTimeout(next, 12));
          }
        }""",
        wanted,
    )
    wait_for_frame(page, wanted[-1])
    page.wait_for_selector("[data-exact]:not([hidden])")  # at rest: the files' own pixels
    seen = page.evaluate("window.seen")
    assert all(a[0] == b[0] == a[1] == b[1] for a, b in seen)
    assert len({a[0] for a, _ in seen}) > 10
    assert [one[0] for one in read(page)] == [wanted[-1]] * 2


def test_playing_keeps_step_and_loops(page: Page, address: str, rid: str) -> None:
    open_scene(page, address, rid, query="?frame=100&a=resize")
    for key in ("]", "Home", ",", "Space"):  # loop 0-100, half speed
        page.keyboard.press(key)
    page.evaluate(WATCH, squares())
    page.wait_for_function(
        "() => window.seen.length > 90 && new Set(window.seen.map(([a]) => a[0])).size > 25"
    )
    page.keyboard.press("Space")
    seen = page.evaluate("window.seen")
    assert all(a[0] == b[0] == a[1] == b[1] for a, b in seen)
    shown = [a[0] for a, _ in seen]
    steps = [after - before for before, after in itertools.pairwise(shown) if after != before]
    assert max(shown) <= 100
    assert all(step > 0 or step < -50 for step in steps), steps  # on, or round the loop
    assert page.evaluate("document.querySelector('[data-side=a]').value") == "resize"


def test_proxy_and_exact_pixels_have_the_same_colours(page: Page, address: str, rid: str) -> None:
    open_scene(page, address, rid)
    colour = """() => ['a', 'b'].map((name) => {
      const canvas = document.querySelector(`[data-canvas=${name}]`);
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      const sums = [0, 0, 0];
      for (let n = 0; n < data.length; n += 4) for (const c of [0, 1, 2]) sums[c] += data[n + c];
      return sums.map((sum) => sum / (data.length / 4));
    })"""
    page.evaluate(f"""() => {{
      const colour = {colour};
      const bar = document.querySelector('[data-scrub]');
      document.querySelector('[data-exact]').hidden = true;
      window.moving = new Promise((done) => {{
        const look = () => document.querySelector('[data-canvas=b]').dataset.frame === '60'
          ? done([colour(), document.querySelector('[data-exact]').hidden]) : requestAnimationFrame(look);
        bar.value = 60;
        bar.dispatchEvent(new Event('input', {{ bubbles: true }}));
        look();
      }});
    }}""")
    moving, not_exact = page.evaluate("window.moving")
    page.wait_for_selector("[data-exact]:not([hidden])")
    assert not_exact, "the proxy was to be looked at"
    for ours, theirs in zip(moving, page.evaluate(colour), strict=True):
        # another matrix would be 12 off here, another range 10
        assert max(abs(x - y) for x, y in zip(ours, theirs, strict=True)) < 3


def test_split_keys_and_modes(page: Page, address: str, rid: str) -> None:
    open_scene(page, address, rid, query="?frame=30")
    at = "getComputedStyle(document.querySelector('[data-stage]')).getPropertyValue('--at')"
    box = page.locator("[data-stage]").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 60)
    page.mouse.up()
    assert abs(float(page.evaluate(at).rstrip("%")) - 25) < 1
    page.locator("[data-split]").fill("80")
    assert page.evaluate(at) == "80%"
    mode = "document.querySelector('[data-player]').dataset.mode"
    for key, name in (
        ("f", "flicker"),
        ("1", "left"),
        ("2", "right"),
        ("d", "difference"),
        ("s", "split"),
    ):
        page.locator("[data-stage]").hover()
        page.keyboard.press(key)
        assert page.evaluate(mode) == name
        if name == "difference":
            assert page.locator("[data-canvas=diff]").is_visible()
    page.keyboard.press("x")
    wait_for_frame(page, 30)
    page.wait_for_function("() => document.querySelector('[data-canvas=a]').width === 256")
    page.keyboard.press("+")
    page.keyboard.press("Alt+ArrowLeft")
    assert "scale(1.5)" in (page.locator("[data-pan]").get_attribute("style") or "")
    page.keyboard.press("0")
    page.keyboard.press("l")
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    assert page.locator("[data-loupe]").is_visible()
    page.keyboard.press("?")
    assert page.locator("[data-help]").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("[data-help]").is_hidden()
    field = page.locator("[name=reason]").first
    field.focus()
    page.keyboard.type("soft d f ?")  # letters in a field are letters
    assert field.input_value() == "soft d f ?"
    assert page.evaluate(mode) == "split"


def test_maps_lie_over_the_frame_that_they_are_of(page: Page, address: str, rid: str) -> None:
    open_scene(page, address, rid, query="?frame=12")
    page.wait_for_selector("[data-exact]:not([hidden])")
    page.keyboard.press("o")
    heat = page.locator("[data-canvas=heat]")
    heat.wait_for()
    assert heat.get_attribute("data-frame") == "12"
    assert "fidelity on frame 12" in page.locator("[data-note]").inner_text()
    page.keyboard.press("ArrowRight")
    wait_for_frame(page, 13)
    page.wait_for_function(
        "() => document.querySelector('[data-canvas=heat]').dataset.frame === '13'"
    )
    page.keyboard.press("o")
    page.wait_for_function(
        "() => document.querySelector('[data-note]').textContent.includes('invented detail')"
    )


def test_a_click_on_the_timeline_goes_there(page: Page, address: str, rid: str) -> None:
    page.goto(f"{address}/r/{rid}/")
    page.wait_for_selector("[data-canvas=b][data-frame]")
    page.wait_for_selector("#chart svg")
    total = sum(LENGTHS)
    for place in (".strip-chart", "#chart svg"):
        box = page.locator(place).bounding_box()
        assert box is not None
        wanted = 225 if place == ".strip-chart" else 90
        part = (wanted + 0.5) / total * 1000 / 1046
        page.mouse.click(box["x"] + part * box["width"], box["y"] + box["height"] / 2)
        wait_for_frame(page, wanted)
        assert [one[0] for one in read(page)] == [wanted] * 2
    assert page.locator(".card.now").get_attribute("id") == "scene-1"
    page.keyboard.press("ArrowRight")
    wait_for_frame(page, 91)


def test_decisions_by_key_and_live_news_of_others(
    page: Page, address: str, rid: str, house: House
) -> None:
    open_scene(page, address, rid, 2)
    page.keyboard.press("a")
    page.wait_for_url("**/scene/2")
    page.locator("#decide").get_by_text("chosen by tester").wait_for()
    page.locator(".live.on").wait_for()
    time.sleep(1.2)  # the room has looked once
    with house.catalog.begin() as session:  # somebody elsewhere
        take = selected_takes(session, rid)[2].id
        accept(
            session, rid, 2, take, seen=seen_of(session, rid, 2), reviewer="Berta", reason="seen"
        )
    page.locator(".review").get_by_text("accepted by Berta").wait_for()
    page.keyboard.press("j")
    page.keyboard.type("halos at the edges")
    page.locator("[data-decide=reject]").first.click()
    page.locator(".review").get_by_text("halos at the edges").wait_for()
    page.keyboard.press("u")
    page.keyboard.type("5")
    page.get_by_role("button", name="Ask for it").click()
    page.get_by_text("restore queued").or_(page.get_by_text("caption queued")).wait_for()


def test_of_many_pages_one_listens_and_all_hear(
    page: Page, address: str, rid: str, house: House
) -> None:
    asked: list[str] = []
    context = page.context
    context.on("request", lambda one: asked.append(one.url) if one.url.endswith("/live") else None)
    pages = [page, *(context.new_page() for _ in range(7))]  # a browser keeps six connections
    for one in pages:
        one.goto(f"{address}/r/{rid}/")
        one.locator(".live.on").wait_for()
    assert len(asked) == 1
    pages[0].goto("about:blank")  # the one that listened leaves
    time.sleep(1.5)
    with house.catalog.begin() as session:
        take = selected_takes(session, rid)[1].id
        accept(session, rid, 1, take, seen=seen_of(session, rid, 1), reviewer="Berta")
    last = pages[-1]
    last.bring_to_front()
    last.locator("#scene-1").get_by_text("✓ Berta").wait_for()
    assert len(asked) == 2


def test_the_search_finds_while_one_types(page: Page, address: str) -> None:
    page.goto(address)
    page.locator("#q").fill("nothing of the kind")
    page.get_by_text("0 films for").wait_for()
    page.locator("#q").fill("A-17")
    page.get_by_text("1 film for").wait_for()
    assert "q=A-17" in page.url
    page.get_by_text("Failed").click()
    page.get_by_text("0 films").wait_for()


def test_a_clash_is_shown(page: Page, address: str, rid: str, house: House) -> None:
    open_scene(page, address, rid, 3)
    page.evaluate("document.querySelector('#decide').removeAttribute('hx-trigger')")
    page.locator("[name=reason]").first.focus()  # a form that somebody is at is left alone
    with house.catalog.begin() as session:
        take = selected_takes(session, rid)[3].id
        accept(session, rid, 3, take, seen=seen_of(session, rid, 3), reviewer="Berta")
    page.keyboard.type("no")
    page.locator("[data-decide=reject]").first.click()
    page.get_by_text("Nothing of yours was written").wait_for()
    page.get_by_text("Berta accepted").wait_for()


PLACES = ("/", "/queue", "/me", "/r/{}/", "/r/{}/scene/1", "/nowhere")


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_is_wider_than_the_screen_and_axe_finds_nothing_serious(
    browser: Browser, address: str, rid: str, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844})
    page = context.new_page()
    axe = Axe()
    for place in PLACES:
        page.goto(address + place.format(rid))
        page.wait_for_load_state("load")
        if "/r/" in place:
            page.wait_for_selector("[data-canvas=b][data-frame]")
            page.wait_for_selector("svg.scene-chart, #chart svg")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{place}: {wide} pixels wide on a screen of {width}"
        found: dict[str, Any] = axe.run(page).response
        serious = [
            (one["id"], [node["html"][:200] for node in one["nodes"]][:3])
            for one in found["violations"]
            if one["impact"] in {"serious", "critical"}
        ]
        assert serious == [], place
    context.close()
