from __future__ import annotations

import pytest
from apiserver_workers.apimachinery import times


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
        ("2020-01-01T02:00:00.75+02:00", "2020-01-01T00:00:00Z"),
        ("2019-12-31T23:30:00-00:30", "2020-01-01T00:00:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ],
)
def test_timestamps_are_written_in_utc_and_seconds(text: str, canonical: str) -> None:
    assert times.canonical_time(text) == canonical


def test_microseconds_are_kept() -> None:
    assert times.canonical_microtime("2020-01-01T02:00:00.123456+02:00") == "2020-01-01T00:00:00.123456Z"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", 'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"'),
        ("2020-01-01", 'parsing time "2020-01-01" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "T"'),
        ("2020-13-01T00:00:00Z", 'parsing time "2020-13-01T00:00:00Z": month out of range'),
        ("2021-02-29T00:00:00Z", 'parsing time "2021-02-29T00:00:00Z": day out of range'),
        ("2020-01-01T24:00:00Z", 'parsing time "2020-01-01T24:00:00Z": hour out of range'),
        ("2020-01-01T00:00:00Zx", 'parsing time "2020-01-01T00:00:00Zx": extra text: "x"'),
    ],
)
def test_bad_timestamps_are_explained_as_go_does(text: str, message: str) -> None:
    with pytest.raises(times.TimeError) as error:
        times.canonical_time(text)
    assert str(error.value) == message


def test_a_microtime_needs_six_digits() -> None:
    with pytest.raises(times.TimeError, match=r'cannot parse "Z" as "\.000000"'):
        times.canonical_microtime("2020-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [("90s", "1m30s"), ("1.5h", "1h30m0s"), ("100ms", "100ms"), ("1us", "1µs"), ("0", "0s"), ("-2m3.5s", "-2m3.5s")],
)
def test_durations(text: str, canonical: str) -> None:
    assert times.format_duration(times.parse_duration(text)) == canonical


@pytest.mark.parametrize("text", ["", "1", "s", "1x", "-"])
def test_bad_durations(text: str) -> None:
    with pytest.raises(times.TimeError, match="invalid duration"):
        times.parse_duration(text)
