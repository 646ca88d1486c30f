"""The demo's browser reads pages as a person's would."""

from __future__ import annotations

import pytest

from example_project.demo.browser import Page, Unexpected, read

PAGE = """<!doctype html><title>Link</title>
<p id="state">Connected <b>today</b></p><p>Token: <code id="token">ot_ptk_<wbr>x</code></p>
<a href="/next/?a=1&amp;b=2" id="go">On <span>we go</span></a>
<form action="/search/"><input name="q"></form>
<form method="post">
  <input type="hidden" name="csrfmiddlewaretoken" value="abc">
  <input type="checkbox" name="pii"><input type="checkbox" name="news" value="on" checked>
  <select name="job"><option value="">Choose</option><option value="j1" selected>One</option></select>
  <textarea name="note"></textarea>
  <button name="decision" value="yes">Yes</button><button name="decision" value="no">No</button>
</form>
<table><tr><td>maria</td><td>6</td></tr></table>"""


@pytest.fixture
def page() -> Page:
    return read(Page("http://127.0.0.1:8000/here/", 200), PAGE)


def test_words_of_one_line_stay_together_and_cells_apart(page: Page) -> None:
    assert "Connected today" in page.text
    assert "maria 6" in page.text


def test_elements_are_found_by_their_id(page: Page) -> None:
    assert page.elements["state"] == "Connected today"
    assert page.elements["token"] == "ot_ptk_x"


def test_links_are_found_by_id_and_by_text(page: Page) -> None:
    assert page.hrefs["go"] == page.links["On we go"] == "http://127.0.0.1:8000/next/?a=1&b=2"


def test_a_form_has_what_is_filled_in_and_what_can_be(page: Page) -> None:
    form = page.form("pii", "job")
    assert (form.method, form.action) == ("post", "http://127.0.0.1:8000/here/")
    assert form.fields == {"csrfmiddlewaretoken": "abc", "news": "on", "job": "j1"}
    assert form.names == {"csrfmiddlewaretoken", "pii", "news", "job", "note"}
    assert form.buttons == [("decision", "yes"), ("decision", "no")]
    assert form.options["job"] == [("", "Choose"), ("j1", "One")]


def test_a_form_is_found_by_where_it_goes(page: Page) -> None:
    assert page.form(action="/search/").method == "get"


def test_what_is_missing_is_said(page: Page) -> None:
    with pytest.raises(Unexpected, match="has no form"):
        page.form("password")
    with pytest.raises(Unexpected, match="doesn't say 'Depleted'"):
        page.expect("Connected", "Depleted")
