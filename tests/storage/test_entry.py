import orjson
from apiserver_workers.storage.entry import JSONEntry
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def test_the_body_is_the_value_with_the_resource_version_first_in_metadata():
    entry = JSONEntry("/k", b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"},"spec":{}}', 7)
    assert entry.body == b'{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"7","name":"a"},"spec":{}}'
    assert entry.item == b'{"metadata":{"resourceVersion":"7","name":"a"},"spec":{}}'


texts = st.text(max_size=8) | st.sampled_from(['"metadata":{"', "{", '\\"metadata\\":{"', "metadata"])
values = st.recursive(
    texts | st.integers(0, 9) | st.none(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(texts, values, max_size=4)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # of the machine, not of the code
@given(before=objects, metadata=st.dictionaries(texts, values, max_size=3), after=objects)
def test_any_object_gets_its_resource_version_in_the_right_place(before, metadata, after):
    stored = {**before, "metadata": metadata, **after}
    stored["metadata"] = metadata
    entry = JSONEntry("/k", orjson.dumps(stored), 12)
    expected = {**stored, "metadata": {**metadata, "resourceVersion": "12"}}
    assert orjson.loads(entry.body) == expected == entry.obj


def test_the_object_is_parsed_once():
    entry = JSONEntry("/k", b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"}}', 7)
    assert entry.obj is entry.obj
