"""Small servers, with their publishers, with which `make bench-peers` compares the gateway.

A server may run in a Python environment that has only the server's library. Therefore these modules import no other
module of the project.
"""
