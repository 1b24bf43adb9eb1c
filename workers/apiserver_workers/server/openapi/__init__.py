"""OpenAPI: what clients ask the API for its own description (kubectl explain, validation, generated clients).

* `definitions.py`  the schema package's definitions as Kubernetes' OpenAPI schemas
* `operations.py`   the operations of a resource and of discovery, in a form of their own
* `v3.py`, `v2.py`  the documents of the two versions, made from those
* `protobuf.py`     the v2 document in protobuf
* `endpoints.py`    the handlers, which build a document when it is first asked for, off the event loop
"""
