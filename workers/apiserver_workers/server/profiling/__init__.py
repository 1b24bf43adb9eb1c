"""What a worker can tell about itself: where its CPU time goes, what waits, what its memory holds, what blocked its loop.

The counterparts of Go's pprof profiles, as text: stacks are in the collapsed form that flame graph tools read, one line a
stack with its weight. Every worker answers for itself (`local`); the front asks all of them (`endpoints`).
"""
