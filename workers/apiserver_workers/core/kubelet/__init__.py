"""The ways through this server to what runs on nodes: kubelets, pods, services."""
