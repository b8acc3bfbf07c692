"""Plug-ins: found without importing, loaded once, and told apart when something is wrong."""

from __future__ import annotations

import importlib.metadata
import re
import sys

import pytest

from kinet import attention, blocks, datasets, losses
from kinet.blocks import Block
from kinet.errors import PluginError, SettingsError
from kinet.options import chosen_options
from kinet.registry import Origin, Registry

BUILT_IN = {
    "kinet.blocks": ["bottleneck", "simple", "wider"],
    "kinet.attention": ["channel", "local", "temporal"],
    "kinet.losses": ["clews", "normsoftmax", "softmax", "supcon", "triplet"],
    "kinet.datasets": ["covers80", "da-tacos", "shs100k"],
}
GOOD = "from kinet.blocks import Block\nblock = Block('{}', 'one line', lambda x, stage: x)\n"


@pytest.fixture
def registry():
    """A registry of its own, so that nothing stays loaded."""
    return Registry("kinet.blocks", "block", Block)


@pytest.mark.parametrize("group", BUILT_IN)
def test_the_built_ins_are_exactly_these(group):
    entries = importlib.metadata.entry_points(group=group)
    found = {e.name for e in entries if e.dist is not None and e.dist.name == "mulkinet"}
    assert sorted(found) == BUILT_IN[group]


@pytest.mark.parametrize("room", [blocks, attention, losses, datasets])
def test_every_built_in_loads_and_says_what_it_is(room):
    for listing in room.registry.listing():
        if listing.distribution == "mulkinet":
            assert listing.problem == ""
            assert listing.description
            assert "\n" not in listing.description
            assert room.registry.origin(listing.name) == Origin("mulkinet", listing.version)


def test_an_unknown_name_gets_a_guess_and_the_known_ones(registry):
    with pytest.raises(PluginError) as caught:
        registry.get("widr")
    message = str(caught.value)
    assert message.startswith("unknown block 'widr', did you mean 'wider'? Known: ")
    assert "bottleneck" in message
    assert "simple" in message
    assert message.endswith("One that a file of your own registers: --plugin FILE.py")


def test_an_unknown_name_far_from_all(registry):
    with pytest.raises(PluginError, match=r"^unknown block 'zzzz'\. Known: "):
        registry.get("zzzz")


def test_a_plugin_is_imported_when_it_is_asked_for_and_only_then(registry, install):
    install("good", "1.2", {"kinet.blocks": {"good": "good_block:block"}},
            {"good_block": GOOD.format("good")})  # fmt: skip
    assert "good" in registry.names()
    assert registry.origin("good") == Origin("good", "1.2")
    assert "good_block" not in sys.modules
    first = registry.get("good")
    assert first.description == "one line"
    assert registry.get("good") is first


def test_a_name_claimed_twice_names_both_and_leaves_the_others_alone(registry, install):
    install("mine", "3.0", {"kinet.blocks": {"simple": "mine_block:block"}},
            {"mine_block": GOOD.format("simple")})  # fmt: skip
    with pytest.raises(PluginError) as caught:
        registry.get("simple")
    message = str(caught.value)
    assert "'simple' is claimed by mine 3.0 and mulkinet " in message
    assert message.endswith("uninstall one of them")
    assert registry.get("wider").name == "wider"
    problems = {row.distribution: row.problem for row in registry.listing() if row.name == "simple"}
    assert problems.keys() == {"mine", "mulkinet"}
    assert all("claimed by" in problem for problem in problems.values())


