"""A Chromium that a person could sit at: pages that fail, scripts that break and requests that leave are failures."""

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from inferhub.accounts.models import User

PASSWORD = "a long enough password"
_CHROMIUM = "chromium"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = shutil.which(_CHROMIUM)
    if path is None:
        pytest.fail("Chromium is missing: apt-get install chromium")
    arguments = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # The driver runs an event loop in this thread, where Django would refuse to speak to the database.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        chromium = playwright.chromium.launch(executable_path=path, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser, live_server: LiveServer) -> Iterator[Callable[..., Page]]:
    """Open a page of the console in a fresh session; `width` in pixels, `scheme` light or dark."""
    problems: list[str] = []
    contexts = []

    def open_one(*, width: int = 1440, scheme: str = "light") -> Page:
        context = browser.new_context(
            base_url=live_server.url, viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
        page.on("console", lambda said: _note_violation(said.text, page.url, problems))
        page.on("request", lambda request: _note_stranger(request.url, live_server.url, problems))
        page.on("response", lambda answer: _note_failure(answer.status, answer.url, problems))
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def console(open_page: Callable[..., Page], alice: User) -> Page:
    """The console, with alice signed in."""
    page = open_page()
    sign_in(page)
    return page


@pytest.fixture
def alice(transactional_db: None) -> User:
    return User.objects.create_superuser("alice", password=PASSWORD, first_name="Alice")


def sign_in(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Username").fill("alice")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def _note_violation(said: str, at: str, problems: list[str]) -> None:
    if "Content Security Policy" in said:
        problems.append(f"{at}: {said}")


def _note_stranger(url: str, own: str, problems: list[str]) -> None:
    if not url.startswith((own, "data:", "blob:")):
        problems.append(f"a request to {url}")


def _note_failure(status: int, url: str, problems: list[str]) -> None:
    if status >= 400:
        problems.append(f"{status} for {url}")
