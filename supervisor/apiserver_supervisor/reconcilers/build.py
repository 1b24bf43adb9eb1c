"""Which reconciler the options ask for."""

from __future__ import annotations

import grpc
from apiserver_workers.storage.factory import parse_overrides, storage_formats, watched_rules
from apiserver_workers.storage.formats import Unreadable

from apiserver_supervisor.options.parsing import CompletedOptions
from apiserver_supervisor.reconcilers.reconcilers import (
    LeaseReconciler,
    MasterCountReconciler,
    NoneReconciler,
    ReconcileError,
    Reconciler,
)
from apiserver_supervisor.reconcilers.store import Store, StoreError

unreachable = (StoreError, grpc.RpcError)
failures = (ReconcileError, Unreadable, ValueError, *unreachable)


def build(options: CompletedOptions) -> Reconciler:
    """The reconciler of --endpoint-reconciler-type, connected to etcd."""
    if options.endpoint_reconciler_type == "none":
        return NoneReconciler()
    formats = storage_formats(options)
    store = Store(
        options.etcd_servers,
        options.etcd_prefix,
        ca=options.etcd_cafile,
        certificate=options.etcd_certfile,
        key=options.etcd_keyfile,
        others=parse_overrides(options.etcd_servers_overrides),
        formats=formats,
        rules=watched_rules(options, formats),
    )
    ip, port = options.advertise_address, options.advertise_port or options.secure_port
    if options.endpoint_reconciler_type == "master-count":
        return MasterCountReconciler(store, ip, port, options.apiserver_count)
    return LeaseReconciler(store, ip, port)
