"""HTTP/1.1 between a client that speaks in bytes and an upstream that answers in bytes."""
