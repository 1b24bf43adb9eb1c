"""What Go's JSONPath templates may look like (k8s.io/client-go/util/jsonpath): their faults, in its words.

Nothing is evaluated here. The scanner goes through a template as upstream's parser does, and stops at the first fault.
"""

from __future__ import annotations

import re

_DICT_KEY = re.compile(r"'([^']|\\')*'")
_SLICE = re.compile(r"(-?[\d]*)(:-?[\d]*)?(:-?[\d]*)?")
_COMPARISON = re.compile(r"([^!<>=]+)([!<>=]+)(.+?)")
_NUMBER = re.compile(r"[+-]?[\d.]*")
_TERMINATORS = " \t\r\n.,[]$@{}"


def jsonpath_fault(template: str) -> str:
    """What is wrong with a template; "" when it may be used."""
    try:
        _scan(template)
    except ValueError as error:
        return str(error)
    return ""


def _scan(text: str) -> None:
    start = text.find("{")
    while start >= 0:
        end = _Action(text, start + 1).scan()
        start = text.find("{", end)


class _Action:
    """One action, what stands between braces; `at` is the place that is looked at next."""

    def __init__(self, text: str, at: int) -> None:
        self.text = text
        self.at = at
        self._recursive = False

    def scan(self) -> int:
        """Go to the end of the action; where it is. Raises ValueError."""
        while not self.text.startswith("}", self.at):
            if self.text.startswith("[?(", self.at):
                self._filter()
            elif self.text.startswith("..", self.at):
                self._descend()
            else:
                self._element()
        return self.at + 1

    def _element(self) -> None:
        char = self.text[self.at : self.at + 1]
        if char in ("", "\r", "\n"):
            raise ValueError("unclosed action")
        if char in " @$":
            self.at += 1
            return
        if char == "[":
            self._array()
        elif char in "\"'":
            self._quote(char)
        elif char == ".":
            self.at += 1
            self._word()
        elif char in "+-" or char.isdecimal():
            self._number()
        elif char == "_" or char.isalpha():
            self._word()
        else:
            raise ValueError(f"unrecognized character in action: {_shown(char)}")
        self._recursive = False

    def _descend(self) -> None:
        if self._recursive:
            raise ValueError("invalid multiple recursive descent")
        self.at += 2
        following = self.text[self.at : self.at + 1]
        self._recursive = not (following == "_" or following.isalnum())
        if not self._recursive:
            self._word()

    def _word(self) -> None:
        while self.at < len(self.text) and self.text[self.at] not in _TERMINATORS:
            self.at += 2 if self.text[self.at] == "\\" else 1

    def _number(self) -> None:
        match = _NUMBER.match(self.text, self.at)
        assert match is not None
        self.at = match.end()
        try:
            float(match[0])
        except ValueError:
            raise ValueError(f"cannot parse number {match[0]}") from None

    def _quote(self, quote: str) -> None:
        start = self.at
        self.at += 1
        while True:
            char = self.text[self.at : self.at + 1]
            if char in ("", "\n"):
                raise ValueError("unterminated quoted string")
            self.at += 1
            if char == quote and self.text[self.at - 2] != "\\":
                break
        if not _unquotable(inside := self.text[start + 1 : self.at - 1]):
            return
        raise ValueError(f"unquote string {quote}{inside}{quote} error invalid syntax")

    def _array(self) -> None:
        end = min((at for at in (self.text.find(char, self.at) for char in "]\n") if at >= 0), default=-1)
        if end < 0 or self.text[end] == "\n":
            raise ValueError("unterminated array")
        inside = self.text[self.at + 1 : end]
        self.at = end + 1
        parts = inside.split(",")
        if len(parts) > 1:
            for part in parts:
                _scan("{[" + part.strip(" ") + "]}")
        elif match := _DICT_KEY.fullmatch(inside):
            _scan("{." + match[0][1:-1] + "}")
        elif inside != "*" and not _SLICE.fullmatch(inside):
            raise ValueError(f"invalid array index {inside}")

    def _filter(self) -> None:
        start = self.at = self.at + 3
        quote = ""
        closed = False
        while True:
            char = self.text[self.at : self.at + 1]
            if char in ("", "\n"):
                raise ValueError("unterminated filter")
            self.at += 1
            if char in "\"'":
                closed = closed or (char == quote and self.text[self.at - 2] != "\\")
                quote = quote or char
            elif char == ")" and bool(quote) == closed:
                break
        if self.text[self.at : self.at + 1] != "]":
            raise ValueError("unclosed array expect ]")
        inside = self.text[start : self.at - 1]
        self.at += 1
        match = _COMPARISON.fullmatch(inside)
        for part in (match[1], match[3]) if match else (inside,):
            _scan("{" + part + "}")


def _unquotable(inside: str) -> bool:
    """Whether a quoted string has an escape that Go does not know."""
    return bool(re.search(r"\\(?![abfnrtv\\'\"]|x[0-9a-fA-F]{2}|[0-7]{3}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})", inside))


def _shown(char: str) -> str:
    """A character as %#U prints it."""
    code = f"U+{ord(char):04X}"
    return f"{code} '{char}'" if char.isprintable() else code
