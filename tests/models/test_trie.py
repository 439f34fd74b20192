"""Trees of candidates, against the lists that they are made of."""

import random

import pytest

from scd_lightning.models.trie import tree

EOS = 0


def nodes(root):
    return [root, *(node for child in root.children for node in nodes(child))]


def drawn(seed):
    """Candidates of a few tokens, some within others, some twice."""
    generator = random.Random(seed)
    some = [tuple(generator.randrange(1, 4) for _ in range(generator.randint(1, 6))) for _ in range(12)]
    return tuple((*ids, EOS) if generator.random() < 0.7 else ids for ids in [*some, *some[:3]])


@pytest.mark.parametrize("seed", range(20))
def test_each_candidate_is_reached_once(seed):
    candidates = drawn(seed)
    root = tree(candidates)
    ends = {node.path: node.candidate for node in nodes(root) if node.candidate is not None}
    assert ends == {ids: candidates.index(ids) for ids in candidates}
    for node in nodes(root)[1:]:
        # Nothing but a choice or an end divides a chain.
        assert len(node.children) != 1 or node.candidate is not None
        assert len({child.path[len(node.path)] for child in node.children}) == len(node.children)
        below = [ids for ids in candidates if ids[: len(node.path)] == node.path]
        assert sorted({child.path[len(node.path)] for child in node.children}) == sorted(
            {ids[len(node.path)] for ids in below if len(ids) > len(node.path)}
        )


@pytest.mark.parametrize("seed", range(20))
def test_a_node_asks_for_all_that_its_parent_did_not(seed):
    candidates = drawn(seed)
    for ids in set(candidates):
        asked = []
        for node in tree(candidates).along(ids):
            below = node.path[node.start :]
            mine = node.asks[: len(node.asks) - len(node.children)]
            following = ids[len(node.path) : len(node.path) + 1]
            theirs = [pair for pair in node.asks[len(mine) :] if pair == (len(node.path), *following)]
            assert [token for _, token in mine] == list(below[1:])
            asked += [*mine, *theirs]
            assert len(node.reads) == max((count for count, _ in node.asks), default=0)
            assert node.reads == node.path[: len(node.reads)]
        assert asked == list(enumerate(ids))


def test_a_chain_is_one_node():
    (node,) = tree(((5, 6, 7, EOS),)).children
    assert (node.path, node.asks, node.reads) == ((5, 6, 7, EOS), [(1, 6), (2, 7), (3, EOS)], (5, 6, 7))


def test_candidates_that_begin_with_one_another_are_counted():
    assert tree(((5, EOS), (6, EOS))).chain == 1
    assert tree(((5,), (5, 6), (5, 6, 7), (8, 9))).chain == 3


def test_tokens_are_followed_as_far_as_they_go():
    root = tree(((5, 6, EOS), (5, 7, EOS), (8, EOS)))
    assert [node.path for node in root.along([5, 7, EOS])] == [(), (5,), (5, 7, EOS)]
    assert [node.path for node in root.along([5, 9, EOS])] == [(), (5,)]
    assert [node.path for node in root.along([])] == [()]


def test_equal_lists_share_a_tree():
    assert tree(((5, EOS), (6, EOS))) is tree(tuple([(5, EOS), (6, EOS)]))