def test_one_distribution_seen_twice_is_no_duplicate(registry, install, monkeypatch):
    folder = install("good", "1.2", {"kinet.blocks": {"good": "good_block:block"}},
                     {"good_block": GOOD.format("good")})  # fmt: skip
    monkeypatch.setattr(sys, "path", [*sys.path, f"{folder}/."])
    assert registry.get("good").name == "good"


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("raise RuntimeError('no such device\\nsecond line')", "RuntimeError: no such device"),
        ("import surely_not_there", "ModuleNotFoundError: No module named 'surely_not_there'"),
        ("raise ValueError", "ValueError: no message"),
        ("def broken(:", "SyntaxError: invalid syntax"),
        ("other = 1", "AttributeError: module 'bad_block' has no attribute 'block'"),
        ("import sys; sys.exit(0)", "SystemExit: 0"),
    ],
)
def test_a_plugin_that_fails_to_import_is_named_and_breaks_nothing(
    registry, install, source, cause
):
    install("bad-plugin", "0.9", {"kinet.blocks": {"bad": "bad_block:block"}},
            {"bad_block": source})  # fmt: skip
    assert "bad" in registry.names()
    assert registry.get("simple").name == "simple"
    with pytest.raises(PluginError) as caught:
        registry.get("bad")
    message = str(caught.value)
    assert message.startswith(f"block 'bad' of bad-plugin 0.9 cannot be loaded: {cause}")
    assert "\n" not in message
    assert isinstance(caught.value.__cause__, BaseException)
    rows = {row.name: row for row in registry.listing()}
    assert rows["bad"].problem == message
    assert rows["wider"].problem == ""


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("block = 3", "block 'odd' of odd 1.0 is a int; it must be a kinet.blocks.Block"),
        (
            GOOD.format("even"),
            "block 'odd' of odd 1.0 calls itself 'even'; the name must be that of its entry point",
        ),
    ],
)
def test_a_plugin_that_is_something_else(registry, install, source, message):
    install("odd", "1.0", {"kinet.blocks": {"odd": "odd_block:block"}}, {"odd_block": source})
    with pytest.raises(PluginError) as caught:
        registry.get("odd")
    assert str(caught.value) == message


def test_what_a_plugin_prints_while_it_is_imported_goes_to_stderr(registry, install, capsys):
    source = "print('hello')\n" + GOOD.format("loud")
    install("loud", "1.0", {"kinet.blocks": {"loud": "loud_block:block"}}, {"loud_block": source})
    assert registry.get("loud").name == "loud"
    sys.modules.pop("loud_block")
    assert Registry("kinet.blocks", "block", Block).listing()
    assert capsys.readouterr() == ("", "hello\nhello\n")


def test_a_plugin_whose_import_does_not_end_is_listed_as_broken(registry, install):
    source = "import time\nfor _ in range(50): time.sleep(0.1)\n" + GOOD.format("slow")
    install("slow", "1.0", {"kinet.blocks": {"slow": "slow_block:block"}}, {"slow_block": source})
    stdout = sys.stdout
    rows = {row.name: row for row in registry.listing(patience=0.2)}
    assert rows["slow"].problem == (
        "block 'slow' of slow 1.0 cannot be loaded: still being imported after 0.2 s"
    )
    assert rows["wider"].problem == ""
    assert sys.stdout is stdout


def own(name="own"):
    return Block(name, "mine", lambda x, stage: stage.conv(x))


def test_a_registered_plugin_is_known_with_the_file_that_registered_it(registry):
    block = own()
    assert registry.register(block) is block
    assert registry.get("own") is block
    assert "own" in registry.names()
    assert registry.origin("own") == Origin(file=__file__)
    (row,) = [row for row in registry.listing() if row.name == "own"]
    assert (row.distribution, row.version, row.file) == ("", "", __file__)
    assert (row.description, row.problem) == ("mine", "")
    assert [row.name for row in registry.listing()] == sorted(registry.names())


def test_where_there_is_no_file_the_process_is_the_origin(registry):
    exec(compile("registry.register(block)", "<stdin>", "exec"),
         {"registry": registry, "block": own()})  # fmt: skip
    assert registry.origin("own") == Origin()
    assert str(registry.origin("own")) == "a running process"


def test_registering_the_same_object_again_changes_nothing(registry):
    block = own()
    registry.register(block)
    registry.register(block)
    assert registry.get("own") is block


