"""HTTP/2 as its clients speak it, through the real command."""
