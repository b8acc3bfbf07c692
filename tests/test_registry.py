"""Plug-ins: found without importing, loaded once, and told apart when something is wrong."""

from __future__ import annotations

import importlib.metadata
import sys

import pytest

from kinet import attention, blocks, losses
from kinet.blocks import Block
from kinet.errors import PluginError
from kinet.registry import Registry

BUILT_IN = {
    "kinet.blocks": ["bottleneck", "simple", "wider"],
    "kinet.attention": ["channel", "local", "temporal"],
    "kinet.losses": ["softmax", "supcon", "triplet"],
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


@pytest.mark.parametrize("room", [blocks, attention, losses])
def test_every_built_in_loads_and_says_what_it_is(room):
    for listing in room.registry.listing():
        if listing.distribution == "mulkinet":
            assert listing.problem == ""
            assert listing.description
            assert "\n" not in listing.description
            assert room.registry.source(listing.name) == ("mulkinet", listing.version)


def test_an_unknown_name_gets_a_guess_and_the_known_ones(registry):
    with pytest.raises(PluginError) as caught:
        registry.get("widr")
    message = str(caught.value)
    assert message.startswith("unknown block 'widr', did you mean 'wider'? Known: ")
    assert "bottleneck" in message
    assert "simple" in message


def test_an_unknown_name_far_from_all(registry):
    with pytest.raises(PluginError, match=r"^unknown block 'zzzz'\. Known: "):
        registry.get("zzzz")


def test_a_plugin_is_imported_when_it_is_asked_for_and_only_then(registry, install):
    install("good", "1.2", {"kinet.blocks": {"good": "good_block:block"}},
            {"good_block": GOOD.format("good")})  # fmt: skip
    assert "good" in registry.names()
    assert registry.source("good") == ("good", "1.2")
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
    assert isinstance(caught.value.__cause__, Exception)
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


def test_offering_lends_a_plugin_and_takes_it_back(registry):
    before = registry.get("simple")
    mine, other = (Block(name, "mine", before.build) for name in ("simple", "other"))
    with registry.registered(mine), registry.registered(other):
        assert registry.get("simple") is mine
        assert registry.get("other") is other
    assert registry.get("simple") is before
    with pytest.raises(PluginError):
        registry.get("other")
