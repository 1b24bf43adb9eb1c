"""The words for a source that is not in the grammar.

Upstream's parser is generated, and its runtime goes on after an error: it leaves out one token, or makes one up, or skips
to where an outer rule can go on. All that it reports on the way is the error text. This module walks the grammar with the
same rules of recovery. It runs only after parser.py refused a source, so it may be slow.

Upstream: antlr4 error_strategy.go, cel-go parser/parser.go (SyntaxError, recoveryLimitErrorStrategy).
"""

from __future__ import annotations

import re

from .faults import NOWHERE, Fault
from .lexer import ESCAPED_IDENT, IDENT
from .lexer import Token as LexedToken
from .parser import DEEPEST, RESERVED, Syntax
from .syntax_decisions import Decisions, NoAlternative
from .syntax_grammar import END, RECURSIVE, RULES, Block, Opt, Part, Plus, Ref, Seq, Star, State, Tok, Tokens, describe
from .syntax_tokens import Stream, read

_MOST_RECOVERIES = 30
_MOST_SKIPPED = 256
_MOST_FAULTS = 100
_RESERVED_INPUT = re.compile(r"no viable alternative at input '.(true|false|null)'", re.DOTALL)


def explain(source: str, syntax: Syntax) -> list[Fault]:
    """The faults of a source that is not in the grammar."""
    stream, faults = read(source)
    walk = _Walk(stream, syntax)
    try:
        walk.rule(Ref("start"))
    except _Stop:
        pass
    found = [Fault(fault.position, f"Syntax error: {fault.message}") for fault in (*faults, *walk.faults)]
    if len(found) > _MOST_FAULTS:
        found = found[:_MOST_FAULTS] + [
            Fault(found[_MOST_FAULTS].position, f"Syntax error: More than {_MOST_FAULTS} syntax errors")
        ]
    return found + walk.other_faults


class _Stop(Exception):
    """The walk cannot go on."""


class _Mismatch(Exception):
    """The current token is none of those that may come."""

    def __init__(self, expected: Tokens) -> None:
        super().__init__()
        self.expected = expected


