"""Forms in which pages write an account, or what is none, 2008 to 2026: each is read as it should.

`url_forms.csv` beside this file holds what the networks have had (tabs, old PHP pages, hash
addresses, mobile and local hosts, buttons, log-in walls) and what pages make of it. An empty
platform says that the address names nobody.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from pipeline.platforms import Account, identify

with (Path(__file__).parent / "url_forms.csv").open(encoding="utf-8", newline="") as file:
    FORMS = list(csv.DictReader(file))


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form["url"])
def test_form_is_read(form: dict[str, str]) -> None:
    found = identify(form["url"])
    account = (found.platform, found.handle, found.via) if isinstance(found, Account) else ("",) * 3
    assert account == (form["platform"], form["account"], form["via"])
