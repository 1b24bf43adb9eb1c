"""The type of custom resources: nothing is known of it but its plan for server-side apply."""

from __future__ import annotations

from apiserver_workers.apimachinery.apply.plan import Node, give_plan
from apiserver_workers.apimachinery.types import Field, Type, TypeModel


class CustomType(Type):
    """A type without fields of its own: values stay as they are, and its schema says what is wrong with them."""

    def __init__(self, name: str, model: TypeModel, plan: Node) -> None:
        super().__init__(name, model)
        give_plan(self, plan)

    @property
    def go_name(self) -> str:
        return "unstructured.Unstructured"

    @property
    def map_type(self) -> str:
        return ""

    @property
    def members(self) -> tuple[tuple[Field, bool], ...]:
        return ()
