"""How faults are printed."""

from apiserver_workers.apimachinery.cel.faults import NOWHERE, CompileError, Fault, render


def test_a_fault_has_its_line_and_a_mark() -> None:
    assert render("a + b", [Fault(2, "no")]) == "ERROR: <input>:1:3: no\n | a + b\n | ..^"


def test_faults_are_sorted_by_line_and_column() -> None:
    text = render("a\n bc", [Fault(4, "third"), Fault(0, "first"), Fault(3, "second")])
    assert [line for line in text.split("\n") if line.startswith("ERROR")] == [
        "ERROR: <input>:1:1: first",
        "ERROR: <input>:2:2: second",
        "ERROR: <input>:2:3: third",
    ]


def test_faults_at_one_place_keep_their_order() -> None:
    assert render("a", [Fault(0, "x"), Fault(0, "b")]).index("x") < render("a", [Fault(0, "x"), Fault(0, "b")]).index(
        "b"
    )


def test_tabs_become_spaces() -> None:
    assert render("\ta", [Fault(1, "no")]) == "ERROR: <input>:1:2: no\n |  a\n | .^"


def test_wide_characters_have_wide_marks() -> None:
    assert render("'é' + ü", [Fault(6, "no")]) == "ERROR: <input>:1:7: no\n | 'é' + ü\n | .．....＾"


def test_the_end_of_the_source_has_a_place() -> None:
    assert render("a +", [Fault(3, "no")]).endswith(" | a +\n | ...^")


def test_a_fault_without_a_place() -> None:
    assert render("a", [Fault(NOWHERE, "no")]) == "ERROR: <input>:-1:0: no"


def test_long_lines_are_not_printed() -> None:
    assert render("a" * 20_000, [Fault(1, "no")]) == "ERROR: <input>:1:2: no"


def test_only_so_many_faults_are_printed() -> None:
    text = render("a", [Fault(0, "no")] * 103)
    assert text.count("ERROR") == 100
    assert text.endswith("\n3 more errors were truncated")


def test_the_error_carries_both() -> None:
    error = CompileError("a", [Fault(0, "no")])
    assert error.faults == (Fault(0, "no"),)
    assert str(error).startswith("ERROR: <input>:1:1: no")
