"""The block and the attention module keep their promises, and the block saves weights."""

from __future__ import annotations

import pytest
from kinet_plugin_dilated.attention import attention
from kinet_plugin_dilated.block import block, split_columns

from kinet.config import STAGE_COUNTS, ModelConfig
from kinet.testing import check_attention, check_block


@pytest.mark.parametrize("stages", [1, 3, 12])
def test_dilated_keeps_the_contract_of_a_block(stages):
    check_block(block, [stages], gradients=stages <= 3)


def test_dilated_keeps_it_with_smaller_dilations():
    check_block(block, [2], options={"largest_dilation": 2})


def test_squeeze_excite_keeps_the_contract_of_an_attention_module():
    check_attention(attention)


@pytest.mark.parametrize("largest", [1, 3, 48])
@pytest.mark.parametrize("columns", range(1, 50))
def test_the_two_kernels_see_every_column_once_or_more(columns, largest):
    dense, dilated, dilation = split_columns(columns, largest)
    assert dilation <= largest
    seen = {i + j * dilation for i in range(dense) for j in range(dilated)}
    assert seen == set(range(columns))


def weights(name: str, stages: int) -> int:
    from kinet.model import build_embedder

    config = ModelConfig(block=name, stages=stages, attention=(), channels=16)
    return build_embedder(config).count_params()


@pytest.mark.parametrize("stages", STAGE_COUNTS)
def test_dilated_has_fewer_weights_than_simple(stages):
    from kinet import blocks

    with blocks.registry.registered(block):
        assert weights("dilated", stages) < weights("simple", stages)
