"""The fault engine: makes each operation of a run fail in turn and checks that cleanup ran."""
