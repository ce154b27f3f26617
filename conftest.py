"""For all tests and doctests: what one leaves behind, no other starts with."""

import pytest

from salesforecast import formats, words


@pytest.fixture(autouse=True)
def plain_words():
    """English and dollars: cleaning sets the language and the currency of its data for all that follows in the process."""
    formats.use_currency("$")
    words.use("en")
