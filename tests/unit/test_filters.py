"""Selection: names, roles and expressions; what names nothing is an error that helps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nornir.core import Nornir
from nornir.core.inventory import Defaults, Host, Hosts, Inventory

from plugins.errors import SelectionError
from plugins.filters import select
from plugins.inventory.model import HostSettings


def host(name: str, role: str, number: int, **labels: str) -> Host:
    address = f"10.142.0.{number}"
    settings = HostSettings(name=name, role=role, address=address, transport="memory", labels=labels)
    return Host(name, hostname=address, data={"settings": settings}, defaults=Defaults())


HOSTS = [
    host("master-1", "master", 2),
    host("linux-2", "linux", 4, rack="2"),
    host("linux-1", "linux", 3, rack="1", site="a.b"),
    host("windows-1", "windows", 5, rack="1"),
]
INVENTORY = Inventory(Hosts({one.name: one for one in HOSTS}))


@pytest.mark.parametrize(
    ("hosts", "roles", "expression", "chosen"),
    [
        ([], [], "", "master-1 linux-2 linux-1 windows-1"),
        ([], [], "  ", "master-1 linux-2 linux-1 windows-1"),
        (["linux-1", "master-1"], [], "", "master-1 linux-1"),
        ([], ["windows", "linux"], "", "linux-2 linux-1 windows-1"),
        (["linux-1", "master-1"], ["linux"], "", "linux-1"),
        ([], ["linux"], "label.rack=1", "linux-1"),
        ([], [], "role=linux", "linux-2 linux-1"),
        ([], [], "role!=linux", "master-1 windows-1"),
        ([], [], "role=l*", "linux-2 linux-1"),
        ([], [], "name=*-1", "master-1 linux-1 windows-1"),
        ([], [], " name = *-1 , role != master ", "linux-1 windows-1"),
        ([], [], "name=linux-[12]", "linux-2 linux-1"),
        ([], [], "address=10.142.0.3", "linux-1"),
        ([], [], "address!=10.142.0.?", ""),
        ([], [], "label.rack=1", "linux-1 windows-1"),
        ([], [], "label.rack!=1", "master-1 linux-2"),
        ([], [], "label.rack=*", "linux-2 linux-1 windows-1"),
        ([], [], "label.rack!=*", "master-1"),
        ([], [], "label.site=a.b,role=linux", "linux-1"),
        ([], [], "name=linux-1,name=linux-2", ""),
    ],
)
def test_selection(hosts, roles, expression, chosen):
    """Any of the hosts, any of the roles, all of the expression; inventory order; an empty choice is an error."""
    if chosen:
        assert " ".join(select(INVENTORY, hosts, roles, expression)) == chosen
    else:
        with pytest.raises(SelectionError, match="no host fits"):
            select(INVENTORY, hosts, roles, expression)


@pytest.mark.parametrize(
    ("hosts", "roles", "expression", "said"),
    [
        (
            ["linx-1"],
            [],
            "",
            'there is no host "linx-1"; did you mean "linux-1"? known hosts: master-1, linux-2, linux-1, windows-1',
        ),
        (["x"], [], "", 'there is no host "x"; known hosts: master-1, linux-2, linux-1, windows-1'),
        (["x", "y"], [], "", 'there is no host "x"; known .*\nthere is no host "y"; known '),
        ([], ["windws"], "", 'there is no role "windws"; did you mean "windows"? known roles: master, linux, windows'),
        (
            [],
            [],
            "rol=linux",
            'there is no key "rol"; did you mean "role"? known keys: name, role, address, label.rack',
        ),
        (
            [],
            [],
            "rack=1",
            'there is no key "rack"; did you mean "label.rack"? known keys: name, role, address, label.rack',
        ),
        ([], [], "label.rak=1", 'there is no key "label.rak"; did you mean "label.rack"?'),
        ([], [], "role=linus", 'there is no role "linus"; did you mean "linux"?'),
        ([], [], "name=linx-1", 'there is no name "linx-1"; did you mean "linux-1"?'),
        ([], [], "role", '--filter "role": cannot read "role"; write KEY=VALUE or KEY!=VALUE, with commas between'),
        ([], [], "role=", '--filter "role=": cannot read "role="'),
        ([], [], "=linux", '--filter "=linux": cannot read "=linux"'),
        ([], [], "role=linux,", '--filter "role=linux,": cannot read ""'),
        ([], [], "a b=c", 'cannot read "a b=c"'),
        ([], [], "\x1b[31m", r'cannot read "\x1b[31m"'),
    ],
)
def test_what_names_nothing_is_an_error_with_the_known_names(hosts, roles, expression, said):
    """Unknown hosts, roles, keys and values are named with what was likely meant and with what there is."""
    with pytest.raises(SelectionError) as caught:
        select(INVENTORY, hosts, roles, expression)
    first, _, rest = said.partition(".*\n")
    assert first in str(caught.value)
    assert rest in str(caught.value)


def test_keys_that_labels_would_have_are_told_of_where_there_are_none():
    """Whoever has not labelled a host yet learns that it can be done."""
    unlabelled = Inventory(Hosts({"linux-1": host("linux-1", "linux", 1)}))
    with pytest.raises(SelectionError) as caught:
        select(unlabelled, expression="rack=1")
    assert str(caught.value) == (
        'there is no key "rack"; known keys: name, role, address, and label.KEY where hosts have labels (data.labels)'
    )


def test_an_empty_choice_says_what_was_asked_and_what_there_is():
    """A selection of nothing is an error: a run over no host would look like success."""
    with pytest.raises(SelectionError) as caught:
        select(INVENTORY, ["linux-1"], ["windows"], "label.rack=2")
    assert str(caught.value) == (
        'no host fits --host linux-1 --role windows --filter "label.rack=2"; '
        "known hosts: master-1 (master), linux-2 (linux), linux-1 (linux), windows-1 (windows)"
    )
    with pytest.raises(SelectionError, match="no host fits an empty inventory; known hosts: none"):
        select(Inventory(Hosts()))


def test_a_thousand_known_names_stay_readable():
    """The list of known names is cut, with how many more there are."""
    many = Inventory(Hosts({f"linux-{n}": host(f"linux-{n}", "linux", 1) for n in range(1000)}))
    with pytest.raises(SelectionError) as caught:
        select(many, ["linux-x"])
    assert str(caught.value).endswith("linux-19 and 980 more")


def test_nornir_itself_can_be_asked():
    """Selection takes Nornir as well as its inventory."""
    assert select(Nornir(INVENTORY), ["linux-1"]) == ("linux-1",)


@given(st.text(max_size=30), st.lists(st.text(max_size=8), max_size=2))
def test_any_selection_is_either_hosts_or_an_error(expression, roles):
    """No expression makes select raise anything but SelectionError, or choose unknown hosts."""
    try:
        chosen = select(INVENTORY, [], roles, expression)
    except SelectionError:
        return
    assert chosen
    assert set(chosen) <= set(INVENTORY.hosts)
