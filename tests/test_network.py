"""The firm network: what it completes, and what it refuses by name."""

from functools import partial

import numpy as np
import pytest
from shockmesh.kernels.network import NetworkError, firm_network

GOOD = {"supplier": [0, 1], "buyer": [1, 2], "amount": [1.0, 2.0], "final_demand": [0.5, 0.0, 1.0]}


def test_completes_and_sorts():
    network = firm_network([2, 1, 0], [0, 0, 2], [3.0, 2.0, 1.0], [1, 1, 1], sector=[0, 1, 1], sectors=["a", "b"])
    assert network.buyer.tolist() == [0, 0, 2]
    assert network.supplier.tolist() == [1, 2, 0]
    assert network.product.tolist() == [1, 1, 0]
    assert network.output.tolist() == [2, 3, 4]
    assert network.value_added.tolist() == [-3, 3, 3]


def test_links_in_order_are_the_links_in_any_order():
    pairs = np.array([[s, b] for b in range(6) for s in (0, 2, 4, 1, 3, 5) if s != b])  # by buyer, product, supplier
    make = partial(firm_network, final_demand=np.ones(6), sector=np.arange(6) % 2, sectors=["a", "b"])
    amount, shuffle = np.arange(1.0, len(pairs) + 1), np.random.default_rng(0).permutation(len(pairs))
    sorted_once = make(pairs[:, 0], pairs[:, 1], amount)
    shuffled = make(pairs[shuffle, 0], pairs[shuffle, 1], amount[shuffle])
    for name in ("supplier", "buyer", "product", "amount", "output"):
        np.testing.assert_array_equal(getattr(sorted_once, name), getattr(shuffled, name))
    np.testing.assert_array_equal(sorted_once.supplier, pairs[:, 0])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"amount": [1.0, -2.0]}, r"amount: 1 break the rule «finite and > 0»: amount\[1\] = -2.0"),
        ({"amount": [np.nan, 2.0]}, r"amount: 1 break the rule «finite and > 0»: amount\[0\] = nan"),
        ({"final_shares": np.ones((2, 1))}, r"final_shares: shape \(2, 1\), expected \(1, 1\), industries × regions"),
        ({"final_demand": [0.5, -1, 1]}, r"final_demand: 1 break the rule «finite and ≥ 0»"),
        ({"supplier": [0, 7]}, r"supplier: 1 break the rule «0 ≤ supplier < 3 firms»: supplier\[1\] = 7"),
        ({"supplier": [0, 0], "buyer": [1, 1]}, r"link: 1 break the rule «one link per supplier, buyer and product»"),
        (
            {"output": [1.5, 2.0, 9.0]},
            r"output: 1 break the rule «output = sales \+ final demand, to 1e-6»: output\[2\] = 9.0",
        ),
        ({"region": [0, 0, 4]}, r"region: 1 break the rule «0 ≤ region < 1»"),
        ({"buyer": [1]}, r"buyer: shape \(1,\), expected \(2,\)"),
        ({"supplier": [0, 1.5]}, r"supplier: 1 break the rule «a whole number below 2³¹»: supplier\[1\] = 1.5"),
        ({"supplier": [0, 2**32 + 1]}, r"supplier: 1 break the rule «a whole number below 2³¹»"),
        ({"product": [0, -1]}, r"product: 1 break the rule «product ≥ 0»: product\[1\] = -1"),
        ({"firm": ["a", "b", "a"]}, r"firm: 1 break the rule «none given twice»: firm\[2\] = a"),
        ({"regions": ["a", "a"]}, r"regions: 1 break the rule «none given twice»: regions\[1\] = a"),
        ({"amount": [2.0, -1.0], "supplier": [0, 2], "buyer": [2, 1]}, r"amount\[1\] = -1"),
        (
            {"final_demand": [0.5, 0, 0]},
            r"output: 1 break the rule «a firm that buys has sales or final demand»: output\[2\] = 0",
        ),
    ],
)
def test_a_broken_rule_is_named(change, says):
    with pytest.raises(NetworkError, match=says):
        firm_network(**(GOOD | change))
