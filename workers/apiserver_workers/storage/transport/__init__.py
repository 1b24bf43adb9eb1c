"""gRPC over HTTP/2 on asyncio, just what etcd needs: made for few CPU microseconds a call and for forked workers."""
