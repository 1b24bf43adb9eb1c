"""The command with a service repair that goes round every second instead of every ten seconds and three minutes."""

from __future__ import annotations

from apiserver_supervisor.cli import main
from apiserver_workers.core.bootstrap import service_repair

if __name__ == "__main__":
    service_repair.INTERVAL = service_repair.PORTS_INTERVAL = 1.0
    main()
