"""Names of types, texts and details that can always be stored, and names a caller gives."""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st
from payload_kit import SURROGATE, Box, Lazy, Page, Raising, T, Tag, UserId, nested

from trio_workflow.errors import OptionError
from trio_workflow.model.payload import clean_details, clean_text, dumps, require_name, type_name


@pytest.mark.parametrize(
    ("type_", "name"),
    [
        (int, "int"),
        (None, "None"),
        (Any, "Any"),
        (list[Page], "list[Page]"),
        (str | None, "str | None"),
        (Union[int, str], "int | str"),  # noqa: UP007 - the older spelling is what is tested
        (tuple[int, ...], "tuple[int, ...]"),
        (tuple[()], "tuple[()]"),
        (dict[str, Box[int]], "dict[str, Box[int]]"),
        (Sequence[int], "Sequence[int]"),
        (Literal["a", 1], "Literal['a', 1]"),
        (Annotated[int, "x"], "int"),
        (UserId, "UserId"),
        (Callable[[int, str], None], "Callable[[int, str], None]"),
        ("Page", "Page"),
        (T, "T"),
    ],
)
def test_a_type_is_named_as_a_person_would(type_: Any, name: str) -> None:
    assert type_name(type_) == name


def test_a_name_of_a_type_never_fails() -> None:
    assert type_name(Raising()).startswith("<Raising")


@given(st.text(st.characters() | st.sampled_from([SURROGATE, "\0", "\udfff"])), st.integers(0, 60))
def test_clean_text_can_always_be_stored_and_keeps_its_limit(text: str, limit: int) -> None:
    cleaned = clean_text(text, limit)
    assert len(cleaned) <= limit
    assert "\0" not in cleaned
    cleaned.encode()


def test_clean_text_keeps_good_text_and_says_what_it_cut() -> None:
    assert clean_text("good\n") == "good\n"
    assert clean_text(f"a{SURROGATE}b\0") == "a\ufffdb\ufffd"
    assert clean_text("x" * 5000, 40) == "x" * 12 + "… [cut from 5000 characters]"
    assert clean_text("x" * 5000).endswith("… [cut from 5000 characters]")
    assert len(clean_text("x" * 5000)) == 4000


def test_clean_text_names_the_type_whose_text_raises() -> None:
    assert clean_text(Raising()) == "<Raising whose text cannot be had: RuntimeError>"
    assert clean_text(nested(100_000)).startswith("<list whose text cannot be had")


def test_clean_details_keeps_what_is_json_and_turns_the_rest_into_text() -> None:
    details = {"page": Page(1), "odd": [math.nan, object, {5: SURROGATE}], "bad": Raising(), "ok": {"a": [1]}}
    assert clean_details(details) == {
        "page": {"number": 1, "title": ""},
        "odd": ["nan", "<class 'object'>", {"5": "\ufffd"}],
        "bad": "<Raising whose text cannot be had: RuntimeError>",
        "ok": {"a": [1]},
    }


class Shut(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError("shut")


def test_clean_details_never_raises_and_is_always_storable() -> None:
    loop: dict[str, object] = {}
    loop.update({str(key): [loop, {"x": loop}] for key in range(10)})
    for details in (loop, nested(100_000), Raising(), Lazy(1), Shut(a=1), {Raising(): 1}, None, 10**5000):
        cleaned = clean_details(details)
        assert len(dumps(cleaned)) <= 2 * 16_384


def test_details_that_are_too_large_become_text() -> None:
    cleaned = clean_details({"a": "x" * 1000}, limit=100)
    assert isinstance(cleaned, str)
    assert cleaned.startswith('{"a":"xxx')
    assert len(cleaned) == 100


@pytest.mark.parametrize(
    "name", ["a", "step 1", "Grüße", "日本", "x" * 255, Tag("tag"), "\U0001f600", "\u200b"]
)
def test_a_name_is_returned_as_it_is(name: str) -> None:
    assert require_name("step id", name) == name
    assert type(require_name("step id", name)) is str


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "step id must be 1 to 255 characters long, not 0: ''"),
        ("x" * 256, "step id must be 1 to 255 characters long, not 256: 'xxx"),
        ("a\nb", r"step id must be free of control characters, not 'a\nb'"),
        ("\x7f", "step id must be free of control characters"),
        ("\x85", "step id must be free of control characters"),
        (SURROGATE, "step id must be encodable as UTF-8"),
        (5, "step id must be a str, not int 5"),
        (b"a", "step id must be a str, not bytes b'a'"),
        (None, "step id must be a str, not NoneType None"),
        (Raising(), "step id must be a str, not Raising"),
    ],
)
def test_what_is_no_name_is_refused(name: object, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        require_name("step id", name)
    assert str(caught.value).startswith(message)
    str(caught.value).encode()
    assert len(str(caught.value)) < 250
