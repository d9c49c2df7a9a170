"""Small servers and publishers that `make bench-peers` measures the gateway with.

A server may run in a Python environment that has only its own library. The modules of the servers therefore import
nothing of the project, except each other.
"""
