"""Reading YAML: what YAML allows is taken, mistakes keep their place, nothing is made but plain values."""

from __future__ import annotations

import pytest
import yaml

from customer_tiering.yaml_text import compose_yaml, load_yaml


def test_what_the_fast_parser_refuses_is_read_all_the_same() -> None:
    text = "stability: {idle_months:, review: none}"
    assert load_yaml(text) == {"stability": {"idle_months": None, "review": "none"}}
    root = compose_yaml(f"a: 1\n{text}")
    assert isinstance(root, yaml.MappingNode)
    assert [key.start_mark.line for key, _ in root.value] == [0, 1]


@pytest.mark.parametrize("read", [load_yaml, compose_yaml])
def test_a_mistake_keeps_its_line(read: object) -> None:
    assert callable(read)
    with pytest.raises(yaml.YAMLError) as caught:
        read("a: 1\nb: [1, 2\nc: 3\n")
    mark = getattr(caught.value, "problem_mark", None)
    assert mark is not None and mark.line == 2


def test_no_objects_are_made() -> None:
    with pytest.raises(yaml.YAMLError):
        load_yaml("!!python/object/apply:os.getcwd []")
