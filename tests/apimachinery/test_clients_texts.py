"""Integers, durations and lines as clients write them."""

import pytest
from apiserver_workers.apimachinery.integers import natural, signed
from apiserver_workers.apimachinery.one_line import one_line
from apiserver_workers.apimachinery.times import TimeError, parse_duration


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0), ("007", 7), ("18446744073709551615", 2**64 - 1), ("18446744073709551616", None), ("", None),
        ("²", None), ("١", None), ("+1", None), ("1_0", None), (" 1", None), ("9" * 5000, None), ("0" * 5000 + "1", 1),
    ],
)  # fmt: skip
def test_natural(text, number):
    assert natural(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("-9223372036854775808", -(2**63)), ("9223372036854775807", 2**63 - 1), ("9223372036854775808", None),
        ("-9223372036854775809", None), ("+1", 1), ("--1", None), ("-", None), ("-²", None), ("-" + "9" * 5000, None),
    ],
)  # fmt: skip
def test_signed(text, number):
    assert signed(text) == number


@pytest.mark.parametrize("text", ["9999999999999h", "9" * 5000 + "s", "1h" * 100_000, "1h" * 2000 + "x", "²s"])
def test_durations_beyond_an_int64_are_none(text):
    with pytest.raises(TimeError, match="invalid duration"):
        parse_duration(text)


def test_durations_in_range():
    assert parse_duration("2562047h47m16.854775807s") == 2**63 - 1
    assert parse_duration("-2562047h47m16.854775808s") == -(2**63)
    assert parse_duration("1." + "9" * 100_000 + "s") == 1_999_999_999


@pytest.mark.parametrize(
    ("text", "line"),
    [("plain", "plain"), ("a\r\nb", "a  b"), ("a\x1b[31m", "a [31m"), ("a\u2028b\x85c", "a b c"), ("tab\t", "tab\t"),
     ("josé", "josé"), ("\ud800", " ")],
)  # fmt: skip
def test_one_line(text, line):
    assert one_line(text) == line


def test_long_texts_are_cut():
    assert one_line("x" * 20, 10) == "xxxxxxxxxx... (20 characters)"
