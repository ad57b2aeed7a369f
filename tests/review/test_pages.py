"""Every page through an in-process client: parsed, its links followed, nothing inline, nothing let in."""

from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import cv2
import numpy as np
import pytest
from sqlalchemy import select, update
from starlette.testclient import TestClient

from catalog.models import FilmRow, TakeRow, TakeState
from restar.errors import UsageError
from review.guards import POLICY, refuse_other_hosts
from tasks.house import House
from tests.review.world import LENGTHS, read_number

VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
SVG = {"path", "rect", "line", "circle", "polyline"}


class Page(HTMLParser):
    """A page that has to be well-formed; its title, links, what it loads, and what is inline."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.title, self.text = "", ""
        self.links: list[str] = []
        self.loads: list[str] = []
        self.inline: list[str] = []
        self.ids: list[str] = []
        self.unnamed: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], "tags that are never closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        assert len(given) == len(attrs), f"<{tag}> has an attribute twice"
        self.links += [given["href"]] if tag == "a" and "href" in given else []
        self.loads += [
            given[n] for n in ("src", "href") if n in given and tag in {"img", "script", "link"}
        ]
        self.loads += (
            [given["hx-get"]] if "hx-get" in given and "load" in given.get("hx-trigger", "") else []
        )
        self.inline += [f"<{tag} {n}>" for n in given if n == "style" or n.startswith("on")]
        self.inline += (
            [f"<{tag}>"] if tag == "style" or (tag == "script" and "src" not in given) else []
        )
        self.ids += [given["id"]] if "id" in given else []
        self.unnamed += ["img without alt"] if tag == "img" and "alt" not in given else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        if self.open[-2:] == ["head", "title"]:
            self.title += data
        self.text += data


def page_of(client: TestClient, path: str, status: int = 200) -> Page:
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    page = Page(answer.text)
    assert page.inline == [], path
    assert page.unnamed == [], path
    assert len(page.ids) == len(set(page.ids)), f"{path}: an id twice"
    return page


def pages(rid: str) -> list[str]:
    return ["/", "/queue", "/me", f"/r/{rid}/", f"/r/{rid}/scene/1", f"/r/{rid}/scene/3",
            "/?show=decide&sort=title", "/?q=nothing+here"]  # fmt: skip


def test_every_page_is_well_formed_and_has_a_title(client: TestClient, rid: str) -> None:
    titles = {path: page_of(client, path).title for path in pages(rid)}
    assert all(title.endswith("· restar") for title in titles.values())
    assert titles[f"/r/{rid}/scene/3"] == "Scene 3, Numbers <b>&amp; · restar"  # escaped once


def test_all_links_and_loads_lead_somewhere(client: TestClient, rid: str) -> None:
    seen: set[str] = set()
    todo = pages(rid)
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = client.get(path)
        assert answer.status_code in {200, 206}, f"{path}: {answer.status_code} {answer.text[:200]}"
        kind = answer.headers["content-type"]
        if not kind.startswith("text/html") or path.startswith("/master/"):
            continue
        page = Page(answer.text)
        for link in [*page.links, *page.loads]:
            to = urlsplit(urljoin(f"http://127.0.0.1{path}", link))
            assert to.hostname == "127.0.0.1", f"{path} leads away to {link}"
            fields = {"chart": "metric=psnr-to-source", "provenance": "frame=0"}  # of their forms
            query = to.query or fields.get(to.path.rpartition("/")[2], "")
            place = to.path + (f"?{query}" if query else "")
            if "#main" not in link and "/static/" not in place:
                todo.append(place)
    assert len(seen) > 25
    assert any("/master/" in path for path in seen)


def test_the_overview_finds_filters_and_counts(client: TestClient) -> None:
    page = page_of(client, "/")
    assert "1 film" in page.text
    assert "Numbers <b>&amp;" in page.text
    assert f"{len(LENGTHS)}/{len(LENGTHS)} scenes" in page.text.replace("\n", "")
    assert "to decide" in page.text
    counts = {"q=A-17": 1, "q=numb": 1, "q=numbers.mp4": 1, "q=%25": 0, "show=failed": 0,
              "show=work": 0, "show=decide": 1, "show=done": 1, "page=999": 1}  # fmt: skip
    for query, found in counts.items():
        assert f"{found} film" in page_of(client, f"/?{query}").text, query


def test_runs_are_told_by_where_their_masters_go(client: TestClient, furnished: Any) -> None:
    page = Page(client.get("/runs").text)
    masters = str(furnished[0] / "masters")
    assert masters in page.text
    (link,) = page.links
    assert "1 film" in page_of(client, link).text
    assert masters in page_of(client, link).text
    for other in (masters[:-1], str(furnished[0]), "%", masters + "/deeper"):
        assert "0 films" in page_of(client, f"/?folder={quote(other)}").text, other


def test_a_film_shows_scenes_flags_masters_and_their_conformance(
    client: TestClient, rid: str
) -> None:
    page = page_of(client, f"/r/{rid}/")
    assert sum(one.startswith("scene-") for one in page.ids) == len(LENGTHS)
    assert "psnr-to-source" in page.text
    assert "numbers.double.mkv" in page.text
    assert "every frame decoded again" in page.text
    chart = client.get(f"/r/{rid}/chart?metric=psnr-to-source").text
    assert "<polyline" in chart
    assert 'class="limit"' in chart or 'class="bad"' in chart
    assert client.get(f"/r/{rid}/chart?metric=nonsense").status_code == 200


def test_a_scene_shows_scores_differences_and_where_it_comes_from(
    client: TestClient, rid: str
) -> None:
    page = page_of(client, f"/r/{rid}/scene/2")
    for words in (
        "psnr-to-source",
        "against resize",
        "steps 1.options.scale",
        "In what the takes differ",
    ):
        assert words in page.text
    frame = LENGTHS[0] + 3
    story = client.get(f"/r/{rid}/scene/2/provenance?frame={frame}").text
    for words in (f"{frame} of the film, 3 of the scene", "numbers.mp4", "as ingested", "as made",
                  "resize (algorithm", "no model", "restoration", "numbers.double.mkv"):  # fmt: skip
        assert words in story
    assert "<svg" in client.get(f"/r/{rid}/scene/2/chart?metric=psnr-to-source").text


def test_what_is_not_there_is_said(client: TestClient, house: House, rid: str) -> None:
    with house.catalog.begin() as session:
        session.execute(update(TakeRow).values(state=TakeState.LOST))
        session.execute(update(FilmRow).values(paths=["/gone/numbers.mp4"]))
        film = session.scalars(select(FilmRow.id)).one()
    assert f"0/{len(LENGTHS)}" in page_of(client, f"/r/{rid}/").text
    assert "No take yet" in page_of(client, f"/r/{rid}/scene/2").text
    assert "none yet" in client.get(f"/r/{rid}/scene/2/provenance?frame=212").text
    answer = client.get(f"/still/film/{film}/77/s.jpg", headers={"accept": "image/*"})
    assert answer.status_code == 404
    assert "no longer at /gone/numbers.mp4" in answer.text
    with house.catalog.begin() as session:
        session.execute(update(TakeRow).values(state=TakeState.OK))
        take = session.scalars(select(TakeRow).order_by(TakeRow.id)).first()
        assert take is not None
        (house.store.root / "objects" / take.sha256[:2] / take.sha256).rename(
            house.store.root / "x"
        )
    try:
        answer = client.get(f"/still/take/{take.id}/{take.start + 5}/m.jpg")
        assert (answer.status_code, "missing" in answer.text) == (404, True)
    finally:
        (house.store.root / "x").rename(
            house.store.root / "objects" / take.sha256[:2] / take.sha256
        )


@pytest.mark.parametrize("frame", [0, 1, 49, 50, 51, 209, 210, sum(LENGTHS) - 1])
def test_stills_are_the_frames_that_were_asked_for(
    client: TestClient, house: House, rid: str, frame: int
) -> None:
    with house.catalog.read() as session:
        from catalog.models import RestorationRow
        from catalog.restorations import restoration_scenes, selected_takes

        film = session.get_one(RestorationRow, rid).film_id
        takes = selected_takes(session, rid)
        number = next(
            s.number for s in restoration_scenes(session, rid) if s.start <= frame < s.end
        )
    shown = [
        f"/still/film/{film}/{frame}",
        f"/still/take/{takes[number].id}/{frame}",
        f"/still/resize/{rid}/{frame}",
    ]
    for path in shown:
        for name in ("full.png", "s.jpg", "m.jpg", "l.jpg"):
            answer = client.get(f"{path}/{name}")
            assert answer.status_code == 200, answer.text
            assert "immutable" in answer.headers["cache-control"]
            picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
            assert read_number(picture) == frame, f"{path}/{name}"


def test_files_come_in_ranges(client: TestClient, rid: str) -> None:
    sides = client.get(f"/r/{rid}/scene/1/sides").json()["sides"]
    assert {"source", "resize"} < set(sides)
    for sha256 in sides.values():
        index = client.get(f"/proxy/{sha256}.json").json()
        assert index["frames"] == LENGTHS[0]
        first = f"bytes={index['at'][0]}-{index['at'][0] + index['size'][0] - 1}"
        answer = client.get(f"/proxy/{sha256}.mp4", headers={"range": first})
        assert answer.status_code == 206
        assert len(answer.content) == index["size"][0]
        whole = client.get(f"/proxy/{sha256}.mp4")
        assert whole.status_code == 200
        assert whole.headers["accept-ranges"] == "bytes"
        assert (
            client.get(f"/proxy/{sha256}.mp4", headers={"range": "bytes=99999999-"}).status_code
            == 416
        )


def test_no_path_of_a_request_reaches_the_files(client: TestClient, rid: str) -> None:
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py",
                 "/proxy/..%2f..%2fcatalog.sqlite.mp4", "/still/film/../../etc/passwd/0/s.jpg",
                 f"/still/film/{'a' * 64}/0/xl.jpg", "/still/take/1/0/..%2fs.jpg",
                 f"/master/{'0' * 64}/master", f"/master/{'0' * 64}/..%2fcatalog", "/r/../../x/",
                 f"/r/{rid}/scene/0", f"/r/{rid}/scene/99", f"/r/{'0' * 64}/",
                 "/still/take/99999/0/s.jpg", f"/heat/{rid}/1/no-such/0.json"):  # fmt: skip
        answer = client.get(path)
        assert answer.status_code == 404, f"{path}: {answer.status_code}"
        assert answer.headers["content-security-policy"] == POLICY


def test_who_asks_from_elsewhere_is_refused(client: TestClient, rid: str) -> None:
    for host in ("evil.example", "evil.example:8765", "192.168.1.4", "127.0.0.1.evil.example", ""):
        assert client.get("/", headers={"host": host}).status_code == 403, host
    for host in ("localhost:8765", "[::1]:8765", "127.0.0.9"):
        assert client.get("/", headers={"host": host}).status_code == 200, host
    form = f"/r/{rid}/scene/1/accept"
    for headers in ({"origin": "http://evil.example"}, {"origin": "null"},
                    {"origin": "http://127.0.0.1:9999"}, {"sec-fetch-site": "cross-site"}):  # fmt: skip
        answer = client.post(form, data={"take": "1", "seen": "x"}, headers=headers)
        assert answer.status_code == 403, headers


def test_it_listens_on_this_machine_only() -> None:
    for host in ("127.0.0.1", "::1", "localhost"):
        refuse_other_hosts(host)
    for host in ("0.0.0.0", "::", "192.168.0.7", "archive.example", ""):  # noqa: S104
        with pytest.raises(UsageError, match="on this machine only"):
            refuse_other_hosts(host)


def test_rights_decide_what_is_given_out(client: TestClient, house: House, rid: str) -> None:
    master = next(
        link for link in Page(client.get(f"/r/{rid}/").text).links if link.startswith("/master/")
    )
    answer = client.get(master, headers={"range": "bytes=0-99"})
    assert (answer.status_code, len(answer.content)) == (206, 100)
    assert "attachment" in answer.headers["content-disposition"]
    with house.catalog.begin() as session:
        for film in session.query(FilmRow):
            film.rights = "Restricted until 2040"
    assert client.get(master).status_code == 404
    page = Page(client.get(f"/r/{rid}/").text)
    assert not any(link.startswith("/master/") for link in page.links)
    assert "Restricted until 2040" in page.text


def test_a_name_is_kept_and_clean(client: TestClient) -> None:
    client.post("/me", data={"name": " Änne\x00 \n <b>K.  "})
    assert "Änne <b>K." in Page(client.get("/").text).text
    client.post("/me", data={"name": ""})
    assert "tester" in Page(client.get("/").text).text


def test_too_large_a_form_is_refused(client: TestClient, rid: str) -> None:
    answer = client.post(f"/r/{rid}/scene/1/reject", data={"seen": "x", "reason": "x" * 100_000})
    assert answer.status_code == 404
    assert "too much text" in answer.text


def test_maps_of_any_frame(client: TestClient, house: House, rid: str) -> None:
    from catalog.restorations import selected_takes

    with house.catalog.read() as session:
        take = selected_takes(session, rid)[1].id
    found = client.get(f"/heat/{rid}/{take}/psnr-to-source/17.json").json()
    assert (found["frame"], found["better"], found["unit"]) == (17, "higher", "dB")
    assert len(found["heat"]) == 9
    assert len(found["heat"][0]) == 12
    assert client.get(f"/heat/{rid}/{take}/psnr-to-source/999.json").status_code == 404
