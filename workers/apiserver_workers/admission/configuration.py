"""--admission-control-config-file: an AdmissionConfiguration, which names what single plugins are told.

The master reads the file once, so that all workers of a server are told the same, whenever they start. Each plugin says
itself what it takes (`Plugin.configured`). Upstream: apiserver/pkg/admission/config.go.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from apiserver_workers.admission.chain import enabled_plugins
from apiserver_workers.server.config_file import decode_document, load_document

KINDS = {"apiserver.config.k8s.io/v1": "AdmissionConfiguration", "apiserver.k8s.io/v1alpha1": "AdmissionConfiguration"}
SHAPE = {"plugins": [{"name": str, "path": str, "configuration": object}]}
# Before there was an AdmissionConfiguration, the file was that of one of these plugins: its key, and the plugin.
LEGACY = {"imagePolicy": "ImagePolicyWebhook", "podNodeSelectorPluginConfig": "PodNodeSelector"}


def load_configuration(path: str) -> bytes:
    """What each plugin is told, as JSON by the plugin's name. Raises OSError, or ValueError with what is wrong."""
    content = Path(path).read_bytes()
    document = load_document(content)
    if isinstance(document, dict) and "kind" not in document and LEGACY.keys() & document.keys():
        return orjson.dumps({plugin: document for key, plugin in LEGACY.items() if key in document})
    decoded = decode_document(document, KINDS, SHAPE)
    found: dict[str, Any] = {}
    for plugin in decoded.get("plugins") or ():
        name = plugin.get("name", "")
        if name in found:
            continue  # the first one counts
        found[name] = _told(plugin, os.path.dirname(os.path.abspath(path)))
    return orjson.dumps(found)


def _told(plugin: dict[str, Any], folder: str) -> Any:
    """The configuration that an entry has in it, or that its file has. Raises OSError, ValueError."""
    if plugin.get("configuration") is not None:
        return plugin["configuration"]
    if not plugin.get("path"):
        return None
    file = os.path.join(folder, plugin["path"])
    try:
        return load_document(Path(file).read_bytes())
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def configuration_faults(told: bytes, enable: Iterable[str], disable: Iterable[str]) -> Iterator[str]:
    """What the plugins that are on cannot take."""
    given = orjson.loads(told or b"{}")
    for plugin in enabled_plugins(enable, disable):
        try:
            plugin.configured(given.get(plugin.name))
        except (OSError, ValueError) as error:
            yield f'failed to initialize admission: couldn\'t init admission plugin "{plugin.name}": {error}'
