"""Requests that go on to another HTTP server: kubelets, pods, services."""
