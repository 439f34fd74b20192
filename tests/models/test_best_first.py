"""The search by itself: log-probabilities are made up, and every one that is asked for is counted."""

import math

import pytest

from scd_lightning.models.best_first import Search
from scd_lightning.models.trie import tree

EOS = 0


def ask(search, conditional):
    """Runs a search to its end; {(tokens before, token): log-probability}; gives the paths asked for, call by call."""
    calls = []
    wanted = [search.root]
    while wanted:
        for node in wanted:
            search.take(node, [conditional[node.path[:count], token] for count, token in node.asks])
        wanted = search.next()
        calls.append([node.path for node in wanted])
    return calls[:-1]


def first_tokens(probabilities):
    """That candidates have these first tokens, and end there."""
    said: dict[tuple[tuple[int, ...], int], float] = {((), token): value for token, value in probabilities.items()}
    return said | {((token,), EOS): 1.0 for token in probabilities}


def logs(probabilities):
    return {key: math.log(value) if value else -math.inf for key, value in probabilities.items()}


def test_what_can_be_no_better_is_not_asked_for():
    root = tree(((5, 6, EOS), (5, 7, EOS), (8, 9, EOS), (3, EOS)))
    said = {((), 5): 0.6, ((), 8): 0.3, ((), 3): 0.1, ((5,), 6): 0.7, ((5,), 7): 0.3, ((5, 6), EOS): 1.0}
    search = Search(root)
    assert ask(search, logs(said)) == [[(5,)], [(5, 6, EOS)]]
    assert search.answer == 0
    assert search.scores == {0: pytest.approx(math.log(0.42))}


def test_it_comes_back_to_a_way_that_it_left():
    root = tree(((5, 6, EOS), (5, 7, EOS), (8, 9, EOS)))
    said = {((), 5): 0.6, ((), 8): 0.4, ((5,), 6): 0.3, ((5,), 7): 0.3, ((8,), 9): 0.9, ((8, 9), EOS): 1.0}
    search = Search(root)
    assert ask(search, logs(said)) == [[(5,)], [(8, 9, EOS)]]
    assert search.answer == 2


def test_the_lowest_one_of_equal_candidates():
    """Equal to 1e-4 nats, which is why even one that can't be better is asked for."""
    root = tree(((9, EOS), (8, EOS), (7, EOS), (6, EOS)))
    heads = {9: 0.2 * math.exp(-2e-4), 8: 0.2 * math.exp(-0.5e-4), 7: 0.2, 6: 0.2}
    said = first_tokens(heads)
    search = Search(root)
    calls = ask(search, logs(said))
    assert search.answer == 1
    assert sorted(sum(calls, [])) == [(6, EOS), (7, EOS), (8, EOS)]


def test_a_model_without_a_preference_is_asked_in_few_calls():
    count = 200
    root = tree(tuple((token, EOS) for token in range(1, count + 1)))
    said = first_tokens({token: 1 / count for token in range(1, count + 1)})
    said |= {((token,), EOS): token / count for token in range(1, count + 1)}
    search = Search(root)
    calls = ask(search, logs(said))
    assert search.answer == count - 1
    assert len(calls) < 12


def test_one_token_answers_take_the_root_alone():
    search = Search(tree(((4,), (5,), (6,))))
    assert ask(search, logs({((), 4): 0.1, ((), 5): 0.7, ((), 6): 0.2})) == []
    assert (search.answer, search.scores.keys()) == (1, {0, 1, 2})


def test_probabilities_are_asked_for_until_what_is_open_is_too_little():
    heads = {1: 0.9, 2: 0.08, 3: 0.019, 4: 0.0005, 5: 0.0004}
    root = tree(tuple((token, EOS) for token in heads))
    said = first_tokens(heads)
    search = Search(root, probabilities=True)
    assert sorted(sum(ask(search, logs(said)), [])) == [(1, EOS), (2, EOS), (3, EOS)]
    shares = search.shares()
    assert shares.keys() == {0, 1, 2}
    assert shares == pytest.approx({0: 0.9, 1: 0.08, 2: 0.019}, abs=1e-3)


def test_candidates_within_one_another_may_hold_more_than_their_bound():
    """Where no end token sets them apart, all that begin alike may have the first one's probability."""
    root = tree(((5, 6), (5, 6, 7), (5, 6, 7, 8), (9,)))
    said = {((), 5): 0.0009, ((), 9): 0.9, ((5,), 6): 1.0, ((5, 6), 7): 1.0, ((5, 6, 7), 8): 1.0}
    search = Search(root, probabilities=True)
    ask(search, logs(said))
    assert search.shares()[0] == pytest.approx(0.0009 / 0.9027, rel=1e-9)


@pytest.mark.parametrize("probabilities", [False, True])
def test_where_nothing_is_possible_the_search_ends(probabilities):
    candidates = tuple((a, b, EOS) for a in range(1, 4) for b in range(1, 4))
    search = Search(tree(candidates), probabilities)
    before = {ids[:i] for ids in candidates for i in range(3)}
    ask(search, {(path, token): -math.inf for path in before for token in range(4)})
    assert search.answer == 0
    if probabilities:
        assert all(math.isnan(share) for share in search.shares().values())