def test_a_name_that_is_registered_already_is_refused_until_it_is_taken_out(registry):
    first, second = own(), own()
    registry.register(first)
    with pytest.raises(PluginError) as caught:
        registry.register(second)
    assert str(caught.value) == (
        f"block 'own' is registered already, by {__file__}; give yours another name, or first "
        "take that one out: kinet.blocks.registry.unregister('own')"
    )
    assert registry.get("own") is first
    registry.unregister("own")
    assert registry.register(second) is second
    assert registry.get("own") is second


def test_a_name_of_a_distribution_is_refused(registry):
    before = registry.get("wider")
    with pytest.raises(PluginError) as caught:
        registry.register(own("wider"))
    assert re.fullmatch(
        r"block 'wider' is the name of one of mulkinet [\d.]+; give yours another name",
        str(caught.value),
    )
    assert registry.get("wider") is before


def test_what_is_no_plugin_is_not_registered(registry):
    with pytest.raises(PluginError) as caught:
        registry.register(lambda x, stage: x)
    assert (
        str(caught.value) == "the block to register is a function; it must be a kinet.blocks.Block"
    )


def test_only_what_was_registered_can_be_taken_out(registry):
    registry.register(own())
    with pytest.raises(PluginError) as caught:
        registry.unregister("owm")
    assert str(caught.value) == (
        "unknown block of this process 'owm', did you mean 'own'? Known: own"
    )
    registry.unregister("own")
    with pytest.raises(PluginError, match="unknown block 'own'"):
        registry.get("own")


@pytest.mark.parametrize("room", [blocks, attention, losses, datasets])
def test_every_kind_has_a_register_of_its_registry(room):
    assert room.register == room.registry.register
    assert room.registry.group == room.__name__


def test_within_registered_a_plugin_has_its_name_even_one_that_is_taken(registry):
    before = registry.get("simple")
    mine, other = own("simple"), own("other")
    with registry.registered(mine), registry.registered(other):
        assert registry.get("simple") is mine
        assert registry.get("other") is other
        assert registry.names().count("simple") == 1
        assert [row.description for row in registry.listing() if row.name == "simple"] == ["mine"]
    assert registry.get("simple") is before
    with pytest.raises(PluginError):
        registry.get("other")


def test_within_registered_what_was_registered_before_comes_back(registry):
    first, second = own(), own()
    registry.register(first)
    with registry.registered(second):
        assert registry.get("own") is second
    assert registry.get("own") is first


DEFAULTS = {"expansion": 4, "rate": 0.5}


def test_options_take_the_place_of_defaults():
    assert chosen_options("block x", DEFAULTS, {}) == DEFAULTS
    assert chosen_options("block x", DEFAULTS, {"rate": 2}) == {"expansion": 4, "rate": 2.0}
    whole = chosen_options("block x", DEFAULTS, {"expansion": 6.0})["expansion"]
    assert (whole, type(whole)) == (6, int)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"expansio": 2},
            "unknown option of the block x 'expansio', did you mean 'expansion'? Known: expansion, "
            "rate",
        ),
        (
            {"expansion": 2.5},
            "option expansion of the block x is 2.5; allowed: a whole number, such as 4",
        ),
        ({"rate": "a"}, "option rate of the block x is 'a'; allowed: a number, such as 0.5"),
        ({"rate": True}, "option rate of the block x is True; allowed: a number, such as 0.5"),
        (
            {"rate": float("nan")},
            "option rate of the block x is nan; allowed: a number, such as 0.5",
        ),
        (
            {"expansion": float("inf")},
            "option expansion of the block x is inf; allowed: a whole number, such as 4",
        ),
    ],
)
def test_options_that_are_not_there_or_no_numbers_of_their_kind_are_refused(given, message):
    with pytest.raises(SettingsError) as caught:
        chosen_options("block x", DEFAULTS, given)
    assert str(caught.value) == message
