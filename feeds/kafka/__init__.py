"""Kafka: the one package that imports its client. Nothing here touches the network before it is asked to."""
