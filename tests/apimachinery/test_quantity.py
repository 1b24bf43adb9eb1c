from __future__ import annotations

from decimal import Decimal

import pytest
from apiserver_workers.apimachinery import quantity
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"),
        ("0Ki", "0"),
        ("1", "1"),
        ("1.5", "1500m"),
        ("1.50", "1500m"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("-1.5", "-1500m"),
        ("1000", "1k"),
        ("1000m", "1"),
        ("1024Ki", "1Mi"),
        ("8192Ki", "8Mi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Gi", "512Mi"),
        ("1.1Ki", "1126400m"),
        ("0.3Ki", "307200m"),
        ("9Ei", "9223372036854775807"),
        ("100000000000000000000", "100E"),
        ("1e2", "100"),
        ("12e6", "12e6"),
        ("10000e6", "10e9"),
        ("0.1n", "1n"),
        ("1.5n", "2n"),
        ("-1.5n", "-2n"),
        ("1.2345678901", "1234567891n"),
    ],
)
def test_canonical_form(text: str, canonical: str) -> None:
    assert quantity.canonical(text) == canonical


@pytest.mark.parametrize("text", ["1.500", "007", "+5", "1100Ki", "512", "1e3", "100m"])
def test_what_looks_canonical_stays_as_it_was_written(text: str) -> None:
    assert quantity.canonical(text) == text


@pytest.mark.parametrize("text", ["", "x", "zz", "1 Gi", "1.2.3"])
def test_wrong_format(text: str) -> None:
    with pytest.raises(quantity.QuantityError, match="quantities must match the regular expression"):
        quantity.parse(text)


@pytest.mark.parametrize("text", ["1K", "1Ki5", "1mm", "e", "--1"])
def test_wrong_suffix(text: str) -> None:
    with pytest.raises(quantity.QuantityError, match="unable to parse quantity's suffix"):
        quantity.parse(text)


def test_values_are_rounded_away_from_zero() -> None:
    assert quantity.parse("1500m").whole == 2
    assert quantity.parse("-1500m").whole == -2
    assert quantity.parse("1u").milli == 1
    assert quantity.parse("1.5Gi").whole == 1536 * 2**20


@given(
    number=st.decimals(min_value=0, max_value=10**9, places=3),
    suffix=st.sampled_from(["", "m", "k", "M", "G", "Ki", "Mi", "Gi", "e3", "e-3"]),
)
def test_the_canonical_form_is_stable_and_keeps_the_value(number: Decimal, suffix: str) -> None:
    first = quantity.parse(f"{number}{suffix}")
    again = quantity.parse(quantity.write(first.nano, first.format))
    assert again.nano == first.nano
    assert quantity.parse(first.text).nano == first.nano
    assert quantity.write(again.nano, again.format) == quantity.write(first.nano, first.format)
