"""The CSV files of users: a secret, user name, uid, and optionally groups, one user a line (token and password files)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from apiserver_workers.apimachinery.user import UserInfo


def parse_users(content: bytes, secret: str) -> Iterator[tuple[int, str, UserInfo]]:
    """Line number, secret and user of each line that has any. `secret` is what the first column is called.

    Raises ValueError for a line without secret, user name and uid, or that is not CSV.
    """
    rows = csv.reader(io.StringIO(content.decode(), newline=""), skipinitialspace=True, strict=True)
    try:
        for row in rows:
            if row:
                yield rows.line_num, row[0], _user(row, rows.line_num, secret)
    except csv.Error as error:
        raise ValueError(f"line {rows.line_num}: {error}") from None


def _user(row: list[str], line: int, secret: str) -> UserInfo:
    if len(row) < 3:
        columns = f"({secret}, user name, user uid)"
        raise ValueError(f"line {line}: must have at least 3 columns {columns}, found {len(row)}")
    groups = tuple(group.strip() for group in row[3].split(",")) if len(row) > 3 else ()
    return UserInfo(row[1], row[2], groups)
