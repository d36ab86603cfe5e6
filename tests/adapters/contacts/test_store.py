"""What a contact keeps when it is imported again; tests/cli/contacts/test_contacts.py has how contacts are stored."""

from __future__ import annotations

import numpy as np

from adapters.contacts.store import ContactColumns, attribute_maps, keep_known


def test_what_is_known_fills_what_the_new_contact_does_not_have() -> None:
    contacts = ContactColumns(
        numbers=np.array([1, 2, 3], np.uint64),
        countries=["US"] * 3,
        regions=["", "NJ", ""],
        derived=["NY"] * 3,
        zones=["", "", "America/Denver"],
        attributes=[("name", ["", "Bob", "Cy"])],
    )
    known = [
        (1, "CT", "America/New_York", {"name": "Ann", "tier": "gold"}),
        (2, "CT", "", {"name": "Robert"}),
        (3, "", "America/Chicago", {}),
    ]
    keep_known(contacts, known)
    assert contacts.regions == ["CT", "NJ", ""]
    assert contacts.zones == ["America/New_York", "", "America/Denver"]
    assert contacts.attributes == [("name", ["Ann", "Bob", "Cy"]), ("tier", ["gold", "", ""])]


def test_empty_values_are_not_stored() -> None:
    maps = attribute_maps(2, [("a", [" x ", ""]), ("b", ["", "  "])])
    assert maps.to_pylist() == [[("a", "x")], []]
