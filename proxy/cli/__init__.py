"""The commands, one module each, thin: every command is a call that a test can make too.

May import: run, net, compiler, settings, routing, policy, observe, certificates, errors, clock.
"""