class _Walk:
    """A walk through the grammar along the tokens.

    `_callers` are the references by which the walk came to the current rule, the outermost first.
    """

    def __init__(self, stream: Stream, syntax: Syntax) -> None:
        self._stream = stream
        self._syntax = syntax
        self._decisions = Decisions(stream, syntax, self.expected_after)
        self._callers: list[Ref] = []
        self._depths: dict[str, int] = {}
        self._state = State()
        self._recovering = False
        self._recoveries = 0
        self._error_index = -1
        self._error_states: list[State] = []
        self.faults: list[Fault] = []
        self.other_faults: list[Fault] = []

    # The grammar

    def rule(self, reference: Ref) -> None:
        """Walks a rule; errors inside are reported, and the walk goes on after them."""
        name = reference.rule
        outside = self._depths.get(name, 0)
        self._deepen(name)
        self._callers.append(reference)
        start = self._stream.current
        try:
            self._part(RULES[name], reference)
        except (_Mismatch, NoAlternative) as error:
            self._report(error)
            self._recover()
            if name == "escapeIdent":
                self.other_faults.append(Fault(start.position, "unsupported ident kind"))
        self._callers.pop()
        self._depths[name] = outside

    def _deepen(self, name: str) -> None:
        self._depths[name] = self._depths.get(name, 0) + 1
        if self._depths[name] > DEEPEST:
            self.other_faults.append(Fault(NOWHERE, f"expression recursion limit exceeded: {DEEPEST}"))
            raise _Stop

    def _part(self, part: Part, rule: Ref) -> None:
        if isinstance(part, Seq):
            for inner in part.parts:
                self._part(inner, rule)
        elif isinstance(part, Tok):
            self._match(part)
        elif isinstance(part, Ref):
            self._state = part.state
            self.rule(part)
        elif isinstance(part, Opt):
            self._enter(part.state)
            if self._stream.la() in part.starts:
                self._part(part.body, rule)
        elif isinstance(part, Block):
            self._block(part, rule)
        else:
            self._loop(part, rule)

    def _loop(self, loop: Star | Plus, rule: Ref) -> None:
        self._enter(loop.state)
        again = isinstance(loop, Plus) or self._continues(loop, rule)
        while again:
            if rule.rule in RECURSIVE:
                self._deepen(rule.rule)
            self._part(loop.body, rule)
            self._enter_again(loop.back)
            again = self._continues(loop, rule)

    def _continues(self, loop: Star | Plus, rule: Ref) -> bool:
        if loop.decide:
            return self._decisions.continues(loop.decide, rule.precedence)
        return self._stream.la() in loop.starts

    def _block(self, block: Block, rule: Ref) -> None:
        self._enter(block.state)
        if block.decide:
            chosen = self._decisions.choose(block.decide)
        else:
            chosen = self._first_alternative(block)
        if rule.rule == "primary" and chosen < 2:
            self._note_reserved()
        if rule.rule == "escapeIdent" and chosen == 1:
            self._note_escaped()
        self._part(block.alternatives[chosen], rule)

    def _first_alternative(self, block: Block) -> int:
        for index, alternative in enumerate(block.alternatives):
            if self._stream.la() in alternative.starts:
                return index
        current = self._stream.current
        raise NoAlternative(current, current)

    def _note_reserved(self) -> None:
        """An identifier that is reserved; the parser would tell that as well."""
        start = self._stream.current
        name = self._stream.peek(1 if start.type == IDENT else 2)
        if name.text in RESERVED and name.type == IDENT:
            self.other_faults.append(Fault(start.position, f"reserved identifier: {name.text}"))

    def _note_escaped(self) -> None:
        name = self._stream.current
        if name.type == ESCAPED_IDENT and not self._syntax.escaped_names:
            self.other_faults.append(Fault(name.position, "unsupported syntax: '`'"))

    # Tokens

    def _match(self, token: Tok) -> None:
        self._state = token.state
        if self._stream.la() in token.types:
            self._matched()
            self._stream.consume()
            return
        self._count_recovery()
        if self._delete_token():
            self._stream.consume()
        elif self._stream.la() in self.expected_after(token.after):
            self._report_at_current(f"missing {describe(self._expected())} at {self._display()}")
        else:
            raise _Mismatch(self._expected())

    def _matched(self) -> None:
        self._recovering = False
        self._error_index = -1
        self._error_states = []

    def expected_after(self, tokens: Tokens) -> Tokens:
        """Tokens that may come, where the rule may end: those that may come after it, and after its callers."""
        found = tokens
        for caller in reversed(self._callers):
            if END not in found:
                return found
            found = (found - {END}) | caller.after
        return found - {END}

    def _expected(self) -> Tokens:
        return self.expected_after(self._state.next)

    # Errors

    def _enter(self, state: State) -> None:
        """At a decision: an unexpected token is left out if the next one fits, else the rule fails."""
        self._state = state
        if self._recovering or END in state.next or self._stream.la() in state.next:
            return
        if not self._delete_token():
            raise _Mismatch(self._expected())

    def _enter_again(self, state: State) -> None:
        """After an iteration of a loop: unexpected tokens are left out up to one that fits."""
        self._state = state
        if self._recovering or END in state.next or self._stream.la() in state.next:
            return
        self._report_unwanted()
        self._skip_to(self._expected() | self._recovery_set(), _MOST_SKIPPED * _MOST_SKIPPED)

    def _delete_token(self) -> bool:
        if self._stream.la(2) not in self._expected():
            return False
        self._report_unwanted()
        self._stream.consume()
        self._matched()
        return True

    def _report_unwanted(self) -> None:
        self._report_at_current(f"extraneous input {self._display()} expecting {describe(self._expected())}")

    def _report_at_current(self, message: str) -> None:
        self._add(self._stream.current, message)

    def _add(self, token: LexedToken, message: str) -> None:
        if self._recovering:
            return
        self._recovering = True
        message = _RESERVED_INPUT.sub(r"mismatched input '\1' expecting IDENTIFIER", message)
        self.faults.append(Fault(token.position, message))

    def _display(self) -> str:
        return _quote(self._stream.current.text)

    def _report(self, error: _Mismatch | NoAlternative) -> None:
        if isinstance(error, _Mismatch):
            self._report_at_current(f"mismatched input {self._display()} expecting {describe(error.expected)}")
            return
        text = self._stream.text(error.start, error.offending)
        self._add(error.offending, f"no viable alternative at input {_quote(text)}")

    def _count_recovery(self) -> None:
        if self._recoveries == _MOST_RECOVERIES:
            message = f"error recovery attempt limit exceeded: {_MOST_RECOVERIES}"
            self.faults.append(Fault(self._stream.current.position, message))
            raise _Stop
        self._recoveries += 1

    def _recover(self) -> None:
        """Skips to a token that the current rule's callers can go on with."""
        self._count_recovery()
        skipped = _MOST_SKIPPED
        if self._error_index == self._stream.index and self._state in self._error_states:
            self._stream.consume()
            skipped -= 1
        self._error_index = self._stream.index
        self._error_states.append(self._state)
        self._skip_to(self._recovery_set(), skipped)

    def _recovery_set(self) -> Tokens:
        found: Tokens = frozenset()
        for caller in self._callers[1:]:
            found |= caller.after
        return found - {END}

    def _skip_to(self, tokens: Tokens, most: int) -> None:
        while not self._stream.at_end and self._stream.la() not in tokens:
            if most == 0:
                message = f"error recovery token lookahead limit exceeded: {_MOST_SKIPPED}"
                self.other_faults.append(Fault(NOWHERE, message))
                raise _Stop
            self._stream.consume()
            most -= 1


def _quote(text: str) -> str:
    text = text.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{text}'"
