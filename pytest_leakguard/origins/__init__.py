"""Where a resource was acquired: the record kept while tests run, and the match against it."""
