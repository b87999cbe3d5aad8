"""Layers: how data is inherited, and what is taken out of a block so that the rest can still be checked."""

from hypothesis import given
from hypothesis import strategies as st
from nornir.core.inventory import Group, Host, ParentGroups

from plugins.inventory.layers import in_circle, lineage, merged, without

NAMES = ("ssh", "sudo", "winrm", "containerd", "kubelet", "labels")  # as docs/inventory.md has them
BLOCKS = st.none() | st.dictionaries(st.sampled_from("abc"), st.integers(0, 3), max_size=3)
LAYERS = st.lists(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(NAMES, BLOCKS) | {"mtu": st.integers(0, 3), "nic": st.none() | st.text(max_size=2)},
    ),
    max_size=4,
)


@given(LAYERS)
def test_the_last_layer_that_has_a_key_decides(layers):
    """A plain key comes from the strongest layer that has it, a key of a block from the strongest block."""
    result = merged(layers)
    for key in ("mtu", "nic"):
        having = [layer[key] for layer in layers if key in layer]
        assert (key in result) == bool(having)
        assert not having or result[key] == having[-1]
    for block in NAMES:
        for key in "abc":
            having = [layer[block][key] for layer in layers if key in (layer.get(block) or {})]
            assert result.get(block, {}).get(key) == (having[-1] if having else None)


@given(LAYERS, LAYERS)
def test_merging_in_two_goes_is_merging_in_one(weak, strong):
    """Groups can be merged first and the host after them."""
    assert merged([merged(weak), merged(strong)]) == merged([*weak, *strong])


@given(LAYERS)
def test_merging_leaves_the_layers_alone(layers):
    """A group's block serves many hosts; merging does not write into it."""
    before = repr(layers)
    merged(layers)
    assert repr(layers) == before


PARENTS = st.dictionaries(
    st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=3, unique=True), max_size=6
)


@given(PARENTS, st.lists(st.sampled_from("abcdef"), max_size=3, unique=True))
def test_groups_are_inherited_in_nornir_s_own_order(parents, names):
    """The order of groups, the strongest first, is that of Nornir's extended_groups."""
    # Nornir needs all groups to exist and no circle: parents come later in the alphabet.
    parents = {name: [p for p in found if p > name and p in parents] for name, found in parents.items()}
    groups = {name: Group(name) for name in parents}
    for name, found in parents.items():
        groups[name].groups = ParentGroups(groups[p] for p in found)
    known = [name for name in names if name in groups]
    host = Host("h", groups=ParentGroups(groups[name] for name in known))
    assert lineage(names, parents) == [group.name for group in host.extended_groups()]


@given(PARENTS)
def test_circles_end(parents):
    """Groups that inherit from themselves are found, and lineage comes to an end with each group once."""
    for name in parents:
        found = lineage([name], parents)
        assert len(found) == len(set(found))
        assert in_circle(name, parents) == any(name in lineage([p], parents) for p in parents[name])


def test_wrong_keys_are_taken_out_and_nothing_else():
    """Only what stands at the given paths goes; a list goes with its item, a text is no block."""
    raw = {"a": {"b": 1, "c": [1, 2]}, "d": 2, 3: 4}
    assert without(raw, [("a", "b"), ("a", "c", 0), ("x", "y")]) == {"a": {}, "d": 2}
    assert without(raw, [("a",), ("a", "b")]) == {"d": 2}
    assert without(raw, []) == {"a": {"b": 1, "c": [1, 2]}, "d": 2}
    assert without("text", [()]) == {}
    assert without({"labels": {"a b": 1, "c": 2}}, [("labels", "a b", "[key]")]) == {"labels": {"c": 2}}
    assert raw == {"a": {"b": 1, "c": [1, 2]}, "d": 2, 3: 4}
