"""WebSockets through the proxy: to uvicorn and Daphne, and to an upstream that is scripted."""
