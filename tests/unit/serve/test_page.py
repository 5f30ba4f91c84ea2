"""The page in a real browser: what a person types is answered by two models side by side."""

import json
import shutil

import pytest

from .conftest import echo, limits, refuse, running, site

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and its driver")


@pytest.fixture(scope="module")
def browser():
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    found.implicitly_wait(10)
    yield found
    found.quit()


def ask(browser, **typed):
    for name, text in typed.items():
        field = browser.find_element("id", name)
        field.clear()
        field.send_keys(text)
    browser.find_element("css selector", "button").click()


def shown(browser, side):
    """What stands under each heading of one side, once it is there."""
    browser.find_element("css selector", f"section[aria-label={side}] h2")
    return browser.find_element("css selector", f"section[aria-label={side}] > div").text


def open_page(browser, url):
    browser.get(url)
    browser.find_element("css selector", "body[data-ready]")


def test_a_query_is_answered_by_two_models_side_by_side(browser, url):
    open_page(browser, url)
    ask(browser, query="dim the troll to 5", room="hall")
    left, right = shown(browser, "left"), shown(browser, "right")
    for said in ('"level": 5', "room: hall", "the troll: a lamp", "dim\n0.750", "light / dim", " ms: retrieval"):
        assert said in left.replace(" 0.750", "\n0.750"), left
    assert "Request unclear" in right and "refusal / unclear" in right
    chosen = browser.find_element("css selector", "section[aria-label=left] tr.chosen").text
    assert chosen.startswith("dim")


def test_the_page_asks_nobody_else_and_breaks_on_nothing(browser, url):
    browser.get_log("performance")  # what came before
    open_page(browser, url)
    ask(browser, query="<img src=x onerror=alert(1)> dim to 6")
    assert '"level": 6' in shown(browser, "left")
    sent = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [one["params"]["request"]["url"] for one in sent if one["method"] == "Network.requestWillBeSent"]
    assert asked and all(one.startswith((url, "data:")) for one in asked)
    severe = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert severe == []


def test_an_error_is_shown_where_the_answer_would_stand(browser):
    def fails(request):
        raise RuntimeError

    with running(site(fails=fails, echo=echo), limits()) as other:
        open_page(browser, other)
        ask(browser, query="dim to 7")
        assert '"level": 7' in shown(browser, "right")
        assert "could not answer" in browser.find_element("css selector", "section[aria-label=left] .bad").text


def test_one_model_has_one_side(browser):
    with running(site(refuse=refuse), limits()) as other:
        open_page(browser, other)
        assert not browser.find_element("css selector", "section[aria-label=right]").is_displayed()
        ask(browser, query="what?")
        assert "Request unclear" in shown(browser, "left")
