"""The only package that imports the Kafka client. No class connects before it is used."""
