def explain(source, syntax):
    from .faults import Fault
    return [Fault(0, "SYNTAX")]
