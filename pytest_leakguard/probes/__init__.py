"""One probe for each kind of resource, all behind the protocol in `protocol`."""
