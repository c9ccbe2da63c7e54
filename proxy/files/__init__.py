"""Files at rest: finding one safely beneath a root, what is said of it, the cache of small ones.

What is here calls the file system and may block; the room with sockets runs it in threads.

May import: message, errors, clock.
"""
