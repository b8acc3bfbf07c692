"""Parameter counts of the 18 full-size models: the same under every backend, so tested on one."""

from __future__ import annotations

import pytest
from test_golden import INDEX

from kinet.config import ModelConfig
from kinet.model import build_classifier
from kinet.network import embedder_of

FULL_SIZE = {f"{c['block']}-{c['stages']}": c for c in INDEX["full_size_parameter_counts"]}


def test_there_are_18_models():
    assert len(FULL_SIZE) == 18


@pytest.mark.parametrize("name", FULL_SIZE)
def test_parameter_counts_are_those_of_the_reference(name):
    case = FULL_SIZE[name]
    config = ModelConfig.original(block=case["block"], stages=case["stages"])
    classifier = build_classifier(config, songs=tuple(map(str, range(5324))))
    assert classifier.count_params() == case["classifier_params"]
    assert embedder_of(classifier).count_params() == case["embedder_params"]
