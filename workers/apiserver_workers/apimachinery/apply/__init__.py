"""Server-side apply: who owns which field, and how an applied configuration is merged.

The parts, each a layer on the one before:

* `plan.py`     what apply needs to know of a type: granular or atomic, keys of lists, as a tree that is quick to walk
* `fields.py`   field sets in the form of FieldsV1, and their algebra
* `compare.py`  two objects -> the sets of changed and removed fields; one object -> the set of its fields
* `typed.py`    is an applied configuration well typed; merging it, removing fields
* `entries.py`  managedFields: identity, order, decoding what clients send, the cap
* `tracking.py` what a write takes from other managers, in every version that somebody used
* `conflicts.py`, `last_applied.py`  the error of apply; the way over from client-side apply
* `managed.py`  the field manager itself: `track_update` for create, update and patch, `apply` for apply
* `reset.py`    fields that a (sub)resource does not let its clients set
* `scale.py`    managedFields as the scale subresource sees them

They mirror sigs.k8s.io/structured-merge-diff and k8s.io/apimachinery/pkg/util/managedfields.
"""
