"""A server under random faults and mixed load, and the judgement of what its clients saw. Run it with scripts/chaos."""
