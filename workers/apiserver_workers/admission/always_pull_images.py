"""AlwaysPullImages: a pod's images are pulled at each start, so that only who may pull an image can run it."""

from __future__ import annotations

from collections.abc import Iterator

from apiserver_workers.admission.plugin import PODS, Object, Plugin, aggregate, forbidden, own_spec
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.validation.field import not_supported
from apiserver_workers.registry.attributes import CREATE, UPDATE, Attributes

ALWAYS = "Always"
CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")


class AlwaysPullImages(Plugin):
    """Sees new pods, and updates that bring a new image."""

    name = "AlwaysPullImages"
    operations = frozenset((CREATE, UPDATE))
    resources = frozenset((PODS,))

    def admit(self, attributes: Attributes) -> None:
        pod = attributes.obj
        assert pod is not None
        if not _brings_image(pod, attributes.old_obj):
            return
        spec = own_spec(pod)
        for field in CONTAINER_LISTS:
            if spec.get(field):
                spec[field] = [{**container, "imagePullPolicy": ALWAYS} for container in spec[field]]
        if spec.get("volumes"):
            spec["volumes"] = [_always_pulled(volume) for volume in spec["volumes"]]

    def validate(self, attributes: Attributes) -> None:
        pod = attributes.obj
        assert pod is not None
        if not _brings_image(pod, attributes.old_obj):
            return
        faults = [
            forbidden(attributes, str(not_supported(path, policy, (ALWAYS,)))).message
            for path, policy in _policies(pod["spec"])
            if policy != ALWAYS
        ]
        if faults:
            raise ApiError(500, "", aggregate(faults))


def _always_pulled(volume: Object) -> Object:
    if "image" not in volume:
        return volume
    return {**volume, "image": {**volume["image"], "pullPolicy": ALWAYS}}


def _policies(spec: Object) -> Iterator[tuple[str, str]]:
    """The path and the value of each pull policy."""
    for field in CONTAINER_LISTS:
        for index, container in enumerate(spec.get(field) or ()):
            yield f"spec.{field}[{index}].imagePullPolicy", container.get("imagePullPolicy", "")
    for index, volume in enumerate(spec.get("volumes") or ()):
        if "image" in volume:
            yield f"spec.volumes[{index}].image.pullPolicy", volume["image"].get("pullPolicy", "")


def _brings_image(pod: Object, old: Object | None) -> bool:
    return old is None or not _images(pod["spec"]) <= _images(old["spec"])


def _images(spec: Object) -> set[str]:
    return {container.get("image", "") for field in CONTAINER_LISTS for container in spec.get(field) or ()}
