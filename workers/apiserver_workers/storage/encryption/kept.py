"""The configuration of encryption that a server uses, kept in its run folder, which is private.

Workers come and go while the file that the flag names may be edited: all of them must have the same rules, and one that
starts while the file is wrong must not fail for it. So the master keeps a copy at its start; without automatic reload
workers read nothing else, with it they replace the copy by every good version that they find.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from apiserver_workers.storage.encryption.config import EncryptionConfig, EncryptionConfigError, load_encryption_config

KEPT = "encryption-config"


def keep(content: bytes, run_dir: str) -> None:
    """Make `content` what workers of this server start with. Raises OSError."""
    path = Path(run_dir, KEPT)
    temporary = path.with_name(f"{KEPT}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    os.replace(temporary, path)


def keep_file(settings: Any) -> None:
    """Keep the file of --encryption-provider-config, if there is one. Raises EncryptionConfigError, OSError."""
    if path := settings.encryption_provider_config:
        keep(load_encryption_config(path).content, settings.run_dir)


def load_rules(settings: Any) -> EncryptionConfig:
    """What a process that starts now uses. Raises EncryptionConfigError."""
    path, kept = settings.encryption_provider_config, str(Path(settings.run_dir, KEPT))
    if not settings.encryption_provider_config_automatic_reload:
        return load_encryption_config(kept)
    try:
        return load_encryption_config(path, reload=True)
    except EncryptionConfigError:
        return load_encryption_config(kept, reload=True)
