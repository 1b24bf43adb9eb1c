"""Several whole servers on one etcd cluster, on one machine: `apiserver-supervisor ha`.

Each server is a `start` of its own, as it would run on a machine of its own: with an address, certificates, workers and a
reconciler. All have one authority, one service account key and one etcd. One process starts them, keeps them and ends
them; servers and etcd members can be killed, paused and restarted one by one while clients go on with the others.
"""
